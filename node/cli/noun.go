package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// noun is a kind of entry that commands list, show, put and delete.
type noun[K ~string, V any] struct {
	zh, en  string // what people call one
	example string // an id
	columns []column[V]
	details []column[V]  // of show, after columns
	inner   func(V) grid // of show, a table below them; nil: none
	entries func(*client.Client) client.Readable[K, V]
}

// writer is what put needs to know of a kind of entry.
type writer[K ~string, V any] struct {
	noun[K, V]
	check func(V) []bus.Defect
	name  func(*V) (K, *bus.Revision)
	put   func(context.Context, *client.Client, V) (V, error)

	onlyNew bool // what is there is not to be replaced
}

func (n noun[K, V]) list(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("列出"+n.zh, "List the "+plural(n.en)), Args: a.exactly(),
		Example: "  gxbus " + n.en + " list\n  gxbus " + n.en + " list -o csv > " + plural(n.en) + ".csv",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			values, err := n.entries(c).List(ctx)
			if err != nil {
				return err
			}
			return printList(a, n.columns, values)
		}),
	}
}

func (n noun[K, V]) show(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: a.say("显示一个"+n.zh, "Show a "+n.en), Args: a.exactly("ID"),
		Example:           "  gxbus " + n.en + " show " + n.example + "\n  gxbus " + n.en + " show " + n.example + " -o yaml",
		ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			value, err := n.entries(c).Read(ctx, K(args[0]))
			if err != nil {
				return err
			}
			return n.print(a, value)
		}),
	}
}

// print shows one. A table is for people: it leaves out details that are not set.
func (n noun[K, V]) print(a *app, value V) error {
	if a.output != "table" {
		return printOne(a, slices.Concat(n.columns, n.details), value)
	}
	columns := slices.Clone(n.columns)
	for _, c := range n.details {
		if c.cell(value) != "" {
			columns = append(columns, c)
		}
	}
	if err := printOne(a, columns, value); err != nil || n.inner == nil {
		return err
	}
	inner := n.inner(value)
	if len(inner.rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return writeTable(a.Out, inner)
}

// complete offers the ids that the node knows; a node that does not answer at
// once offers none.
func (n noun[K, V]) complete(a *app) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := a.connect(func(cfg *client.Config) { cfg.Timeout, cfg.Attempts = 2*time.Second, 1 })
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		values, err := n.entries(c).List(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ids := make([]cobra.Completion, len(values))
		for i, v := range values { // the first two columns are the id and what it is
			ids[i] = cobra.CompletionWithDesc(n.columns[0].cell(v), printable(n.columns[1].cell(v)))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// remove deletes an entry as it is now, or as it was at --revision.
func remove[K ~string, V any](a *app, w writer[K, V], entries func(*client.Client) client.Removable[K, V]) *cobra.Command {
	var revision uint64
	cmd := &cobra.Command{
		Use: "delete ID", Short: a.say("删除一个"+w.zh, "Delete a "+w.en), Args: a.exactly("ID"),
		Example:           "  gxbus " + w.en + " delete " + w.example,
		ValidArgsFunction: w.complete(a),
	}
	cmd.Flags().Uint64Var(&revision, "revision", 0, a.say("仅当修订号为 `N` 时删除", "only if it is at revision `N`"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		id, expected := K(args[0]), bus.Revision(revision)
		if expected == 0 {
			present, err := entries(c).Read(ctx, id)
			if err != nil {
				return err
			}
			_, at := w.name(&present)
			expected = *at
		}
		if err := entries(c).Delete(ctx, id, expected); err != nil {
			return err
		}
		a.notice("已删除 "+args[0], "deleted "+args[0])
		return nil
	})
	return cmd
}

// putCommand puts the entries of a file.
func (w writer[K, V]) putCommand(a *app) *cobra.Command {
	var file string
	var dry bool
	cmd := &cobra.Command{
		Use: "put -f FILE", Short: a.say("按文件新建或修改"+w.zh, "Create or change "+w.en+"s from a file"), Args: a.exactly(),
		Long: a.say("按 YAML 或 JSON 文件新建或修改"+w.zh+"；一个文件可含多个文档，\"-\" 为标准输入。\n"+
			"先在本机检查全部内容的格式，有一处错误则一项也不提交；只有节点才能判断的（如区划是否存在）逐项检查，此前各项已经写入。文件中写有 revision 的，仅当其未变化时修改；未写的，以当前内容为准。",
			"Create or change "+w.en+"s from a file of YAML documents or JSON; \"-\" is the standard input.\n"+
				"The form of all of it is checked here first, and with one defect nothing is sent. What only the node can\n"+
				"know (does the division exist?) is checked entry by entry; those before it stay stored. An entry that states its revision is changed\n"+
				"only if it still has it; one that states none replaces what is there now."),
		Example: "  gxbus " + w.en + " put -f " + plural(w.en) + ".yaml\n  gxbus " + w.en + " put -f - --dry-run < " + plural(w.en) + ".yaml",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", a.say("`文件`（YAML、JSON），\"-\" 为标准输入", "`file` of YAML or JSON, \"-\" for the standard input"))
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.need(cmd, "file"); err != nil {
			return err
		}
		values, err := readDocuments[V](a, file)
		if err != nil {
			return err
		}
		return w.putAll(cmd.Context(), a, values, dry)
	}
	return cmd
}

// putAll checks all values and, but for a dry run, puts them in order.
func (w writer[K, V]) putAll(ctx context.Context, a *app, values []V, dry bool) error {
	var defects []bus.Defect
	for i, v := range values {
		defects = append(defects, numbered(i+1, w.check(v))...)
	}
	if err := bus.Invalid(defects); err != nil {
		return err
	}
	if dry {
		a.notice("仅检查，未提交", "checked only; nothing was sent")
		return a.preview(values)
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	bar := a.progress(len(values))
	defer bar.done()
	var stored []V
	for _, v := range values {
		v, err := w.putOne(ctx, c, v)
		if err != nil {
			if len(stored) > 0 {
				a.notice(sprint("此前已提交 ", len(stored), " 项"), sprint(len(stored), " were stored before this"))
			}
			return err
		}
		stored = append(stored, v)
		bar.step()
	}
	bar.done()
	return printList(a, w.columns, stored)
}

// putOne puts a value; one without a revision goes on top of what is there.
func (w writer[K, V]) putOne(ctx context.Context, c *client.Client, value V) (V, error) {
	id, revision := w.name(&value)
	if *revision == 0 && !w.onlyNew {
		present, err := w.entries(c).Read(ctx, id)
		if err != nil && !client.IsCode(err, bus.CodeNotFound) {
			return value, err
		}
		if err == nil {
			_, at := w.name(&present)
			*revision = *at
		}
	}
	return w.put(ctx, c, value)
}

func (a *app) dryRunFlag(cmd *cobra.Command, dry *bool) {
	cmd.Flags().BoolVar(dry, "dry-run", false, a.say("只在本地检查并显示将提交的内容", "only check here, and show what would be sent"))
}

// plural of a noun of the command line.
func plural(noun string) string {
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return stem + "ies"
	}
	return noun + "s"
}
