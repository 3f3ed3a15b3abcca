package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Each yields all resources that the caller may see, in the order of their ids,
// a page at a time. An error ends it.
func (r Resources) Each(ctx context.Context) iter.Seq2[bus.Resource, error] {
	const pageSize = 500
	type page struct {
		Items []bus.Resource `json:"items"`
		Next  string         `json:"next"`
	}
	return func(yield func(bus.Resource, error) bool) {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for {
			p, err := do[page](ctx, r.c, call{method: http.MethodGet, path: []string{"resources"}, query: query})
			if err != nil {
				yield(bus.Resource{}, err)
				return
			}
			for _, one := range p.Items {
				if !yield(one, nil) {
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
