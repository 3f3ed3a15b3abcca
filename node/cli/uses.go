package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) resourceUses(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	var q client.Inspection
	cmd := &cobra.Command{
		Use: "uses ID", Short: a.say("检查使用记录", "Inspect how a resource was used"), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Long: a.say("按本节点存证列出资源的使用记录，供提供部门及其上级数据主管部门检查；检查本身亦留存证。",
			"List how a resource was used, as the node's evidence has it, for the provider and the data authorities above it. The\ninspection is recorded too."),
		Example: "  gxbus resource uses enterprise-registration\n  gxbus resource uses enterprise-registration --from 2026-03-01 --to 2026-03-31 -o csv > uses.csv",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&q.Grant), "grant", "", a.say("仅此授权 `标识` 下的", "only those under the grant with this `id`"))
	flags.StringVar((*string)(&q.Consumer), "consumer", "", a.say("仅此部门（`统一社会信用代码`）的", "only those of the department with this `code`"))
	within := a.withinDays(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if q.From, q.To, err = within(cmd); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			var uses []bus.UseRecord
			var home bus.NodeID
			for page, err := range c.Uses(ctx, bus.ResourceID(args[0]), q) {
				if err != nil {
					return err
				}
				uses, home = append(uses, page.Items...), page.Home
			}
			if home != "" {
				a.notice("提供部门由节点 "+string(home)+" 服务，完整记录请连接该节点", "the provider is served by node "+string(home)+", which has the rest")
			}
			return printList(a, useColumns(a), uses)
		})(cmd, args)
	}
	return cmd
}

func useColumns(a *app) []column[bus.UseRecord] {
	return []column[bus.UseRecord]{
		{"at", "时间", func(u bus.UseRecord) string { return stamp(u.At) }},
		{"step", "步骤", func(u bus.UseRecord) string { return a.useStep(u.Step) }},
		{"action", "动作", func(u bus.UseRecord) string { return u.Action }},
		{"consumer", "使用方", func(u bus.UseRecord) string { return string(u.Consumer) }},
		{"system", "系统", func(u bus.UseRecord) string { return string(u.System) }},
		{"grant", "授权", func(u bus.UseRecord) string { return string(u.Grant) }},
		{"purpose", "用途", func(u bus.UseRecord) string { return string(u.Purpose) }},
		{"matter", "事项", func(u bus.UseRecord) string { return u.Matter }},
		{"case", "办件号", func(u bus.UseRecord) string { return u.Case }},
		{"basis", "使用依据", func(u bus.UseRecord) string { return u.Basis }},
		{"operator", "经办人代号", func(u bus.UseRecord) string { return u.Operator }},
		{"allowed", "准许", func(u bus.UseRecord) string {
			if u.Allowed {
				return a.say("是", "yes")
			}
			return a.say("否", "no")
		}},
		{"events", "条数", func(u bus.UseRecord) string { return sprint(u.Events) }},
		{"leaf", "存证序号", func(u bus.UseRecord) string { return sprint(u.Leaf) }},
	}
}

func (a *app) useStep(step string) string {
	return a.wordOf(map[string]string{"decision": "裁决", "forwarded": "送出", "delivered": "交付", "withheld": "扣留", "answered": "应答"}, step)
}
