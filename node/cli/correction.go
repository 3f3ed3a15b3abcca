package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) correctionCommand() *cobra.Command {
	n := corrections(a)
	return a.group("correction", "数据校核：疑问、核实更正及复核", "Doubts about data, their verification and retest",
		n.list(a), n.show(a), a.reportCorrection(n),
		a.stepCorrection(n, "confirm", bus.CorrectionConfirm, true, bus.Text{ZH: "提供方确认有误，待更正", EN: "Confirm an error that is to be corrected, as the provider"}),
		a.stepCorrection(n, "correct", bus.CorrectionCorrect, true, bus.Text{ZH: "提供方更正后反馈", EN: "Feed back what was corrected, as the provider"}),
		a.stepCorrection(n, "explain", bus.CorrectionExplain, true, bus.Text{ZH: "提供方说明数据无误", EN: "Feed back why it is no error, as the provider"}),
		a.retestCorrection(n),
		a.stepCorrection(n, "accept", bus.CorrectionAccept, false, bus.Text{ZH: "使用方接受说明", EN: "Accept the explanation, as the consumer"}),
		a.stepCorrection(n, "withdraw", bus.CorrectionWithdraw, false, bus.Text{ZH: "使用方撤回疑问", EN: "Take the doubt back, as the consumer"}))
}

func corrections(a *app) noun[bus.CorrectionID, bus.Correction] {
	return noun[bus.CorrectionID, bus.Correction]{
		zh: "校核", en: "correction", example: "c-licence-1",
		columns: []column[bus.Correction]{
			{"id", "标识", func(c bus.Correction) string { return string(c.ID) }},
			{"resource", "数据资源", func(c bus.Correction) string { return string(c.Resource) }},
			{"items", "信息项", func(c bus.Correction) string { return listed(c.Items) }},
			{"state", "状态", func(c bus.Correction) string { return a.wordOf(correctionWords, string(c.State)) }},
			{"consumer", "使用方", func(c bus.Correction) string { return string(c.Consumer) }},
			{"reported", "提出时间", func(c bus.Correction) string { return stamp(c.Steps[0].At) }},
			{"due", "反馈期限", func(c bus.Correction) string { return a.deadline(c.Deadline) }},
			{"fed_back", "反馈时间", func(c bus.Correction) string {
				rounds := c.Rounds()
				if at := rounds[len(rounds)-1].Answered; at != nil {
					return stamp(*at)
				}
				return ""
			}},
			{"revision", "修订号", func(c bus.Correction) string { return sprint(c.Revision) }},
		},
		details: []column[bus.Correction]{
			{"provider", "提供方", func(c bus.Correction) string { return string(c.Provider) }},
			{"record", "记录", func(c bus.Correction) string { return c.Record }},
			{"description", "疑问", func(c bus.Correction) string { return c.Description }},
			{"event", "事件编号", func(c bus.Correction) string { return c.Event }},
			{"version", "目录版本", func(c bus.Correction) string { return sprint(c.Version) }},
			{"steps", "经过", func(c bus.Correction) string {
				var lines []string
				for _, act := range c.Steps {
					lines = append(lines, a.act(string(act.Step), act.By, stamp(act.At), act.Text))
				}
				return strings.Join(lines, "; ")
			}},
		},
		entries: func(c *client.Client) client.Readable[bus.CorrectionID, bus.Correction] {
			return c.Corrections().Readable
		},
	}
}

var correctionWords = map[string]string{
	"open": "待核实", "confirmed": "已确认，待更正", "corrected": "已更正，待复核", "explained": "已说明，待确认", "disputed": "有争议",
	"fixed": "复核通过", "accepted": "已接受说明", "withdrawn": "已撤回",
	"report": "提出", "withdraw": "撤回", "pass": "复核通过", "fail": "复核不通过", "accept": "接受说明", "confirm": "确认有误",
	"correct": "更正", "explain": "说明无误", "dispute": "提起争议", "settle": "协商一致", "uphold": "裁定支持使用方", "reject": "裁定维持说明",
	"negotiating": "协商中", "submitted": "待裁定", "settled": "协商一致", "decided": "已裁定",
	"raise": "提起", "negotiate": "协商", "submit": "提请裁定", "decide": "裁定",
}

// wordOf names a state or step in Chinese; in English by its own word.
func (a *app) wordOf(words map[string]string, word string) string {
	if zh, ok := words[word]; ok {
		return a.say(zh, word)
	}
	return word
}

// act tells of one step of a case.
func (a *app) act(step string, by bus.Principal, at, text string) string {
	line := at + " " + a.wordOf(correctionWords, step) + " " + who(by)
	if text != "" {
		line += ": " + text
	}
	return line
}

func (a *app) reportCorrection(n noun[bus.CorrectionID, bus.Correction]) *cobra.Command {
	var r client.CorrectionReport
	var items []string
	cmd := &cobra.Command{
		Use: "report RESOURCE --items ITEM,... --description TEXT", Short: a.say("使用方提出数据疑问", "Report a doubt about data, as the consumer"), Args: a.exactly("RESOURCE"),
		Long: a.say("对在用数据提出疑问，提供方 10 个工作日内核实、更正并反馈，不得延期；期间共享照常。\n记录用摘要（sha256:…）或双方约定的编号指明，不得写入个人信息。",
			"Report a doubt about data that your department uses. The provider verifies, corrects and feeds back within 10 working days,\nwithout extension; sharing goes on meanwhile. The record is named by a digest (sha256:…) or a reference that both departments\nunderstand: no personal information."),
		Example: "  gxbus correction report enterprise-registration --items name --record batch-7/row-12 --description '名称与证照不符'",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&r.ID), "id", "", a.say("`标识`（缺省自动编号）", "`id` (else one is made)"))
	flags.StringSliceVar(&items, "items", nil, a.say("有疑问的 `信息项`，以逗号分隔", "`items` in doubt, separated by commas"))
	flags.StringVar(&r.Record, "record", "", a.say("记录的 `摘要` 或编号", "`digest` or reference of the record"))
	flags.StringVar(&r.Description, "description", "", a.say("`疑问`", "what is in doubt, as `text`"))
	flags.StringVar(&r.Event, "event", "", a.say("可资印证的事件 `编号`", "`id` of an event that shows it"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "items", "description"); err != nil {
			return err
		}
		r.Resource, r.Items = bus.ResourceID(args[0]), typed[bus.ItemID](items)
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			made, err := c.Corrections().Report(ctx, r)
			if err != nil {
				return err
			}
			return printOne(a, append(n.columns, n.details...), made)
		})(cmd, args)
	}
	return cmd
}

// stepCorrection makes the command of one step; says: that needs a text.
func (a *app) stepCorrection(n noun[bus.CorrectionID, bus.Correction], use string, step bus.CorrectionStep, says bool, short bus.Text) *cobra.Command {
	s := client.CorrectionStep{Step: step}
	cmd := &cobra.Command{
		Use: use + " ID", Short: short.In(a.lang), Args: a.exactly("ID"), ValidArgsFunction: n.complete(a), Example: "  gxbus correction " + use + " c-licence-1",
	}
	if says {
		cmd.Use += " --text TEXT"
		cmd.Example += " --text '已按登记档案核对'"
	}
	cmd.Flags().StringVar(&s.Text, "text", "", a.say("`说明`", "what was found, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if says {
			if err := a.need(cmd, "text"); err != nil {
				return err
			}
		}
		return a.takeStep(n, s)(cmd, args)
	}
	return cmd
}

func (a *app) takeStep(n noun[bus.CorrectionID, bus.Correction], s client.CorrectionStep) func(*cobra.Command, []string) error {
	return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		have, err := c.Corrections().Read(ctx, bus.CorrectionID(args[0]))
		if err != nil {
			return err
		}
		if have, err = c.Corrections().Step(ctx, have, s); err != nil {
			return err
		}
		return printOne(a, append(n.columns, n.details...), have)
	})
}

func (a *app) retestCorrection(n noun[bus.CorrectionID, bus.Correction]) *cobra.Command {
	var pass, fail bool
	var text string
	cmd := &cobra.Command{
		Use: "retest ID (--pass | --fail --text TEXT)", Short: a.say("使用方复核更正结果", "Tell how the retest went, as the consumer"),
		Args: a.exactly("ID"), ValidArgsFunction: n.complete(a),
		Long:    a.say("复核更正结果。不通过的退回提供方，另起 10 个工作日。", "Tell how the retest of what was corrected went. After one that failed the provider has another 10 working days."),
		Example: "  gxbus correction retest c-licence-1 --pass\n  gxbus correction retest c-licence-1 --fail --text '仍与证照不符'",
	}
	cmd.Flags().BoolVar(&pass, "pass", false, a.say("通过", "it is right now"))
	cmd.Flags().BoolVar(&fail, "fail", false, a.say("不通过", "it is still wrong"))
	cmd.Flags().StringVar(&text, "text", "", a.say("`说明`", "what was found, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if pass == fail {
			return a.usage(cmd, "--pass 与 --fail 须选其一", "one of --pass and --fail")
		}
		s := client.CorrectionStep{Step: bus.CorrectionPass, Text: text}
		if fail {
			s.Step = bus.CorrectionFail
			if err := a.need(cmd, "text"); err != nil {
				return err
			}
		}
		return a.takeStep(n, s)(cmd, args)
	}
	return cmd
}
