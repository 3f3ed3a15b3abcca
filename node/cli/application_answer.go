package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) approveApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	var answer = client.ApplicationAnswer{Verdict: client.VerdictApprove}
	var items, purposes []string
	var until string
	cmd := &cobra.Command{
		Use: "approve ID", Short: a.say("同意申请，全部或部分", "Consent to an application, or to part of it"), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Long: a.say("同意申请，授权随即生效，20 个工作日内供数。授权只带目录现行版本载明的条件，不能另加。只同意一部分的，须说明理由。",
			"Consent to an application: the grant is then in force, and delivery is due in 20 working days. It carries the conditions of the\ndirectory entry in force and no others. Consent to a part of it says why."),
		Example: "  gxbus application approve tianhe-registration\n  gxbus application approve tianhe-registration --item uscc --opinion '联系电话与事项无关'",
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&items, "item", nil, a.say("只同意这些信息项，可多个", "only this item, repeatable"))
	flags.StringSliceVar(&purposes, "purpose", nil, a.say("只同意这些用途，可多个", "only this purpose, repeatable"))
	flags.StringSliceVar(&answer.Terms.Matters, "matter", nil, a.say("只同意这些事项，可多个", "only this matter, repeatable"))
	flags.StringVar((*string)(&answer.Terms.Division), "division", "", a.say("只同意该行政区划 `代码` 及其下级", "only the division with this `code` and those below"))
	flags.StringVar(&until, "until", "", a.say("只同意至该 `日期`（含）", "only to this `day`"))
	flags.StringVar(&answer.Opinion, "opinion", "", a.say("`意见`；部分同意的理由", "opinion, as `text`; why, of a part"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer.Terms.Items, answer.Terms.Purposes = typed[bus.ItemID](items), typed[bus.Purpose](purposes)
		if until != "" {
			var err error
			if answer.Terms.Until, err = a.day(cmd, "until", until, 1); err != nil {
				return err
			}
		}
		return a.answerApplication(n, &answer)(cmd, args)
	}
	return cmd
}

func (a *app) answerApplication(n noun[bus.ApplicationID, bus.Application], answer *client.ApplicationAnswer) func(*cobra.Command, []string) error {
	return a.onApplication(n, func(ctx context.Context, c *client.Client, v bus.Application) (bus.Application, error) {
		return c.Applications().Answer(ctx, v, *answer)
	})
}

func (a *app) refuseApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	cmd := a.reasoned(n, client.VerdictRefuse)
	cmd.Use, cmd.Short = "refuse ID --opinion TEXT", a.say("不予同意，并说明理由", "Refuse an application, and say why")
	cmd.Example = "  gxbus application refuse tianhe-registration --opinion '申请的用途不在目录之列'"
	return cmd
}

func (a *app) returnApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	cmd := a.reasoned(n, client.VerdictReturn)
	cmd.Use, cmd.Short = "return ID --opinion TEXT", a.say("一次性告知需要补正的全部内容", "Return it for completion, once, with all that it needs")
	cmd.Example = "  gxbus application return tianhe-registration --opinion '请写明使用依据的条款'"
	return cmd
}

// reasoned makes an answer that says why.
func (a *app) reasoned(n noun[bus.ApplicationID, bus.Application], verdict client.Verdict) *cobra.Command {
	answer := client.ApplicationAnswer{Verdict: verdict}
	cmd := &cobra.Command{Args: a.exactly("ID"), ValidArgsFunction: n.complete(a)}
	cmd.Flags().StringVar(&answer.Opinion, "opinion", "", a.say("`理由`", "why, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "opinion"); err != nil {
			return err
		}
		return a.answerApplication(n, &answer)(cmd, args)
	}
	return cmd
}

func (a *app) extendApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	var r client.ExtensionRequest
	cmd := &cobra.Command{
		Use: "extend ID --days DAYS --reason TEXT", Short: a.say("答复期限届满前申请延期", "Ask for more time to answer, before it is due"), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Long: a.say("提供部门申请延期答复，至多 10 个工作日，限一次；经数据主管部门在原期限届满前同意后有效，申请部门可见。",
			"Ask for up to 10 more working days to answer, once; they count once the data authority consents, before the answer was due. The applicant sees it."),
		Example: "  gxbus application extend tianhe-registration --days 5 --reason '需要核实使用依据'",
	}
	cmd.Flags().IntVar(&r.Days, "days", 0, a.say("延长的 `工作日` 数，1–10", "`working days`, 1–10"))
	cmd.Flags().StringVar(&r.Reason, "reason", "", a.say("延期 `理由`", "why, as `text`"))
	run := a.onApplication(n, func(ctx context.Context, c *client.Client, v bus.Application) (bus.Application, error) {
		return c.Applications().Extend(ctx, v, r)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "days", "reason"); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

func (a *app) consentApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	var refuse bool
	var opinion string
	cmd := &cobra.Command{
		Use: "consent ID", Short: a.say("主管部门答复延期申请", "Answer a request for more time, as the data authority"), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Example: "  gxbus application consent tianhe-registration\n  gxbus application consent tianhe-registration --refuse --opinion '理由不充分'",
	}
	cmd.Flags().BoolVar(&refuse, "refuse", false, a.say("不同意", "do not consent"))
	cmd.Flags().StringVar(&opinion, "opinion", "", a.say("`意见`", "opinion, as `text`"))
	cmd.RunE = a.onApplication(n, func(ctx context.Context, c *client.Client, v bus.Application) (bus.Application, error) {
		return c.Applications().Consent(ctx, v, client.Consent{Approve: !refuse, Opinion: opinion})
	})
	return cmd
}
