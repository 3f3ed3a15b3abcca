package client

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Grants are the consents to share (共享授权). They come of applications; what is
// put registers an agreement from before the bus (存量协议), by its reference. One is
// revoked, never deleted: the record of its use outlives it.
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

// Stop suspends a grant, orders a rectification or resumes it, by a reviewer of its
// provider or of the data authority. Data is held meanwhile; the reason is on file
// (decree 809 art. 27).
func (g Grants) Stop(ctx context.Context, id bus.GrantID, stop GrantStop) (bus.Grant, error) {
	return post[bus.Grant](ctx, g.c, call{path: g.at(id, "stop")}, stop)
}

// Revoke ends a grant: its provider and the data authority terminate it, its
// consumer gives it back. Once a node has applied that, nothing more leaves it
// under the grant. The reason is kept and shown to the consumer (decree 809 art. 27).
func (g Grants) Revoke(ctx context.Context, id bus.GrantID, reason string) (bus.Grant, error) {
	return post[bus.Grant](ctx, g.c, call{path: g.at(id, "revoke")}, Revocation{Reason: reason})
}
