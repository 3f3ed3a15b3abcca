package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// applicationFlags are the contents of an application as flags.
type applicationFlags struct {
	content         bus.ApplicationContent
	purposes, items []string
	from, until     string
}

func (f *applicationFlags) add(a *app, cmd *cobra.Command) {
	flags, c := cmd.Flags(), &f.content
	flags.StringVar((*string)(&c.Department), "department", "", a.say("申请部门的统一社会信用 `代码`", "applying department's unified social credit `code`"))
	flags.StringVar((*string)(&c.Resource), "resource", "", a.say("数据资源 `标识`", "`id` of the resource"))
	flags.IntVar(&c.Version, "version", 0, a.say("所依据的目录 `版本`，缺省为现行版本", "`version` of its directory entry, that in force where left out"))
	flags.StringVar(&c.Basis, "basis", "", a.say("使用 `依据`", "legal basis, as `text`"))
	flags.StringVar(&c.Scenario, "scenario", "", a.say("使用 `场景`", "scenario of use, as `text`"))
	flags.StringSliceVar(&f.items, "item", nil, a.say("使用范围：信息项，可多个", "item that is asked for, repeatable"))
	flags.StringVar((*string)(&c.Division), "division", "", a.say("使用范围：行政区划 `代码`，含其下级", "`code` of the division that the data is about, with those below"))
	flags.StringVar(&c.Mode, "mode", "", a.say("共享 `方式`：interface、batch", "`mode`: interface, batch"))
	flags.StringSliceVar(&f.purposes, "purpose", nil, a.say("使用用途，可多个：administrative-basis、reference、verification、collaboration",
		"purpose, repeatable: administrative-basis, reference, verification, collaboration"))
	flags.StringSliceVar(&c.Matters, "matter", nil, a.say("事项编码，可多个", "matter code it is limited to, repeatable"))
	flags.StringVar(&f.from, "from", "", a.say("使用时限：起始 `日期`（含），缺省自同意之日", "first `day`, from the consent where left out"))
	flags.StringVar(&f.until, "until", "", a.say("使用时限：截止 `日期`（含）或 RFC 3339 时间", "last `day`, or a time in RFC 3339"))
	flags.StringVar((*string)(&c.Renews), "renews", "", a.say("续期：现有授权 `标识`", "`id` of the grant that it renews"))
}

// over lays the flags that were given over contents.
func (f *applicationFlags) over(a *app, cmd *cobra.Command, c bus.ApplicationContent) (bus.ApplicationContent, error) {
	given := cmd.Flags().Changed
	set := func(flag string, to func()) {
		if given(flag) {
			to()
		}
	}
	set("department", func() { c.Department = f.content.Department })
	set("resource", func() { c.Resource = f.content.Resource })
	set("version", func() { c.Version = f.content.Version })
	set("basis", func() { c.Basis = f.content.Basis })
	set("scenario", func() { c.Scenario = f.content.Scenario })
	set("item", func() { c.Items = typed[bus.ItemID](f.items) })
	set("division", func() { c.Division = f.content.Division })
	set("mode", func() { c.Mode = f.content.Mode })
	set("purpose", func() { c.Purposes = typed[bus.Purpose](f.purposes) })
	set("matter", func() { c.Matters = f.content.Matters })
	set("renews", func() { c.Renews = f.content.Renews })
	var err error
	if given("from") {
		if c.From, err = a.day(cmd, "from", f.from, 0); err != nil {
			return c, err
		}
	}
	if given("until") {
		c.Until, err = a.day(cmd, "until", f.until, 1)
	}
	return c, err
}

// current fills in the version in force where none is stated.
func current(ctx context.Context, c *client.Client, content *bus.ApplicationContent) error {
	if content.Version != 0 || content.Resource == "" {
		return nil
	}
	r, err := c.Resources().Read(ctx, content.Resource)
	content.Version = r.Version
	return err
}

func (a *app) createApplication(w writer[bus.ApplicationID, bus.Application]) *cobra.Command {
	var f applicationFlags
	var dry bool
	cmd := &cobra.Command{
		Use: "create ID --department CODE", Short: a.say("新建一项申请的草稿", "Write the draft of an application"), Args: a.exactly("ID"),
		Long: a.say("新建一项申请的草稿。内容可以以后再补（application edit），提交时一次列出全部缺漏。",
			"Write the draft of an application. It may be completed later (application edit); when it is submitted, all that it lacks is told at once."),
		Example: "  gxbus application create tianhe-registration --department 1144010699990002XN --resource enterprise-registration \\\n" +
			"      --basis '市场主体登记管理条例第三条' --scenario '企业开办一件事' --item uscc --item enterprise_name --division 440300 \\\n" +
			"      --mode batch --purpose verification --until 2027-12-31",
	}
	f.add(a, cmd)
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "department"); err != nil {
			return err
		}
		content, err := f.over(a, cmd, bus.ApplicationContent{})
		if err != nil {
			return err
		}
		v := bus.Application{ID: bus.ApplicationID(args[0]), Content: content}
		if err := bus.Invalid(w.check(v)); err != nil {
			return err
		}
		if dry {
			a.notice("仅检查，未提交", "checked only; nothing was sent")
			return a.preview(v)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			if err := current(ctx, c, &v.Content); err != nil {
				return err
			}
			stored, err := c.Applications().Put(ctx, v)
			if err != nil {
				return err
			}
			return printOne(a, append(w.columns, w.details...), stored)
		})(cmd, args)
	}
	return cmd
}

func (a *app) editApplication(w writer[bus.ApplicationID, bus.Application]) *cobra.Command {
	var f applicationFlags
	cmd := &cobra.Command{
		Use: "edit ID", Short: a.say("补充或修改草稿，或补正被退回的申请", "Complete or change a draft, or one that was returned"), Args: a.exactly("ID"),
		Example: "  gxbus application edit tianhe-registration --basis '市场主体登记管理条例第三条' --until 2027-12-31", ValidArgsFunction: w.complete(a),
	}
	f.add(a, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.onApplication(w.noun, func(ctx context.Context, c *client.Client, v bus.Application) (bus.Application, error) {
			content, err := f.over(a, cmd, v.Content)
			if err != nil {
				return v, err
			}
			v.Content = content
			if err := current(ctx, c, &v.Content); err != nil {
				return v, err
			}
			return c.Applications().Put(ctx, v)
		})(cmd, args)
	}
	return cmd
}

func (a *app) submitApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "submit ID", Short: a.say("提交申请", "Submit an application"), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Long: a.say("提交申请。材料不完整的不予受理，缺漏一次列全。无条件共享的当即答复；有条件共享的由提供部门自材料完整之日起 10 个工作日内答复。",
			"Submit an application. An incomplete one stays a draft, and all that it lacks is told at once. What is shared unconditionally is\nanswered at once; anything else within 10 working days of its being complete."),
		Example: "  gxbus application submit tianhe-registration --dry-run\n  gxbus application submit tianhe-registration",
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, a.say("只列出缺漏，不提交", "only list what it lacks"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !dry {
			return a.onApplication(n, func(ctx context.Context, c *client.Client, v bus.Application) (bus.Application, error) {
				return c.Applications().Submit(ctx, v)
			})(cmd, args)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			v, err := c.Applications().Read(ctx, bus.ApplicationID(args[0]))
			if err != nil {
				return err
			}
			lacking := shownOf(v).Missing
			if len(lacking) == 0 {
				a.notice("材料完整，未提交", "complete; nothing was sent")
				return nil
			}
			a.notice(sprint("缺漏 ", len(lacking), " 项，未提交"), sprint("it lacks ", len(lacking), " things; nothing was sent"))
			return printList(a, []column[bus.Defect]{
				{"field", "项目", func(d bus.Defect) string { return d.Field }},
				{"problem", "问题", func(d bus.Defect) string { return d.Problem.In(a.lang) }},
				{"allowed", "允许", func(d bus.Defect) string { return d.Allowed }},
			}, lacking)
		})(cmd, args)
	}
	return cmd
}

func (a *app) withdrawApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "withdraw ID", Short: a.say("在答复之前撤回申请", "Withdraw an application before it is answered"), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Example: "  gxbus application withdraw tianhe-registration --reason '事项已取消'",
	}
	cmd.Flags().StringVar(&reason, "reason", "", a.say("撤回 `原因`", "why, as `text`"))
	cmd.RunE = a.onApplication(n, func(ctx context.Context, c *client.Client, v bus.Application) (bus.Application, error) {
		return c.Applications().Withdraw(ctx, v, reason)
	})
	return cmd
}
