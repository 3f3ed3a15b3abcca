package client

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Grants are the consents to share (共享授权). One is revoked, never deleted:
// the record of its use outlives it.
type Grants struct {
	Writable[bus.GrantID, bus.Grant]
}

// Grants returns the grants.
func (c *Client) Grants() Grants {
	return Grants{Writable[bus.GrantID, bus.Grant]{
		Readable[bus.GrantID, bus.Grant]{c, "grants"},
		func(g bus.Grant) (bus.GrantID, bus.Revision) { return g.ID, g.Revision },
	}}
}

// Revoke ends a grant. Once a node has applied that, nothing more leaves it
// under the grant. The reason is kept and shown to the consumer (decree 809 art. 27).
func (g Grants) Revoke(ctx context.Context, id bus.GrantID, reason string) (bus.Grant, error) {
	return post[bus.Grant](ctx, g.c, call{path: g.at(id, "revoke")}, Revocation{Reason: reason})
}
