package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) policyCommand() *cobra.Command {
	w := layers()
	return a.group("policy", "共享策略层", "Policy layers",
		w.list(a), a.showLayer(w),
		a.checkLayer("check", "在节点上检查策略目录并运行测试，不保存", "Check a directory of Rego on the node, tests included; nothing is stored"),
		a.checkLayer("test", "在节点上运行策略目录的测试，不保存", "Run the tests of a directory of Rego on the node; nothing is stored"),
		a.pushLayer(w), remove(a, w, func(c *client.Client) client.Removable[bus.LayerID, bus.Layer] { return c.Policies().Removable }))
}

func layers() writer[bus.LayerID, bus.Layer] {
	return writer[bus.LayerID, bus.Layer]{
		noun: noun[bus.LayerID, bus.Layer]{
			zh: "策略层", en: "policy", example: "division/440100",
			columns: []column[bus.Layer]{
				{"id", "策略层", func(l bus.Layer) string { return string(l.ID) }},
				{"modules", "文件", func(l bus.Layer) string { return listed(fileNames(l)) }},
				{"revision", "修订号", func(l bus.Layer) string { return sprint(l.Revision) }},
			},
			entries: func(c *client.Client) client.Readable[bus.LayerID, bus.Layer] { return c.Policies().Readable },
		},
		check: checkLayerID,
		name:  func(l *bus.Layer) (bus.LayerID, *bus.Revision) { return l.ID, &l.Revision },
		put: func(ctx context.Context, c *client.Client, l bus.Layer) (bus.Layer, error) {
			return c.Policies().Put(ctx, l)
		},
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

func (a *app) showLayer(w writer[bus.LayerID, bus.Layer]) *cobra.Command {
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

func (a *app) checkLayer(use, zh, en string) *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use: use + " DIR --layer LAYER", Short: a.say(zh, en), Args: a.exactly("DIR"),
		Example: "  gxbus policy " + use + " policies/guangzhou --layer division/440100",
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
func (a *app) printReport(r client.LayerReport) error {
	g := grid{keys: []string{"result", "where", "message"}, heads: []string{a.say("结果", "result"), a.say("位置", "where"), a.say("说明", "message")}}
	for _, p := range r.Problems {
		where := p.File
		if p.Row > 0 {
			where = fmt.Sprintf("%s:%d:%d", p.File, p.Row, p.Column)
		}
		g.rows = append(g.rows, []string{p.Code, where, p.Message.In(a.lang)})
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

func (a *app) pushLayer(w writer[bus.LayerID, bus.Layer]) *cobra.Command {
	var id string
	var dry bool
	cmd := &cobra.Command{
		Use: "push DIR --layer LAYER", Short: a.say("上传策略目录（*.rego），通过检查后启用", "Upload a directory of *.rego; it is used once it passes the checks"), Args: a.exactly("DIR"),
		Example: "  gxbus policy push policies/guangzhou --layer division/440100",
	}
	a.layerFlag(cmd, &id)
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		layer, err := a.layerOf(cmd, args[0], id)
		if err != nil {
			return err
		}
		return w.putAll(cmd.Context(), a, []bus.Layer{layer}, dry)
	}
	return cmd
}
