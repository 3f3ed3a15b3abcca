package exchange

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/webhook"
	"go.etcd.io/bbolt"
)

// SinkBucket is where a node's file has its sinks, sealed, by subscription.
const SinkBucket = "sinks"

// Sinks move with their department. Each node encrypts them with a key of its own, and
// asks an endpoint itself whether it may deliver there.
var (
	bucketSinks = []byte(SinkBucket)
	bucketTries = []byte("tries") // subscription → what is tried again
)

// Webhooks takes events to endpoints of agencies.
type Webhooks interface {
	Check(ctx context.Context, endpoint string) error
	Greet(ctx context.Context, endpoint, origin, authorization string) (webhook.Permission, error)
	Send(ctx context.Context, d webhook.Delivery) (webhook.Answer, error)
}

// sink is a sink as it is kept.
type sink struct {
	bus.Sink
	At     time.Time `json:"at"`
	Asked  string    `json:"asked,omitempty"` // the origin that the endpoint was asked to allow
	Active bool      `json:"active"`
	Why    string    `json:"why,omitempty"`
	Rate   int       `json:"rate,omitempty"`
}

// trying is the attempts at the event that comes next.
type trying struct {
	Number   uint64        `json:"number"`
	Attempts []bus.Attempt `json:"attempts"`
}

// sinkOf reads a sink; ok is false where there is none. One that was altered, or
// encrypted with another key, is there and not active.
func (x *Exchange) sinkOf(tx *bbolt.Tx, id bus.SubscriptionID) (s sink, ok bool) {
	data, err := x.vaults()[partSinks].Get(tx, []byte(id))
	if err == nil && data == nil {
		return s, false
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil { // it is not told: it may repeat a secret
		return sink{Why: "it cannot be read with this node's key and has to be put again"}, true
	}
	return s, true
}

func (x *Exchange) putSink(tx *bbolt.Tx, id bus.SubscriptionID, s sink) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return x.vaults()[partSinks].Put(tx, []byte(id), data)
}

func triesOf(tx *bbolt.Tx, id bus.SubscriptionID) (t trying, err error) {
	if data := tx.Bucket(bucketTries).Get([]byte(id)); data != nil {
		err = json.Unmarshal(data, &t)
	}
	return t, err
}

// PutSink has the events of a subscription taken to an endpoint, if that allows it. It
// is asked now; one that does not allow it is kept, and nothing is taken there until it
// is put again.
func (x *Exchange) PutSink(ctx context.Context, by bus.Principal, request string, id bus.SubscriptionID, wanted bus.Sink) (bus.SinkState, error) {
	f, err := x.own(by, id)
	if err == nil {
		err = x.CheckSink(ctx, wanted)
	}
	if err != nil {
		return bus.SinkState{}, err
	}
	s := sink{Sink: wanted.Settled(), At: x.Now().UTC()}
	allowed, refusal := x.greet(ctx, s)
	s.answered(x.Origin, allowed, refusal)
	err = x.changeSink(ctx, by, request, f, "sink.put "+shownURL(s.URL), func(tx *bbolt.Tx) error { return x.putSink(tx, id, s) })
	return s.shown(trying{}), err
}

// CheckSink refuses a sink that events are never taken to, whatever its endpoint says.
func (x *Exchange) CheckSink(ctx context.Context, wanted bus.Sink) error {
	if err := bus.Invalid(wanted.Check()); err != nil {
		return err
	}
	return x.Webhooks.Check(ctx, wanted.URL)
}

// greet asks the endpoint of a sink whether this node may deliver there.
func (x *Exchange) greet(ctx context.Context, s sink) (webhook.Permission, error) {
	return x.Webhooks.Greet(ctx, s.URL, x.Origin, s.Authorization)
}

// answered keeps what an endpoint said to an origin.
func (s *sink) answered(origin string, allowed webhook.Permission, refusal error) {
	s.Asked, s.Active, s.Rate, s.Why = origin, refusal == nil, allowed.Rate, ""
	if refusal != nil {
		s.Why = refusal.Error()
	}
}

// Sink shows the sink of a subscription, and what is tried again.
func (x *Exchange) Sink(by bus.Principal, id bus.SubscriptionID) (state bus.SinkState, err error) {
	if _, err := x.own(by, id); err != nil {
		return state, err
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		s, ok := x.sinkOf(tx, id)
		if !ok {
			return bus.NotFound("sink", string(id))
		}
		t, err := triesOf(tx, id)
		state = s.shown(t)
		return err
	})
	return state, err
}

// DeleteSink ends the deliveries of a subscription: it is pulled again.
func (x *Exchange) DeleteSink(ctx context.Context, by bus.Principal, request string, id bus.SubscriptionID) error {
	f, err := x.own(by, id)
	if err != nil {
		return err
	}
	return x.changeSink(ctx, by, request, f, "sink.delete", func(tx *bbolt.Tx) error {
		sinks := tx.Bucket(bucketSinks)
		if sinks.Get([]byte(id)) == nil {
			return bus.NotFound("sink", string(id))
		}
		return sinks.Delete([]byte(id))
	})
}

func (x *Exchange) changeSink(ctx context.Context, by bus.Principal, request string, f flow, what string, write func(*bbolt.Tx) error) error {
	err := x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		if err := write(tx); err != nil {
			return err
		}
		if err := tx.Bucket(bucketTries).Delete([]byte(f.subscription.ID)); err != nil {
			return err
		}
		return x.append(tx, audit.Record{
			Kind: audit.KindAdministered, Principal: by, Request: request, Resource: f.resource.ID, Subscription: f.subscription.ID,
			Provider: f.resource.Provider, Consumer: f.subscription.Consumer, Detail: what,
		})
	})
	if err == nil {
		poke(x.sinks)
	}
	return err
}

func (s sink) shown(t trying) bus.SinkState {
	return bus.SinkState{
		URL: shownURL(s.URL), Protocol: bus.ProtocolHTTP, Active: s.Active, Why: s.Why, Rate: s.Rate, Authorized: s.Authorization != "", Signed: s.Secret != "",
		Batch: s.Batch, MaxAttempts: s.MaxAttempts, Since: s.At, Number: t.Number, Attempts: t.Attempts,
	}
}

// shownURL is a URL without its query, where secrets are.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}
