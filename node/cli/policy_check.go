package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/policy"
)

// examined makes the body of a command that examines a directory of Rego, on this
// machine. "base" is the policy that ships with this program.
func (a *app) examined(id *string, examine func(context.Context, *policy.Engine, bus.Layer) bus.LayerReport, show func(bus.LayerReport) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		engine, err := policy.New(policy.Options{})
		if err != nil {
			return err
		}
		var layer bus.Layer
		if args[0] == string(bus.BaseLayer) {
			layer, err = policy.Base()
		} else {
			layer, err = a.layerOf(cmd, args[0], *id)
		}
		if err != nil {
			return err
		}
		return show(examine(cmd.Context(), engine, layer))
	}
}

func check(ctx context.Context, e *policy.Engine, l bus.Layer) bus.LayerReport {
	return e.Check(ctx, l)
}
func lint(ctx context.Context, e *policy.Engine, l bus.Layer) bus.LayerReport { return e.Lint(ctx, l) }

func (a *app) lintLayer() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use: "lint DIR --layer LAYER", Short: a.say("在本机检查策略文本，不运行测试", "Check the text of a layer here, without running its tests"),
		Long: a.say("在本机检查策略文本：语法、严格模式、允许的内置函数、包名、引用。不需要节点，不运行测试。",
			"Check the text of a layer here: syntax, strict mode, allowed built-ins, package, references. No node is needed, no test is run."),
		Args: a.exactly("DIR"), Example: "  gxbus policy lint policies/guangzhou --layer division/440100\n  gxbus policy lint base",
	}
	a.layerFlag(cmd, &id)
	cmd.RunE = a.examined(&id, lint, a.printReport)
	return cmd
}

// testLayer checks a layer here, without a node: for who writes one.
func (a *app) testLayer() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use: "test base | test DIR --layer LAYER", Short: a.say("在本机检查策略目录并运行测试，不需要节点", "Check a directory of Rego and run its tests here, without a node"),
		Long: a.say("在本机检查策略目录并运行测试，规则与节点上启用前的检查相同。base 运行随程序发布的基础策略的测试。",
			"Check a directory of Rego and run its tests here, by the rules a node applies before it takes a layer.\n\"base\" runs the tests of the base policy that ships with this program."),
		Args: a.exactly("DIR"), Example: "  gxbus policy test base\n  gxbus policy test policies/samples/division-440100 --layer division/440100",
	}
	a.layerFlag(cmd, &id)
	cmd.RunE = a.examined(&id, check, a.printReport)
	return cmd
}

func (a *app) coverLayer() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use: "coverage DIR --layer LAYER", Short: a.say("在本机运行测试，列出各文件未覆盖的行", "Run the tests here, and list the lines they do not reach"),
		Args: a.exactly("DIR"), Example: "  gxbus policy coverage policies/samples/division-440100 --layer division/440100\n  gxbus policy coverage base -o csv",
	}
	a.layerFlag(cmd, &id)
	cmd.RunE = a.examined(&id, check, func(r bus.LayerReport) error {
		if len(r.Coverage) == 0 || !r.OK { // there is nothing to be said of a layer whose tests fail but that
			return a.printReport(r)
		}
		return printList(a, coverageColumns, r.Coverage)
	})
	return cmd
}

var coverageColumns = []column[bus.FileCoverage]{
	{"file", "文件", func(f bus.FileCoverage) string { return f.File }},
	{"covered", "已覆盖", func(f bus.FileCoverage) string { return sprint(f.Covered) }},
	{"lines", "行数", func(f bus.FileCoverage) string { return sprint(f.Lines) }},
	{"percent", "比例", func(f bus.FileCoverage) string { return percent(f.Covered, f.Lines) }},
	{"missed", "未覆盖的行", func(f bus.FileCoverage) string {
		lines := make([]string, len(f.Missed))
		for i, r := range f.Missed {
			if lines[i] = sprint(r.First); r.Last != r.First {
				lines[i] = sprint(r.First, "-", r.Last)
			}
		}
		return listed(lines)
	}},
}

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", part*100/whole)
}

func (a *app) checkLayer() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use: "check DIR --layer LAYER", Short: a.say("在节点上检查策略目录并运行测试，不保存", "Check a directory of Rego on the node as push does; nothing is stored"),
		Args: a.exactly("DIR"), Example: "  gxbus policy check policies/guangzhou --layer division/440100",
	}
	a.layerFlag(cmd, &id)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		layer, err := a.layerOf(cmd, args[0], id)
		if err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			report, err := c.Policies().Check(ctx, layer)
			if err != nil {
				return err
			}
			return a.printReport(report)
		})(cmd, args)
	}
	return cmd
}

// printReport prints problems, then tests; a layer that would be refused is an error.
func (a *app) printReport(r bus.LayerReport) error {
	g := grid{keys: []string{"result", "where", "message"}, heads: []string{a.say("结果", "result"), a.say("位置", "where"), a.say("说明", "message")}}
	for _, p := range r.Problems {
		g.rows = append(g.rows, []string{p.Code, p.Where(), p.Message.In(a.lang)})
	}
	for _, t := range r.Tests {
		result := "pass"
		if !t.Pass {
			result = "FAIL"
		}
		g.rows = append(g.rows, []string{result, t.Name, t.Output})
	}
	if err := a.print(r, g); err != nil {
		return err
	}
	if !r.OK {
		return bus.E(bus.CodePolicyRefused, bus.Defect{Field: string(r.Layer), Problem: bus.Text{ZH: "见上", EN: "see above"}})
	}
	if covered, lines := r.Covered(); lines > 0 {
		a.notice(sprint("测试覆盖 ", covered, "/", lines, " 行（", percent(covered, lines), "）"), sprint("the tests cover ", covered, " of ", lines, " lines (", percent(covered, lines), ")"))
	}
	return nil
}
