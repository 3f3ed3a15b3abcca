// Package audit is the evidence log of a node: an append-only RFC 6962 Merkle
// tree with a leaf for every decision and every step of an exchange, signed
// checkpoints over it, the look-ups that a trace needs, and the verification of
// a log or of its export.
//
// It works inside bbolt transactions that the caller owns, so that a leaf
// commits together with the step that it records, or not at all. It is not a
// place for payloads (leaves carry digests only), not the application's log,
// and it does not decide who may read it.
package audit
