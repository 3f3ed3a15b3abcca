//go:build race

package identity

// argonMemory is small in a program with the race detector, which makes each hash ten
// times as slow: most of what the tests then did was hashing. Such a program does not
// know the hashes of one without it.
const argonMemory = 64
