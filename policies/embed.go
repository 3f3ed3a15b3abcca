// Package policies carries the policy text that ships with the release: the
// base layer with its tests, and sample layers of two divisions. It has no
// logic; package policy compiles and evaluates.
package policies

import "embed"

// FS holds base/*.rego and samples/LAYER/*.rego.
//
//go:embed base/*.rego samples/*/*.rego
var FS embed.FS
