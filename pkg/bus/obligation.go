package bus

import (
	"cmp"
	"slices"
)

// Obligations are what must be done to data before it goes on. The zero value
// hands out no item.
type Obligations struct {
	Items     []ItemID        `json:"items"`               // what may pass, in order
	Masks     map[ItemID]Mask `json:"masks,omitempty"`     // how each is masked
	Rows      []RowCondition  `json:"rows,omitempty"`      // what every row meets that passes
	Limits    []Limit         `json:"limits,omitempty"`    // how much passes in a window, each holds
	Watermark bool            `json:"watermark,omitempty"` // what is handed out is marked with whom it went to
}

// RowCondition is a condition on the value of one item that a row must meet to
// pass. Exactly one of Within and Equals is set, and is not empty. A row that
// lacks the item, or has null or a value of another kind there, does not pass.
type RowCondition struct {
	Item   ItemID         `json:"item"`
	Within []DivisionCode `json:"within,omitempty"` // a division code in one of these subtrees
	Equals []string       `json:"equals,omitempty"` // one of these, as text; of a number its digits
}

// Window is the time, or the piece of business, in which a limit counts. Those of
// time begin on the minute, on the hour and at midnight in Asia/Shanghai.
type Window string

// The windows.
const (
	PerMinute Window = "minute"
	PerHour   Window = "hour"
	PerDay    Window = "day"
	PerCase   Window = "case" // 办件: for good
)

// LimitKey says whose uses of a resource a limit counts together.
type LimitKey string

// The keys.
const (
	KeyConsumer LimitKey = "consumer" // the consumer's department
	KeySystem   LimitKey = "system"   // the consumer's system
	KeyGrant    LimitKey = "grant"
)

// MaxLimit is the highest limit that can be set.
const MaxLimit = 1_000_000_000

// Limit says how many events, or requests, of a resource may pass in a window.
type Limit struct {
	Limit int      `json:"limit"` // 1 – MaxLimit
	Per   Window   `json:"per"`
	Key   LimitKey `json:"key"`
}

// Valid reports whether l is a limit that the bus can count.
func (l Limit) Valid() bool {
	per := l.Per == PerMinute || l.Per == PerHour || l.Per == PerDay || l.Per == PerCase
	key := l.Key == KeyConsumer || l.Key == KeySystem || l.Key == KeyGrant
	return per && key && l.Limit >= 1 && l.Limit <= MaxLimit
}

// Valid reports whether c is a condition that can be tested.
func (c RowCondition) Valid() bool {
	if !c.Item.Valid() || (len(c.Within) == 0) == (len(c.Equals) == 0) {
		return false
	}
	return !slices.ContainsFunc(c.Within, func(code DivisionCode) bool { return !code.Valid() })
}

// narrow adds to what a verdict asks for.
func (ob *Obligations) narrow(v Verdict) {
	if v.Items != nil {
		ob.Items = slices.DeleteFunc(ob.Items, func(id ItemID) bool { return !slices.Contains(v.Items, id) })
	}
	for id, m := range v.Masks {
		if have, ok := ob.Masks[id]; ok {
			m = have.Stricter(m)
		}
		if ob.Masks == nil {
			ob.Masks = map[ItemID]Mask{}
		}
		ob.Masks[id] = m
	}
	for _, c := range v.Rows {
		ob.Rows = append(ob.Rows, RowCondition{c.Item, sortedSet(c.Within), sortedSet(c.Equals)})
	}
	ob.Limits = append(ob.Limits, v.Limits...)
	ob.Watermark = ob.Watermark || v.Watermark
}

// settle brings what was united into its one form: masks of items that pass only,
// each condition once, of limits that count the same the lowest.
func (ob *Obligations) settle() {
	for id := range ob.Masks {
		if !slices.Contains(ob.Items, id) {
			delete(ob.Masks, id)
		}
	}
	if len(ob.Masks) == 0 {
		ob.Masks = nil
	}
	slices.SortFunc(ob.Rows, RowCondition.compare)
	ob.Rows = slices.CompactFunc(ob.Rows, func(a, b RowCondition) bool { return a.compare(b) == 0 })
	slices.SortFunc(ob.Limits, func(a, b Limit) int {
		return cmp.Or(cmp.Compare(a.Per, b.Per), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Limit, b.Limit))
	})
	ob.Limits = slices.CompactFunc(ob.Limits, func(a, b Limit) bool { return a.Per == b.Per && a.Key == b.Key })
}

func (c RowCondition) compare(other RowCondition) int {
	return cmp.Or(cmp.Compare(c.Item, other.Item), slices.Compare(c.Within, other.Within), slices.Compare(c.Equals, other.Equals))
}

func sortedSet[T cmp.Ordered](values []T) []T {
	if len(values) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(values)))
}
