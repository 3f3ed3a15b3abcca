package exchange

import (
	"context"
	"errors"
	"fmt"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event/filter"
	"github.com/gxbus/gxbus/pkg/policy"
	"go.etcd.io/bbolt"
)

// MaxPull is how many events one pull hands out at most.
const MaxPull = 1000

const pullBytes = 8 << 20 // about how many bytes of events one pull hands out

// Subscribe decides whether a subscription may be made, and records that. It
// writes nothing to the directory. The decision is taken at the consumer's node
// and stands in its log; each batch is decided on again.
func (x *Exchange) Subscribe(ctx context.Context, by bus.Principal, request string, s bus.Subscription) error {
	if _, err := filter.Compile(s.Filters); err != nil {
		return err
	}
	var f flow
	err := x.Directory.View(func(tx *state.Tx) error {
		if _, ok := tx.Resource(s.Resource); !ok {
			return bus.NotFound("resource", string(s.Resource))
		}
		var ok bool
		if f, ok = x.flow(tx, s); !ok {
			return bus.E(bus.CodeForbidden)
		}
		return x.serves(tx, f.consumer)
	})
	if err != nil {
		return err
	}
	f.input.Action, f.input.Stage = policy.ActionSubscribe, policy.StageConsumer
	if err := x.aged(&f.input); err != nil {
		return err
	}
	record := audit.Record{
		Principal: by, Request: request, Resource: s.Resource, Subscription: s.ID, Grant: s.Grant,
		Provider: f.resource.Provider, Consumer: s.Consumer, Purpose: s.Purpose, Matter: s.Matter, Basis: s.Basis,
	}
	d := x.decide(ctx, f)
	if !d.Allow {
		return x.deny(ctx, record, d)
	}
	var reached *full
	err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		a, err := use{at: f.consumer, action: policy.ActionSubscribe, flow: f, limits: d.Obligations.Limits, request: true}.admit(tx, nil, x.Now())
		if err != nil {
			return err
		}
		records := []audit.Record{decided(record, d)}
		if reached = a.reached; reached == nil {
			err = a.count(tx, 0)
		}
		return errors.Join(err, x.append(tx, records...))
	})
	if err == nil && reached != nil {
		err = limited(d, *reached, x.Now())
	}
	return err
}

// own reads the flow of a subscription that the caller's system pulls from here.
// To anybody else it does not exist.
func (x *Exchange) own(by bus.Principal, id bus.SubscriptionID) (flow, error) {
	f, ok, err := x.flowOf(id)
	if err != nil {
		return f, err
	}
	if !ok || by.System == "" || f.subscription.System != by.System || f.subscription.Consumer != by.Department {
		return f, bus.NotFound("subscription", string(id))
	}
	return f, x.Directory.View(func(tx *state.Tx) error { return x.serves(tx, f.consumer) })
}

// May refuses who may not pull a subscription from here.
func (x *Exchange) May(by bus.Principal, id bus.SubscriptionID) error {
	_, err := x.own(by, id)
	return err
}

// Handout is what is handed out of a subscription at once.
type Handout struct {
	Events  []cloudevent.Event
	Numbers []uint64 // their sequence numbers
	Last    uint64   // acknowledges them, and what was left out between; 0 where there are none
}

// Pull hands out the oldest events of a subscription that are not acknowledged, up
// to limit of them, and the number that acknowledges them; the same again until
// then.
func (x *Exchange) Pull(ctx context.Context, by bus.Principal, id bus.SubscriptionID, limit int) ([]cloudevent.Event, uint64, error) {
	out, err := x.Next(ctx, by, id, 0, limit)
	return out.Events, out.Last, err
}

// Next is the one way in which events get to a consumer, whatever takes them there:
// it hands out the oldest that wait behind a number, up to limit of them or about
// 8 MiB. A decision is taken, and the handing-out recorded, before it returns.
// After a final denial (a revoked grant, say) what waits is dropped.
func (x *Exchange) Next(ctx context.Context, by bus.Principal, id bus.SubscriptionID, after uint64, limit int) (Handout, error) {
	limit = min(max(limit, 1), MaxPull)
	for {
		f, err := x.own(by, id)
		if err == nil && f.subscription.Paused {
			err = paused()
		}
		if err != nil {
			return Handout{}, err
		}
		events, err := x.waiting(id, after, limit)
		if err != nil || len(events) == 0 {
			return Handout{}, err
		}
		out, err := x.handOut(ctx, by, f, events)
		if err != nil {
			return Handout{}, err
		}
		// As in forwarding: nothing goes out on a decision that no longer stands.
		same, err := x.unchanged(f.basis)
		if err != nil {
			return Handout{}, err
		}
		if same && len(out.Events) > 0 { // with none left, all were withheld: go on to the next
			return out, nil
		}
	}
}

// paused is the error of a subscription that its consumer has paused.
func paused() error {
	return bus.E(bus.CodeWrongState, bus.Defect{
		Field: "subscription", Problem: bus.Text{ZH: "订阅已暂停", EN: "the subscription is paused"}, Allowed: "resume it first",
	})
}

func (x *Exchange) waiting(id bus.SubscriptionID, after uint64, limit int) (events []numbered, err error) {
	err = x.Store.View(func(tx *bbolt.Tx) error {
		events = waiting(tx, id, after, limit, pullBytes)
		return nil
	})
	return events, err
}

// handOut decides on a batch that waits, applies the obligations and records it
// as delivered, as far as the limits let it: Last is the number of the last event
// dealt with. After a final denial it drops all that waits.
func (x *Exchange) handOut(ctx context.Context, by bus.Principal, f flow, events []numbered) (out Handout, err error) {
	f.input.Action, f.input.Stage = policy.ActionDeliver, policy.StageConsumer
	if err := x.aged(&f.input); err != nil {
		return out, err
	}
	d, events, err := x.decideBatch(ctx, f, events)
	if err != nil {
		return out, err
	}
	record := f.record(events)
	record.Principal = by
	switch {
	case d.Allow:
	case passing(d):
		return out, x.deny(ctx, record, d)
	case alone(d): // those that follow may pass
		return out, x.dropThese(ctx, f, record, d)
	default:
		return out, x.drop(ctx, by, f, d)
	}
	all, mark, err := x.sift(ctx, f, d, events, true)
	if err != nil {
		return out, err
	}
	decision := decided(record, d)
	decision.Watermark = mark
	var going []sifted
	var reached *full
	err = x.Store.Commit(ctx, func(tx *bbolt.Tx) (err error) {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		if going, reached, err = x.hand(tx, f, d, all); err != nil {
			return err
		}
		if err := keepMark(tx, mark, d.ID); err != nil {
			return err
		}
		records := append([]audit.Record{decision}, f.fates(d, going)...)
		if left, _ := passed(going); len(left) > 0 {
			records = append(records, delivered(by, f, d, left))
		}
		if reached != nil {
			records = append(records, f.waits(d, all[len(going):], *reached))
		}
		return x.append(tx, records...)
	})
	if err != nil {
		return out, err
	}
	left, numbers := passed(going)
	if len(left) == 0 && reached != nil {
		return out, limited(d, *reached, x.Now())
	}
	out = Handout{Events: make([]cloudevent.Event, len(left)), Numbers: numbers, Last: going[len(going)-1].Sequence}
	for i, s := range left {
		out.Events[i] = s.event
	}
	return out, nil
}

// hand lets a batch through as far as the limits go, counts that, removes what does
// not pass from the inbox, and moves the mark of what was handed out.
func (x *Exchange) hand(tx *bbolt.Tx, f flow, d bus.Decision, all []sifted) (going []sifted, reached *full, err error) {
	going = all
	if _, numbers := passed(all); len(d.Obligations.Limits) > 0 && len(numbers) > 0 {
		a, err := use{at: f.consumer, action: policy.ActionDeliver, flow: f, limits: d.Obligations.Limits}.admit(tx, numbers, x.Now())
		if err != nil {
			return nil, nil, err
		}
		if a.n > 0 {
			if err := a.count(tx, numbers[a.n-1]); err != nil {
				return nil, nil, err
			}
		}
		going, reached = upTo(all, a.n), a.reached
	}
	if len(going) == 0 {
		return going, reached, nil
	}
	m, err := markOf(tx, f.subscription.ID)
	if err != nil {
		return nil, nil, err
	}
	m.Delivered = max(m.Delivered, going[len(going)-1].Sequence)
	if err := m.put(tx, f.subscription.ID); err != nil {
		return nil, nil, err
	}
	return going, reached, discard(tx, f.subscription.ID, going)
}

func delivered(by bus.Principal, f flow, d bus.Decision, left []sifted) audit.Record {
	events := make([]numbered, len(left))
	for i, s := range left {
		events[i] = s.numbered
	}
	record := f.record(events)
	record.Kind, record.Principal, record.DecisionID = audit.KindDelivered, by, d.ID
	record.Trace = traceOf(left)
	return record
}

// drop removes all that waits in an inbox, denied for good, and returns the
// denial.
func (x *Exchange) drop(ctx context.Context, by bus.Principal, f flow, d bus.Decision) error {
	for {
		events, err := x.waiting(f.subscription.ID, 0, MaxPull)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return denied(d)
		}
		record := f.record(events)
		record.Principal = by
		if err := x.dropThese(ctx, f, record, d); err != nil {
			return err
		}
		if same, err := x.unchanged(f.basis); err != nil || !same { // what still waits is decided on afresh
			return errors.Join(err, denied(d))
		}
	}
}

// dropThese removes the events of an inbox that record is about, with the denial and
// the drop on record.
func (x *Exchange) dropThese(ctx context.Context, f flow, record audit.Record, d bus.Decision) error {
	defer x.roomAt(f.subscription.ID)
	return x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		if _, _, _, err := clearInbox(tx, f.subscription.ID, record.First, record.Last); err != nil {
			return err
		}
		return x.append(tx, withheld(record, d)...)
	})
}

// Acknowledge removes all events up to last from a subscription's inbox. last
// may not be beyond what was handed out; one acknowledged before is no error.
func (x *Exchange) Acknowledge(ctx context.Context, by bus.Principal, id bus.SubscriptionID, last uint64) error {
	f, err := x.own(by, id)
	if err != nil {
		return err
	}
	defer x.roomAt(id)
	return x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		m, err := markOf(tx, id)
		if err != nil {
			return err
		}
		if last > m.Delivered {
			return bus.E(bus.CodeInvalid, bus.Defect{
				Field: "last", Problem: bus.Text{ZH: "尚未取走该序号的事件", EN: "no event up to that number was handed out"},
				Allowed: fmt.Sprintf("at most %d", m.Delivered),
			})
		}
		// Behind what was acknowledged there may be a dead letter that was redriven.
		first, _, count, err := clearInbox(tx, id, 0, last)
		if err != nil {
			return err
		}
		if last > m.Acknowledged {
			m.Acknowledged = last
			err = m.put(tx, id)
		}
		if err != nil || count == 0 { // none: what was handed out has been dropped since
			return err
		}
		return x.append(tx, audit.Record{
			Kind: audit.KindAcknowledged, Principal: by, Resource: f.resource.ID, Subscription: id, Grant: f.subscription.Grant,
			Provider: f.resource.Provider, Consumer: f.subscription.Consumer, First: first, Last: last, Events: count,
		})
	})
}
