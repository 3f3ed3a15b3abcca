package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) grantCommand() *cobra.Command {
	w := grants(a)
	return a.group("grant", "共享授权", "Consents to share",
		w.list(a), w.show(a), a.createGrant(w), a.renewGrant(w), a.suspendGrant(w), a.rectifyGrant(w), a.resumeGrant(w), a.revokeGrant(w), a.confirmGrants(w))
}

func grants(a *app) writer[bus.GrantID, bus.Grant] {
	return writer[bus.GrantID, bus.Grant]{
		noun: noun[bus.GrantID, bus.Grant]{
			zh: "授权", en: "grant", example: "tianhe-registration",
			columns: []column[bus.Grant]{
				{"id", "标识", func(g bus.Grant) string { return string(g.ID) }},
				{"resource", "数据资源", func(g bus.Grant) string { return string(g.Resource) }},
				{"consumer", "使用部门", func(g bus.Grant) string { return string(g.Consumer) }},
				{"purposes", "使用用途", func(g bus.Grant) string { return listed(g.Purposes) }},
				{"not_after", "截止时间", func(g bus.Grant) string { return stamp(g.NotAfter) }},
				{"state", "状态", func(g bus.Grant) string { return a.grantState(g) }},
				{"suspended", "暂停原因", func(g bus.Grant) string { return g.Suspended }},
				{"revoked", "撤销原因", func(g bus.Grant) string { return g.Revoked }},
				{"revision", "修订号", func(g bus.Grant) string { return sprint(g.Revision) }},
			},
			details: []column[bus.Grant]{
				{"items", "信息项", func(g bus.Grant) string { return listed(g.Items) }},
				{"matters", "事项", func(g bus.Grant) string { return listed(g.Matters) }},
				{"division", "行政区划", func(g bus.Grant) string { return string(g.Division) }},
				{"not_before", "起始时间", func(g bus.Grant) string { return stamp(g.NotBefore) }},
				{"agreement", "存量协议", func(g bus.Grant) string { return g.Agreement }},
				{"application", "共享申请", func(g bus.Grant) string {
					if g.Consent == nil {
						return ""
					}
					return string(g.Consent.Application)
				}},
				{"range", "共享范围", func(g bus.Grant) string {
					if g.Consent == nil {
						return ""
					}
					return g.Consent.Range
				}},
				{"delivery_due", "供数期限", func(g bus.Grant) string {
					if g.Shown == nil {
						return ""
					}
					return a.deadline(g.Shown.Delivery)
				}},
				{"delivered", "首次供数", func(g bus.Grant) string {
					if g.Delivered == nil {
						return ""
					}
					return stamp(*g.Delivered)
				}},
				{"rectification_due", "整改期限", func(g bus.Grant) string {
					if g.Shown == nil {
						return ""
					}
					return a.deadline(g.Shown.Rectification)
				}},
				{"stops", "备案", func(g bus.Grant) string { return a.stops(g.Stops) }},
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

var grantStates = map[string]string{
	string(bus.GrantWaiting): "未生效", string(bus.GrantInForce): "有效", string(bus.GrantSuspended): "已暂停",
	string(bus.GrantRectifying): "限期整改", string(bus.GrantTerminated): "已终止", string(bus.GrantExpired): "已到期",
}

var grantSteps = map[string]string{
	string(bus.GrantSuspend): "暂停", string(bus.GrantRectify): "限期整改", string(bus.GrantResume): "恢复",
	string(bus.GrantTerminate): "终止", string(bus.GrantGiveBack): "退回",
}

func (a *app) grantState(g bus.Grant) string {
	if g.Shown == nil {
		return ""
	}
	text := a.named(grantStates, string(g.Shown.State))
	if g.Shown.Expiring && a.output != "csv" {
		text += a.say("（即将到期）", " (ends soon)")
	}
	return text
}

// stops lists what was filed about a grant.
func (a *app) stops(stops []bus.Stop) string {
	lines := make([]string, len(stops))
	for i, s := range stops {
		lines[i] = stamp(s.At) + " " + a.named(grantSteps, string(s.Step)) + " " + who(s.By) + ": " + s.Reason
	}
	return strings.Join(lines, "; ")
}

func (a *app) createGrant(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	var g bus.Grant
	var purposes, items []string
	var from, until string
	create := creation[bus.GrantID, bus.Grant]{
		writer: w,
		example: "  gxbus grant create tianhe-registration --resource enterprise-registration --consumer 11440000006939561H \\\n" +
			"      --agreement '穗数共享〔2024〕12 号' --purpose verification --item name --item uscc --until 2027-12-31\n  gxbus grant create -f grant.yaml",
		needed: []string{"resource", "consumer", "agreement", "purpose", "item", "until"},
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
	cmd.Short = a.say("登记一项存量共享协议", "Register a sharing agreement from before the bus")
	cmd.Long = a.say("登记总线启用之前已有的共享协议，使其不因换用平台而中断。新的共享请提出申请（gxbus application）。由安全管理员或数据主管部门的审核人办理。",
		"Register a sharing agreement that was there before the bus, so that it goes on. For anything new there is the application (gxbus application).\nA security administrator or a reviewer of the data authority does.")
	flags := cmd.Flags()
	flags.StringVar(&g.Agreement, "agreement", "", a.say("协议 `文号`", "`reference` of the agreement"))
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
		Use: "revoke ID --reason TEXT", Short: a.say("终止一项授权", "End a grant"), Args: a.exactly("ID"), Aliases: []string{"terminate"},
		Long: a.say("终止一项授权：提供部门或数据主管部门终止，使用部门退回。节点收到后，该授权下的数据不再送出。原因将存档备案并告知使用部门。",
			"End a grant: its provider or the data authority terminates it, its consumer gives it back. Once a node has applied it, nothing more\nleaves that node under the grant. The reason is on file and shown to the consumer."),
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

// withinDays gives a command the flags --from and --to, both days inclusive. What it
// returns reads them once they are parsed: zero where one was left out, and the end is
// the midnight after the last day.
func (a *app) withinDays(cmd *cobra.Command) func(*cobra.Command) (from, to time.Time, err error) {
	var first, last string
	cmd.Flags().StringVar(&first, "from", "", a.say("起始 `日期`", "first `day`"))
	cmd.Flags().StringVar(&last, "to", "", a.say("截止 `日期`（含当日）", "last `day`"))
	return func(cmd *cobra.Command) (from, to time.Time, err error) {
		if first != "" {
			if from, err = a.day(cmd, "from", first, 0); err != nil {
				return from, to, err
			}
		}
		if last != "" {
			to, err = a.day(cmd, "to", last, 1)
		}
		return from, to, err
	}
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
