package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Status returns the state of the bus as this node sees it; with hash also the
// digest of its directory state, which costs the node a walk over all of it.
func (c *Client) Status(ctx context.Context, hash bool) (Status, error) {
	query := url.Values{}
	if hash {
		query.Set("hash", "true")
	}
	return do[Status](ctx, c, call{method: http.MethodGet, path: []string{"status"}, query: query})
}

// Version returns the node's release.
func (c *Client) Version(ctx context.Context) (string, error) {
	answer, err := do[struct {
		Version string `json:"version"`
	}](ctx, c, call{method: http.MethodGet, path: []string{"version"}})
	return answer.Version, err
}

// Nodes returns the members of the bus.
func (c *Client) Nodes(ctx context.Context) ([]bus.Node, error) {
	return Readable[bus.NodeID, bus.Node]{c, "nodes"}.List(ctx)
}

// CreateToken makes a join token (入网令牌) for one node, shown once.
func (c *Client) CreateToken(ctx context.Context, in TokenRequest) (JoinToken, error) {
	return post[JoinToken](ctx, c, call{path: []string{"tokens"}, dialOnly: true}, in)
}

// Join redeems a join token. It may be repeated with the same key: a token
// stays bound to the key that redeemed it.
func (c *Client) Join(ctx context.Context, in JoinRequest) (JoinAnswer, error) {
	return post[JoinAnswer](ctx, c, call{path: []string{"join"}}, in)
}
