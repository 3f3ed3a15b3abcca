package client

import "github.com/gxbus/gxbus/pkg/bus"

// Resources are the data resources of the directory (数据资源).
func (c *Client) Resources() Removable[bus.ResourceID, bus.Resource] {
	return Removable[bus.ResourceID, bus.Resource]{Writable[bus.ResourceID, bus.Resource]{
		Readable[bus.ResourceID, bus.Resource]{c, "resources"},
		func(r bus.Resource) (bus.ResourceID, bus.Revision) { return r.ID, r.Revision },
	}}
}
