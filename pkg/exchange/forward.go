package exchange

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event/filter"
	"github.com/gxbus/gxbus/pkg/policy"
	"go.etcd.io/bbolt"
)

const (
	batchEvents = 256
	batchBytes  = 1 << 20
	backPause   = 200 * time.Millisecond // until a node that is back is sent to
	fullPauses  = 6                      // RetryMax, until an inbox is found full again
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
	back     chan struct{} // the consumer's node can be reached again, or has room, it seems
	full     atomic.Bool   // the inbox there had no room for the newest batch

	standing struct{ about, id string } // newest recorded decision on a batch that is tried again
	under    underWay
	held     string  // newest recorded wait for a limit
	left     leftOut // of the batch under way
	tried    attempt // the newest on the disk
	failed   uint64  // first event of the newest batch that did not leave

	matcher   *filter.Matcher // of the subscription's filters; nil until it is needed
	unmatched unmatched       // of the batch under way
}

func (f *forwarder) run(ctx context.Context) {
	pause := f.x.RetryMin
	for ctx.Err() == nil {
		select {
		case <-f.back: // who is back before a step is no news after it
		default:
		}
		more, err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		full := bus.CodeOf(err) == bus.CodeInboxFull
		f.full.Store(full)
		if err != nil {
			f.x.Logger.Warn("forward", "subscription", f.id, "error", err, "retry_in", pause)
			if f.retry(ctx, err, pause) {
				pause = f.x.longer(pause, full)
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
// the directory cuts it short for a held batch, or one whose consumer moves. A node
// that is back is not let wait for long. New events hurry nothing that failed. Jitter
// keeps the forwarders of a dead node from calling in step.
func (f *forwarder) retry(ctx context.Context, err error, pause time.Duration) (over bool) {
	change, back := f.change, f.back
	if _, held := errors.AsType[heldError](err); held {
		back = nil // the node is not what it waits for
	} else if bus.CodeOf(err) != bus.CodeMoving {
		change = nil
	}
	timer := time.NewTimer(jittered(pause))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-back:
			back = nil
			timer.Reset(jittered(min(pause, backPause)))
		case <-change:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// longer is the pause after another. A whole batch is sent to find an inbox full, and of
// room in it this node is told: that is tried more seldom.
func (x *Exchange) longer(pause time.Duration, full bool) time.Duration {
	if full {
		return min(2*pause, fullPauses*x.RetryMax)
	}
	return min(2*pause, x.RetryMax)
}

func jittered(pause time.Duration) time.Duration { return pause/2 + rand.N(pause) }

// heldError is the error of a batch that waits: the decision may soon differ, or
// a limit begin anew.
type heldError struct{ why string }

func (e heldError) Error() string { return "held: " + e.why }

// step forwards one batch; more says that there may be another right away.
func (f *forwarder) step(ctx context.Context) (more bool, err error) {
	x := f.x
	flow, ok, err := x.flowOf(f.id)
	if err != nil || !ok || flow.provider.node != x.Self || flow.provider.moving || flow.subscription.Paused {
		return false, err
	}
	events, err := f.next(ctx, flow)
	if err != nil || len(events) == 0 {
		return false, err
	}
	if events, err = f.match(ctx, flow, events); err != nil || len(events) == 0 {
		return true, err
	}
	flow.input.Action, flow.input.Stage = policy.ActionForward, policy.StageProvider
	if err := x.aged(&flow.input); err != nil {
		return false, err
	}
	decision, events, err := x.decideBatch(ctx, flow, events)
	if err != nil {
		return false, err
	}
	record := flow.record(events)
	record.Began = f.under.began(record.First, x.Now())
	if !decision.Allow && !passing(decision) {
		if some, err := f.reclaim(ctx, flow, events); err != nil || some {
			return some, err
		}
		return true, f.drop(ctx, flow, record, decision)
	}
	going, err := f.settle(ctx, flow, record, &decision, events)
	if err != nil || len(going) == 0 {
		return err == nil, err // what cannot be recorded does not leave
	}
	batch := f.batch(flow, record.Began, decision, going)
	sent, err := f.send(ctx, flow, batch)
	if err != nil {
		return false, errors.Join(f.delay(ctx, flow, record.Began, decision, going, err), fmt.Errorf("deliver to node %s: %w", flow.consumer.node, err))
	}
	if !sent {
		return true, nil
	}
	return true, f.exchanged(ctx, flow, record.First, batch, forwarded(flow, record.Began, decision, going))
}

// record begins the evidence about a batch of a flow.
func (f flow) record(events []numbered) audit.Record {
	digests := make([][32]byte, len(events))
	size := int64(0)
	for i, e := range events {
		digests[i] = e.Digest
		size += int64(len(e.Event))
	}
	return audit.Record{
		Resource: f.resource.ID, Subscription: f.subscription.ID, Grant: f.subscription.Grant,
		Principal: bus.Principal{System: f.subscription.System, Department: f.subscription.Consumer},
		Provider:  f.resource.Provider, Consumer: f.subscription.Consumer,
		Purpose: f.subscription.Purpose, Matter: f.subscription.Matter, Basis: f.subscription.Basis,
		First: events[0].Sequence, Last: events[len(events)-1].Sequence,
		Events: len(events), Digest: audit.Digest(digests...), Bytes: size,
	}
}

func forwarded(f flow, began time.Time, d bus.Decision, going []sifted) []audit.Record {
	left, _ := passed(going)
	if len(left) == 0 {
		return nil
	}
	events, digests := make([]numbered, len(left)), make([][32]byte, len(left))
	for i, s := range left {
		events[i], digests[i] = s.numbered, sha256.Sum256(s.data)
		events[i].Event = s.data
	}
	record := f.record(events)
	record.Kind, record.DecisionID, record.Digest, record.Began = audit.KindForwarded, d.ID, audit.Digest(digests...), began
	record.Trace = traceOf(left)
	return []audit.Record{record}
}

// drop passes over a batch that may never leave, with the decision and the drop
// on record.
func (f *forwarder) drop(ctx context.Context, flow flow, record audit.Record, d bus.Decision) error {
	return f.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		return f.advance(tx, flow, record.First, record.Last, withheld(record, d))
	})
}

// settle records a decision before anything rests on it, and gives what may leave
// on it: what obligations leave of the batch, as far as the limits let it. What
// they let through is counted in the same transaction. While a batch is tried
// again, the decision is made afresh each time, but recorded once as long as it
// says the same of a batch that began at the same time; it then goes under the id it was
// recorded by. A heldError where nothing may leave for now; nothing, where some of it had
// left before and the cursor is past that.
func (f *forwarder) settle(ctx context.Context, flow flow, record audit.Record, d *bus.Decision, events []numbered) ([]sifted, error) {
	about := fmt.Sprint(record.First, record.Last, record.Began.UnixMilli(), d.Allow, d.Reasons, d.Obligations, d.Layers)
	standing := about == f.standing.about
	if standing {
		d.ID = f.standing.id
	}
	var all []sifted
	var mark string
	if d.Allow {
		var err error
		if all, mark, err = f.x.sift(ctx, flow, *d, events, false); err != nil {
			return nil, err
		}
		leave(all, f.left)
		if f.unlike(all) {
			if some, err := f.reclaim(ctx, flow, events); err != nil || some {
				return nil, err
			}
		}
	}
	going, reached, err := f.admit(ctx, flow, record, *d, all, mark, standing)
	if err != nil {
		return nil, err
	}
	f.standing.about, f.standing.id = about, d.ID
	switch {
	case !d.Allow:
		return nil, heldError{d.Reasons[0].Code}
	case len(going) == 0:
		return nil, heldError{reached.text().EN}
	}
	return going, nil
}

// admit lets a batch through as far as the limits go, counts that and records the
// decision, unless it stands, and what waits. Where nothing is new it does not
// write.
func (f *forwarder) admit(ctx context.Context, flow flow, record audit.Record, d bus.Decision, all []sifted, mark string, standing bool) (going []sifted, reached *full, err error) {
	x := f.x
	use := use{at: flow.provider, action: policy.ActionForward, flow: flow, limits: d.Obligations.Limits}
	_, numbers := passed(all)
	var left leftOut
	look := func(tx *bbolt.Tx) (a admission, err error) {
		going, reached = all, nil
		if len(use.limits) == 0 || len(numbers) == 0 {
			return a, nil
		}
		a, err = use.admit(tx, numbers, x.Now())
		going, reached = upTo(all, a.n), a.reached
		return a, err
	}
	var seen admission
	if standing {
		err := x.Store.View(func(tx *bbolt.Tx) (err error) {
			seen, err = look(tx)
			return err
		})
		if err != nil || seen.n == seen.free && f.toldHeld(all, going, reached) && len(f.left) == len(f.left.and(leftOutOfThese(going))) && f.hasTried(d, going) {
			return going, reached, err
		}
	}
	err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, flow.provider); err != nil {
			return err
		}
		a, err := look(tx)
		if err != nil {
			return err
		}
		if a.n > 0 {
			if err := a.count(tx, numbers[a.n-1]); err != nil {
				return err
			}
		}
		var records []audit.Record
		if !standing {
			decision := decided(record, d)
			decision.Watermark = mark
			records = append(records, decision)
			if err := keepMark(tx, mark, d.ID); err != nil {
				return err
			}
		}
		records = append(records, flow.fates(d, going)...)
		if left = f.left.and(leftOutOfThese(going)); len(left) != len(f.left) {
			if err := left.put(tx, flow.provider, f.id); err != nil {
				return err
			}
		}
		if err := f.try(tx, flow, d, going); err != nil {
			return err
		}
		if !f.toldHeld(all, going, reached) {
			records = append(records, flow.waits(d, all[len(going):], *reached))
		}
		return x.append(tx, records...)
	})
	if err != nil {
		return nil, nil, err
	}
	f.left = left
	if reached != nil {
		f.held = heldAt(all, going, reached)
	}
	return going, reached, nil
}

// toldHeld reports whether it is on record already that the rest of a batch waits,
// or none does.
func (f *forwarder) toldHeld(all, going []sifted, reached *full) bool {
	return reached == nil || f.held == heldAt(all, going, reached)
}

func heldAt(all, going []sifted, reached *full) string {
	return fmt.Sprint(all[len(going)].Sequence, *reached)
}

// waits records that events wait for a limit to begin anew.
func (f flow) waits(d bus.Decision, rest []sifted, reached full) audit.Record {
	events := make([]numbered, len(rest))
	for i, s := range rest {
		events[i] = s.numbered
	}
	record := f.record(events)
	record.Kind, record.DecisionID, record.Code, record.Detail = audit.KindHeld, d.ID, bus.CodeRateLimited, reached.text().EN
	return record
}

// next reads the batch at the cursor. A new subscription begins with what
// arrived since it was made.
func (f *forwarder) next(ctx context.Context, flow flow) ([]numbered, error) {
	var events []numbered
	var at cursor
	fresh := false
	err := f.x.Store.View(func(tx *bbolt.Tx) (err error) {
		var begun bool
		at, begun, err = cursorOf(tx, f.id)
		f.tried = at.attempt
		if fresh = !begun || at.run < flow.subscription.Replays; fresh || err != nil {
			return err
		}
		f.left = leftOutOf(tx, flow.provider, f.id)
		events, err = eventsFrom(tx, flow.resource.ID, at.next, batchEvents, batchBytes)
		return err
	})
	if err != nil || !fresh {
		return events, err
	}
	if err := f.conclude(ctx, flow, at); err != nil {
		return nil, err
	}
	f.standing.about, f.held, f.under = "", "", underWay{} // of another run
	err = f.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, flow.provider); err != nil {
			return err
		}
		first, err := sequenceSince(tx, flow.resource.ID, flow.subscription.Since())
		if err != nil {
			return err
		}
		if flow.subscription.Replays > 0 { // what an earlier run left out of a batch is no more of this one
			if err := leftOut(nil).put(tx, flow.provider, f.id); err != nil {
				return err
			}
		}
		return cursor{first, flow.subscription.Replays, attempt{number: f.tried.number}}.put(tx, f.id)
	})
	if err != nil {
		return nil, err
	}
	return f.next(ctx, flow)
}

// batch is what leaves of a batch that was sifted.
func (f *forwarder) batch(flow flow, began time.Time, d bus.Decision, going []sifted) Batch {
	batch := Batch{Heading: f.heading(flow), Last: going[len(going)-1].Sequence, DecisionID: d.ID, Began: began}
	left, _ := passed(going)
	batch.Trace = traceOf(left)
	for _, s := range left {
		batch.Events = append(batch.Events, Delivery{s.Sequence, s.data})
	}
	return batch
}

func (f *forwarder) heading(flow flow) Heading {
	return Heading{
		Subscription: f.id, Run: flow.subscription.Replays, From: f.x.Self, Attempt: f.tried.number,
		ProviderEpoch: flow.provider.epoch, ConsumerEpoch: flow.consumer.epoch,
	}
}

// send takes a batch to the consumer's node, once few enough others are on their way
// there. The decision took a commit to record, and waiting takes time: on one that no
// longer stands nothing is sent. The consumer's node decides again before it hands out.
func (f *forwarder) send(ctx context.Context, flow flow, batch Batch) (sent bool, err error) {
	to := flow.consumer.node
	done, err := f.x.lanes.enter(ctx, to)
	if err != nil {
		return false, err
	}
	defer done()
	same, err := f.x.unchanged(flow.basis)
	switch {
	case err != nil || !same:
		return false, err
	case len(batch.Events) == 0:
		return true, nil
	case to == f.x.Self:
		return true, f.x.Receive(ctx, f.x.Self, batch)
	}
	return true, f.x.Peers.Deliver(ctx, to, batch)
}

// advance moves the cursor past a batch, with the records of why. A forwarder that
// was stopped may end its last step beside its successor, with the same events:
// whoever comes second records nothing, and goes on from where the first came to.
func (f *forwarder) advance(tx *bbolt.Tx, flow flow, first, last uint64, records []audit.Record) error {
	if err := keeps(tx, flow.provider); err != nil {
		return err
	}
	if passed := f.unmatched.events; len(passed) > 0 {
		first = min(first, passed[0].Sequence)
	}
	run := flow.subscription.Replays
	at, begun, err := cursorOf(tx, f.id)
	if err != nil || begun && (at.run > run || at.run == run && at.next > first) {
		return err
	}
	if len(f.left) > 0 {
		if err := f.left.after(last).put(tx, flow.provider, f.id); err != nil {
			return err
		}
	}
	if err := at.past(last, run).put(tx, f.id); err != nil {
		return err
	}
	return f.x.append(tx, append(f.unmatched.records(flow, last), records...)...)
}
