package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func layerRevisionColumns(a *app) []column[bus.LayerRevision] {
	return []column[bus.LayerRevision]{
		{"revision", "修订号", func(r bus.LayerRevision) string { return sprint(r.Revision) }},
		{"kind", "内容", func(r bus.LayerRevision) string { return a.layerKind(r.Draft) }},
		{"pushed_by", "提交人", func(r bus.LayerRevision) string { return who(r.Draft.Pushed.By) }},
		{"pushed_at", "提交时间", func(r bus.LayerRevision) string { return stamp(r.Draft.Pushed.At) }},
		{"note", "理由", func(r bus.LayerRevision) string { return r.Draft.Pushed.Note }},
		{"activated_by", "启用人", func(r bus.LayerRevision) string { return who(r.Activated.By) }},
		{"activated_at", "启用时间", func(r bus.LayerRevision) string { return stamp(r.Activated.At) }},
		{"activation_note", "复核意见", func(r bus.LayerRevision) string { return r.Activated.Note }},
	}
}

func (a *app) layerHistory(n noun[bus.LayerID, bus.Layer]) *cobra.Command {
	return &cobra.Command{
		Use: "history LAYER", Short: a.say("列出策略层的历次修订：谁提交、谁启用、何时、为何", "List a layer's revisions: who pushed, who activated, when and why"), Args: a.exactly("LAYER"),
		Example: "  gxbus policy history division/440100\n  gxbus policy history division/440100 -o csv", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			id, err := layerArgument(args[0])
			if err != nil {
				return err
			}
			found, err := c.Policies().Revisions(ctx, id)
			if err != nil {
				return err
			}
			return printList(a, layerRevisionColumns(a), found)
		}),
	}
}

// Words for texts that are not named by the number of a revision.
const (
	inForceWord = "in-force"
	draftWord   = "draft"
)

func (a *app) diffLayer(n noun[bus.LayerID, bus.Layer]) *cobra.Command {
	return &cobra.Command{
		Use: "diff LAYER [FROM [TO]]", Short: a.say("比较策略层的两个文本", "Compare two texts of a layer"), Args: a.between(1, 3, "LAYER", "FROM", "TO"),
		Long: a.say("比较策略层的两个文本。FROM 与 TO 为修订号、in-force（生效的）或 draft（草稿）；不写则比较生效的与草稿。",
			"Compare two texts of a layer. FROM and TO are the numbers of revisions, in-force or draft; left out, what is in force is compared\nwith the draft."),
		Example: "  gxbus policy diff division/440100\n  gxbus policy diff division/440100 42\n  gxbus policy diff division/440100 42 draft", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
			id, err := layerArgument(args[0])
			if err != nil {
				return err
			}
			from, to := inForceWord, draftWord
			if len(args) > 1 {
				from, to = args[1], inForceWord
			}
			if len(args) > 2 {
				to = args[2]
			}
			return a.differences(ctx, c, cmd, id, from, to)
		}),
	}
}

// fileDiff is how a file of a layer differs, as a unified diff.
type fileDiff struct {
	File string `json:"file"`
	Diff string `json:"diff"`
}

// differences prints how the texts of a layer differ that two words name.
func (a *app) differences(ctx context.Context, c *client.Client, cmd *cobra.Command, id bus.LayerID, from, to string) error {
	was, err := a.textNamed(ctx, c, cmd, id, from)
	if err != nil {
		return err
	}
	is, err := a.textNamed(ctx, c, cmd, id, to)
	if err != nil {
		return err
	}
	files := slices.Concat(fileNames(was), fileNames(is))
	slices.Sort(files)
	found := []fileDiff{}
	for _, file := range slices.Compact(files) {
		if was[file] != is[file] {
			text := string(diff.Diff(from+"/"+file, []byte(was[file]), to+"/"+file, []byte(is[file])))
			_, text, _ = strings.Cut(text, "\n") // the line before the names: "diff FROM TO"
			found = append(found, fileDiff{file, text})
		}
	}
	if a.output != "table" {
		return printList(a, []column[fileDiff]{
			{"file", "文件", func(d fileDiff) string { return d.File }}, {"diff", "差异", func(d fileDiff) string { return d.Diff }},
		}, found)
	}
	if len(found) == 0 {
		a.notice("没有差异", "no difference")
	}
	for _, d := range found {
		for line := range strings.Lines(d.Diff) {
			fmt.Fprintln(a.Out, sourceLine(line))
		}
	}
	return nil
}

// textNamed is the text of a layer that a word names; of a layer that is not in
// force, or would be removed, there is none.
func (a *app) textNamed(ctx context.Context, c *client.Client, cmd *cobra.Command, id bus.LayerID, word string) (map[string]string, error) {
	switch word {
	case draftWord:
		d, err := c.Policies().Draft(ctx, id)
		return d.Modules, err
	case inForceWord:
		l, err := c.Policies().Read(ctx, id)
		if client.IsCode(err, bus.CodeNotFound) {
			return nil, nil
		}
		return l.Modules, err
	}
	revision, err := a.revisionArgument(cmd, word)
	if err != nil {
		return nil, err
	}
	r, err := c.Policies().Revision(ctx, id, revision)
	return r.Draft.Modules, err
}
