package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Resources are the data resources of the directory (数据资源).
func (c *Client) Resources() Removable[bus.ResourceID, bus.Resource] {
	return Removable[bus.ResourceID, bus.Resource]{Writable[bus.ResourceID, bus.Resource]{
		Readable[bus.ResourceID, bus.Resource]{c, "resources"},
		func(r bus.Resource) (bus.ResourceID, bus.Revision) { return r.ID, r.Revision },
	}}
}

// EachResource yields all resources that the caller may see, in the order of
// their ids, a page at a time. An error ends it.
func (c *Client) EachResource(ctx context.Context) iter.Seq2[bus.Resource, error] {
	const pageSize = 500
	type page struct {
		Items []bus.Resource `json:"items"`
		Next  string         `json:"next"`
	}
	return func(yield func(bus.Resource, error) bool) {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for {
			p, err := do[page](ctx, c, call{method: http.MethodGet, path: []string{"resources"}, query: query})
			if err != nil {
				yield(bus.Resource{}, err)
				return
			}
			for _, r := range p.Items {
				if !yield(r, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			query.Set("after", p.Next)
		}
	}
}
