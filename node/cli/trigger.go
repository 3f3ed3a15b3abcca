package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) triggerCommand() *cobra.Command {
	return a.group("trigger", "目录更新事由及期限", "What makes changes of catalogue entries due",
		a.listTriggers(), a.showTrigger(), a.extendTrigger(), a.consentTrigger())
}

func triggerColumns(a *app) []column[bus.Trigger] {
	return []column[bus.Trigger]{
		{"resource", "数据资源", func(t bus.Trigger) string { return string(t.Resource) }},
		{"number", "序号", func(t bus.Trigger) string { return sprint(t.Number) }},
		{"kind", "事由", func(t bus.Trigger) string { return string(t.Kind) }},
		{"at", "发生日期", func(t bus.Trigger) string { return t.At.In(china).Format("2006-01-02") }},
		{"due", "期限", func(t bus.Trigger) string { return a.deadline(t.Deadline) }},
		{"met", "提交时间", func(t bus.Trigger) string {
			if t.Met == nil {
				return ""
			}
			return stamp(*t.Met)
		}},
		{"extension", "延期", func(t bus.Trigger) string { return a.extension(t.Extension) }},
	}
}

func (a *app) extension(e *bus.Extension) string {
	switch {
	case e == nil:
		return ""
	case e.Consent == nil:
		return a.say(sprint(e.Days, " 个工作日，待同意"), sprint(e.Days, " working days, not answered"))
	case e.Consent.Approved:
		return a.say(sprint(e.Days, " 个工作日，已同意"), sprint(e.Days, " working days, consented to"))
	default:
		return a.say("未同意", "not consented to")
	}
}

// deadline gives the last day of a term, with what is to be said of it.
func (a *app) deadline(d *bus.Deadline) string {
	if d == nil {
		return ""
	}
	text := d.Due.Add(-1).In(china).Format("2006-01-02")
	if d.Estimated {
		text += a.say("（暂估）", " (estimated)")
	}
	if d.Overdue {
		text += a.say("（逾期）", " (overdue)")
	}
	return text
}

func (a *app) listTriggers() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("列出更新事由", "List the triggers"), Args: a.exactly(), Example: "  gxbus trigger list",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			found, err := c.Triggers().List(ctx)
			if err != nil {
				return err
			}
			return printList(a, triggerColumns(a), found)
		}),
	}
}

func (a *app) showTrigger() *cobra.Command {
	details := []column[bus.Trigger]{
		{"description", "说明", func(t bus.Trigger) string { return t.Description }},
		{"by", "登记", func(t bus.Trigger) string { return who(t.By) }},
	}
	return &cobra.Command{
		Use: "show RESOURCE N", Short: a.say("显示一项更新事由", "Show a trigger"), Args: a.exactly("RESOURCE", "N"),
		Example: "  gxbus trigger show enterprise-registration 1",
		RunE: a.onTrigger(func(_ context.Context, _ *client.Client, t bus.Trigger) (bus.Trigger, error) {
			return t, nil
		}, details...),
	}
}

// onTrigger makes the body of a command that acts on one trigger and shows it.
func (a *app) onTrigger(act func(context.Context, *client.Client, bus.Trigger) (bus.Trigger, error), details ...column[bus.Trigger]) func(*cobra.Command, []string) error {
	return a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
		number, err := a.number(cmd, args[1])
		if err != nil {
			return err
		}
		t, err := c.Triggers().Read(ctx, bus.ResourceID(args[0]), number)
		if err != nil {
			return err
		}
		if t, err = act(ctx, c, t); err != nil {
			return err
		}
		return printOne(a, append(triggerColumns(a), details...), t)
	})
}

func (a *app) recordTrigger(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	var r client.TriggerRecord
	var at string
	cmd := &cobra.Command{
		Use: "trigger ID --kind KIND --at DATE --description TEXT", Short: a.say("登记目录更新事由", "Record what makes a change of the entry due"),
		Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Long: a.say("登记使目录须更新的事由：自发生之日起 10 个工作日内提交更新，经主管部门同意可延长至多 5 个工作日。提交编制稿即为办结。",
			"Record something that makes a change of the entry due: within 10 working days of when it happened, and up to 5 more if the\ndata authority consents. It is met when a draft is submitted."),
		Example: "  gxbus resource trigger enterprise-registration --kind law --at 2026-03-02 --description '登记条例修改'",
	}
	cmd.Flags().StringVar((*string)(&r.Kind), "kind", "", a.say("`事由`：law 法律法规规章修改、duty 职责变化、system 系统或数据变化、other", "`kind`: law, duty, system, other"))
	cmd.Flags().StringVar(&at, "at", "", a.say("发生 `日期`", "`day` when it happened"))
	cmd.Flags().StringVar(&r.Description, "description", "", a.say("`说明`", "what happened, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "kind", "at", "description"); err != nil {
			return err
		}
		var err error
		if r.At, err = a.day(cmd, "at", at, 0); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			t, err := c.Triggers().Record(ctx, bus.ResourceID(args[0]), r)
			if err != nil {
				return err
			}
			return printOne(a, triggerColumns(a), t)
		})(cmd, args)
	}
	return cmd
}

func (a *app) extendTrigger() *cobra.Command {
	var r client.ExtensionRequest
	cmd := &cobra.Command{
		Use: "extend RESOURCE N --days DAYS --reason TEXT", Short: a.say("到期前申请延期", "Ask for more time, before it is due"), Args: a.exactly("RESOURCE", "N"),
		Example: "  gxbus trigger extend enterprise-registration 1 --days 5 --reason '等待配套文件'",
	}
	cmd.Flags().IntVar(&r.Days, "days", 0, a.say("延长的 `工作日` 数，1–5", "`working days`, 1–5"))
	cmd.Flags().StringVar(&r.Reason, "reason", "", a.say("延期 `理由`", "why, as `text`"))
	run := a.onTrigger(func(ctx context.Context, c *client.Client, t bus.Trigger) (bus.Trigger, error) {
		return c.Triggers().Extend(ctx, t, r)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "days", "reason"); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

func (a *app) consentTrigger() *cobra.Command {
	var refuse bool
	var opinion string
	cmd := &cobra.Command{
		Use: "consent RESOURCE N", Short: a.say("主管部门答复延期申请", "Answer a request for more time, as the data authority"), Args: a.exactly("RESOURCE", "N"),
		Example: "  gxbus trigger consent enterprise-registration 1\n  gxbus trigger consent enterprise-registration 1 --refuse --opinion '理由不充分'",
	}
	cmd.Flags().BoolVar(&refuse, "refuse", false, a.say("不同意", "do not consent"))
	cmd.Flags().StringVar(&opinion, "opinion", "", a.say("`意见`", "opinion, as `text`"))
	cmd.RunE = a.onTrigger(func(ctx context.Context, c *client.Client, t bus.Trigger) (bus.Trigger, error) {
		return c.Triggers().Consent(ctx, t, client.Consent{Approve: !refuse, Opinion: opinion})
	})
	return cmd
}
