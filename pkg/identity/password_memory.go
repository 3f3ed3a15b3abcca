//go:build !race

package identity

// argonMemory is the memory of a password's hash in KiB.
const argonMemory = 19456
