package client

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Consistent returns a client whose reads show every write that was acknowledged
// anywhere before them. They need a leader: CodeNoLeader without one.
func (c *Client) Consistent() *Client {
	other := *c
	other.consistent = true
	return &other
}

// AtLeast returns a client whose reads show the directory at index or later. The
// node waits up to ten seconds until it can, then answers CodeUnavailable. With
// Written of another client it is how to read, at any node, what was written.
func (c *Client) AtLeast(index bus.Revision) *Client {
	other := *c
	other.atLeast = index
	return &other
}

// Written is the newest directory index that an answer to a write of this client,
// or of one made from it, has told; 0 before the first.
func (c *Client) Written() bus.Revision { return bus.Revision(c.written.Load()) }

// wrote keeps the newest index that writes were answered with.
func (c *Client) wrote(answered http.Header) {
	index, err := strconv.ParseUint(answered.Get(HeaderIndex), 10, 64)
	for have := c.written.Load(); err == nil && index > have && !c.written.CompareAndSwap(have, index); {
		have = c.written.Load()
	}
}

// freshness is what the client's reads ask for.
func (c *Client) freshness(query url.Values) url.Values {
	if !c.consistent && c.atLeast == 0 {
		return query
	}
	asked := url.Values{}
	maps.Copy(asked, query)
	if c.consistent {
		asked.Set(QueryConsistent, "true")
	}
	if c.atLeast > 0 {
		asked.Set(QueryMinIndex, strconv.FormatUint(uint64(c.atLeast), 10))
	}
	return asked
}
