package exchange

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/policy"
)

// decide asks the policy decision point about a flow. The directory and the
// policies compiled from it do not change in the same instant: until a new revision
// of a layer is compiled the one before it decides.
func (x *Exchange) decide(ctx context.Context, f flow) bus.Decision {
	return x.Decider.Decide(ctx, f.input)
}

// decideBatch asks about events of a flow. The decision is about those that are
// returned: the first ones, as many as come out alike. Where no policy looks at
// events, that is all of them.
func (x *Exchange) decideBatch(ctx context.Context, f flow, events []numbered) (d bus.Decision, of []numbered, err error) {
	d, alike := x.Decider.DecideEvents(ctx, f.input, len(events), func(i int) policy.Event {
		e, unreadable := events[i].event()
		if unreadable != nil {
			err = fmt.Errorf("resource %s: %w", f.resource.ID, unreadable)
		}
		return attributesOf(e)
	})
	return d, events[:alike], err
}

// run is a decision on events that follow each other.
type run struct {
	bus.Decision
	events int
}

// decideAll asks about the events of a publication, up to the first denial.
func (x *Exchange) decideAll(ctx context.Context, f flow, events []event.Event) (runs []run) {
	for done := 0; ; {
		d, alike := x.Decider.DecideEvents(ctx, f.input, len(events)-done, func(i int) policy.Event { return attributesOf(events[done+i]) })
		runs = append(runs, run{d, alike})
		if done += alike; !d.Allow || done >= len(events) {
			return runs
		}
	}
}

// attributesOf are what policies see of an event: not what nodes tell each other.
func attributesOf(e event.Event) policy.Event {
	all := event.Attributes(e)
	delete(all, attrApplied)
	delete(all, event.ExtWatermark)
	return all
}

// alone reports whether a decision is about its events by what they are, so that it
// says nothing about others.
func alone(d bus.Decision) bool {
	if d.Grounds == nil {
		return false
	}
	in, ok := d.Grounds.Input.(policy.Input)
	return ok && len(in.Event) > 0
}

// passing reports whether a denial says nothing about the request, only that
// this node could not decide it now, or that a layer says not yet: a layer that
// cannot be evaluated, a replica too old, a policy that holds. It denies all the
// same, but what it denies is held, not dropped.
func passing(d bus.Decision) bool {
	for _, r := range d.Reasons {
		if r.Hold {
			continue
		}
		switch r.Code {
		case policy.CodeUndefined, policy.CodeError, policy.CodeTimeout, policy.CodeResultInvalid,
			policy.CodeLayerUnavailable, codeStale, codeSuspended:
		default:
			return false
		}
	}
	return len(d.Reasons) > 0
}

// The base policy's words for a replica older than the lease, and for a grant that
// may yet be confirmed.
const (
	codeStale     = "directory-stale"
	codeSuspended = "grant-suspended"
)

// decided makes the record of a decision from that of the step it is about.
func decided(record audit.Record, d bus.Decision) audit.Record {
	record.Kind, record.Decision, record.DecisionID = audit.KindDecision, &d, d.ID
	return record
}

// withheld makes the records of a denial of events and of their drop.
func withheld(record audit.Record, d bus.Decision) []audit.Record {
	dropped := record
	dropped.Kind, dropped.DecisionID, dropped.Code = audit.KindWithheld, d.ID, bus.CodeDenied
	return []audit.Record{decided(record, d), dropped}
}

// deny records a denial and returns it as an error.
func (x *Exchange) deny(ctx context.Context, record audit.Record, d bus.Decision) error {
	if err := x.Record(context.WithoutCancel(ctx), decided(record, d)); err != nil { // hanging up escapes no record
		return err
	}
	return denied(d)
}

// denied is the error that tells why a decision denies.
func denied(d bus.Decision) *bus.Error {
	e := bus.E(bus.CodeDenied)
	switch {
	case !passing(d):
	case slices.ContainsFunc(d.Reasons, func(r bus.Reason) bool { return r.Hold }):
		e = bus.E(bus.CodeHeld)
	default:
		e = bus.E(bus.CodeUndecided)
	}
	e.DecisionID = d.ID
	for _, r := range d.Reasons {
		e.Defects = append(e.Defects, bus.Defect{Field: string(r.Layer) + ":" + r.Code, Problem: r.Message})
	}
	return e
}

// limited is the error of a request that a limit lets no more of through.
func limited(d bus.Decision, f full, now time.Time) *bus.Error {
	e := bus.E(bus.CodeRateLimited, bus.Defect{Field: "limits", Problem: f.text()})
	e.DecisionID = d.ID
	if !f.until.IsZero() {
		e.RetryAfter = f.until.Sub(now)
	}
	return e
}
