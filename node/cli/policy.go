package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) policyCommand() *cobra.Command {
	n := layers()
	return a.group("policy", "共享策略层", "Policy layers",
		n.list(a), a.showLayer(n), a.lintLayer(), a.testLayer(), a.coverLayer(), a.checkLayer(),
		a.pushLayer(), a.rollBackLayer(n), a.removeLayer(n), a.listLayerDrafts(), a.diffLayer(n), a.activateLayer(n), a.discardLayer(n),
		a.layerHistory(n), a.policyStatus(), a.replayLayer(), a.explainDecision(), a.listDecisions())
}

func layers() noun[bus.LayerID, bus.Layer] {
	return noun[bus.LayerID, bus.Layer]{
		zh: "策略层", en: "policy", example: "division/440100",
		columns: []column[bus.Layer]{
			{"id", "策略层", func(l bus.Layer) string { return string(l.ID) }},
			{"modules", "文件", func(l bus.Layer) string { return listed(fileNames(l.Modules)) }},
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

func fileNames(modules map[string]string) []string {
	var names []string
	for name := range modules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// layerArgument reads the id of a layer.
func layerArgument(arg string) (bus.LayerID, error) {
	id := bus.LayerID(arg)
	return id, bus.Invalid(checkLayerID(bus.Layer{ID: id}))
}

// revisionArgument reads the number of a revision.
func (a *app) revisionArgument(cmd *cobra.Command, arg string) (bus.Revision, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n == 0 {
		return 0, a.usage(cmd, "不是修订号："+arg, "not a revision: "+arg)
	}
	return bus.Revision(n), nil
}

// layerFlag adds --layer.
func (a *app) layerFlag(cmd *cobra.Command, layer *string) {
	cmd.Flags().StringVar(layer, "layer", "", a.say("策略 `层`：division/440100 或 department/信用代码", "the `layer`: division/440100 or department/USCC"))
	offer := layers().complete(a)
	_ = cmd.RegisterFlagCompletionFunc("layer", func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return offer(cmd, nil, typed)
	}) // fails only for a flag that is not there
}

// noteFlag adds --note.
func (a *app) noteFlag(cmd *cobra.Command, note *string) {
	cmd.Flags().StringVar(note, "note", "", a.say("`理由`，留存备查", "why, as `text` that is kept"))
}

func (a *app) showLayer(n noun[bus.LayerID, bus.Layer]) *cobra.Command {
	var revision uint64
	var draft bool
	cmd := &cobra.Command{
		Use: "show LAYER", Short: a.say("显示策略层的文本：生效的、某一修订或草稿", "Show a layer's text: in force, of a revision, or the draft"), Args: a.exactly("LAYER"),
		Example:           "  gxbus policy show division/440100\n  gxbus policy show division/440100 --draft\n  gxbus policy show division/440100 --revision 42 -o yaml",
		ValidArgsFunction: n.complete(a),
	}
	cmd.Flags().Uint64Var(&revision, "revision", 0, a.say("修订 `号`，见 policy history", "`number` of the revision, see policy history"))
	cmd.Flags().BoolVar(&draft, "draft", false, a.say("草稿", "the draft"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
		id := bus.LayerID(args[0])
		switch {
		case draft && revision != 0:
			return a.usage(cmd, "--draft 与 --revision 只能取一", "--draft and --revision exclude each other")
		case draft:
			d, err := c.Policies().Draft(ctx, id)
			if err != nil {
				return err
			}
			if a.output == "table" {
				a.notice(sprint("草稿 ", d.Revision, "：", a.layerKind(d), "，", actText(d.Pushed)), sprint("draft ", d.Revision, ": ", a.layerKind(d), ", ", actText(d.Pushed)))
			}
			return showText(a, layerDraftColumns(a), d, d.Modules)
		case revision != 0:
			r, err := c.Policies().Revision(ctx, id, bus.Revision(revision))
			if err != nil {
				return err
			}
			if a.output == "table" {
				a.notice(sprint("修订 ", r.Revision, "：", actText(r.Draft.Pushed), "；启用 ", actText(r.Activated)),
					sprint("revision ", r.Revision, ": pushed by ", actText(r.Draft.Pushed), "; activated by ", actText(r.Activated)))
			}
			return showText(a, layerRevisionColumns(a), r, r.Draft.Modules)
		}
		layer, err := c.Policies().Read(ctx, id)
		if err != nil {
			return err
		}
		return showText(a, n.columns, layer, layer.Modules)
	})
	return cmd
}

// showText prints the text of a layer for people, else all of what holds it.
func showText[V any](a *app, columns []column[V], value V, modules map[string]string) error {
	if a.output != "table" {
		return printOne(a, columns, value)
	}
	for _, name := range fileNames(modules) {
		fmt.Fprintf(a.Out, "# %s\n", printable(name))
		for line := range strings.Lines(modules[name]) {
			fmt.Fprintln(a.Out, sourceLine(line))
		}
	}
	return nil
}

// sourceLine is a line of a text as a terminal may be given it.
func sourceLine(line string) string {
	return printable(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    "))
}

// layerKind says what a draft would do.
func (a *app) layerKind(d bus.LayerDraft) string {
	switch {
	case d.Remove:
		return a.say("撤销", "removal")
	case d.Rollback != 0:
		return a.say(sprint("恢复 ", d.Rollback), sprint("rollback to ", d.Rollback))
	default:
		return a.say("文本", "text")
	}
}

// actText says who, when and why.
func actText(act bus.LayerAct) string {
	text := who(act.By) + " " + stamp(act.At)
	if act.Note != "" {
		text += " " + act.Note
	}
	return text
}
