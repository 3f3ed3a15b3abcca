package exchange

import (
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// The operational record of exchanges is read from the evidence, which each step
// wrote in its own transaction: there is no second account that could differ.

// Search says which exchanges are wanted; what is empty does not limit.
type Search struct {
	Resource bus.ResourceID
	Status   bus.ExchangeStatus
	Fault    bus.Fault
	Span
}

func (q Search) wants(r bus.ExchangeRecord) bool {
	return (q.Resource == "" || r.Resource == q.Resource) && (q.Status == "" || r.Status == q.Status) && (q.Fault == "" || r.Fault == q.Fault)
}

// Watched says whose exchanges a principal may look at: the auditor everybody's, a
// department its own, a data authority those of the departments in its division and
// below. CodeForbidden for who is none of these.
func Watched(tx *state.Tx, p bus.Principal) (func(bus.USCC) bool, error) {
	if p.Role == bus.RoleAuditor {
		return func(bus.USCC) bool { return true }, nil
	}
	if p.Department == "" {
		return nil, bus.E(bus.CodeForbidden)
	}
	watched := map[bus.USCC]bool{p.Department: true}
	for d := range tx.Departments() {
		for _, code := range tx.Chain(d.Division) {
			if above, _ := tx.Division(code); above.Authority == p.Department {
				watched[d.ID] = true
			}
		}
	}
	return func(d bus.USCC) bool { return watched[d] }, nil
}

// Exchanges returns records of exchanges of the departments that watched says, in
// the order of this node's evidence log, and the leaf to go on after, or -1 at the
// end of the log.
func (x *Exchange) Exchanges(q Search, watched func(bus.USCC) bool) (records []bus.ExchangeRecord, next int64, err error) {
	next, err = x.leaves(q.Span, func(tx *bbolt.Tx, leaf audit.Leaf) (bool, error) {
		r, ok := x.exchangeOf(leaf)
		if !ok || !watched(r.Provider) && !watched(r.Consumer) {
			return false, nil
		}
		if current, err := x.follow(tx, &r); err != nil || !current || !q.wants(r) {
			return false, err
		}
		records = append(records, r)
		return true, nil
	})
	return records, next, err
}

// exchangeOf makes the record of an exchange of the leaf that it is told by; ok is
// false for a leaf of a later step.
func (x *Exchange) exchangeOf(leaf audit.Leaf) (r bus.ExchangeRecord, ok bool) {
	l := leaf.Record
	r = bus.ExchangeRecord{
		Leaf: leaf.Index, Mode: bus.ModeSubscribe, Fault: bus.FaultOf(l.Code), Code: l.Code, Resource: l.Resource, Provider: l.Provider, Consumer: l.Consumer,
		System: l.Principal.System, Subscription: l.Subscription, Grant: l.Grant, Purpose: l.Purpose, Matter: l.Matter,
		First: l.First, Last: l.Last, Events: l.Events, Bytes: l.Bytes, Request: l.Request, DecisionID: l.DecisionID,
	}
	switch l.Kind {
	case audit.KindAccepted:
		r.Mode, r.Status = bus.ModePublish, bus.ExchangeAccepted
	case audit.KindForwarded:
		r.Status = bus.ExchangeForwarded
	case audit.KindReceived:
		r.Status, ok = bus.ExchangeReceived, l.Principal.Node != x.Self
		return r, ok // of this node's own batches the forwarding tells
	case audit.KindFiltered:
		r.Status = bus.ExchangeFiltered
		return r, l.Events > 0 // else rows of events that went
	case audit.KindExpired:
		r.Status = bus.ExchangeExpired
	case audit.KindHeld:
		r.Status, r.Fault = bus.ExchangeHeld, bus.FaultPolicy
	case audit.KindWithheld:
		r.Status = bus.ExchangeWithheld
	case audit.KindAnswered:
		r.Mode, r.Status = bus.ModeQuery, bus.ExchangeFailed
		if l.Code == "" {
			r.Status, r.Delivered = bus.ExchangeDelivered, l.At
		}
	case audit.KindRefused:
		return refusedExchange(r, l)
	case audit.KindDecision:
		return deniedExchange(r, l)
	default:
		return r, false
	}
	return r, true
}

// refusedExchange is the record of a publication that was refused, or of a batch.
func refusedExchange(r bus.ExchangeRecord, l audit.Record) (bus.ExchangeRecord, bool) {
	r.Status = bus.ExchangeRefused
	if l.Subscription == "" {
		r.Mode = bus.ModePublish
		if r.Provider == "" { // refused before it was looked up
			r.Provider = l.Principal.Department
		}
	}
	return r, l.Subscription != "" || l.Resource != ""
}

// deniedExchange is the record of a request that a policy denied. What is denied of
// a subscription's events has a leaf of its own.
func deniedExchange(r bus.ExchangeRecord, l audit.Record) (bus.ExchangeRecord, bool) {
	switch policy.Action(l.Decision.Action) {
	case policy.ActionPublish:
		r.Mode = bus.ModePublish
	case policy.ActionSubscribe, policy.ActionQuery, policy.ActionDownload:
		r.Mode = bus.ModeQuery
	default:
		return r, false
	}
	denial := denied(*l.Decision)
	r.Status, r.Code, r.Fault = bus.ExchangeDenied, denial.Code, bus.FaultPolicy
	if denial.Code == bus.CodeUndecided {
		r.Fault = bus.FaultBus
	}
	return r, !l.Decision.Allow
}

// follow adds to a record what later steps, and the acceptance before, say of its
// last event. current is false for a wait that has ended: what came of it has a
// record of its own.
func (x *Exchange) follow(tx *bbolt.Tx, r *bus.ExchangeRecord) (current bool, err error) {
	if r.Last == 0 {
		return true, nil
	}
	accepted, err := x.Log.Covering(tx, r.Resource, "", r.Last)
	if err != nil {
		return false, err
	}
	for _, leaf := range accepted {
		if leaf.Record.Kind == audit.KindAccepted {
			r.Accepted = leaf.Record.At
		}
	}
	if r.Subscription == "" {
		return true, nil
	}
	steps, err := x.Log.Covering(tx, r.Resource, r.Subscription, r.Last)
	if err != nil {
		return false, err
	}
	for _, leaf := range steps {
		if r.Status == bus.ExchangeHeld && leaf.Index > r.Leaf && leaf.Record.Kind != audit.KindDecision {
			return false, nil
		}
		advance(r, leaf.Record)
	}
	return true, nil
}

// advance takes one step into a record that is on its way.
func advance(r *bus.ExchangeRecord, step audit.Record) {
	first := func(at *time.Time) {
		if at.IsZero() {
			*at = step.At
		}
	}
	reach := func(s bus.ExchangeStatus) {
		switch r.Status {
		case bus.ExchangeForwarded, bus.ExchangeReceived, bus.ExchangeDelivered:
			r.Status = s
		}
	}
	switch step.Kind {
	case audit.KindForwarded:
		first(&r.Forwarded)
	case audit.KindReceived:
		first(&r.Received)
		reach(bus.ExchangeReceived)
	case audit.KindDelivered:
		first(&r.Delivered)
		reach(bus.ExchangeDelivered)
	case audit.KindAcknowledged:
		reach(bus.ExchangeAcknowledged)
	}
}
