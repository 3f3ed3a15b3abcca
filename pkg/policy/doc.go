// Package policy is the policy decision point (PDP): it holds the compiled
// policy layers of the bus and answers one question, may this exchange of data
// go on, and with which items and masks. It is the only importer of OPA.
//
// It is not the enforcement point: it fetches nothing, stores nothing, knows
// no network and no clock. Everything a policy may look at comes in as Input;
// the same Input and the same layers give the same Decision.
//
// A layer is written in Rego v1. Only the base layer, which ships with the
// release, grants; the layers of divisions and departments deny or narrow.
// Whatever is odd, an error, a timeout, a missing or a malformed answer, denies.
//
// DESIGN.md tells how evaluation is kept within its deadline.
package policy
