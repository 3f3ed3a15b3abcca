package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func (a *app) evaluationScheme() *cobra.Command {
	return a.group("scheme", "评价方案", "Schemes of the evaluation",
		a.schemeList(), a.schemeShow(), a.schemeCheck(), a.schemePreview(), a.schemePropose(), a.schemeActivate(),
	)
}

func (a *app) schemeList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("列出评价方案的各版本", "List the versions of the scheme"), Args: cobra.NoArgs, Example: "  gxbus evaluation scheme list",
		Long: a.say("版本 0 为随版本发布的方案，在首次启用其他版本之前有效。", "Version 0 is the one that ships with the release; it is in force until another is activated."),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			schemes, err := c.Schemes().List(ctx)
			if err != nil {
				return err
			}
			return a.print(schemes, gridOf(a, []column[bus.SchemeVersion]{
				{"version", "版本", func(v bus.SchemeVersion) string { return sprint(v.Version) }},
				{"in_force", "有效", func(v bus.SchemeVersion) string { return sprint(v.Version == schemes.InForce) }},
				{"name", "名称", func(v bus.SchemeVersion) string { return v.Scheme.Name }},
				{"proposed_by", "提出人", func(v bus.SchemeVersion) string { return v.Proposed.By.Account }},
				{"proposed", "提出时间", func(v bus.SchemeVersion) string { return stamp(v.Proposed.At) }},
				{"activated", "启用时间", func(v bus.SchemeVersion) string {
					if v.Activated == nil {
						return ""
					}
					return stamp(v.Activated.At)
				}},
				{"note", "说明", func(v bus.SchemeVersion) string { return v.Proposed.Note }},
			}, schemes.Items))
		}),
	}
}

func (a *app) schemeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [VERSION]", Short: a.say("显示评价方案", "Show a scheme"), Args: cobra.MaximumNArgs(1),
		Long:    a.say("显示一个版本；缺省为随版本发布的方案，无需连接节点。", "Show a version; without one, the scheme that ships with the release, for which no node is asked."),
		Example: "  gxbus evaluation scheme show\n  gxbus evaluation scheme show 2 -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.printScheme(evaluation.DefaultScheme())
			}
			version, err := a.schemeNumber(cmd, args[0])
			if err != nil {
				return err
			}
			return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
				v, err := c.Schemes().Read(ctx, version)
				if err != nil {
					return err
				}
				return a.printScheme(v.Scheme)
			})(cmd, args)
		},
	}
}

func (a *app) schemeNumber(cmd *cobra.Command, text string) (int, error) {
	version, err := strconv.Atoi(text)
	if err != nil || version < 0 {
		return 0, a.usage(cmd, "版本应为数字："+text, "a version is a number, not "+text)
	}
	return version, nil
}

func (a *app) schemeCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: a.say("检查评价方案文件", "Check the file of a scheme"), Args: a.exactly("FILE"), Example: "  gxbus evaluation scheme check scheme.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := readScheme(args[0])
			if err != nil {
				return err
			}
			return a.printScheme(s)
		},
	}
}

func readScheme(path string) (bus.Scheme, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return bus.Scheme{}, bus.NotFound("file", path).Because(err)
	}
	return evaluation.ReadScheme(content)
}

func (a *app) schemePreview() *cobra.Command {
	cmd := &cobra.Command{
		Use: "preview FILE", Short: a.say("试算一个方案会使上一周期的结果如何变化", "Tell what a scheme would have made of the last period"), Args: a.exactly("FILE"),
		Long: a.say("按当前方案和文件中的方案各算一遍，列出得分、等次或者排名会变化的部门和区划。不保存任何内容。缺省为最近公布的周期，没有则为上一季度。",
			"Evaluate a period by the scheme in force and by the one in the file, and list whose score, band or rank would change. Nothing\nis kept. The period is the last published one, else the quarter before the present one, unless days are named."),
		Example: "  gxbus evaluation scheme preview scheme.yaml\n  gxbus evaluation scheme preview scheme.yaml --from 2026-01-01 --to 2026-03-31",
	}
	days := a.withinDays(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := readScheme(args[0])
		if err != nil {
			return err
		}
		asked := client.SchemePreview{Scheme: s}
		if asked.From, asked.To, err = days(cmd); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			data, err := c.Schemes().Preview(ctx, asked)
			if err != nil {
				return err
			}
			var effect evaluation.Effect
			if err := json.Unmarshal(data, &effect); err != nil {
				return err
			}
			return a.printEffect(effect)
		})(cmd, args)
	}
	return cmd
}

func (a *app) printEffect(effect evaluation.Effect) error {
	points := func(o evaluation.Outcomes) string {
		if o.Score == nil {
			return "—"
		}
		return o.Score.Points
	}
	rank := func(o evaluation.Outcomes) string {
		if o.Rank == 0 {
			return "—"
		}
		return fmt.Sprintf("%d/%d", o.Rank, o.Of)
	}
	err := a.print(effect, gridOf(a, []column[evaluation.Shift]{
		{"who", "部门或区划", func(s evaluation.Shift) string { return cmp.Or(string(s.Department), string(s.Division)) }},
		{"name", "名称", func(s evaluation.Shift) string { return s.Name }},
		{"score", "现得分", func(s evaluation.Shift) string { return points(s.Was) }},
		{"would", "试算得分", func(s evaluation.Shift) string { return points(s.Would) }},
		{"rank", "现排名", func(s evaluation.Shift) string { return rank(s.Was) }},
		{"would_rank", "试算排名", func(s evaluation.Shift) string { return rank(s.Would) }},
	}, effect.Shifts))
	first, last := effect.Window.From.In(china).Format(time.DateOnly), effect.Window.To.Add(-time.Nanosecond).In(china).Format(time.DateOnly)
	a.notice(fmt.Sprintf("%s 至 %s：%d 个会变化；参与排名 %d 个，试算 %d 个", first, last, len(effect.Shifts), effect.Ranked, effect.Would),
		fmt.Sprintf("%s to %s: %d would change; %d are ranked, %d would be", first, last, len(effect.Shifts), effect.Ranked, effect.Would))
	return err
}

func (a *app) schemePropose() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: "propose FILE --note TEXT", Short: a.say("提出评价方案的新版本（不生效）", "Propose the next version of the scheme, not in force"), Args: a.exactly("FILE"),
		Long: a.say("由最高一级数据主管部门的经办人或者审核人提出；由该部门的另一名审核人启用。",
			"By an operator or a reviewer of the topmost division's data authority; another reviewer of it activates."),
		Example: "  gxbus evaluation scheme propose scheme.yaml --note '提高答复及时率的权重'",
	}
	cmd.Flags().StringVar(&note, "note", "", a.say("`说明`", "`why`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := readScheme(args[0])
		if err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			v, err := c.Schemes().Propose(ctx, bus.SchemeProposal{Scheme: s, Note: note})
			return a.printSchemeVersion(v, err)
		})(cmd, args)
	}
	return cmd
}

func (a *app) schemeActivate() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: "activate VERSION", Short: a.say("启用评价方案的一个版本", "Put a version of the scheme in force"), Args: a.exactly("VERSION"),
		Long: a.say("由最高一级数据主管部门的审核人启用，不得为提出人本人。已出具的报告不变。",
			"By a reviewer of the topmost division's data authority, other than who proposed it. Reports that were made stay as they are."),
		Example: "  gxbus evaluation scheme activate 2 --note '经会议审定'",
	}
	cmd.Flags().StringVar(&note, "note", "", a.say("`说明`", "`why`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		version, err := a.schemeNumber(cmd, args[0])
		if err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			v, err := c.Schemes().Read(ctx, version)
			if err != nil {
				return err
			}
			v, err = c.Schemes().Activate(ctx, v, note)
			return a.printSchemeVersion(v, err)
		})(cmd, args)
	}
	return cmd
}

func (a *app) printSchemeVersion(v bus.SchemeVersion, err error) error {
	if err != nil {
		return err
	}
	return printOne(a, []column[bus.SchemeVersion]{
		{"version", "版本", func(v bus.SchemeVersion) string { return sprint(v.Version) }},
		{"name", "名称", func(v bus.SchemeVersion) string { return v.Scheme.Name }},
		{"digest", "摘要", func(v bus.SchemeVersion) string { return evaluation.SchemeDigest(v.Scheme) }},
		{"in_force", "有效", func(v bus.SchemeVersion) string { return sprint(v.Activated != nil) }},
	}, v)
}

func (a *app) printScheme(s bus.Scheme) error {
	return a.print(s, gridOf(a, []column[bus.Indicator]{
		{"id", "编号", func(x bus.Indicator) string { return x.ID }},
		{"name", "指标", func(x bus.Indicator) string { return x.Name.In(a.lang) }},
		{"weight", "权重", func(x bus.Indicator) string { return sprint(x.Weight) }},
		{"numerator", "分子", func(x bus.Indicator) string { return x.Numerator.Text().In(a.lang) }},
		{"denominator", "分母", func(x bus.Indicator) string { return x.Denominator.Text().In(a.lang) }},
	}, s.Indicators))
}

func (a *app) evaluationPublish() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: "publish ID", Short: a.say("公布一份报告", "Publish a report"), Args: a.exactly("ID"),
		Long: a.say("由最高一级数据主管部门的审核人在保存该报告的节点上公布：摘要和签名记入目录，此后不得改写。以后发现的问题另出更正报告（evaluation run --restates）。",
			"By a reviewer of the topmost division's data authority, at the node that keeps the report: its digest and signature go into\nthe directory for good. What is found later is another report (evaluation run --restates)."),
		Example: "  gxbus evaluation publish 2026-q1 --note '2026年第一季度评价结果'",
	}
	cmd.Flags().StringVar(&note, "note", "", a.say("`说明`", "`why`"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		r, err := c.EvaluationPublish(ctx, args[0], note)
		if err != nil {
			return err
		}
		return printOne(a, publishedColumns(), r)
	})
	return cmd
}

func (a *app) evaluationPublished() *cobra.Command {
	return &cobra.Command{
		Use: "published", Short: a.say("列出已公布的报告", "List the published reports"), Args: cobra.NoArgs, Example: "  gxbus evaluation published",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			reports, err := c.PublishedEvaluations(ctx)
			if err != nil {
				return err
			}
			return printList(a, publishedColumns(), reports)
		}),
	}
}

func publishedColumns() []column[bus.PublishedReport] {
	return []column[bus.PublishedReport]{
		{"id", "报告", func(r bus.PublishedReport) string { return r.ID }},
		{"from", "起始", func(r bus.PublishedReport) string { return stamp(r.From) }},
		{"to", "截止", func(r bus.PublishedReport) string { return stamp(r.To) }},
		{"scheme", "方案版本", func(r bus.PublishedReport) string { return sprint(r.Scheme) }},
		{"restates", "更正", func(r bus.PublishedReport) string { return r.Restates }},
		{"published", "公布时间", func(r bus.PublishedReport) string { return stamp(r.Published.At) }},
		{"by", "公布人", func(r bus.PublishedReport) string { return r.Published.By.Account }},
		{"digest", "摘要", func(r bus.PublishedReport) string { return r.Digest }},
	}
}
