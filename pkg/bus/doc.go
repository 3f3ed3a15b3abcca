// Package bus holds the nouns of a government data sharing and exchange system
// and the rules that are true of them anywhere: identifiers and their check
// digits, what a complete resource is, what a grant covers, how decisions of
// several policy layers combine.
//
// It is for values and pure rules. It has no clock, no I/O, no goroutine, and
// imports the standard library only, so that every other package can use it.
package bus
