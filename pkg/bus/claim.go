package bus

import (
	"slices"
	"time"
)

// ClaimStanding is how a claimant stands.
type ClaimStanding string

// The standings.
const (
	StandingSource   ClaimStanding = "source"   // it is the one source
	StandingDisputed ClaimStanding = "disputed" // somebody was there before: the authority has to decide
	StandingRefused  ClaimStanding = "refused"  // the authority decided for another
)

// Claim is who claims to be the one source of an item of an entity (一数一源,
// decree 809 art. 19): those whose version in force, or draft in review, marks the
// item so, in the order they came. Exactly one of them is the source.
type Claim struct {
	Entity    EntityID        `json:"entity"`
	Item      ItemID          `json:"item"`
	Claimants []Claimant      `json:"claimants,omitempty"`
	Decisions []ClaimDecision `json:"decisions,omitempty"` // the first one first; they are kept
	Revision  Revision        `json:"revision"`
}

// Claimant is a resource that claims to be the source.
type Claimant struct {
	Resource   ResourceID    `json:"resource"`
	Department USCC          `json:"department"`
	Since      time.Time     `json:"since"`
	Standing   ClaimStanding `json:"standing"`
}

// ClaimDecision is the data authority's decision between two claimants.
type ClaimDecision struct {
	First    ResourceID `json:"first"`    // the source until then
	Second   ResourceID `json:"second"`   // who disputed it
	Transfer bool       `json:"transfer"` // the second is the source now
	Reason   string     `json:"reason"`
	By       Principal  `json:"by"`
	At       time.Time  `json:"at"`
}

// Claimant returns how a resource claims c.
func (c Claim) Claimant(id ResourceID) (Claimant, bool) {
	i := slices.IndexFunc(c.Claimants, func(x Claimant) bool { return x.Resource == id })
	if i < 0 {
		return Claimant{}, false
	}
	return c.Claimants[i], true
}

// Source returns the one source, if anybody claims to be it.
func (c Claim) Source() (Claimant, bool) {
	i := slices.IndexFunc(c.Claimants, func(x Claimant) bool { return x.Standing == StandingSource })
	if i < 0 {
		return Claimant{}, false
	}
	return c.Claimants[i], true
}

// Enter returns c with one more claimant: the source if there is none yet, else
// disputed. Who is there already stays as they are.
func (c Claim) Enter(id ResourceID, department USCC, since time.Time) Claim {
	if _, ok := c.Claimant(id); ok {
		return c
	}
	standing := StandingDisputed
	if len(c.Claimants) == 0 {
		standing = StandingSource
	}
	c.Claimants = append(slices.Clone(c.Claimants), Claimant{id, department, since, standing})
	return c
}

// Leave returns c without a claimant. If that was the source, the one that has
// been there longest now is.
func (c Claim) Leave(id ResourceID) Claim {
	c.Claimants = slices.DeleteFunc(slices.Clone(c.Claimants), func(x Claimant) bool { return x.Resource == id })
	if _, ok := c.Source(); !ok && len(c.Claimants) > 0 {
		c.Claimants[0].Standing = StandingSource
	}
	return c
}

// Decide returns c after a decision between the source and one that disputes it;
// CodeWrongState where the second does not.
func (c Claim) Decide(d ClaimDecision) (Claim, error) {
	source, _ := c.Source()
	second, ok := c.Claimant(d.Second)
	if !ok || second.Standing != StandingDisputed {
		return c, E(CodeWrongState, Defect{
			Field: "resource", Problem: Text{"该资源没有待裁定的主张", "this resource has no claim to decide on"}, Allowed: join(c.disputed()),
		})
	}
	d.First = source.Resource
	lost := second.Resource
	if d.Transfer {
		lost = source.Resource
	}
	c.Claimants = slices.Clone(c.Claimants)
	for i, x := range c.Claimants {
		switch {
		case x.Resource == lost:
			c.Claimants[i].Standing = StandingRefused
		case x.Resource == second.Resource:
			c.Claimants[i].Standing = StandingSource
		}
	}
	c.Decisions = append(slices.Clone(c.Decisions), d)
	return c, nil
}

func (c Claim) disputed() []ResourceID {
	var ids []ResourceID
	for _, x := range c.Claimants {
		if x.Standing == StandingDisputed {
			ids = append(ids, x.Resource)
		}
	}
	return ids
}

// Conflict is an item of a draft that another resource is the source of.
type Conflict struct {
	Entity   EntityID      `json:"entity"`
	Item     ItemID        `json:"item"`
	Source   Claimant      `json:"source"`
	Standing ClaimStanding `json:"standing,omitempty"` // the draft's own; empty before it is submitted
}
