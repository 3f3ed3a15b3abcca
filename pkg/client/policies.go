package client

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Policies are the policy layers of divisions and departments.
type Policies struct {
	Removable[bus.LayerID, bus.Layer]
}

// Policies returns the policy layers.
func (c *Client) Policies() Policies {
	return Policies{Removable[bus.LayerID, bus.Layer]{Writable[bus.LayerID, bus.Layer]{
		Readable[bus.LayerID, bus.Layer]{c, "policies"},
		func(l bus.Layer) (bus.LayerID, bus.Revision) { return l.ID, l.Revision },
	}}}
}

// Check compiles a layer on the node and runs its tests; nothing is stored.
// Put does the same first and fails with CodePolicyRefused.
func (p Policies) Check(ctx context.Context, layer bus.Layer) (bus.LayerReport, error) {
	return post[bus.LayerReport](ctx, p.c, call{path: []string{p.noun, "check"}}, layer)
}
