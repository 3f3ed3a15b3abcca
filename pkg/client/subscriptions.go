package client

import "github.com/gxbus/gxbus/pkg/bus"

// Subscriptions are the standing requests for events (订阅).
func (c *Client) Subscriptions() Removable[bus.SubscriptionID, bus.Subscription] {
	return Removable[bus.SubscriptionID, bus.Subscription]{Writable[bus.SubscriptionID, bus.Subscription]{
		Readable[bus.SubscriptionID, bus.Subscription]{c, "subscriptions"},
		func(s bus.Subscription) (bus.SubscriptionID, bus.Revision) { return s.ID, s.Revision },
	}}
}
