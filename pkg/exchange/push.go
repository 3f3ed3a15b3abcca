package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/webhook"
	"go.etcd.io/bbolt"
)

// pusher takes the events of one subscription to its sink, one request after the
// other: nothing overtakes what is tried again, and a slow sink delays nobody else.
type pusher struct {
	x      *Exchange
	id     bus.SubscriptionID
	change chan struct{} // the directory says something else
	put    chan struct{} // sinks were put or deleted
	held   time.Duration // the pause since nothing could be handed out; 0: something could
	single int           // so many events are sent by themselves, a batch with them having failed
	failed bool          // since an event was taken last
}

// superintend keeps one pusher running for each sink.
func (x *Exchange) superintend(ctx context.Context) {
	if x.Webhooks == nil {
		return
	}
	type running struct {
		*pusher
		stop context.CancelFunc
	}
	all := map[bus.SubscriptionID]running{}
	for {
		_, changed := x.Directory.Applied()
		wanted := map[bus.SubscriptionID]bool{}
		err := x.Store.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketSinks).ForEach(func(id, _ []byte) error {
				wanted[bus.SubscriptionID(id)] = true
				return nil
			})
		})
		if err != nil {
			x.Logger.Error("read sinks", "error", err)
		}
		for id, r := range all {
			if poke(r.change); !wanted[id] {
				r.stop()
				delete(all, id)
			}
		}
		for id := range wanted {
			if _, ok := all[id]; ok {
				continue
			}
			own, stop := context.WithCancel(ctx)
			p := &pusher{x: x, id: id, change: make(chan struct{}, 1), put: make(chan struct{}, 1)}
			all[id] = running{p, stop}
			x.workers.Go(func() { p.run(own) })
		}
		select {
		case <-changed:
		case <-x.sinks:
			for _, r := range all {
				poke(r.put)
			}
		case <-ctx.Done():
			for _, r := range all {
				r.stop()
			}
			return
		}
	}
}

func (p *pusher) run(ctx context.Context) {
	for ctx.Err() == nil {
		rung := p.x.inboxes.next(p.id)
		pause, err := p.step(ctx)
		if err != nil && ctx.Err() == nil {
			p.x.Logger.Warn("push", "subscription", p.id, "error", err, "retry_in", pause)
		}
		if pause == idle {
			select {
			case <-rung:
			case <-p.change:
			case <-p.put:
			case <-ctx.Done():
			}
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.put:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

const idle = -1 * time.Second // a pause until something changes

// step makes one request, and says after which pause the next may be made.
func (p *pusher) step(ctx context.Context) (time.Duration, error) {
	x := p.x
	var s sink
	var ok bool
	var t trying
	err := x.Store.View(func(tx *bbolt.Tx) (err error) {
		s, ok = x.sinkOf(tx, p.id)
		t, err = triesOf(tx, p.id)
		return err
	})
	if err != nil || !ok || !s.Active {
		return idle, err
	}
	f, ok, err := x.flowOf(p.id)
	if err == nil && ok {
		ok, err = x.mayCall(f.subscription.System)
	}
	if err != nil || !ok {
		return idle, err
	}
	by := bus.Principal{System: f.subscription.System, Department: f.subscription.Consumer}
	if s.Asked != x.Origin {
		return p.introduce(ctx, by, f, s)
	}
	size := s.Batch
	if p.single > 0 || len(t.Attempts) > 0 {
		size = 1
	}
	place, early := x.placeAt(s)
	if early > 0 {
		return early, nil
	}
	out, err := x.Next(ctx, by, p.id, 0, size)
	if err != nil {
		place.back()
		return p.refused(err)
	}
	p.held = 0
	if len(out.Events) == 0 {
		place.back()
		return idle, nil
	}
	d, err := x.delivery(p.id, s, out)
	if err != nil {
		return x.RetryMax, err
	}
	answer, failure := x.Webhooks.Send(ctx, d)
	if ctx.Err() != nil {
		return idle, nil // stopped: it is sent again
	}
	return p.settle(ctx, by, f, s, t, out, answer, failure)
}

// mayCall reports whether a system could fetch its events itself: it is not disabled,
// and has a credential, which after a restore it has not before it is given one.
func (x *Exchange) mayCall(id bus.SystemID) (may bool, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		system, ok := tx.System(id)
		may = ok && system.MayCall(x.Now())
		return nil
	})
	return may, err
}

// introduce asks the endpoint of a sink that came with its department whether this
// node may deliver there: it allowed another one. An endpoint that does not answer is
// asked again.
func (p *pusher) introduce(ctx context.Context, by bus.Principal, f flow, s sink) (time.Duration, error) {
	x := p.x
	if err := x.May(by, p.id); err != nil {
		return p.refused(err)
	}
	allowed, refusal := x.greet(ctx, s)
	if refusal != nil && !errors.Is(refusal, webhook.ErrNotPermitted) {
		return x.RetryMax, refusal
	}
	return 0, p.alter(ctx, f, s, func(s *sink) string {
		s.answered(x.Origin, allowed, refusal)
		if refusal != nil {
			return "sink.stopped: " + s.Why
		}
		return "sink.allowed: node " + string(x.Self)
	})
}

// refused is the pause after nothing could be handed out. It grows as that of a batch
// that is held: a node that starts cannot decide for a moment.
func (p *pusher) refused(err error) (time.Duration, error) {
	p.held = min(max(2*p.held, p.x.RetryMin), p.x.RetryMax)
	e, ok := errors.AsType[*bus.Error](err)
	switch {
	case !ok:
		return p.held, err
	case e.Code.Kind() == bus.KindUnavailable, e.RetryAfter > 0: // held, or a limit
		return max(e.RetryAfter, p.held), nil
	default: // paused, denied for good, moved: the directory has to change, or an event to come
		return idle, nil
	}
}

// delivery is the request that takes events to a sink.
func (x *Exchange) delivery(id bus.SubscriptionID, s sink, out Handout) (d webhook.Delivery, err error) {
	d = webhook.Delivery{
		Endpoint: s.URL, Origin: x.Origin, ID: fmt.Sprintf("%s.%d", id, out.Numbers[0]), MediaType: event.ContentTypeEvent,
		Authorization: s.Authorization, Secret: []byte(s.Secret),
	}
	extensions := out.Events[0].Extensions()
	d.TraceParent, _ = extensions[event.ExtTraceParent].(string)
	d.TraceState, _ = extensions[event.ExtTraceState].(string)
	var body []byte
	if s.Batch == 1 {
		body, err = event.Marshal(out.Events[0])
	} else {
		d.MediaType, d.ID = event.ContentTypeBatch, fmt.Sprintf("%s-%d", d.ID, out.Last)
		body, err = event.MarshalBatch(out.Events)
	}
	d.Body = string(body)
	return d, err
}

// settle does what an answer asks for.
func (p *pusher) settle(ctx context.Context, by bus.Principal, f flow, s sink, t trying, out Handout, answer webhook.Answer, failure error) (time.Duration, error) {
	x := p.x
	switch {
	case failure == nil && answer.Status/100 == 2:
		p.single, p.failed = max(p.single-len(out.Events), 0), false
		if err := x.Acknowledge(ctx, by, p.id, out.Last); err != nil {
			return x.RetryMin, err
		}
		if t.Number == 0 {
			return 0, nil
		}
		return 0, p.note(ctx, f, trying{})
	case failure == nil && answer.Status == http.StatusGone:
		return idle, p.stop(ctx, f, s)
	}
	attempt := bus.Attempt{At: x.Now().UTC(), Status: answer.Status}
	if failure != nil {
		attempt.Problem = failure.Error()
	}
	if len(out.Events) > 1 {
		p.single = len(out.Events)
	}
	if t.Number != out.Numbers[0] {
		t = trying{Number: out.Numbers[0]}
	}
	t.Attempts = append(t.Attempts, attempt)
	if err := p.delay(ctx, f, by, out, attempt); err != nil {
		return x.RetryMin, err
	}
	if len(t.Attempts) >= s.MaxAttempts {
		return 0, p.bury(ctx, f, t)
	}
	return max(p.pause(len(t.Attempts)), answer.RetryAfter), p.note(ctx, f, t)
}

// pause grows twofold with each attempt up to a maximum. Jitter keeps the sinks of a
// host that comes back from being called in step.
func (p *pusher) pause(attempts int) time.Duration {
	full := min(p.x.PushMin<<min(attempts-1, 20), p.x.PushMax)
	return full/2 + rand.N(full/2+1)
}

// note keeps the attempts at the event that comes next, or that there are none.
func (p *pusher) note(ctx context.Context, f flow, t trying) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return p.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		if t.Number == 0 {
			return tx.Bucket(bucketTries).Delete([]byte(p.id))
		}
		return tx.Bucket(bucketTries).Put([]byte(p.id), data)
	})
}

// stop ends the deliveries to a sink that says it is gone.
func (p *pusher) stop(ctx context.Context, f flow, s sink) error {
	return p.alter(ctx, f, s, func(s *sink) string {
		s.Active, s.Why = false, "the endpoint answered 410 Gone"
		return "sink.stopped: 410 Gone"
	})
}

// alter changes a sink, on record as what change says, unless it was put anew.
func (p *pusher) alter(ctx context.Context, f flow, of sink, change func(*sink) string) error {
	return p.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		s, ok := p.x.sinkOf(tx, p.id)
		if !ok || !s.At.Equal(of.At) {
			return nil
		}
		detail := change(&s)
		if err := p.x.putSink(tx, p.id, s); err != nil {
			return err
		}
		return p.x.append(tx, audit.Record{
			Kind: audit.KindAdministered, Principal: bus.Principal{Node: p.x.Self}, Resource: f.resource.ID, Subscription: p.id,
			Provider: f.resource.Provider, Consumer: f.subscription.Consumer, Detail: detail,
		})
	})
}
