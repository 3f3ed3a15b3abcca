// Package replay reads decisions out of evidence: as events of a decision log, and
// as what they would have been with a draft of one policy layer in the place of
// the layer that was asked.
//
// It evaluates the draft alone. What the other layers said stands in the record,
// so that a replay needs none of their texts, costs one evaluation a decision, and
// is exact; see ADR 0020.
package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Parts finds the parts that leaves name: [audit.Reader], [audit.ExportReader].
type Parts interface {
	Part(digest string) ([]byte, error)
}

// Event gives a leaf that holds a decision its form of the decision log. Where the
// grounds are not there, or cannot be read, it has no input and no verdicts.
func Event(leaf audit.Leaf, parts Parts) decision.Event {
	r, d := leaf.Record, leaf.Record.Decision
	e := decision.Event{
		Labels: decision.Labels{Node: r.Node}, DecisionID: d.ID, Bundles: map[bus.LayerID]decision.Bundle{}, Path: "gxbus",
		Result:      decision.Result{Allow: d.Allow, Reasons: d.Reasons, Obligations: d.Obligations},
		RequestedBy: r.Principal.String(), Timestamp: d.At,
		Custom: decision.Custom{
			Action: d.Action, Index: d.Index, Leaf: leaf.Index, Request: r.Request, Principal: r.Principal,
			Provider: r.Provider, Consumer: r.Consumer, Resource: r.Resource, Subscription: r.Subscription, Grant: r.Grant,
			Purpose: r.Purpose, Matter: r.Matter, Basis: r.Basis, First: r.First, Last: r.Last, Events: r.Events,
		},
	}
	for id, revision := range d.Layers {
		e.Bundles[id] = decision.Bundle{Revision: fmt.Sprint(revision)}
	}
	in, verdicts, why := (&memory{}).grounds(r, parts)
	if why != "" {
		return e
	}
	if data, err := json.Marshal(in); err == nil {
		e.Input = data
	}
	e.Labels.Stage = string(in.Stage)
	for _, pointer := range r.Grounds.Masked {
		e.Masked = append(e.Masked, "/input"+pointer)
	}
	e.Bundles[bus.BaseLayer] = decision.Bundle{Revision: verdicts.Base}
	e.Result.Verdicts = verdicts.Verdicts
	if r.Grounds.Took > 0 {
		e.Metrics = map[string]int64{"timer_rego_query_eval_ns": r.Grounds.Took}
	}
	return e
}

// Explain is Event with every rule named that can be found out: engine asks the
// layers again that have not changed since.
func Explain(ctx context.Context, engine *policy.Engine, leaf audit.Leaf, parts Parts) decision.Event {
	e := Event(leaf, parts)
	if in, said, why := (&memory{}).grounds(leaf.Record, parts); why == "" {
		e.Result.Verdicts = engine.Fired(ctx, in, said.Base, said.Verdicts)
	}
	return e
}

// memory keeps parts that were read, for the leaves that name them again.
type memory struct {
	facts    map[string]policy.Facts
	verdicts map[string]audit.Verdicts
}

const maxMemory = 4096 // parts of each kind

// grounds reads what a decision was made of.
func (m *memory) grounds(r audit.Record, parts Parts) (in policy.Input, v audit.Verdicts, why decision.Why) {
	if r.Grounds == nil {
		return in, v, decision.NoGrounds
	}
	facts, why := recall(&m.facts, r.Grounds.Facts, parts, policy.ReadFacts)
	if why != "" {
		return in, v, why
	}
	if v, why = recall(&m.verdicts, r.Grounds.Verdicts, parts, readVerdicts); why != "" {
		return in, v, why
	}
	in, err := facts.Input(r.Grounds.Call)
	if err != nil || in.Version != policy.InputVersion {
		return in, v, decision.Unreadable
	}
	return in, v, ""
}

func recall[V any](known *map[string]V, digest string, parts Parts, read func([]byte) (V, error)) (v V, why decision.Why) {
	if v, ok := (*known)[digest]; ok {
		return v, ""
	}
	data, err := parts.Part(digest)
	if err != nil {
		return v, decision.NoGrounds
	}
	if v, err = read(data); err != nil {
		return v, decision.Unreadable
	}
	if *known == nil || len(*known) >= maxMemory {
		*known = map[string]V{}
	}
	(*known)[digest] = v
	return v, ""
}

// readVerdicts is strict: of an obligation that it does not know, this release
// cannot tell what it changes.
func readVerdicts(data []byte) (audit.Verdicts, error) {
	var v audit.Verdicts
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	return v, err
}

// Replayer replays decisions against one draft.
type Replayer struct {
	Draft *policy.Candidate
	Since time.Time // from, zero: the beginning
	Until time.Time // up to, not including; zero: the end

	reads  map[string]bool // masked values that the draft reads
	memory memory
}

// Within reports whether a decision is of the window.
func (r *Replayer) Within(leaf audit.Leaf) bool {
	at := leaf.Record.Decision.At
	return !at.Before(r.Since) && (r.Until.IsZero() || at.Before(r.Until))
}

// Add replays the decision of a leaf into p, where it is in the window. It fails
// only when ctx ends.
func (r *Replayer) Add(ctx context.Context, p *decision.Replayed, leaf audit.Leaf, parts Parts) error {
	if !r.Within(leaf) {
		return nil
	}
	p.Decisions++
	d := leaf.Record.Decision
	in, said, why := r.memory.grounds(leaf.Record, parts)
	if why == "" {
		before := decision.Outcome{Allow: d.Allow, Reasons: d.Reasons, Obligations: d.Obligations}
		var after decision.Outcome
		if after, why = r.after(ctx, in, leaf.Record, said.Verdicts); ctx.Err() != nil {
			return ctx.Err()
		}
		if why == "" {
			r.count(p, leaf.Record, in, before, after)
			return nil
		}
	}
	if why == apart {
		p.Apart++
		return nil
	}
	p.Undecided++
	p.Unclear = append(p.Unclear, decision.Undecided{DecisionID: d.ID, Why: why})
	return nil
}

// apart stands for a decision on which the draft has no say.
const apart decision.Why = "apart"

// after works out what would be decided, or why that cannot be told.
func (r *Replayer) after(ctx context.Context, in policy.Input, record audit.Record, verdicts []bus.Verdict) (decision.Outcome, decision.Why) {
	draft := r.Draft.Layer()
	if _, spoke := record.Decision.Layers[draft]; !spoke && !r.Draft.Applies(in) {
		return decision.Outcome{}, apart
	}
	for id := range record.Decision.Layers {
		heard := slices.IndexFunc(verdicts, func(v bus.Verdict) bool { return v.Layer == id })
		if heard < 0 || id != draft && unheard(verdicts[heard]) {
			return decision.Outcome{}, decision.Incomplete
		}
	}
	if recorded := outcome(in, verdicts); !same(recorded, record.Decision) {
		return decision.Outcome{}, decision.Otherwise
	}
	others := slices.DeleteFunc(slices.Clone(verdicts), func(v bus.Verdict) bool { return v.Layer == draft })
	if !r.Draft.Applies(in) { // the layer spoke, and would not any more
		return outcome(in, others), ""
	}
	if r.readsMasked(record.Grounds.Masked) {
		return decision.Outcome{}, decision.MaskedRead
	}
	if r.missesEvents(in, record) {
		return decision.Outcome{}, decision.EventsRead
	}
	v := r.Draft.Ask(ctx, in)
	if unheard(v) {
		return decision.Outcome{}, decision.DraftFails
	}
	return outcome(in, append(others, v)), ""
}

// unheard reports whether a layer gave no answer: another time it may.
func unheard(v bus.Verdict) bool {
	return slices.ContainsFunc(v.Reasons, func(r bus.Reason) bool {
		return r.Code == policy.CodeTimeout || r.Code == policy.CodeLayerUnavailable
	})
}

func outcome(in policy.Input, verdicts []bus.Verdict) (o decision.Outcome) {
	o.Allow, o.Reasons, o.Obligations = policy.Unite(in, verdicts)
	return o
}

// same reports whether the recorded decision is what its grounds give.
func same(o decision.Outcome, d *bus.Decision) bool {
	change, _, reworded := decision.Compare(decision.Outcome{Allow: d.Allow, Reasons: d.Reasons, Obligations: d.Obligations}, o)
	return change == "" && !reworded
}

// readsMasked reports whether the draft may look at one of the masked values.
func (r *Replayer) readsMasked(masked []string) bool {
	if r.reads == nil {
		r.reads = map[string]bool{}
	}
	for _, value := range masked {
		reads, known := r.reads[value]
		if !known {
			reads = r.Draft.Reads(value)
			r.reads[value] = reads
		}
		if reads {
			return true
		}
	}
	return false
}

// missesEvents reports whether the draft may look at events that the record does not
// tell of: it holds the attributes of the first, and of none where no layer read them.
func (r *Replayer) missesEvents(in policy.Input, record audit.Record) bool {
	switch in.Action {
	case policy.ActionPublish, policy.ActionForward, policy.ActionDeliver:
		return r.Draft.Reads("/event") && (len(in.Event) == 0 || record.Events > 1)
	}
	return false
}

func (r *Replayer) count(p *decision.Replayed, record audit.Record, in policy.Input, before, after decision.Outcome) {
	change, codes, reworded := decision.Compare(before, after)
	switch change {
	case "":
		if p.Same++; reworded {
			p.Same--
			p.Reworded++
		}
		return
	case decision.ToDeny:
		p.ToDeny++
	case decision.ToAllow:
		p.ToAllow++
	case decision.Obligations:
		p.Obliged++
	}
	p.Flips = append(p.Flips, decision.Flip{
		DecisionID: record.Decision.ID, At: record.Decision.At, Action: string(in.Action),
		Provider: in.Resource.Provider, Consumer: in.Consumer.Department, Resource: in.Resource.ID, Purpose: in.Purpose,
		Change: change, Codes: codes, Before: before, After: after,
	})
}
