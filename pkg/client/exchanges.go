package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ExchangeQuery says which exchanges are wanted; what is empty does not limit.
type ExchangeQuery struct {
	Resource bus.ResourceID
	Status   bus.ExchangeStatus
	Fault    bus.Fault
	From, To time.Time // To is exclusive
}

// ExchangePage is a page of the operational record.
type ExchangePage struct {
	Items []bus.ExchangeRecord `json:"items"`
	Next  *int64               `json:"next,omitempty"` // leaf to go on after; absent: that was all
	Node  bus.NodeID           `json:"node"`           // whose evidence this is
}

// Exchanges yields the pages of the exchanges that the caller may look at, as the
// evidence of the node has them, the oldest first. A page can be empty.
func (c *Client) Exchanges(ctx context.Context, q ExchangeQuery) iter.Seq2[ExchangePage, error] {
	filter := map[string]string{
		"resource": string(q.Resource), "status": string(q.Status), "fault": string(q.Fault), "from": moment(q.From), "to": moment(q.To),
	}
	return leafPages(ctx, c, []string{"exchanges"}, filter, func(p ExchangePage) *int64 { return p.Next })
}

// leafPages yields the pages of what a node reads from its evidence; next is the leaf
// to go on after. What is empty in filter does not limit.
func leafPages[P any](ctx context.Context, c *Client, path []string, filter map[string]string, next func(P) *int64) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		query := given(filter)
		for {
			page, err := do[P](ctx, c, call{method: http.MethodGet, path: path, query: query})
			if !yield(page, err) || err != nil || next(page) == nil {
				return
			}
			query.Set("after", strconv.FormatInt(*next(page), 10))
		}
	}
}

// given are the parameters that say something.
func given(filter map[string]string) url.Values {
	query := url.Values{}
	for name, value := range filter {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}
