package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) departmentCommand() *cobra.Command {
	w := departments()
	return a.group("department", "政务部门", "Government departments",
		w.list(a), w.show(a), w.putCommand(a), remove(a, w, (*client.Client).Departments), a.moveDepartment(w))
}

func departments() writer[bus.USCC, bus.Department] {
	return writer[bus.USCC, bus.Department]{
		noun: noun[bus.USCC, bus.Department]{
			zh: "部门", en: "department", example: "11440000006939561H",
			columns: []column[bus.Department]{
				{"id", "统一社会信用代码", func(d bus.Department) string { return string(d.ID) }},
				{"name", "名称", func(d bus.Department) string { return d.Name }},
				{"division", "行政区划", func(d bus.Department) string { return string(d.Division) }},
				{"node", "节点", func(d bus.Department) string { return string(d.Node) }},
				{"revision", "修订号", func(d bus.Department) string { return sprint(d.Revision) }},
			},
			details: []column[bus.Department]{
				{"moving_to", "正迁往", func(d bus.Department) string {
					if d.Move == nil {
						return ""
					}
					return string(d.Move.To)
				}},
				{"epoch", "迁入序号", func(d bus.Department) string { return sprint(d.Epoch) }},
			},
			entries: func(c *client.Client) client.Readable[bus.USCC, bus.Department] { return c.Departments().Readable },
		},
		check: bus.Department.Check,
		name:  func(d *bus.Department) (bus.USCC, *bus.Revision) { return d.ID, &d.Revision },
		put: func(ctx context.Context, c *client.Client, d bus.Department) (bus.Department, error) {
			return c.Departments().Put(ctx, d)
		},
	}
}
