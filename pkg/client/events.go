package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The caps of one publication request.
const (
	MaxBatchEvents = 1000
	MaxBatchBytes  = 8 << 20
)

const batchMedia = "application/cloudevents-batch+json"

// Publish sends events of a resource in order, in as many requests as the caps
// need, and returns a receipt for each that the node has made durable. On an
// error the receipts of the requests before it are returned with it. Publishing
// the same events again is safe: a second receipt says Duplicate.
func (c *Client) Publish(ctx context.Context, resource bus.ResourceID, events ...event.Event) ([]Receipt, error) {
	encoded := make([][]byte, len(events))
	for i, e := range events {
		var err error
		// Not json.Marshal: it would rewrite the data (compact it, escape < > &).
		if encoded[i], err = e.MarshalJSON(); err != nil || !json.Valid(encoded[i]) {
			return nil, bus.E(bus.CodeMalformedEvent, bus.Defect{Field: fmt.Sprintf("events[%d]", i),
				Problem: bus.Text{ZH: "事件无法编码", EN: "the event cannot be encoded"}}).Because(err)
		}
		if len(encoded[i])+2 > MaxBatchBytes {
			return nil, bus.E(bus.CodeTooLarge, bus.Defect{Field: fmt.Sprintf("events[%d]", i),
				Problem: bus.Text{ZH: "事件过大", EN: "the event is too large"}, Allowed: "1 MiB"})
		}
	}
	receipts := make([]Receipt, 0, len(events))
	for len(encoded) > 0 {
		n := fitting(encoded)
		answer, err := do[Receipts](ctx, c, call{
			method: http.MethodPost, path: []string{"resources", string(resource), "events"},
			media: batchMedia, body: batch(encoded[:n]),
		})
		if err != nil {
			return receipts, err
		}
		if len(answer.Receipts) != n {
			return receipts, fmt.Errorf("the node answered %d receipts for %d events", len(answer.Receipts), n)
		}
		receipts = append(receipts, answer.Receipts...)
		encoded = encoded[n:]
	}
	return receipts, nil
}

// fitting counts how many of the first events one request can carry.
func fitting(encoded [][]byte) int {
	size := 1 // "[", and a comma or "]" after each
	for n, e := range encoded {
		size += len(e) + 1
		if n == MaxBatchEvents || size > MaxBatchBytes {
			return n
		}
	}
	return len(encoded)
}

func batch(encoded [][]byte) []byte {
	body := append([]byte{'['}, bytes.Join(encoded, []byte{','})...)
	return append(body, ']')
}

// Pull returns up to limit events that wait in a subscription, 0 for the node's
// default, and the sequence number to acknowledge when they are processed. The
// same events come again until then. With no event last is 0.
func (c *Client) Pull(ctx context.Context, subscription bus.SubscriptionID, limit int) (events []event.Event, last uint64, err error) {
	return c.pull(ctx, subscription, limit, 0)
}

func (c *Client) pull(ctx context.Context, subscription bus.SubscriptionID, limit int, wait time.Duration) (events []event.Event, last uint64, err error) {
	query := url.Values{}
	if wait = min(wait, c.cfg.Timeout*3/4); wait > 0 { // the answer is to come before the attempt is given up
		query.Set("wait", strconv.Itoa(int(wait.Seconds())))
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	resp, err := c.send(ctx, call{
		method: http.MethodGet, path: []string{"subscriptions", string(subscription), "events"},
		query: query, header: http.Header{"Accept": {batchMedia}},
	})
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if err := decode(resp, &events); err != nil {
		return nil, 0, err
	}
	if len(events) == 0 {
		return nil, 0, nil
	}
	if last, err = strconv.ParseUint(resp.Header.Get(HeaderLast), 10, 64); err != nil {
		return nil, 0, fmt.Errorf("the node's answer has no usable %s: %w", HeaderLast, err)
	}
	return events, last, nil
}

// Await is Pull that waits for an event where none is there: as long as wait says, but
// 30 s and three quarters of Config.Timeout at most.
func (c *Client) Await(ctx context.Context, subscription bus.SubscriptionID, limit int, wait time.Duration) (events []event.Event, last uint64, err error) {
	return c.pull(ctx, subscription, limit, wait)
}

// Ack tells the node that all events of the subscription up to last are processed.
func (c *Client) Ack(ctx context.Context, subscription bus.SubscriptionID, last uint64) error {
	_, err := post[nothing](ctx, c, call{path: []string{"subscriptions", string(subscription), "ack"}}, Ack{Last: last})
	return err
}

// StreamedEvent is one of a stream, with the number that acknowledges it and all before.
type StreamedEvent struct {
	event.Event
	Number uint64
}

// Stream yields the events of a subscription as they come, the oldest that is not
// acknowledged first. It connects again whenever the connection breaks or the node ends
// it, and tells the node then up to which event its caller has gone on from, which
// acknowledges them: nothing is lost, and one may come twice. Ack acknowledges what the
// last connection brought. The last pair is an error: ctx's, or a refusal.
func (c *Client) Stream(ctx context.Context, id bus.SubscriptionID) iter.Seq2[StreamedEvent, error] {
	return watch(ctx, c, call{path: []string{"subscriptions", string(id), "stream"}, events: true}, Now, func(m message) (e StreamedEvent, err error) {
		if err := json.Unmarshal(m.data, &e.Event); err != nil || m.id == nil {
			return e, notUnderstood(err)
		}
		e.Number = uint64(*m.id)
		return e, nil
	})
}
