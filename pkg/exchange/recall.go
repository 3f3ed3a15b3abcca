package exchange

import (
	"context"
	"fmt"
	"slices"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// try notes, in the transaction that a decision is recorded in, that a batch is about to
// leave on it.
func (f *forwarder) try(tx *bbolt.Tx, flow flow, d bus.Decision, going []sifted) error {
	left, _ := passed(going)
	at, begun, err := cursorOf(tx, f.id)
	if err != nil || len(left) == 0 || !begun || at.run != flow.subscription.Replays || at.next > left[0].Sequence {
		return err // a successor has come further: the batch is passed over where it arrives
	}
	at.attempt = attempt{max(at.number+1, uint64(f.x.Now().UnixNano())), max(at.upTo, left[len(left)-1].Sequence), d.ID}
	f.tried = at.attempt
	return at.put(tx, f.id)
}

// hasTried reports whether it is noted that a batch is about to leave, if anything is.
func (f *forwarder) hasTried(d bus.Decision, going []sifted) bool {
	left, _ := passed(going)
	return len(left) == 0 || f.tried.decision == d.ID && f.tried.upTo >= left[len(left)-1].Sequence
}

// unlike reports whether a batch leaves out what may have left in an attempt before.
func (f *forwarder) unlike(all []sifted) bool {
	return slices.ContainsFunc(all, func(s sifted) bool { return s.fate != toPass && s.Sequence <= f.tried.upTo && !f.left.has(s.Sequence) })
}

// reclaim takes back what may have left of events that are denied or left out by now: only the
// consumer's node knows whether it has them, where its answer was lost. Those that it has
// go on record as forwarded, with the cursor past them; some says that there were any.
// The others it does not take any more. While it cannot be asked nothing goes on record,
// for one of the two would be wrong.
func (f *forwarder) reclaim(ctx context.Context, flow flow, events []numbered) (some bool, err error) {
	if f.tried.upTo < events[0].Sequence {
		return false, nil
	}
	received, err := f.recall(ctx, flow)
	if err != nil {
		return false, fmt.Errorf("ask node %s what it has of what is denied: %w", flow.consumer.node, err)
	}
	f.standing.about = "" // what is sent after this is another attempt
	n := 0
	for n < len(events) && events[n].Sequence <= received {
		n++
	}
	if n == 0 {
		return false, nil
	}
	var leaf audit.Leaf
	err = f.x.Store.View(func(tx *bbolt.Tx) error {
		leaf, err = f.x.Log.Decision(tx, f.tried.decision)
		return err
	})
	if err != nil {
		return false, err
	}
	d := *leaf.Record.Decision
	d.ID = f.tried.decision
	all, _, err := f.x.sift(ctx, flow, d, events[:n], false)
	if err != nil {
		return false, err
	}
	leave(all, f.left)
	return true, f.exchanged(ctx, flow, events[0].Sequence, f.batch(flow, leaf.Record.Began, d, all), forwarded(flow, leaf.Record.Began, d, all))
}

// conclude settles what may have left in a run that is over, before another begins.
func (f *forwarder) conclude(ctx context.Context, flow flow, at cursor) error {
	if at.upTo < at.next {
		return nil
	}
	flow.subscription.Replays = at.run
	var events []numbered
	err := f.x.Store.View(func(tx *bbolt.Tx) (err error) {
		f.left = leftOutOf(tx, flow.provider, f.id)
		events, err = eventsFrom(tx, flow.resource.ID, at.next, batchEvents, batchBytes)
		return err
	})
	if err == nil {
		events, err = f.match(ctx, flow, events)
	}
	if err != nil || len(events) == 0 {
		return err
	}
	_, err = f.reclaim(ctx, flow, events)
	return err
}

// recall asks the consumer's node to take no attempt up to the newest any more.
func (f *forwarder) recall(ctx context.Context, flow flow) (received uint64, err error) {
	back := Recall{f.heading(flow)}
	if flow.consumer.node == f.x.Self {
		return f.x.Recall(ctx, f.x.Self, back)
	}
	return f.x.Peers.Recall(ctx, flow.consumer.node, back)
}

// Recall takes back the batches of a subscription up to an attempt, wherever they are.
type Recall struct{ Heading }

// Recall tells which sequence number of a subscription's run was received last, and has
// it so for good: of the attempts that are recalled nothing is taken any more. It is
// asked by the node from, which has to be the provider's, and returns once that is on the
// disk.
func (x *Exchange) Recall(ctx context.Context, from bus.NodeID, back Recall) (received uint64, err error) {
	flow, err := x.addressed(from, back.Heading)
	if err == nil {
		err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
			m, err := x.markIn(tx, flow, back.Heading)
			if err != nil {
				return err
			}
			received, m.Recalled = m.Received, max(m.Recalled, back.Attempt)
			return m.put(tx, back.Subscription)
		})
	}
	record := audit.Record{Principal: bus.Principal{Node: from}, Subscription: back.Subscription}
	return received, x.refuse(ctx, record, err)
}
