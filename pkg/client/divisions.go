package client

import "github.com/gxbus/gxbus/pkg/bus"

// Divisions are the administrative divisions (行政区划). Their name and data
// authority can be put.
func (c *Client) Divisions() Writable[bus.DivisionCode, bus.Division] {
	return Writable[bus.DivisionCode, bus.Division]{
		Readable[bus.DivisionCode, bus.Division]{c, "divisions"},
		func(d bus.Division) (bus.DivisionCode, bus.Revision) { return d.Code, d.Revision },
	}
}
