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

// ChangeNode takes a step of a node, or with DryRun says what the quorum would be.
// CodeQuorum names what is in the way.
func (c *Client) ChangeNode(ctx context.Context, id bus.NodeID, step bus.Step, in NodeChange) (NodeChanged, error) {
	return post[NodeChanged](ctx, c, call{path: []string{"nodes", string(id), string(step)}}, in)
}

// TransferLeadership hands the directory's lead over to a voter, to any where to
// is empty.
func (c *Client) TransferLeadership(ctx context.Context, to bus.NodeID) error {
	_, err := post[nothing](ctx, c, call{path: []string{"leadership"}}, Transfer{To: to})
	return err
}

// AssignDivision makes a node that of one more division, which has none yet.
func (c *Client) AssignDivision(ctx context.Context, id bus.NodeID, division bus.DivisionCode) error {
	_, err := post[nothing](ctx, c, call{path: []string{"nodes", string(id), "divisions"}}, Assignment{Division: division})
	return err
}

// Authority tells which roots the nodes trust, and who is certified under which.
func (c *Client) Authority(ctx context.Context) (Authority, error) {
	return do[Authority](ctx, c, call{method: http.MethodGet, path: []string{"ca"}})
}

// RotateCA begins to replace the root; its key is made on the node to, on the
// present holder where that is empty.
func (c *Client) RotateCA(ctx context.Context, to bus.NodeID) (Authority, error) {
	return post[Authority](ctx, c, call{path: []string{"ca", "rotate"}, dialOnly: true}, Rotation{To: to})
}

// RetireCA ends the trust in the older root. Unless forced it is CodeInUse while a
// node is certified under that.
func (c *Client) RetireCA(ctx context.Context, force bool) (Authority, error) {
	return post[Authority](ctx, c, call{path: []string{"ca", "retire"}}, Retirement{Force: force})
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
