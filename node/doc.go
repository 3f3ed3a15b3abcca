// Command gxbus is a node of a government data sharing and exchange bus, and
// the command line that administrators and agencies speak to nodes with.
//
// This package only hands the process over to node/cli.
package main
