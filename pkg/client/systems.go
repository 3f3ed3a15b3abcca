package client

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Systems are the information systems of departments that call the bus (业务系统).
type Systems struct {
	Readable[bus.SystemID, bus.System]
}

// Systems returns the systems.
func (c *Client) Systems() Systems {
	return Systems{Readable[bus.SystemID, bus.System]{c, "systems"}}
}

// Put creates a system where Revision is 0, and then answers its bearer
// credential, once; otherwise it changes the system and Bearer is empty.
// SecretHash is the node's own: it is not sent.
func (s Systems) Put(ctx context.Context, system bus.System) (Credential, error) {
	system.SecretHash = nil
	return put[Credential](ctx, s.c, call{path: s.at(system.ID), dialOnly: true}, system.Revision, system)
}

// Rotate gives the system a new credential, shown once; the old one stops.
func (s Systems) Rotate(ctx context.Context, id bus.SystemID) (Credential, error) {
	return post[Credential](ctx, s.c, call{path: s.at(id, "credential"), dialOnly: true}, nothing{})
}
