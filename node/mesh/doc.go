// Package mesh is what nodes say to each other over peer connections, in HTTP:
// directory writes on their way to the leader, batches of events, status,
// traces, joining. Client speaks, Handler answers.
//
// Who asks is known from the peer connection, never from the request.
package mesh
