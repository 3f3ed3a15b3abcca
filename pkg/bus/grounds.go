package bus

import (
	"fmt"
	"time"
)

// Grounds are what a decision was made of: enough to explain it, and to see what
// another policy would have made of it.
type Grounds struct {
	Input    Splitter
	Base     string        // digest of the base layer's text, "sha256:…"
	Verdicts []Verdict     // in the order in which the layers were asked; where one is missing, it was not asked any more
	Took     time.Duration // the evaluation
}

// Splitter is a policy input, given as evidence keeps it.
type Splitter interface {
	// Split gives, in JSON, what of the input is the call's own and the facts that
	// many calls share. Values that are nobody else's business are replaced in both;
	// masked are the JSON pointers of these.
	Split() (call, facts []byte, masked []string, err error)
}

// Rule is a place in a layer's text.
type Rule struct {
	Name string `json:"name"`           // deny, items, masks, …
	Code string `json:"code,omitempty"` // of a denial: the reason's
	File string `json:"file"`
	Row  int    `json:"row"`
}

// String gives the rule as file:row.
func (r Rule) String() string { return fmt.Sprintf("%s:%d", r.File, r.Row) }
