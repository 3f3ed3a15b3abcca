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

// Confirm lets suspended grants stand again, all of those named or none; security
// administrators only. One that is not suspended is passed over.
func (g Grants) Confirm(ctx context.Context, ids ...bus.GrantID) error {
	_, err := post[nothing](ctx, g.c, call{path: []string{"grants", "confirm"}}, Confirmation{Grants: ids})
	return err
}

// Revoke ends a grant. Once a node has applied that, nothing more leaves it
// under the grant. The reason is kept and shown to the consumer (decree 809 art. 27).
func (g Grants) Revoke(ctx context.Context, id bus.GrantID, reason string) (bus.Grant, error) {
	return post[bus.Grant](ctx, g.c, call{path: g.at(id, "revoke")}, Revocation{Reason: reason})
}
