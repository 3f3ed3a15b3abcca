package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ResourceQuery looks for resources. The zero value lists all published ones.
type ResourceQuery struct {
	Words     string // all of them must be in a resource's name, items, abstract, provider or codes; no query language
	Divisions []bus.DivisionCode
	Levels    []bus.Level
	Providers []bus.USCC
	Sharing   []bus.SharingType
	Formats   []string
	Cycles    []string // of update
	Libraries []bus.LibraryID
	States    []bus.EntryState // published where empty
	Facets    []string         // what to count by: division, level, provider, sharing, format, update_cycle, library, state
	Sort      string           // relevance, id, name, published, code
	Limit     int              // on a page; 50 where 0, 1000 at most
	Cursor    string           // Next of the page before
}

// ResourcePage is a page of the resources that were found.
type ResourcePage struct {
	Items    []FoundResource  `json:"items"`
	Total    int              `json:"total" doc:"of all pages"`
	Facets   map[string]Facet `json:"facets,omitempty" doc:"how many have which value, of those found but for what was asked of this facet"`
	Next     string           `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
	Complete bool             `json:"complete" doc:"false where not everything is found yet: the index is being made anew, or has not caught up with an import"`
	Indexed  int              `json:"indexed" doc:"entries in the index"`
	Entries  int              `json:"entries" doc:"entries that will be in it"`
}

// FoundResource is a resource with its state, and where the words stand in it. Of
// one that is not published it is the draft.
type FoundResource struct {
	bus.Resource
	State      bus.EntryState  `json:"state"`
	Highlights []Highlight     `json:"highlights,omitempty"`
	Attachment *bus.Attachment `json:"attachment,omitempty"` // where it is, or was, bound to a system of its provider
}

// Highlight is a text of a resource in pieces: those with Hit were looked for.
type Highlight struct {
	Field string `json:"field"` // name, abstract, provider, items.<id>, codes
	Parts []Part `json:"parts"`
}

// Part is a piece of a text.
type Part struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit,omitempty"`
}

// Facet tells how many of the found resources have which value.
type Facet struct {
	Values []FacetValue `json:"values"`         // the commonest first
	More   int          `json:"more,omitempty"` // values that are not told
}

// FacetValue is a value with its count.
type FacetValue struct {
	Value string `json:"value"`
	Name  string `json:"name,omitempty"` // of a division, provider or library
	Count int    `json:"count"`
}

// Search returns a page of what q finds.
func (c *Client) Search(ctx context.Context, q ResourceQuery) (ResourcePage, error) {
	return do[ResourcePage](ctx, c, call{method: http.MethodGet, path: []string{"resources"}, query: q.values()})
}

func (q ResourceQuery) values() url.Values {
	v := url.Values{}
	one := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	one("q", q.Words)
	one("sort", q.Sort)
	one("cursor", q.Cursor)
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	many(v, "division", q.Divisions)
	many(v, "level", q.Levels)
	many(v, "provider", q.Providers)
	many(v, "sharing", q.Sharing)
	many(v, "format", q.Formats)
	many(v, "update_cycle", q.Cycles)
	many(v, "library", q.Libraries)
	many(v, "state", q.States)
	many(v, "facets", q.Facets)
	return v
}

func many[T ~string](v url.Values, name string, values []T) {
	for _, value := range values {
		v.Add(name, string(value))
	}
}

// Each yields all published resources that the caller may see, in the order of
// their ids, a page at a time. An error ends it; CodeUnavailable where the node's
// index has not caught up with its directory and not all of them would come.
func (r Resources) Each(ctx context.Context) iter.Seq2[bus.Resource, error] {
	return func(yield func(bus.Resource, error) bool) {
		q := ResourceQuery{Limit: 1000}
		for {
			page, err := r.c.Search(ctx, q)
			if err == nil && !page.Complete {
				err = bus.E(bus.CodeUnavailable, bus.Defect{
					Problem: bus.Text{ZH: "节点的目录索引尚未跟上", EN: "the node's index of the catalogue has not caught up yet"},
					Allowed: strconv.Itoa(page.Indexed) + " / " + strconv.Itoa(page.Entries),
				})
			}
			if err != nil {
				yield(bus.Resource{}, err)
				return
			}
			for _, found := range page.Items {
				if !yield(found.Resource, nil) {
					return
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return
			}
		}
	}
}

// List returns what Each yields.
func (r Resources) List(ctx context.Context) ([]bus.Resource, error) {
	var all []bus.Resource
	for one, err := range r.Each(ctx) {
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

// AccessQuery asks what a department may do with a resource.
type AccessQuery struct {
	Department bus.USCC // the caller's own where empty; an administrator names one
	Purposes   []bus.Purpose
	Matter     string
}

// Access explains what a department may do with a resource now, and for the rest
// which condition is missing and what can be done about it.
func (r Resources) Access(ctx context.Context, id bus.ResourceID, q AccessQuery) (bus.Access, error) {
	v := url.Values{}
	many(v, "purpose", q.Purposes)
	if q.Matter != "" {
		v.Set("matter", q.Matter)
	}
	if q.Department != "" {
		v.Set("department", string(q.Department))
	}
	return do[bus.Access](ctx, r.c, call{method: http.MethodGet, path: r.at(id, "access"), query: v})
}
