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
	Resource   bus.ResourceID
	Mode       bus.ExchangeMode
	Status     bus.ExchangeStatus
	Fault      bus.Fault
	Department bus.USCC // on either side
	Grant      bus.GrantID
	Case       string    // 办件号
	Trace      string    // W3C trace id
	From, To   time.Time // of the leaf that tells it; To is exclusive
	Here       bool      // as the evidence of the node asked alone has them
	Limit      int       // records of a page; 0: 100
}

// ExchangePage is a page of the operational record.
type ExchangePage struct {
	Items  []bus.ExchangeRecord `json:"items"`
	Silent []bus.NodeID         `json:"silent,omitempty"` // nodes that did not answer: what only they have on record is not here
	Next   string               `json:"next,omitempty"`   // page to go on with; empty: that was all
}

// Exchanges yields the pages of the exchanges that the caller may look at, as the
// evidence of all nodes has them, in the order in which they were put on record. A page
// can be empty. A node that did not answer for one page is left out of those that follow,
// and stays in Silent. CodeWrongNode where the node asked cannot speak for the caller to
// the others: an auditor asks a voter, or with Here.
func (c *Client) Exchanges(ctx context.Context, q ExchangeQuery) iter.Seq2[ExchangePage, error] {
	filter := map[string]string{
		"resource": string(q.Resource), "mode": string(q.Mode), "status": string(q.Status), "fault": string(q.Fault), "department": string(q.Department),
		"grant": string(q.Grant), "case": q.Case, "trace": q.Trace, "from": moment(q.From), "to": moment(q.To),
	}
	if q.Here {
		filter["here"] = "true"
	}
	if q.Limit > 0 {
		filter["limit"] = strconv.Itoa(q.Limit)
	}
	return nextPages(ctx, c, []string{"exchanges"}, filter, func(p ExchangePage) string { return p.Next })
}

// nextPages yields the pages of a list of which each names the next. What is empty in
// filter does not limit.
func nextPages[P any](ctx context.Context, c *Client, path []string, filter map[string]string, next func(P) string) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		query := given(filter)
		for {
			page, err := do[P](ctx, c, call{method: http.MethodGet, path: path, query: query})
			if !yield(page, err) || err != nil || next(page) == "" {
				return
			}
			query.Set("page", next(page))
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
