package exchange

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

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
		f = &forwarder{x: x, id: id, resource: resource, news: make(chan struct{}, 1), change: make(chan struct{}, 1), back: make(chan struct{}, 1)}
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

// roomAt has the forwarder of a subscription try again soon, where it is here: something
// was taken out of the inbox that may have been full.
func (x *Exchange) roomAt(id bus.SubscriptionID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f, ok := x.forwarders[id]; ok {
		poke(f.back)
	}
}

// inboxFull reports whether a subscription's events wait here because its inbox is full.
func (x *Exchange) inboxFull(id bus.SubscriptionID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	f, ok := x.forwarders[id]
	return ok && f.full.Load()
}

// Stopped counts the subscriptions whose events wait here because their inbox, at
// the consumer's node, is full.
func (x *Exchange) Stopped() (count int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range x.forwarders {
		if f.full.Load() {
			count++
		}
	}
	return count
}

// poke leaves one token, however often it is called before somebody looks.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// hasten has the forwarders to a node try again soon after a connection with it was made.
func (x *Exchange) hasten(ctx context.Context) {
	for {
		var node bus.NodeID
		select {
		case node = <-x.Connected:
		case <-ctx.Done():
			return
		}
		err := x.Directory.View(func(tx *state.Tx) error {
			x.mu.Lock()
			defer x.mu.Unlock()
			for id, f := range x.forwarders {
				s, _ := tx.Subscription(id)
				if _, consumer := seatsOf(tx, s); consumer.node == node {
					poke(f.back)
				}
			}
			return nil
		})
		if err != nil {
			x.Logger.Error("read subscriptions", "error", err)
		}
	}
}
