package decision

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Change is how a decision would change.
type Change string

// The changes.
const (
	ToDeny      Change = "deny"        // allowed, and would be denied
	ToAllow     Change = "allow"       // denied, and would be allowed
	Obligations Change = "obligations" // allowed, and still, with other items, masks or other obligations
)

// Why says why a replay cannot tell how a decision would come out.
type Why string

// The reasons.
const (
	NoGrounds  Why = "no-grounds"     // the record does not say what the decision was made of
	Unreadable Why = "unreadable"     // it does in a form that this release does not read
	Incomplete Why = "incomplete"     // a layer that applied was not heard: no answer in time
	Otherwise  Why = "other-grounds"  // what the layers said does not give the recorded decision: a quota, layers that were being replaced
	MaskedRead Why = "masked"         // the draft reads a value that was masked
	EventsRead Why = "events"         // the draft reads events, and the record does not say what each was
	DraftFails Why = "draft-too-slow" // the draft gave no answer in time
)

// Texts of the reasons.
var whys = map[Why]bus.Text{
	NoGrounds:  {ZH: "记录中没有决策依据", EN: "the record does not hold what the decision was made of"},
	Unreadable: {ZH: "本版本无法读取决策依据", EN: "this release cannot read what the decision was made of"},
	Incomplete: {ZH: "当时有策略层未及时给出结论", EN: "a layer had not answered in time"},
	Otherwise:  {ZH: "当时的结论另有原因（如配额、策略层更新中）", EN: "it was decided by more than the layers (a quota, layers being replaced)"},
	MaskedRead: {ZH: "草案读取了记录中已遮蔽的内容", EN: "the draft reads a value that records mask"},
	EventsRead: {ZH: "草案读取事件属性，而记录未逐个保存", EN: "the draft reads events, and the record does not hold each one's attributes"},
	DraftFails: {ZH: "草案未及时给出结论", EN: "the draft gave no answer in time"},
}

// Text says it in words.
func (w Why) Text() bus.Text { return whys[w] }

// Flip is a decision that would come out otherwise.
type Flip struct {
	DecisionID string         `json:"decision_id"`
	At         time.Time      `json:"at"`
	Action     string         `json:"action"`
	Provider   bus.USCC       `json:"provider,omitempty"`
	Consumer   bus.USCC       `json:"consumer,omitempty"`
	Resource   bus.ResourceID `json:"resource,omitempty"`
	Purpose    bus.Purpose    `json:"purpose,omitempty"`
	Change     Change         `json:"change"`
	Codes      []string       `json:"codes"` // why: layer:code of what denies then, or denied before; of obligations what changes
	Before     Outcome        `json:"before"`
	After      Outcome        `json:"after"`
}

// Outcome is what was, or would be, decided.
type Outcome struct {
	Allow       bool            `json:"allow"`
	Reasons     []bus.Reason    `json:"reasons,omitempty"`
	Obligations bus.Obligations `json:"obligations"`
}

// Undecided is a decision of which a replay cannot tell.
type Undecided struct {
	DecisionID string `json:"decision_id"`
	Why        Why    `json:"why"`
}

// Counts are decisions by what would become of them.
type Counts struct {
	Decisions int `json:"decisions"` // in the window
	Apart     int `json:"apart"`     // the layer does not apply to them
	Same      int `json:"same"`      // nothing changes
	Reworded  int `json:"reworded"`  // denied before and after, for other reasons
	ToDeny    int `json:"to_deny"`
	ToAllow   int `json:"to_allow"`
	Obliged   int `json:"obligations"` // allowed with other obligations
	Undecided int `json:"undecided"`
}

// Flipped is how many would come out otherwise.
func (c Counts) Flipped() int { return c.ToDeny + c.ToAllow + c.Obliged }

func (c *Counts) add(o Counts) {
	c.Decisions += o.Decisions
	c.Apart += o.Apart
	c.Same += o.Same
	c.Reworded += o.Reworded
	c.ToDeny += o.ToDeny
	c.ToAllow += o.ToAllow
	c.Obliged += o.Obliged
	c.Undecided += o.Undecided
}

// Replayed is what a replay found in a part of the evidence.
type Replayed struct {
	Counts
	Flips   []Flip      `json:"flips"`
	Unclear []Undecided `json:"undecidable"`
	Done    int64       `json:"done"`           // leaves looked at so far
	Total   int64       `json:"total"`          // of
	Next    string      `json:"next,omitempty"` // goes on, where there is more
}

// GroupKey is what the flips of a group have in common.
type GroupKey struct {
	Change   Change         `json:"change"`
	Consumer bus.USCC       `json:"consumer,omitempty"`
	Provider bus.USCC       `json:"provider,omitempty"`
	Resource bus.ResourceID `json:"resource,omitempty"`
	Reason   string         `json:"reason"` // layer:code, or the obligation that changes
}

// Group counts flips of one kind between the same parties for the same reason.
type Group struct {
	GroupKey
	Count    int      `json:"count"`
	Examples []string `json:"examples"` // decision ids, oldest first
}

// Unknown counts the undecided for one reason.
type Unknown struct {
	Why      Why      `json:"why"`
	Count    int      `json:"count"`
	Examples []string `json:"examples"`
}

const maxExamples = 3

// Summary is what a replay found, whole. A flip for several reasons is in a group
// of each.
type Summary struct {
	Layer bus.LayerID `json:"layer"`
	Draft string      `json:"draft"` // digest of its text
	Since time.Time   `json:"since,omitzero"`
	Until time.Time   `json:"until,omitzero"`
	Counts
	Groups  []Group   `json:"groups"`          // most flips first
	Unknown []Unknown `json:"undecidable"`     // most first
	Calls   []Flip    `json:"calls,omitempty"` // each flip, where that was asked for
}

// Tally makes a summary of parts, added in the order of the log. The zero value is
// ready.
type Tally struct {
	counts  Counts
	groups  map[GroupKey]*Group
	unknown map[Why]*Unknown
}

// Add takes in the next part.
func (t *Tally) Add(p Replayed) {
	if t.groups == nil {
		t.groups, t.unknown = map[GroupKey]*Group{}, map[Why]*Unknown{}
	}
	t.counts.add(p.Counts)
	for _, f := range p.Flips {
		for _, code := range f.Codes {
			key := GroupKey{f.Change, f.Consumer, f.Provider, f.Resource, code}
			g := t.groups[key]
			if g == nil {
				g = &Group{GroupKey: key}
				t.groups[key] = g
			}
			g.Count++
			g.Examples = example(g.Examples, f.DecisionID)
		}
	}
	for _, u := range p.Unclear {
		k := t.unknown[u.Why]
		if k == nil {
			k = &Unknown{Why: u.Why}
			t.unknown[u.Why] = k
		}
		k.Count++
		k.Examples = example(k.Examples, u.DecisionID)
	}
}

func example(have []string, id string) []string {
	if len(have) < maxExamples {
		have = append(have, id)
	}
	return have
}

// Summary gives what was added, sorted.
func (t *Tally) Summary() Summary {
	s := Summary{Counts: t.counts, Groups: []Group{}, Unknown: []Unknown{}}
	for _, g := range t.groups {
		s.Groups = append(s.Groups, *g)
	}
	slices.SortFunc(s.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Change, b.Change), cmp.Compare(a.Consumer, b.Consumer),
			cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Reason, b.Reason))
	})
	for _, u := range t.unknown {
		s.Unknown = append(s.Unknown, *u)
	}
	slices.SortFunc(s.Unknown, func(a, b Unknown) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Why, b.Why)) })
	return s
}

// Compare says how a decision changes from before to after, and why; empty where
// it does not. Reworded is set where both deny, for different reasons.
func Compare(before, after Outcome) (change Change, codes []string, reworded bool) {
	switch {
	case before.Allow && !after.Allow:
		return ToDeny, codesOf(after.Reasons), false
	case !before.Allow && after.Allow:
		return ToAllow, codesOf(before.Reasons), false
	case !before.Allow:
		return "", nil, !slices.Equal(before.Reasons, after.Reasons)
	}
	if codes = obligationsChanged(before.Obligations, after.Obligations); len(codes) > 0 {
		return Obligations, codes, false
	}
	return "", nil, false
}

func codesOf(reasons []bus.Reason) (codes []string) {
	for _, r := range reasons {
		codes = append(codes, string(r.Layer)+":"+r.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// obligationsChanged names the obligations that differ.
func obligationsChanged(a, b bus.Obligations) (names []string) {
	for _, o := range []struct {
		name string
		same bool
	}{
		{"items", slices.Equal(a.Items, b.Items)},
		{"limits", slices.Equal(a.Limits, b.Limits)},
		{"masks", maps.Equal(a.Masks, b.Masks)},
		{"rows", slices.EqualFunc(a.Rows, b.Rows, sameRows)},
		{"watermark", a.Watermark == b.Watermark},
	} {
		if !o.same {
			names = append(names, o.name)
		}
	}
	return names
}

func sameRows(a, b bus.RowCondition) bool {
	return a.Item == b.Item && slices.Equal(a.Within, b.Within) && slices.Equal(a.Equals, b.Equals)
}
