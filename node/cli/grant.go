package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) grantCommand() *cobra.Command {
	w := grants()
	return a.group("grant", "共享授权", "Consents to share",
		w.list(a), w.show(a), a.createGrant(w), a.confirmGrants(w), a.revokeGrant(w))
}

func grants() writer[bus.GrantID, bus.Grant] {
	return writer[bus.GrantID, bus.Grant]{
		noun: noun[bus.GrantID, bus.Grant]{
			zh: "授权", en: "grant", example: "tianhe-registration",
			columns: []column[bus.Grant]{
				{"id", "标识", func(g bus.Grant) string { return string(g.ID) }},
				{"resource", "数据资源", func(g bus.Grant) string { return string(g.Resource) }},
				{"consumer", "使用部门", func(g bus.Grant) string { return string(g.Consumer) }},
				{"purposes", "使用用途", func(g bus.Grant) string { return listed(g.Purposes) }},
				{"not_after", "截止时间", func(g bus.Grant) string { return stamp(g.NotAfter) }},
				{"suspended", "暂停原因", func(g bus.Grant) string { return g.Suspended }},
				{"revoked", "撤销原因", func(g bus.Grant) string { return g.Revoked }},
				{"revision", "修订号", func(g bus.Grant) string { return sprint(g.Revision) }},
			},
			details: []column[bus.Grant]{
				{"items", "信息项", func(g bus.Grant) string { return listed(g.Items) }},
				{"matters", "事项", func(g bus.Grant) string { return listed(g.Matters) }},
				{"not_before", "起始时间", func(g bus.Grant) string { return stamp(g.NotBefore) }},
			},
			entries: func(c *client.Client) client.Readable[bus.GrantID, bus.Grant] { return c.Grants().Readable },
		},
		check: bus.Grant.Check,
		name:  func(g *bus.Grant) (bus.GrantID, *bus.Revision) { return g.ID, &g.Revision },
		put: func(ctx context.Context, c *client.Client, g bus.Grant) (bus.Grant, error) {
			return c.Grants().Put(ctx, g)
		},
	}
}

func (a *app) createGrant(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	var g bus.Grant
	var purposes, items []string
	var from, until string
	create := creation[bus.GrantID, bus.Grant]{
		writer: w,
		example: "  gxbus grant create tianhe-registration --resource enterprise-registration --consumer 11440000006939561H \\\n" +
			"      --purpose verification --item name --item uscc --until 2027-12-31\n  gxbus grant create -f grant.yaml",
		needed: []string{"resource", "consumer", "purpose", "item", "until"},
	}
	cmd := create.command(a, func(cmd *cobra.Command, id string) (bus.Grant, error) {
		g.ID, g.Purposes, g.Items = bus.GrantID(id), typed[bus.Purpose](purposes), typed[bus.ItemID](items)
		g.NotBefore = a.Now()
		var err error
		if from != "" {
			if g.NotBefore, err = a.day(cmd, "from", from, 0); err != nil {
				return g, err
			}
		}
		g.NotAfter, err = a.day(cmd, "until", until, 1)
		return g, err
	})
	flags := cmd.Flags()
	flags.StringVar((*string)(&g.Resource), "resource", "", a.say("数据资源 `标识`", "`id` of the resource"))
	flags.StringVar((*string)(&g.Consumer), "consumer", "", a.say("使用部门的统一社会信用 `代码`", "consumer's unified social credit `code`"))
	flags.StringSliceVar(&purposes, "purpose", nil, a.say("使用用途，可多个：administrative-basis、reference、verification、collaboration",
		"purpose, repeatable: administrative-basis, reference, verification, collaboration"))
	flags.StringSliceVar(&items, "item", nil, a.say("授权的信息项，可多个", "item that is granted, repeatable"))
	flags.StringSliceVar(&g.Matters, "matter", nil, a.say("限定的事项编码，可多个", "matter code it is limited to, repeatable"))
	flags.StringVar(&from, "from", "", a.say("起始 `日期`（含），缺省为现在", "first `day`, now where left out"))
	flags.StringVar(&until, "until", "", a.say("截止 `日期`（含）或 RFC 3339 时间", "last `day`, or a time in RFC 3339"))
	return cmd
}

func (a *app) revokeGrant(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke ID --reason TEXT", Short: a.say("撤销一项授权", "Revoke a grant"), Args: a.exactly("ID"),
		Long: a.say("撤销一项授权。节点收到撤销后，该授权下的数据不再送出。原因将存档并告知使用部门。",
			"Revoke a grant. Once a node has applied it, nothing more leaves that node under the grant.\nThe reason is kept on file and shown to the consumer."),
		Example:           "  gxbus grant revoke tianhe-registration --reason '事项已取消'",
		ValidArgsFunction: w.complete(a),
	}
	cmd.Flags().StringVar(&reason, "reason", "", a.say("撤销 `原因`", "why, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "reason"); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			g, err := c.Grants().Revoke(ctx, bus.GrantID(args[0]), reason)
			if err != nil {
				return err
			}
			return printOne(a, w.columns, g)
		})(cmd, args)
	}
	return cmd
}

// china is the zone that the law's days are in (Asia/Shanghai, no summer time).
var china = time.FixedZone("UTC+8", 8*60*60)

// day reads a date, moved on by days, at midnight in China; or a time in RFC 3339 as it is.
func (a *app) day(cmd *cobra.Command, flag, value string, days int) (time.Time, error) {
	if at, err := time.ParseInLocation(time.DateOnly, value, china); err == nil {
		return at.AddDate(0, 0, days), nil
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return at, a.usage(cmd, "--"+flag+" 不是日期："+value+"（例：2027-12-31）", "--"+flag+" is not a date: "+value+" (such as 2027-12-31)")
	}
	return at, nil
}

// stamp gives a time for people.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(china).Format("2006-01-02 15:04:05")
}

func typed[T ~string](words []string) []T {
	values := make([]T, len(words))
	for i, w := range words {
		values[i] = T(w)
	}
	return values
}
