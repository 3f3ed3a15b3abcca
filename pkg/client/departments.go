package client

import "github.com/gxbus/gxbus/pkg/bus"

// Departments are the government departments (部门).
func (c *Client) Departments() Removable[bus.USCC, bus.Department] {
	return Removable[bus.USCC, bus.Department]{Writable[bus.USCC, bus.Department]{
		Readable[bus.USCC, bus.Department]{c, "departments"},
		func(d bus.Department) (bus.USCC, bus.Revision) { return d.ID, d.Revision },
	}}
}
