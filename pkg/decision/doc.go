// Package decision gives recorded policy decisions the form of OPA's decision log,
// says in words why one came out as it did, and counts what a draft of a policy
// layer would change. It is about records only: it decides nothing and reads no
// log. Package replay, below it, reads evidence and asks drafts.
package decision
