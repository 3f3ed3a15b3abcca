package exchange

import (
	"context"
	"fmt"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
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

// passing reports whether a denial says nothing about the request, only that
// this node could not decide it now: a layer that cannot be evaluated, a replica
// too old. It denies all the same, but what it denies is held, not dropped.
func passing(d bus.Decision) bool {
	for _, r := range d.Reasons {
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
	if passing(d) {
		e = bus.E(bus.CodeUndecided)
	}
	e.DecisionID = d.ID
	for _, r := range d.Reasons {
		e.Defects = append(e.Defects, bus.Defect{Field: string(r.Layer) + ":" + r.Code, Problem: r.Message})
	}
	return e
}

// allowed is an event with the obligations of a decision applied.
type allowed struct {
	numbered
	event cloudevent.Event
}

// oblige applies a decision's obligations to each event. One that they cannot be
// applied to is withheld alone.
func (f flow) oblige(d bus.Decision, events []numbered) (passed []allowed, withheld []audit.Record, err error) {
	for _, n := range events {
		e, err := event.Unmarshal(n.Event)
		if err != nil {
			return nil, nil, fmt.Errorf("resource %s, event %d: %w", f.resource.ID, n.Sequence, err)
		}
		if e, err = f.obliged(d, e); err != nil {
			record := f.record([]numbered{n})
			record.Kind, record.DecisionID, record.Code, record.Detail = audit.KindWithheld, d.ID, bus.CodeOf(err), "obligation cannot be applied"
			withheld = append(withheld, record)
			continue
		}
		passed = append(passed, allowed{n, e})
	}
	return passed, withheld, nil
}

// obliged applies a decision's obligations, except within one department.
func (f flow) obliged(d bus.Decision, e cloudevent.Event) (cloudevent.Event, error) {
	if f.resource.Provider == f.subscription.Consumer && len(d.Obligations.Masks) == 0 && len(d.Obligations.Items) == len(f.resource.Items) {
		return e, nil
	}
	return Apply(e, d.Obligations)
}
