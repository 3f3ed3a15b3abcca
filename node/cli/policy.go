package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/policy"
)

func (a *app) policyCommand() *cobra.Command {
	n := layers()
	return a.group("policy", "共享策略层", "Policy layers",
		n.list(a), a.showLayer(n), a.checkLayer(), a.testLayer())
}

func layers() noun[bus.LayerID, bus.Layer] {
	return noun[bus.LayerID, bus.Layer]{
		zh: "策略层", en: "policy", example: "division/440100",
		columns: []column[bus.Layer]{
			{"id", "策略层", func(l bus.Layer) string { return string(l.ID) }},
			{"modules", "文件", func(l bus.Layer) string { return listed(fileNames(l)) }},
			{"revision", "修订号", func(l bus.Layer) string { return sprint(l.Revision) }},
		},
		entries: func(c *client.Client) client.Readable[bus.LayerID, bus.Layer] { return c.Policies().Readable },
	}
}

// checkLayerID wants division/CODE or department/CODE: base comes with the release.
func checkLayerID(l bus.Layer) []bus.Defect {
	kind, of := l.ID.Split()
	if (kind == "division" || kind == "department") && of != "" && !strings.Contains(of, "/") {
		return nil
	}
	return []bus.Defect{{Field: "layer", Problem: bus.Text{ZH: "策略层名称不正确", EN: "not the name of a layer"}, Allowed: "division/440100, department/USCC"}}
}

func fileNames(l bus.Layer) []string {
	var names []string
	for name := range l.Modules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (a *app) showLayer(w noun[bus.LayerID, bus.Layer]) *cobra.Command {
	cmd := w.show(a)
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		layer, err := c.Policies().Read(ctx, bus.LayerID(args[0]))
		if err != nil {
			return err
		}
		if a.output != "table" {
			return printOne(a, w.columns, layer)
		}
		for _, name := range fileNames(layer) {
			fmt.Fprintf(a.Out, "# %s\n", printable(name))
			for line := range strings.Lines(layer.Modules[name]) {
				fmt.Fprintln(a.Out, printable(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    ")))
			}
		}
		return nil
	})
	return cmd
}

// layerFlag adds --layer.
func (a *app) layerFlag(cmd *cobra.Command, layer *string) {
	cmd.Flags().StringVar(layer, "layer", "", a.say("策略 `层`：division/440100 或 department/信用代码", "the `layer`: division/440100 or department/USCC"))
}

func (a *app) checkLayer() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use: "check DIR --layer LAYER", Short: a.say("在节点上检查策略目录并运行测试，不保存", "Check a directory of Rego on the node, tests included; nothing is stored"),
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
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		engine, err := policy.New(policy.Options{})
		if err != nil {
			return err
		}
		if args[0] == "base" {
			report, err := engine.TestBase(cmd.Context())
			if err != nil {
				return err
			}
			return a.printReport(report)
		}
		layer, err := a.layerOf(cmd, args[0], id)
		if err != nil {
			return err
		}
		return a.printReport(engine.Check(cmd.Context(), layer))
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
	return nil
}
