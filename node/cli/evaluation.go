package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func (a *app) evaluationCommand() *cobra.Command {
	return a.group("evaluation", "共享绩效评价", "The evaluation of sharing performance",
		a.evaluationRun(), a.evaluationList(), a.evaluationShow(), a.evaluationLive(), a.evaluationAlarms(), a.evaluationExplain(), a.evaluationCompare(),
		a.evaluationExport(), a.evaluationVerify(), a.evaluationMaterial(), a.evaluationPublish(), a.evaluationPublished(), a.evaluationScheme(),
	)
}

func (a *app) evaluationRun() *cobra.Command {
	var from, to, restates string
	cmd := &cobra.Command{
		Use: "run ID --from DAY --to DAY | --restates ID", Short: a.say("计算、签署并保存一份报告", "Make a report, sign it and keep it"), Args: a.exactly("ID"),
		Long: a.say("按目录记录和各节点存证的日汇总计算 [起始日, 截止日] 的报告。已保存的报告不再重写；--restates 按现有记录另出一份已公布报告的更正报告。",
			"Make the report of a period, both days included, from what the directory has on record and the nodes' daily rollups. A\nreport that is kept is not written again; --restates makes another about the period of a published one, from what is on\nrecord now, and lists what is otherwise."),
		Example: "  gxbus evaluation run 2026-q1 --from 2026-01-01 --to 2026-03-31 -o json > 2026-q1.json\n  gxbus evaluation run 2026-q1-r1 --restates 2026-q1",
	}
	cmd.Flags().StringVar(&from, "from", "", a.say("起始 `日期`", "first `day`"))
	cmd.Flags().StringVar(&to, "to", "", a.say("截止 `日期`（含当日）", "last `day`"))
	cmd.Flags().StringVar(&restates, "restates", "", a.say("已公布报告的 `编号`", "`id` of the published report"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order := client.EvaluationOrder{ID: args[0], Restates: restates}
		if restates == "" {
			var err error
			if order.From, err = a.day(cmd, "from", from, 0); err != nil {
				return err
			}
			if order.To, err = a.day(cmd, "to", to, 1); err != nil {
				return err
			}
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			data, err := a.makeReport(ctx, c, order)
			return a.printEvaluation(data, err)
		})(cmd, args)
	}
	return cmd
}

func (a *app) evaluationList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("列出本节点保存的报告", "List the reports that the node keeps"), Args: cobra.NoArgs, Example: "  gxbus evaluation list",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			reports, err := c.Evaluations(ctx)
			if err != nil {
				return err
			}
			return printList(a, []column[client.EvaluationHead]{
				{"id", "报告", func(r client.EvaluationHead) string { return r.ID }},
				{"from", "起始", func(r client.EvaluationHead) string { return stamp(r.From) }},
				{"to", "截止", func(r client.EvaluationHead) string { return stamp(r.To) }},
				{"at", "计算时间", func(r client.EvaluationHead) string { return stamp(r.At) }},
				{"node", "节点", func(r client.EvaluationHead) string { return string(r.Node) }},
				{"restates", "更正", func(r client.EvaluationHead) string { return r.Restates }},
				{"published", "公布时间", func(r client.EvaluationHead) string {
					if r.Published == nil {
						return ""
					}
					return stamp(*r.Published)
				}},
				{"digest", "摘要", func(r client.EvaluationHead) string { return r.Digest }},
			}, reports)
		}),
	}
}

func (a *app) evaluationShow() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "show ID | --file FILE", Short: a.say("显示报告", "Show a report"), Args: cobra.MaximumNArgs(1),
		Long: a.say("显示节点保存的报告，或者文件中的报告（JSON 或 XLSX）；文件的签名不在此验证，见 gxbus evaluation verify。",
			"Show a report that the node keeps, or the one in a file, JSON or XLSX. Its signature is not looked at here: gxbus evaluation\nverify does."),
		Example: "  gxbus evaluation show 2026-q1\n  gxbus evaluation show 2026-q1 -o json > 2026-q1.json\n  gxbus evaluation show --file quarter/report.json",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", a.say("报告 `文件`", "`file` of a report"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (file == "") == (len(args) == 0) {
			return a.usage(cmd, "须给出报告编号或者 --file，二者取一", "give the id of a report, or --file")
		}
		if file != "" {
			r, book, err := openReport(file)
			if err != nil {
				return err
			}
			if book != nil {
				defer book.Close()
			}
			return a.printStandings(r)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			data, err := c.Evaluation(ctx, args[0])
			return a.printEvaluation(data, err)
		})(cmd, args)
	}
	return cmd
}

func (a *app) evaluationLive() *cobra.Command {
	return &cobra.Command{
		Use: "live", Short: a.say("本季度暂计结果", "How the present quarter stands, provisionally"), Args: cobra.NoArgs, Example: "  gxbus evaluation live",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			data, err := c.EvaluationLive(ctx)
			return a.printEvaluation(data, err)
		}),
	}
}

func (a *app) evaluationAlarms() *cobra.Command {
	within := 3
	cmd := &cobra.Command{
		Use: "alarms", Short: a.say("列出即将逾期、会影响指标的事项", "List what is about to be overdue, and what it costs"), Args: cobra.NoArgs,
		Example: "  gxbus evaluation alarms\n  gxbus evaluation alarms --within 5",
	}
	cmd.Flags().IntVar(&within, "within", within, a.say("剩余工作日不超过 `天数`", "working `days` left at most"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		data, err := c.EvaluationAlarms(ctx, within)
		if err != nil {
			return err
		}
		var alarms []evaluation.Alarm
		if err := json.Unmarshal(data, &alarms); err != nil {
			return err
		}
		return printList(a, []column[evaluation.Alarm]{
			{"department", "部门", func(x evaluation.Alarm) string { return string(x.Department) }},
			{"indicators", "指标", func(x evaluation.Alarm) string { return strings.Join(x.Indicators, ", ") }},
			{"title", "事项", func(x evaluation.Alarm) string { return x.Title.In(a.lang) }},
			{"deadline", "期限", func(x evaluation.Alarm) string { return stamp(x.Deadline.Due) }},
			{"left", "剩余工作日", func(x evaluation.Alarm) string {
				if x.Deadline.Overdue {
					return a.say("已逾期", "overdue")
				}
				return sprint(x.Left.Days)
			}},
			{"command", "办理", func(x evaluation.Alarm) string { return x.Command }},
		}, alarms)
	})
	return cmd
}

// printEvaluation prints a report as it came, or its standings as a table.
func (a *app) printEvaluation(data json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	r, err := evaluation.DecodeReport(data)
	if err != nil {
		return err
	}
	return a.printStandings(r)
}

func (a *app) printStandings(r evaluation.Report) error {
	columns := []column[evaluation.Standing]{
		{"who", "部门或区划", func(s evaluation.Standing) string { return cmp.Or(string(s.Department), string(s.Division)) }},
		{"name", "名称", func(s evaluation.Standing) string { return s.Name }},
		{"score", "得分", func(s evaluation.Standing) string {
			if s.Score == nil {
				return "—"
			}
			return s.Score.Points
		}},
		{"band", "等次", func(s evaluation.Standing) string {
			if s.Band == nil {
				return ""
			}
			return s.Band.In(a.lang)
		}},
		{"rank", "排名", func(s evaluation.Standing) string {
			if s.Unranked != nil {
				return s.Unranked.In(a.lang)
			}
			return fmt.Sprintf("%d/%d", s.Rank, s.Of)
		}},
	}
	for i, x := range r.Scheme.Indicators {
		columns = append(columns, column[evaluation.Standing]{x.ID, x.ID, func(s evaluation.Standing) string {
			if i >= len(s.Figures) {
				return ""
			}
			return a.figureCell(s.Figures[i])
		}})
	}
	shown := slices.Concat(r.Departments, r.Divisions)
	if a.output == "table" { // whoever reads it looks for what there is
		all := len(shown)
		shown = slices.DeleteFunc(shown, func(s evaluation.Standing) bool { return s.Score == nil && !counted(s) })
		if left := all - len(shown); left > 0 {
			defer a.notice(fmt.Sprintf("另有 %d 个部门和区划在此期间没有可评价的内容；-o csv 全部列出", left),
				fmt.Sprintf("%d more departments and divisions have nothing to evaluate in this window; -o csv lists all", left))
		}
	}
	return a.print(r, gridOf(a, columns, shown))
}

// counted reports whether there is anything that a standing counts, or that is missing.
func counted(s evaluation.Standing) bool {
	return slices.ContainsFunc(s.Figures, func(f evaluation.Figure) bool { return f.State != evaluation.NotApplicable })
}

func (a *app) figureCell(f evaluation.Figure) string {
	switch f.State {
	case evaluation.NotApplicable:
		return a.say("不适用", "n/a")
	case evaluation.Missing:
		return a.say("缺报", "missing")
	default:
		return fmt.Sprintf("%d/%d", f.Numerator, f.Denominator)
	}
}

func (a *app) evaluationCompare() *cobra.Command {
	return &cobra.Command{
		Use: "compare FILE FILE", Short: a.say("比较两份报告的数字", "Compare the figures of two reports"), Args: a.exactly("FILE", "FILE"),
		Example: "  gxbus evaluation compare 2026-q1.json 2026-q1-again.json",
		RunE: func(_ *cobra.Command, args []string) error {
			first, err := readReport(args[0])
			if err != nil {
				return err
			}
			second, err := readReport(args[1])
			if err != nil {
				return err
			}
			ratio := func(r evaluation.Ratio) string { return fmt.Sprintf("%d/%d", r.Numerator, r.Denominator) }
			return printList(a, []column[evaluation.Restatement]{
				{"who", "部门或区划", func(r evaluation.Restatement) string { return cmp.Or(string(r.Department), string(r.Division)) }},
				{"indicator", "指标", func(r evaluation.Restatement) string { return r.Indicator }},
				{"first", "第一份", func(r evaluation.Restatement) string { return ratio(r.Published) }},
				{"second", "第二份", func(r evaluation.Restatement) string { return ratio(r.Restated) }},
			}, evaluation.Restate(first, second))
		},
	}
}

func readReport(path string) (evaluation.Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return evaluation.Report{}, bus.NotFound("file", path).Because(err)
	}
	return evaluation.DecodeReport(data)
}

func (a *app) evaluationVerify() *cobra.Command {
	var folder string
	var keys []string
	cmd := &cobra.Command{
		Use: "verify FILE --evidence DIR", Short: a.say("用存证重算并验证报告", "Verify a report by making it again from the evidence"), Args: a.exactly("FILE"),
		Long: a.say(`用存证目录重算报告，指出第一个不符的数字。目录中须有 directory.json（gxbus evaluation material）和各节点的存证导出
*.jsonl（gxbus audit export）。--key 给出所信任的签署节点公钥；缺省采用材料中登记的公钥。`,
			`Make a report again from a folder of evidence, and name the first figure that differs. The folder has directory.json (gxbus
evaluation material) and the nodes' evidence exports *.jsonl (gxbus audit export). --key is a key of the signing node that is
trusted; else those in the material are.`),
		Example: "  gxbus evaluation verify 2026-q1.json --evidence evidence/\n  gxbus evaluation verify 2026-q1.xlsx --evidence evidence/",
	}
	cmd.Flags().StringVar(&folder, "evidence", "", a.say("存证 `目录`", "`folder` of evidence"))
	cmd.Flags().StringArrayVar(&keys, "key", nil, a.say("签署节点的存证 `公钥`，可重复", "evidence `key` of the signing node, may be repeated"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if folder == "" {
			return a.usage(cmd, "缺少 --evidence", "missing --evidence")
		}
		r, book, err := openReport(args[0])
		if err != nil {
			return err
		}
		if book != nil {
			defer book.Close()
		}
		found, err := evaluation.VerifyFolder(r, os.DirFS(folder), keys...)
		if err != nil {
			return err
		}
		if book != nil && found.Verified { // only cells of a report that holds are worth comparing
			if err := book.Check(); err != nil {
				return err
			}
		}
		first, problem := "", ""
		if found.First != nil {
			first = fmt.Sprintf("%s %s: %s → %s", cmp.Or(string(found.First.Department), string(found.First.Division)), found.First.What, found.First.Reported, found.First.Again)
		}
		if len(found.Problems) > 0 {
			problem = found.Problems[0].In(a.lang)
		}
		err = printOne(a, []column[evaluation.Finding]{
			{"verified", "验证通过", func(f evaluation.Finding) string { return sprint(f.Verified) }},
			{"rollups", "重算日汇总", func(f evaluation.Finding) string { return sprint(f.Rollups) }},
			{"figures", "重算数字", func(f evaluation.Finding) string { return sprint(f.Figures) }},
			{"first", "第一个不符的数字", func(evaluation.Finding) string { return first }},
			{"problem", "第一个问题", func(evaluation.Finding) string { return problem }},
			{"differences", "双方不一致的交换", func(f evaluation.Finding) string { return a.differenceCell(f.Differences) }},
		}, found)
		if err != nil || found.Verified {
			return err
		}
		return bus.E(bus.CodeEvidence, bus.Defect{Field: args[0], Problem: found.Problems[0]})
	}
	return cmd
}

// differenceCell names the exchanges that one side's evidence alone has, or the two sides'
// on different days.
func (a *app) differenceCell(differences []evaluation.Difference) string {
	var names []string
	for _, d := range differences {
		for _, x := range d.Exchanges {
			if x.OtherDay != "" {
				names = append(names, a.say(fmt.Sprintf("%s（%s 叶 %d；%s 记在 %s）", x.Exchange, x.Has, x.Leaf, x.Lacks, x.OtherDay), fmt.Sprintf("%s (%s, leaf %d; %s has it on %s)", x.Exchange, x.Has, x.Leaf, x.Lacks, x.OtherDay)))
				continue
			}
			names = append(names, a.say(fmt.Sprintf("%s（仅 %s 有，叶 %d）", x.Exchange, x.Has, x.Leaf), fmt.Sprintf("%s (only %s has it, leaf %d)", x.Exchange, x.Has, x.Leaf)))
		}
	}
	return strings.Join(names, ", ")
}

func (a *app) evaluationMaterial() *cobra.Command {
	return &cobra.Command{
		Use: "material", Short: a.say("导出报告所依据的目录材料", "Export what the directory says that reports are made of"), Args: cobra.NoArgs,
		Example: "  gxbus evaluation material > evidence/directory.json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			data, err := c.EvaluationMaterial(ctx)
			if err != nil {
				return err
			}
			_, err = a.Out.Write(append(data, '\n'))
			return err
		}),
	}
}
