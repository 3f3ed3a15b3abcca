package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) disputeCommand() *cobra.Command {
	n := disputes(a)
	return a.group("dispute", "共享争议：协商与裁定", "Disputes over sharing: negotiation and decision",
		n.list(a), n.show(a), a.raiseDispute(n),
		a.stepDispute(n, "negotiate", bus.DisputeNegotiate, bus.Text{ZH: "记录协商情况", EN: "Keep a record of the negotiation, as either side"}),
		a.stepDispute(n, "submit", bus.DisputeSubmit, bus.Text{ZH: "协商不成，提请裁定", EN: "Ask for a decision, once the negotiation has failed"}),
		a.stepDispute(n, "settle", bus.DisputeSettle, bus.Text{ZH: "提起方确认协商一致", EN: "End it as settled, as the raiser"}),
		a.decideDispute(n))
}

func disputes(a *app) noun[bus.DisputeID, bus.Dispute] {
	return noun[bus.DisputeID, bus.Dispute]{
		zh: "争议", en: "dispute", example: "d-licence-1",
		columns: []column[bus.Dispute]{
			{"id", "标识", func(d bus.Dispute) string { return string(d.ID) }},
			{"about", "事项", func(d bus.Dispute) string { return d.About.String() }},
			{"raiser", "提起方", func(d bus.Dispute) string { return string(d.Raiser) }},
			{"respondent", "对方", func(d bus.Dispute) string { return string(d.Respondent) }},
			{"state", "状态", func(d bus.Dispute) string { return a.wordOf(correctionWords, string(d.State)) }},
			{"raised", "提起时间", func(d bus.Dispute) string { return stamp(d.Steps[0].At) }},
			{"authority", "裁定部门", func(d bus.Dispute) string {
				if d.Ruling != nil {
					return string(d.Ruling.Authority)
				}
				return string(d.Authority)
			}},
			{"ruling", "裁定", func(d bus.Dispute) string {
				switch {
				case d.Ruling == nil:
					return ""
				case d.Ruling.Upheld:
					return a.say("支持提起方", "for the raiser")
				default:
					return a.say("不支持提起方", "against the raiser")
				}
			}},
			{"revision", "修订号", func(d bus.Dispute) string { return sprint(d.Revision) }},
		},
		details: []column[bus.Dispute]{
			{"division", "裁定区划", func(d bus.Dispute) string {
				if d.Ruling != nil {
					return string(d.Ruling.Division)
				}
				return string(d.Division)
			}},
			{"steps", "经过", func(d bus.Dispute) string {
				var lines []string
				for _, act := range d.Steps {
					lines = append(lines, a.act(string(act.Step), act.By, stamp(act.At), act.Text))
				}
				return strings.Join(lines, "; ")
			}},
		},
		entries: func(c *client.Client) client.Readable[bus.DisputeID, bus.Dispute] { return c.Disputes().Readable },
	}
}

func (a *app) raiseDispute(n noun[bus.DisputeID, bus.Dispute]) *cobra.Command {
	var r client.DisputeRaise
	cmd := &cobra.Command{
		Use: "raise KIND ID --reason TEXT", Short: a.say("提起争议", "Raise a dispute"), Args: a.exactly("KIND", "ID"),
		ValidArgs: kindsOfSubject(),
		Long: a.say("提起争议，KIND 为："+strings.Join(kindsOfSubject(), "、")+"。先由双方协商；协商不成的，由双方共同上级区划的数据主管部门裁定。",
			"Raise a dispute. KIND is one of "+strings.Join(kindsOfSubject(), ", ")+". The two sides negotiate first; where that fails, the data authority\nof the lowest division that both are of decides."),
		Example: "  gxbus dispute raise correction c-licence-1 --reason '登记档案本身有误'\n  gxbus dispute raise grant tianhe-registration --reason '停止共享未说明依据'",
	}
	cmd.Flags().StringVar((*string)(&r.ID), "id", "", a.say("`标识`（缺省自动编号）", "`id` (else one is made)"))
	cmd.Flags().StringVar(&r.Reason, "reason", "", a.say("`理由`", "why, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "reason"); err != nil {
			return err
		}
		r.About = bus.Subject{Kind: bus.SubjectKind(args[0]), ID: args[1]}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			made, err := c.Disputes().Raise(ctx, r)
			if err != nil {
				return err
			}
			return printOne(a, append(n.columns, n.details...), made)
		})(cmd, args)
	}
	return cmd
}

func kindsOfSubject() []string {
	var words []string
	for _, k := range bus.SubjectKinds() {
		words = append(words, string(k))
	}
	return words
}

func (a *app) stepDispute(n noun[bus.DisputeID, bus.Dispute], use string, step bus.DisputeStep, short bus.Text) *cobra.Command {
	s := client.DisputeStep{Step: step}
	cmd := &cobra.Command{
		Use: use + " ID --text TEXT", Short: short.In(a.lang), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Example: "  gxbus dispute " + use + " d-licence-1 --text '双方会商纪要第 3 号'",
	}
	cmd.Flags().StringVar(&s.Text, "text", "", a.say("`内容`", "what is to be on record, as `text`"))
	run := a.onDispute(n, func(ctx context.Context, c *client.Client, d bus.Dispute) (bus.Dispute, error) {
		return c.Disputes().Step(ctx, d, s)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "text"); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

// onDispute makes the body of a command that acts on one dispute and shows it.
func (a *app) onDispute(n noun[bus.DisputeID, bus.Dispute], act func(context.Context, *client.Client, bus.Dispute) (bus.Dispute, error)) func(*cobra.Command, []string) error {
	return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		d, err := c.Disputes().Read(ctx, bus.DisputeID(args[0]))
		if err != nil {
			return err
		}
		if d, err = act(ctx, c, d); err != nil {
			return err
		}
		return printOne(a, append(n.columns, n.details...), d)
	})
}

func (a *app) decideDispute(n noun[bus.DisputeID, bus.Dispute]) *cobra.Command {
	var v client.DisputeVerdict
	var reject bool
	cmd := &cobra.Command{
		Use: "decide ID (--uphold | --reject) --opinion TEXT", Short: a.say("主管部门裁定争议", "Decide a dispute, as the data authority"),
		Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Long: a.say("由双方共同上级区划数据主管部门的审核人裁定，当事部门不得裁定。裁定支持使用方的，其校核退回提供方更正，另起 10 个工作日。",
			"A reviewer of the data authority of the lowest division that both sides are of decides, never one of a side. A correction\nwhose consumer is upheld goes back to the provider, who has another 10 working days."),
		Example: "  gxbus dispute decide d-licence-1 --uphold --opinion '以现场核验为准'",
	}
	cmd.Flags().BoolVar(&v.Upheld, "uphold", false, a.say("支持提起方", "for the raiser"))
	cmd.Flags().BoolVar(&reject, "reject", false, a.say("不支持提起方", "against the raiser"))
	cmd.Flags().StringVar(&v.Opinion, "opinion", "", a.say("裁定 `意见`", "why, as `text`"))
	run := a.onDispute(n, func(ctx context.Context, c *client.Client, d bus.Dispute) (bus.Dispute, error) {
		return c.Disputes().Decide(ctx, d, v)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "opinion"); err != nil {
			return err
		}
		if v.Upheld == reject {
			return a.usage(cmd, "--uphold 与 --reject 须选其一", "one of --uphold and --reject")
		}
		return run(cmd, args)
	}
	return cmd
}
