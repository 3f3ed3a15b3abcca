//go:build !race

// Package raced tells tests whether they run under the race detector, where what is
// about numbers, and not about what runs beside what, is done with smaller ones.
package raced

// Enabled is true under the race detector.
const Enabled = false
