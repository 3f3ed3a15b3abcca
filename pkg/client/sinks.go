package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// DeadLetterPage is some of the dead letters of a subscription, oldest first.
type DeadLetterPage struct {
	Items []bus.DeadLetter `json:"items"`
	Next  string           `json:"next,omitempty"` // the page that follows; none where it is empty
}

// PutSink has the events of a subscription taken to a webhook. What it answers says
// whether the endpoint allows that; an inactive sink is put again once it does.
func (s Subscriptions) PutSink(ctx context.Context, id bus.SubscriptionID, sink bus.Sink) (bus.SinkState, error) {
	call, err := call{method: http.MethodPut, path: s.at(id, "sink")}.withJSON(sink)
	if err != nil {
		return bus.SinkState{}, err
	}
	return do[bus.SinkState](ctx, s.c, call)
}

// Sink shows the webhook of a subscription, without its secrets, and the attempts at
// the event that is tried again.
func (s Subscriptions) Sink(ctx context.Context, id bus.SubscriptionID) (bus.SinkState, error) {
	return do[bus.SinkState](ctx, s.c, call{method: http.MethodGet, path: s.at(id, "sink")})
}

// DeleteSink ends the deliveries to a webhook: what waits is pulled again.
func (s Subscriptions) DeleteSink(ctx context.Context, id bus.SubscriptionID) error {
	_, err := do[nothing](ctx, s.c, call{method: http.MethodDelete, path: s.at(id, "sink")})
	return err
}

// DeadLetters are the events of a subscription that its webhook did not take after all
// attempts, oldest first.
func (s Subscriptions) DeadLetters(ctx context.Context, id bus.SubscriptionID) ([]bus.DeadLetter, error) {
	var all []bus.DeadLetter
	for page, err := range nextPages(ctx, s.c, s.at(id, "dead-letters"), nil, func(p DeadLetterPage) string { return p.Next }) {
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
	}
	return all, nil
}

// DeadLetter shows one, with every attempt and why it failed.
func (s Subscriptions) DeadLetter(ctx context.Context, id bus.SubscriptionID, number uint64) (bus.DeadLetter, error) {
	return do[bus.DeadLetter](ctx, s.c, call{method: http.MethodGet, path: s.at(id, "dead-letters", strconv.FormatUint(number, 10))})
}

// Redrive has a dead letter delivered after all. It is decided on again.
func (s Subscriptions) Redrive(ctx context.Context, id bus.SubscriptionID, number uint64) error {
	_, err := do[nothing](ctx, s.c, call{method: http.MethodPost, path: s.at(id, "dead-letters", strconv.FormatUint(number, 10), "redrive")})
	return err
}

// Discard forgets a dead letter for good, on record.
func (s Subscriptions) Discard(ctx context.Context, id bus.SubscriptionID, number uint64) error {
	_, err := do[nothing](ctx, s.c, call{method: http.MethodDelete, path: s.at(id, "dead-letters", strconv.FormatUint(number, 10))})
	return err
}
