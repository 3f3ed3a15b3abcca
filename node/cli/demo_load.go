package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/demo/quarter"
	"github.com/gxbus/gxbus/pkg/calendar"
)

func (a *app) demoLoad() *cobra.Command {
	var from string
	o := quarter.Options{Days: 90, Seed: 1, Scale: 1}
	cmd := &cobra.Command{
		Use: "load --dir DIR", Short: a.say("生成一个季度的样例目录与存证并出具评价报告", "Make up a quarter of evidence and evaluate it"), Args: a.exactly(),
		Long: a.say(`生成全省样例部门一段时间的申请、供数、校核、争议和交换，写成各节点可验证的存证日志，并据此出具签名的评价报告
（JSON、XLSX、CSV、HTML）。参数相同则结果相同。--scale 1 为 600 个部门、10000 条目录、200 万次调用，需数 GB 磁盘和数分钟；
可先用 --scale 0.01 试用。`,
			`Make up some time of a province of sample departments: applications, deliveries, corrections, disputes and exchanges. The
evidence is written as logs that verify, a file a node, and a report is made of it, signed, as JSON, XLSX, CSV and HTML. Equal
flags give equal results. At --scale 1 these are 600 departments, 10,000 resources and 2,000,000 calls, which take some GB of
disk and minutes; try --scale 0.01 first.`),
		Example: "  gxbus demo load --dir ./quarter --scale 0.01\n  gxbus demo load --dir ./quarter --days 90 --seed 7\n  gxbus evaluation verify quarter/report.json --evidence quarter",
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", a.say("写入的 `目录`，须为空", "`folder` to write, empty or new"))
	f.StringVar(&from, "from", "2026-01-01", a.say("起始 `日期`", "first `day`"))
	f.IntVar(&o.Days, "days", o.Days, a.say("天 `数`", "`number` of days"))
	f.Uint64Var(&o.Seed, "seed", o.Seed, a.say("随机 `种子`", "`seed` of the random numbers"))
	f.Float64Var(&o.Scale, "scale", o.Scale, a.say("规模 `倍数`", "`factor` of the full size"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Dir == "" {
			return a.usage(cmd, "缺少 --dir", "missing --dir")
		}
		first, err := calendar.ParseDate(from)
		if err != nil {
			return a.usage(cmd, "--from 不是日期："+from, "--from is not a date: "+from)
		}
		o.From, o.Lang = first, a.lang
		return a.loadDemo(cmd.Context(), o)
	}
	return cmd
}

func (a *app) loadDemo(ctx context.Context, o quarter.Options) error {
	bar := a.progress(o.Days)
	o.Progress = func(int, int) { bar.step() }
	made, err := quarter.Write(ctx, o)
	bar.done()
	if err != nil {
		return err
	}
	return printOne(a, []column[quarter.Made]{
		{"divisions", "区划", func(m quarter.Made) string { return sprint(m.Divisions) }},
		{"nodes", "节点", func(m quarter.Made) string { return sprint(m.Nodes) }},
		{"departments", "部门", func(m quarter.Made) string { return sprint(m.Departments) }},
		{"resources", "目录", func(m quarter.Made) string { return sprint(m.Resources) }},
		{"applications", "申请", func(m quarter.Made) string { return sprint(m.Applications) }},
		{"exchanges", "交换", func(m quarter.Made) string { return sprint(m.Exchanges) }},
		{"leaves", "存证记录", func(m quarter.Made) string { return sprint(m.Leaves) }},
		{"silent", "未报送的节点", func(m quarter.Made) string { return m.Silent }},
		{"report", "报告", func(m quarter.Made) string { return filepath.ToSlash(m.Report) }},
		{"verified", "验证", func(m quarter.Made) string { return m.Verified }},
	}, made)
}
