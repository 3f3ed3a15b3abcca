// Package store keeps the bindings of a node, sealed in its own file, and calls what
// they are to: services over HTTP, and databases.
package store
