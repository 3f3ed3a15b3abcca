package client

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
)

// SubscriptionStep is a step with a subscription that stands.
type SubscriptionStep struct {
	Step bus.SubscriptionStep `json:"step" enum:"pause,resume,replay"`
	From string               `json:"from,omitempty" doc:"where a replay begins: now, beginning or a time (RFC 3339)"`
}

// SubscriptionRequest is a subscription as it is put: with how its events are taken to
// the consumer, where they are not pulled.
type SubscriptionRequest struct {
	bus.Subscription
	bus.Delivering
}

// Subscriptions are the standing requests for events (订阅).
type Subscriptions struct {
	Removable[bus.SubscriptionID, bus.Subscription]
}

// Subscriptions are the standing requests for events (订阅).
func (c *Client) Subscriptions() Subscriptions {
	return Subscriptions{Removable[bus.SubscriptionID, bus.Subscription]{Writable[bus.SubscriptionID, bus.Subscription]{
		Readable[bus.SubscriptionID, bus.Subscription]{c, "subscriptions"},
		func(s bus.Subscription) (bus.SubscriptionID, bus.Revision) { return s.ID, s.Revision },
	}}}
}

// Subscribe puts a subscription and, where it names one, its sink: that is asked, and
// Sink tells what it said.
func (s Subscriptions) Subscribe(ctx context.Context, r SubscriptionRequest) (bus.Subscription, error) {
	return put[bus.Subscription](ctx, s.c, call{path: s.at(r.ID)}, r.Revision, r)
}

// Pause stops a subscription: nothing leaves for it, and nothing is handed out. Its
// events wait at the provider's node.
func (s Subscriptions) Pause(ctx context.Context, id bus.SubscriptionID) (bus.Subscription, error) {
	return s.step(ctx, id, SubscriptionStep{Step: bus.SubscriptionPause})
}

// Resume lets a paused subscription go on where it was.
func (s Subscriptions) Resume(ctx context.Context, id bus.SubscriptionID) (bus.Subscription, error) {
	return s.step(ctx, id, SubscriptionStep{Step: bus.SubscriptionResume})
}

// Replay begins a subscription anew: from "now", the "beginning" or a time (RFC
// 3339), with what the provider's node still keeps. What waits unacknowledged goes.
func (s Subscriptions) Replay(ctx context.Context, id bus.SubscriptionID, from string) (bus.Subscription, error) {
	return s.step(ctx, id, SubscriptionStep{Step: bus.SubscriptionReplay, From: from})
}

func (s Subscriptions) step(ctx context.Context, id bus.SubscriptionID, step SubscriptionStep) (bus.Subscription, error) {
	return post[bus.Subscription](ctx, s.c, call{path: s.at(id, "step")}, step)
}
