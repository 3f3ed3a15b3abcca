package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) divisionCommand() *cobra.Command {
	n := noun[bus.DivisionCode, bus.Division]{
		zh: "行政区划", en: "division", example: "440100",
		columns: []column[bus.Division]{
			{"code", "代码", func(d bus.Division) string { return string(d.Code) }},
			{"name", "名称", func(d bus.Division) string { return d.Name }},
			{"level", "层级", func(d bus.Division) string { return string(d.Level) }},
			{"parent", "上级", func(d bus.Division) string { return string(d.Parent) }},
			{"authority", "数据主管部门", func(d bus.Division) string { return string(d.Authority) }},
		},
		entries: func(c *client.Client) client.Readable[bus.DivisionCode, bus.Division] { return c.Divisions().Readable },
	}
	return a.group("division", "行政区划及其数据主管部门", "Administrative divisions and their data authorities",
		n.list(a), n.show(a), a.setAuthority(n))
}

func (a *app) setAuthority(n noun[bus.DivisionCode, bus.Division]) *cobra.Command {
	return &cobra.Command{
		Use: "set-authority CODE DEPARTMENT", Short: a.say("指定区划的数据主管部门", "Name the data authority of a division"), Args: a.exactly("CODE", "DEPARTMENT"),
		Long: a.say("指定一个行政区划的数据主管部门：由其审核本区划各部门的目录，下级区划未指定的一并由其审核。",
			"Name the department that reviews the catalogue entries of a division, and of those below it that have no authority of\ntheir own."),
		Example:           "  gxbus division set-authority 440100 11440000006939561H",
		ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			d, err := c.Divisions().Read(ctx, bus.DivisionCode(args[0]))
			if err != nil {
				return err
			}
			d.Authority = bus.USCC(args[1])
			if d, err = c.Divisions().Put(ctx, d); err != nil {
				return err
			}
			return printOne(a, n.columns, d)
		}),
	}
}
