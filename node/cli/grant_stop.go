package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) suspendGrant(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	return a.stopGrant(w, bus.GrantSuspend, a.say("暂停一项授权，数据暂存不送出", "Suspend a grant: its data is held"))
}

func (a *app) resumeGrant(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	return a.stopGrant(w, bus.GrantResume, a.say("恢复一项已暂停或限期整改的授权", "Resume a grant that was suspended or is to be rectified"))
}

func (a *app) rectifyGrant(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	cmd := a.stopGrant(w, bus.GrantRectify, a.say("责令限期整改，其间数据暂存不送出", "Order a rectification in a set time: data is held meanwhile"))
	cmd.Use = "rectify ID --days DAYS --reason TEXT"
	cmd.Example = "  gxbus grant rectify tianhe-registration --days 10 --reason '超出授权用途使用'"
	return cmd
}

// stopGrant makes a step that is on file with its reason (decree 809 art. 27).
func (a *app) stopGrant(w writer[bus.GrantID, bus.Grant], step bus.GrantStep, short string) *cobra.Command {
	stop := client.GrantStop{Step: step}
	cmd := &cobra.Command{
		Use: string(step) + " ID --reason TEXT", Short: short, Args: a.exactly("ID"), ValidArgsFunction: w.complete(a),
		Long: short + a.say("。由提供部门或数据主管部门的审核人办理，理由存档备案；主管部门停的，由主管部门恢复。",
			".\nA reviewer of the provider or of its data authority does; the reason is on file. What the data authority stopped, it resumes itself."),
		Example: "  gxbus grant " + string(step) + " tianhe-registration --reason '核实使用情况'",
	}
	cmd.Flags().StringVar(&stop.Reason, "reason", "", a.say("`理由`", "why, as `text`"))
	needed := []string{"reason"}
	if step == bus.GrantRectify {
		cmd.Flags().IntVar(&stop.Days, "days", 0, a.say("整改期限，`工作日` 数，1–60", "`working days` to do it in, 1–60"))
		needed = append(needed, "days")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, needed...); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			g, err := c.Grants().Stop(ctx, bus.GrantID(args[0]), stop)
			if err != nil {
				return err
			}
			return printOne(a, append(w.columns, w.details...), g)
		})(cmd, args)
	}
	return cmd
}

// renewGrant applies for a grant to run on.
func (a *app) renewGrant(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	var id, until, basis, scenario, mode, division string
	cmd := &cobra.Command{
		Use: "renew ID --application NEW --until DATE --basis TEXT --scenario TEXT", Short: a.say("在到期前申请续期", "Apply for a grant to run on, before it ends"),
		Args: a.exactly("ID"), ValidArgsFunction: w.complete(a),
		Long: a.say("按现有授权的范围提交一项续期申请，只延长时限，不扩大范围；同意后原授权继续有效，订阅不变。",
			"Submit an application for a grant to run on as it is: a renewal adds time and nothing else. Once it is consented to, the same grant\nstands longer, and subscriptions go on."),
		Example: "  gxbus grant renew tianhe-registration --application tianhe-registration-2028 --until 2028-12-31 \\\n      --basis '市场主体登记管理条例第三条' --scenario '企业开办一件事'",
	}
	flags := cmd.Flags()
	flags.StringVar(&id, "application", "", a.say("新申请的 `标识`", "`id` of the application"))
	flags.StringVar(&until, "until", "", a.say("新的截止 `日期`（含）", "new last `day`"))
	flags.StringVar(&basis, "basis", "", a.say("使用 `依据`", "legal basis, as `text`"))
	flags.StringVar(&scenario, "scenario", "", a.say("使用 `场景`", "scenario of use, as `text`"))
	flags.StringVar(&mode, "mode", "", a.say("共享 `方式`；同原授权，仅存量协议须填", "`mode`: that of the grant; an agreement has none, and needs it"))
	flags.StringVar(&division, "division", "", a.say("行政区划 `代码`；缺省同原授权", "`code` of the division, that of the grant where left out"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "application", "until", "basis", "scenario"); err != nil {
			return err
		}
		last, err := a.day(cmd, "until", until, 1)
		if err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			g, err := c.Grants().Read(ctx, bus.GrantID(args[0]))
			if err != nil {
				return err
			}
			content := bus.ApplicationContent{
				Department: g.Consumer, Resource: g.Resource, Basis: basis, Scenario: scenario, Items: g.Items, Division: g.Division, Mode: mode,
				Purposes: g.Purposes, Matters: g.Matters, Until: last, Renews: g.ID,
			}
			if mode == "" && g.Consent != nil {
				content.Mode = g.Consent.Mode
			}
			if division != "" {
				content.Division = bus.DivisionCode(division)
			}
			if err := current(ctx, c, &content); err != nil {
				return err
			}
			v, err := c.Applications().Put(ctx, bus.Application{ID: bus.ApplicationID(id), Content: content})
			if err != nil {
				return err
			}
			if v, err = c.Applications().Submit(ctx, v); err != nil {
				return err
			}
			return printOne(a, applicationColumns(a), v)
		})(cmd, args)
	}
	return cmd
}
