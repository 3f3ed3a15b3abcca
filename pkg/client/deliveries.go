package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Deliveries is what has become of one event.
type Deliveries struct {
	Event      string         `json:"event"`            // CloudEvents id
	Source     string         `json:"source,omitempty"` // not known any more where the event itself has gone
	Resource   bus.ResourceID `json:"resource"`
	Sequence   uint64         `json:"sequence"`
	Deliveries []bus.Delivery `json:"deliveries"` // to each subscription that it is for
}

// Deliveries tells how far an event has come to each of its subscriptions; its
// provider's systems and accounts and administrators ask, at the provider's node.
// source may be empty where only one source has the id.
func (c *Client) Deliveries(ctx context.Context, eventID, source string) ([]Deliveries, error) {
	query := url.Values{}
	if source != "" {
		query.Set("source", source)
	}
	list, err := do[items[Deliveries]](ctx, c, call{method: http.MethodGet, path: []string{"events", eventID, "deliveries"}, query: query})
	return list.Items, err
}
