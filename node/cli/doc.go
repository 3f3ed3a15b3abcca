// Package cli is the gxbus command line: a file for each command, one printer,
// one place that tells errors, one place that chooses the language.
//
// Commands speak to a node through pkg/client and to nothing else; a rule of
// the bus that can be checked before sending is asked of pkg/bus. Commands that
// run a node are handed to Run by the program.
package cli
