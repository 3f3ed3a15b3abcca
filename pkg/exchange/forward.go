package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/policy"
	"go.etcd.io/bbolt"
)

const (
	batchEvents = 256
	batchBytes  = 1 << 20
)

// forwarder carries one subscription from its resource's log to the consumer's
// node: read, decide, record the decision, send, and on the durable answer move
// the cursor with the record of it. A dead destination delays nobody else.
type forwarder struct {
	x        *Exchange
	id       bus.SubscriptionID
	resource bus.ResourceID
	news     chan struct{} // the resource may have new events
	change   chan struct{} // the directory says something else

	standing struct{ about, id string } // newest recorded decision on a batch that is tried again
}

// supervise keeps one forwarder running for each subscription to a resource
// whose provider is served here.
func (x *Exchange) supervise(ctx context.Context) {
	stops := map[bus.SubscriptionID]context.CancelFunc{}
	var seen basis
	for {
		_, changed := x.Directory.Applied()
		wanted, now, err := x.subscriptionsFrom(seen)
		switch {
		case err != nil:
			x.Logger.Error("read subscriptions", "error", err)
		case now != seen:
			seen = now
			x.adjust(ctx, stops, wanted)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// subscriptionsFrom lists the subscriptions to forward from here, where anything
// changed since before.
func (x *Exchange) subscriptionsFrom(before basis) (wanted map[bus.SubscriptionID]bus.ResourceID, now basis, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		if now = basisOf(tx); now == before {
			return nil
		}
		wanted = map[bus.SubscriptionID]bus.ResourceID{}
		for s := range tx.Subscriptions() {
			resource, _ := tx.Resource(s.Resource)
			provider, ok := tx.Department(resource.Provider)
			if at := seatOf(tx, provider); ok && at.node == x.Self && !at.moving {
				wanted[s.ID] = s.Resource
			}
		}
		return nil
	})
	return wanted, now, err
}

// adjust starts and stops forwarders, and wakes those that go on: a held batch
// may now be allowed.
func (x *Exchange) adjust(ctx context.Context, stops map[bus.SubscriptionID]context.CancelFunc, wanted map[bus.SubscriptionID]bus.ResourceID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, stop := range stops {
		if _, ok := wanted[id]; !ok {
			stop()
			delete(stops, id)
			delete(x.forwarders, id)
		}
	}
	for id, resource := range wanted {
		f, running := x.forwarders[id]
		if running {
			poke(f.change)
			continue
		}
		f = &forwarder{x: x, id: id, resource: resource, news: make(chan struct{}, 1), change: make(chan struct{}, 1)}
		own, stop := context.WithCancel(ctx)
		x.forwarders[id], stops[id] = f, stop
		x.workers.Go(func() { f.run(own) })
	}
}

// wake tells the forwarders of a resource that it has new events.
func (x *Exchange) wake(resource bus.ResourceID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range x.forwarders {
		if f.resource == resource {
			poke(f.news)
		}
	}
}

// poke leaves one token, however often it is called before somebody looks.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (f *forwarder) run(ctx context.Context) {
	pause := f.x.RetryMin
	for ctx.Err() == nil {
		more, err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.x.Logger.Warn("forward", "subscription", f.id, "error", err, "retry_in", pause)
			if f.retry(ctx, err, pause) {
				pause = min(2*pause, f.x.RetryMax)
				continue
			}
		} else if !more {
			f.idle(ctx)
		}
		pause = f.x.RetryMin
	}
}

// idle waits for something to do.
func (f *forwarder) idle(ctx context.Context) {
	select {
	case <-f.news:
	case <-f.change:
	case <-ctx.Done():
	}
}

// retry waits for the pause to be over and reports whether it was: a change of
// the directory cuts it short for a held batch, or one whose consumer moves. New
// events hurry nothing that failed. Jitter keeps the forwarders of a dead node from calling in step.
func (f *forwarder) retry(ctx context.Context, err error, pause time.Duration) (over bool) {
	var change <-chan struct{}
	if _, held := errors.AsType[heldError](err); held || bus.CodeOf(err) == bus.CodeMoving {
		change = f.change
	}
	timer := time.NewTimer(pause/2 + rand.N(pause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-change:
		return false
	case <-ctx.Done():
		return false
	}
}

// heldError is the error of a batch that waits because the decision may soon differ.
type heldError struct{ decision bus.Decision }

func (e heldError) Error() string { return "held: " + e.decision.Reasons[0].Code }

// step forwards one batch; more says that there may be another right away.
func (f *forwarder) step(ctx context.Context) (more bool, err error) {
	x := f.x
	flow, ok, err := x.flowOf(f.id)
	if err != nil || !ok || flow.provider.node != x.Self || flow.provider.moving {
		return false, err
	}
	events, err := f.next(ctx, flow)
	if err != nil || len(events) == 0 {
		return false, err
	}
	flow.input.Action, flow.input.Stage = policy.ActionForward, policy.StageProvider
	if err := x.aged(&flow.input); err != nil {
		return false, err
	}
	decision := x.decide(ctx, flow)
	record := flow.record(events)
	if !decision.Allow && !passing(decision) {
		return true, f.drop(ctx, flow.provider, record, decision)
	}
	if err := f.settle(ctx, record, &decision); err != nil {
		return false, err // what cannot be recorded does not leave
	}
	if !decision.Allow {
		return false, heldError{decision}
	}
	batch, withheld, err := f.oblige(flow, decision, events)
	if err != nil {
		return false, err
	}
	// The decision took a commit to record; nothing may leave on one that no
	// longer stands. The consumer's node decides again before it hands out.
	if same, err := x.unchanged(flow.basis); err != nil || !same {
		return true, err
	}
	if err := f.send(ctx, flow.consumer.node, batch); err != nil {
		return false, fmt.Errorf("deliver to node %s: %w", flow.consumer.node, err)
	}
	return true, f.passed(ctx, flow, record, len(batch.Events) > 0, append(withheld, forwarded(record, decision, batch)...))
}

// passed moves the cursor past a batch that the consumer's node has, with the records
// of it and, where it was the first under its grant, a note of that.
func (f *forwarder) passed(ctx context.Context, flow flow, batch audit.Record, exchanged bool, records []audit.Record) error {
	err := f.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if exchanged {
			if err := f.x.noteFirst(tx, flow); err != nil {
				return err
			}
		}
		return f.advance(tx, flow.provider, batch, records)
	})
	if err == nil && exchanged && flow.undelivered {
		poke(f.x.firsts)
	}
	return err
}

// record begins the evidence about a batch of a flow.
func (f flow) record(events []numbered) audit.Record {
	digests := make([][32]byte, len(events))
	for i, e := range events {
		digests[i] = e.Digest
	}
	return audit.Record{
		Resource: f.resource.ID, Subscription: f.subscription.ID, Grant: f.subscription.Grant,
		Principal: bus.Principal{System: f.subscription.System, Department: f.subscription.Consumer},
		Provider:  f.resource.Provider, Consumer: f.subscription.Consumer,
		Purpose: f.subscription.Purpose, Matter: f.subscription.Matter,
		First: events[0].Sequence, Last: events[len(events)-1].Sequence,
		Events: len(events), Digest: audit.Digest(digests...),
	}
}

func forwarded(record audit.Record, d bus.Decision, batch Batch) []audit.Record {
	if len(batch.Events) == 0 {
		return nil
	}
	record.Kind, record.DecisionID = audit.KindForwarded, d.ID
	record.Events, record.Digest = len(batch.Events), batch.digest()
	return []audit.Record{record}
}

// drop passes over a batch that may never leave, with the decision and the drop
// on record.
func (f *forwarder) drop(ctx context.Context, at seat, record audit.Record, d bus.Decision) error {
	withheld := record
	withheld.Kind, withheld.DecisionID, withheld.Code = audit.KindWithheld, d.ID, bus.CodeDenied
	return f.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		return f.advance(tx, at, record, []audit.Record{decided(record, d), withheld})
	})
}

// settle records a decision before anything rests on it. While a batch is tried
// again, the decision is made afresh each time, but recorded once as long as it
// says the same; it then goes under the id it was recorded by.
func (f *forwarder) settle(ctx context.Context, record audit.Record, d *bus.Decision) error {
	about := fmt.Sprint(record.First, record.Last, d.Allow, d.Reasons, d.Obligations, d.Layers)
	if about == f.standing.about {
		d.ID = f.standing.id
		return nil
	}
	if err := f.x.Record(ctx, decided(record, *d)); err != nil {
		return err
	}
	f.standing.about, f.standing.id = about, d.ID
	return nil
}

// next reads the batch at the cursor. A new subscription begins with what
// arrived since it was made.
func (f *forwarder) next(ctx context.Context, flow flow) ([]numbered, error) {
	var events []numbered
	fresh := false
	err := f.x.Store.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketCursors).Get([]byte(f.id))
		if fresh = cursor == nil; fresh {
			return nil
		}
		var err error
		events, err = eventsFrom(tx, flow.resource.ID, binary.BigEndian.Uint64(cursor), batchEvents, batchBytes)
		return err
	})
	if err != nil || !fresh {
		return events, err
	}
	err = f.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, flow.provider); err != nil {
			return err
		}
		first, err := sequenceSince(tx, flow.resource.ID, flow.subscription.Created)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketCursors).Put([]byte(f.id), sequenceKey(first))
	})
	if err != nil {
		return nil, err
	}
	return f.next(ctx, flow)
}

// oblige makes the batch that may leave, and the records of what may not.
func (f *forwarder) oblige(flow flow, d bus.Decision, events []numbered) (Batch, []audit.Record, error) {
	batch := Batch{
		Subscription: f.id, From: f.x.Self, Last: events[len(events)-1].Sequence, DecisionID: d.ID,
		ProviderEpoch: flow.provider.epoch, ConsumerEpoch: flow.consumer.epoch,
	}
	passed, withheld, err := flow.oblige(d, events)
	if err != nil {
		return Batch{}, nil, err
	}
	for _, o := range passed {
		data, err := event.Marshal(o.event)
		if err != nil {
			return Batch{}, nil, err
		}
		batch.Events = append(batch.Events, Delivery{o.Sequence, data})
	}
	return batch, withheld, nil
}

func (f *forwarder) send(ctx context.Context, to bus.NodeID, batch Batch) error {
	if len(batch.Events) == 0 {
		return nil
	}
	if to == f.x.Self {
		return f.x.Receive(ctx, f.x.Self, batch)
	}
	return f.x.Peers.Deliver(ctx, to, batch)
}

// advance moves the cursor past a batch, with the records of why. A forwarder that
// was stopped may end its last step beside its successor, with the same events:
// whoever comes second records nothing, and goes on from where the first came to.
func (f *forwarder) advance(tx *bbolt.Tx, at seat, batch audit.Record, records []audit.Record) error {
	if err := keeps(tx, at); err != nil {
		return err
	}
	cursors := tx.Bucket(bucketCursors)
	if now := cursors.Get([]byte(f.id)); len(now) == 8 && binary.BigEndian.Uint64(now) > batch.First {
		return nil
	}
	if err := cursors.Put([]byte(f.id), sequenceKey(batch.Last+1)); err != nil {
		return err
	}
	return f.x.append(tx, records...)
}
