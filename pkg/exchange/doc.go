// Package exchange is the policy enforcement point (PEP): it takes published
// events, forwards them to the nodes of those who subscribed, and hands them
// out, with a decision before each step and a record of each.
//
// One bbolt file a node holds the event logs, the subscriptions' cursors, the
// inboxes and the evidence log, so that a step and its record commit together
// or not at all. An acknowledgement, to an agency or to another node, is given
// after the fsync of that commit. Nothing here knows OPA, HTTP routes or raft.
package exchange
