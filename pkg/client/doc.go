// Package client is the Go SDK of gxbus: what an agency's program, an
// administrator's script or the gxbus command says to a node's API.
//
// It speaks /api/v1 over TLS and nothing else; it holds no rule of the bus.
package client
