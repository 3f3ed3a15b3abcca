package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func (a *app) evaluationExplain() *cobra.Command {
	var q client.CaseQuery
	var folder string
	cmd := &cobra.Command{
		Use: "explain --indicator ID", Short: a.say("列出指标背后的办件或者调用", "List the cases or calls behind a figure"), Args: cobra.NoArgs,
		Long: a.say("列出部门某项指标背后的办件、调用或者心跳分钟，未达标的在前。--evidence 不经节点，按存证目录和现行缺省方案列出，须给出部门和起止日期。",
			"List the cases, calls or heartbeat minutes behind a figure of a department, what was missed first. With --evidence no node\nis asked: they are those of a folder of evidence, by the scheme that ships, and department and days are to be given."),
		Example: "  gxbus evaluation explain --indicator C1\n  gxbus evaluation explain --department 114400000069401674 --indicator C1 --from 2026-01-01 --to 2026-04-01\n" +
			"  gxbus evaluation explain --evidence quarter --department 114400000069401674 --indicator B2 --from 2026-01-01 --to 2026-04-01",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&q.Department), "department", "", a.say("部门 `统一社会信用代码`（缺省为本部门）", "`code` of a department; else one's own"))
	flags.StringVar(&q.Indicator, "indicator", "", a.say("指标 `编号`", "`id` of the indicator"))
	flags.StringVar(&q.From, "from", "", a.say("起始 `日期`（缺省为本季度）", "first `day`; else the present quarter"))
	flags.StringVar(&q.To, "to", "", a.say("截止 `日期`（不含当日）", "the `day` after the last"))
	flags.StringVar(&folder, "evidence", "", a.say("存证 `目录`（不经节点）", "`folder` of evidence, in place of a node"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case q.Indicator == "":
			return a.usage(cmd, "缺少 --indicator", "missing --indicator")
		case folder == "":
			return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
				data, err := c.EvaluationCases(ctx, q)
				if err != nil {
					return err
				}
				var cases []evaluation.Case
				if err := json.Unmarshal(data, &cases); err != nil {
					return err
				}
				return a.printCases(cases)
			})(cmd, args)
		case q.Department == "":
			return a.usage(cmd, "缺少 --department", "missing --department")
		}
		cases, err := a.casesIn(cmd, folder, q)
		if err != nil {
			return err
		}
		return a.printCases(cases)
	}
	return cmd
}

// casesIn finds what is behind a figure in a folder of evidence.
func (a *app) casesIn(cmd *cobra.Command, folder string, q client.CaseQuery) ([]evaluation.Case, error) {
	var w evaluation.Window
	var err error
	if w.From, err = a.day(cmd, "from", q.From, 0); err != nil {
		return nil, err
	}
	if w.To, err = a.day(cmd, "to", q.To, 0); err != nil {
		return nil, err
	}
	w.From, w.To = calendar.DateOf(w.From).Start(), calendar.DateOf(w.To).Start()
	if err := bus.Invalid(w.Check()); err != nil {
		return nil, err
	}
	m, err := evaluation.ReadFolder(os.DirFS(folder), w)
	if err != nil {
		return nil, err
	}
	return m.Explain(evaluation.DefaultScheme(), w, q.Department, q.Indicator)
}

func (a *app) printCases(cases []evaluation.Case) error {
	return printList(a, []column[evaluation.Case]{
		{"ref", "依据", func(c evaluation.Case) string { return string(c.Ref) }},
		{"count", "计数", func(c evaluation.Case) string { return fmt.Sprintf("%d/%d", c.MetN, c.N) }},
		{"started", "起算", func(c evaluation.Case) string { return stamp(c.Started) }},
		{"deadline", "期限", func(c evaluation.Case) string { return stamp(c.Deadline) }},
		{"done", "办结", func(c evaluation.Case) string { return stamp(c.Done) }},
		{"outcome", "结果", func(c evaluation.Case) string { return c.Text.In(a.lang) }},
	}, cases)
}
