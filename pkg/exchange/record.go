package exchange

import (
	"context"
	"errors"
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
	audit.Search
	Resource bus.ResourceID     `json:"resource,omitempty"`
	Mode     bus.ExchangeMode   `json:"mode,omitempty"`
	Status   bus.ExchangeStatus `json:"status,omitempty"`
	Fault    bus.Fault          `json:"fault,omitempty"`
}

// Wants reports whether r is one of those that q is for.
func (q Search) Wants(r bus.ExchangeRecord) bool {
	return (q.Resource == "" || r.Resource == q.Resource) && (q.Mode == "" || r.Mode == q.Mode) &&
		(q.Status == "" || r.Status == q.Status) && (q.Fault == "" || r.Fault == q.Fault)
}

// may reports whether q may be for r, of which another node may know how it went on.
func (q Search) may(r bus.ExchangeRecord) bool {
	if r.Status.OnTheWay() && (q.Status == "" || q.Status.OnTheWay()) {
		q.Status, q.Fault = "", ""
	}
	return q.Wants(r)
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

// dawn is before anything was recorded: a search of leaves wants something to go by.
var dawn = time.Unix(0, 0)

// lookedAt is how many leaves are read at once.
const lookedAt = 1000

// Exchanges returns records of exchanges of the departments that watched says, in the
// order of this node's evidence log, up to q.Limit of them: those that q is for as far as
// this node knows. Through is the leaf up to which was looked; more says that it is not
// the last.
func (x *Exchange) Exchanges(ctx context.Context, q Search, watched func(bus.USCC) bool) (records []bus.ExchangeRecord, through int64, more bool, err error) {
	leaves := q.Search
	leaves.Limit = lookedAt
	if leaves.From.IsZero() {
		leaves.From = dawn
	}
	receipts, failed := receipts{x: x}, error(nil)
	through, more, err = x.Find(ctx, leaves, func(leaf audit.Leaf) bool {
		r, ok := x.exchangeOf(leaf)
		if !ok || !watched(r.Provider) && !watched(r.Consumer) {
			return false
		}
		current, err := x.follow(&r)
		if err == nil && current {
			err = receipts.follow(&r)
		}
		if failed = errors.Join(failed, err); err == nil && current && q.may(r) {
			records = append(records, r)
		}
		return failed != nil || len(records) == q.Limit
	})
	return records, through, more, errors.Join(err, failed)
}

// BatchID says which batch of a subscription is meant: that which ends with an event.
type BatchID struct {
	Resource     bus.ResourceID     `json:"resource"`
	Subscription bus.SubscriptionID `json:"subscription"`
	Last         uint64             `json:"last"`
}

// BatchOf names the batch that a record is about; ok is false where it is about none.
func BatchOf(r bus.ExchangeRecord) (id BatchID, ok bool) {
	return BatchID{r.Resource, r.Subscription, r.Last}, r.Subscription != "" && r.Last != 0
}

// Passed returns how far this node has batches on record, as far as they are of
// departments that watched says.
func (x *Exchange) Passed(batches []BatchID, watched func(bus.USCC) bool) (records []bus.ExchangeRecord, err error) {
	for _, id := range batches {
		r := bus.ExchangeRecord{Node: x.Self, Status: bus.ExchangeForwarded, Resource: id.Resource, Subscription: id.Subscription, Last: id.Last}
		if _, err := x.follow(&r); err != nil {
			return nil, err
		}
		if r.Received.IsZero() || !watched(r.Provider) && !watched(r.Consumer) {
			continue
		}
		records = append(records, r)
	}
	return records, nil
}

// exchangeOf makes the record of an exchange of the leaf that it is told by; ok is
// false for a leaf of a later step.
func (x *Exchange) exchangeOf(leaf audit.Leaf) (r bus.ExchangeRecord, ok bool) {
	l := leaf.Record
	r = bus.ExchangeRecord{
		Node: x.Self, Leaf: leaf.Index, At: l.At, Mode: bus.ModeSubscribe, Fault: bus.FaultOf(l.Code), Code: l.Code, Resource: l.Resource, Provider: l.Provider, Consumer: l.Consumer,
		System: l.Principal.System, Subscription: l.Subscription, Grant: l.Grant, Purpose: l.Purpose, Matter: l.Matter,
		Case: l.Case, Basis: l.Basis, Operator: l.Operator, Correlation: l.Correlation, Trace: l.Trace, First: l.First, Last: l.Last, Events: l.Events, Bytes: l.Bytes, Request: l.Request, DecisionID: l.DecisionID,
	}
	switch l.Kind {
	case audit.KindAccepted:
		r.Mode, r.Status = bus.ModePublish, bus.ExchangeAccepted
	case audit.KindForwarded:
		r.Status = bus.ExchangeForwarded
	case audit.KindReceived:
		r.Status, r.Peer = bus.ExchangeReceived, l.Principal.Node
	case audit.KindFiltered:
		r.Status = bus.ExchangeFiltered
		return r, l.Events > 0 // else rows of events that went
	case audit.KindExpired:
		r.Status = bus.ExchangeExpired
	case audit.KindHeld:
		r.Status, r.Fault = bus.ExchangeHeld, bus.FaultPolicy
	case audit.KindWithheld:
		r.Status = bus.ExchangeWithheld
	case audit.KindDelayed:
		r.Status = bus.ExchangeDelayed
	case audit.KindDeadLettered:
		r.Status = bus.ExchangeDeadLettered
	case audit.KindDiscarded:
		r.Status = bus.ExchangeDiscarded
	case audit.KindReplayed:
		r.Status = bus.ExchangeReplayed
	case audit.KindAnswered:
		answeredExchange(&r, l)
	case audit.KindRefused:
		r, ok = refusedExchange(r, l)
		return r, ok && r.Peer != x.Self
	case audit.KindDecision:
		r, ok = deniedExchange(r, l)
		return r, ok && r.Peer != x.Self
	default:
		return r, false
	}
	return r, r.Peer != x.Self // of what came from this node the step before tells
}

// answeredExchange is the record of a query that was let through.
func answeredExchange(r *bus.ExchangeRecord, l audit.Record) {
	r.Mode, r.Peer, r.Accepted, r.Forwarded, r.Received = bus.ModeQuery, l.Principal.Node, l.Began, l.Asked, l.Replied
	if l.Began.IsZero() { // of before it was told
		r.Accepted = l.At.Add(-time.Duration(l.Took) * time.Microsecond)
	}
	switch {
	case l.Code == "":
		r.Status, r.Delivered = bus.ExchangeDelivered, l.At
	case r.Fault == bus.FaultPolicy:
		r.Status = bus.ExchangeDenied
	default:
		r.Status = bus.ExchangeFailed
	}
}

// refusedExchange is the record of a publication that was refused, or of a batch.
func refusedExchange(r bus.ExchangeRecord, l audit.Record) (bus.ExchangeRecord, bool) {
	r.Status = bus.ExchangeRefused
	switch {
	case l.Correlation != "":
		r.Mode, r.Peer = bus.ModeQuery, l.Principal.Node
	case l.Subscription == "":
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
	r.Peer = l.Principal.Node
	r.Status, r.Code, r.Fault = bus.ExchangeDenied, denial.Code, bus.FaultPolicy
	if denial.Code == bus.CodeUndecided {
		r.Fault = bus.FaultBus
	}
	return r, !l.Decision.Allow
}

// follow adds to a record what later steps, and the acceptance before, say of its
// last event. current is false for a wait that has ended: what came of it has a
// record of its own.
func (x *Exchange) follow(r *bus.ExchangeRecord) (current bool, err error) {
	if r.Last == 0 {
		return true, nil
	}
	return current, x.Store.View(func(tx *bbolt.Tx) error {
		current, err = x.followIn(tx, r)
		return err
	})
}

func (x *Exchange) followIn(tx *bbolt.Tx, r *bus.ExchangeRecord) (current bool, err error) {
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
		if leaf.Index > r.Leaf && over(r, leaf.Record.Kind) {
			return false, nil
		}
		r.Provider, r.Consumer = leaf.Record.Provider, leaf.Record.Consumer
		advance(r, leaf.Record)
	}
	return true, nil
}

// over reports whether a later step ends a wait, or what was given up, so that this is
// told by another record. A dead letter that is delivered after all goes on its way.
func over(r *bus.ExchangeRecord, kind audit.Kind) bool {
	switch r.Status {
	case bus.ExchangeHeld:
		return kind != audit.KindDecision
	case bus.ExchangeDelayed:
		return ends(kind)
	case bus.ExchangeDeadLettered:
		if kind == audit.KindRedriven {
			r.Status, r.Fault, r.Code = bus.ExchangeReceived, "", ""
		}
		return kind == audit.KindDiscarded
	}
	return false
}

// advance takes one step into a record that is on its way.
func advance(r *bus.ExchangeRecord, step audit.Record) {
	first := func(at *time.Time) {
		if at.IsZero() {
			*at = step.At
		}
	}
	reach := func(s bus.ExchangeStatus) {
		if r.Status.OnTheWay() && r.Status != bus.ExchangeAcknowledged {
			r.Status = s
		}
	}
	switch step.Kind {
	case audit.KindDelayed:
		if r.Delayed.IsZero() {
			r.Delayed = step.Began
		}
		first(&r.Delayed)
		if r.Status.OnTheWay() {
			r.Fault, r.Code = bus.FaultOf(step.Code), step.Code
		}
	case audit.KindForwarded:
		first(&r.Forwarded)
	case audit.KindReceived:
		first(&r.Received)
		reach(bus.ExchangeReceived)
	case audit.KindDelivered:
		first(&r.Delivered)
		reach(bus.ExchangeDelivered)
	case audit.KindAcknowledged:
		first(&r.Acknowledged)
		reach(bus.ExchangeAcknowledged)
	}
}
