// Package server is the composition root: it opens the parts of a node in the
// order in which they need each other, joins them, and closes them in reverse.
//
// What a node is made of and how the parts meet is read here; what they do is
// read in them.
package server
