// Package peer carries everything that nodes say to each other. A node dials
// another by node id and gets a [Conn]: a stream of one protocol, encrypted and
// mutually authenticated with that node and no other, multiplexed with all its
// other streams over one TLS 1.3 connection.
//
// A node that cannot be reached directly is reached through relays along the
// hierarchy, end to end encrypted all the same.
//
// Who the other side is comes from its certificate alone; whether it is still a
// member is asked of an [Admission], and where it listens of a [Resolver]. The
// package knows no directory, reads no payload and decides nothing about data.
// Its picture and the roads not taken are in DESIGN.md.
package peer
