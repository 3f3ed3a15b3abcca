package exchange

import (
	"context"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// passing reports whether a denial says nothing about the request, only that
// this node could not decide it now: a layer that cannot be evaluated, a replica
// too old. It denies all the same, but what it denies is held, not dropped.
func passing(d bus.Decision) bool {
	for _, r := range d.Reasons {
		switch r.Code {
		case policy.CodeUndefined, policy.CodeError, policy.CodeTimeout, policy.CodeResultInvalid,
			policy.CodeLayerUnavailable, codeStale:
		default:
			return false
		}
	}
	return len(d.Reasons) > 0
}

// codeStale is the base policy's word for a replica older than the lease.
const codeStale = "directory-stale"

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
