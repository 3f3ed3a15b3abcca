package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func layerDraftColumns(a *app) []column[bus.LayerDraft] {
	return []column[bus.LayerDraft]{
		{"layer", "策略层", func(d bus.LayerDraft) string { return string(d.ID) }},
		{"revision", "草稿号", func(d bus.LayerDraft) string { return sprint(d.Revision) }},
		{"kind", "内容", a.layerKind},
		{"pushed_by", "提交人", func(d bus.LayerDraft) string { return who(d.Pushed.By) }},
		{"pushed_at", "提交时间", func(d bus.LayerDraft) string { return stamp(d.Pushed.At) }},
		{"tests", "测试", func(d bus.LayerDraft) string {
			if d.Report == nil {
				return ""
			}
			return sprint(len(d.Report.Tests))
		}},
		{"coverage", "覆盖", func(d bus.LayerDraft) string {
			if d.Report == nil {
				return ""
			}
			return percent(d.Report.Covered())
		}},
		{"note", "理由", func(d bus.LayerDraft) string { return d.Pushed.Note }},
	}
}

func (a *app) listLayerDrafts() *cobra.Command {
	return &cobra.Command{
		Use: "drafts", Short: a.say("列出待启用的策略草稿", "List the drafts that wait to be activated"), Args: a.exactly(), Example: "  gxbus policy drafts",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			found, err := c.Policies().Drafts(ctx)
			if err != nil {
				return err
			}
			return printList(a, layerDraftColumns(a), found)
		}),
	}
}

func (a *app) pushLayer() *cobra.Command {
	var id, note string
	var dry bool
	cmd := &cobra.Command{
		Use: "push DIR --layer LAYER --note TEXT", Short: a.say("上传策略目录（*.rego）为草稿，待另一名安全管理员启用", "Upload a directory of *.rego as a draft, for another security administrator to activate"),
		Long: a.say("上传策略目录（*.rego）：节点检查语法、严格模式、内置函数、包名，运行测试并试算耗时，通过的存为草稿；生效的版本不变，\n直到另一名安全管理员启用。已有的草稿被替换。",
			"Upload a directory of *.rego. The node checks syntax, strict mode, built-ins and package, runs the tests and tries what it costs;\nwhat passes becomes the layer's draft, and replaces one that is there. What is in force stays until another security administrator\nactivates the draft."),
		Args: a.exactly("DIR"), Example: "  gxbus policy push policies/guangzhou --layer division/440100 --note '地址不出市'\n  gxbus policy push policies/guangzhou --layer division/440100 --dry-run",
	}
	a.layerFlag(cmd, &id)
	a.noteFlag(cmd, &note)
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		layer, err := a.layerOf(cmd, args[0], id)
		if err != nil {
			return err
		}
		push := bus.LayerPush{Modules: layer.Modules, Note: note}
		if dry {
			a.notice("未提交；policy check 可在节点上检查", "nothing was sent; policy check checks it on the node")
			return a.preview(push)
		}
		return a.pushed(cmd, layer.ID, push)
	}
	return cmd
}

func (a *app) rollBackLayer(n noun[bus.LayerID, bus.Layer]) *cobra.Command {
	var note string
	var dry bool
	cmd := &cobra.Command{
		Use: "rollback LAYER REVISION --note TEXT", Short: a.say("以某一旧修订的文本为草稿，待另一名安全管理员启用", "Make the text of an older revision the draft, for another security administrator to activate"),
		Args: a.exactly("LAYER", "REVISION"), ValidArgsFunction: n.complete(a),
		Long: a.say("以某一旧修订的文本为草稿；启用后是一个新的修订，修订号只增不减。见 policy history。",
			"Make the text of an older revision the draft. Once activated it is a new revision: revisions only grow. See policy history."),
		Example: "  gxbus policy rollback division/440100 42 --note '新版误拒急救数据'\n  gxbus policy rollback division/440100 42 --dry-run",
	}
	a.noteFlag(cmd, &note)
	cmd.Flags().BoolVar(&dry, "dry-run", false, a.say("只显示与生效版本的差异", "only show how it differs from what is in force"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := layerArgument(args[0])
		if err != nil {
			return err
		}
		revision, err := a.revisionArgument(cmd, args[1])
		if err != nil {
			return err
		}
		if dry {
			return a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, _ []string) error {
				a.notice("未提交", "nothing was sent")
				return a.differences(ctx, c, cmd, id, inForceWord, args[1])
			})(cmd, args)
		}
		return a.pushed(cmd, id, bus.LayerPush{Rollback: revision, Note: note})
	}
	return cmd
}

func (a *app) removeLayer(n noun[bus.LayerID, bus.Layer]) *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: "remove LAYER --note TEXT", Short: a.say("提请撤销一个策略层，待另一名安全管理员启用", "Ask for a layer to be no more, for another security administrator to activate"),
		Args: a.exactly("LAYER"), ValidArgsFunction: n.complete(a), Example: "  gxbus policy remove division/440100 --note '机构调整'",
	}
	a.noteFlag(cmd, &note)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := layerArgument(args[0])
		if err != nil {
			return err
		}
		return a.pushed(cmd, id, bus.LayerPush{Remove: true, Note: note})
	}
	return cmd
}

// pushed pushes on top of the draft that is there, if there is one.
func (a *app) pushed(cmd *cobra.Command, id bus.LayerID, push bus.LayerPush) error {
	if err := a.need(cmd, "note"); err != nil {
		return err
	}
	return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		before, err := c.Policies().Draft(ctx, id)
		if err != nil && !client.IsCode(err, bus.CodeNotFound) {
			return err
		}
		draft, err := c.Policies().Push(ctx, id, before.Revision, push)
		if err != nil {
			return err
		}
		if before.Revision != 0 {
			a.notice(sprint("替换了草稿 ", before.Revision, "（", actText(before.Pushed), "）"), sprint("replaces draft ", before.Revision, " (", actText(before.Pushed), ")"))
		}
		a.notice(sprint("须由另一名安全管理员启用：gxbus policy activate ", id, " ", draft.Revision),
			sprint("for another security administrator: gxbus policy activate ", id, " ", draft.Revision))
		return printList(a, layerDraftColumns(a), []bus.LayerDraft{draft})
	})(cmd, nil)
}

func (a *app) discardLayer(n noun[bus.LayerID, bus.Layer]) *cobra.Command {
	return &cobra.Command{
		Use: "discard LAYER", Short: a.say("丢弃草稿，生效的版本不变", "Throw the draft away; what is in force stays"), Args: a.exactly("LAYER"),
		Example: "  gxbus policy discard division/440100", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			d, err := c.Policies().Draft(ctx, bus.LayerID(args[0]))
			if err != nil {
				return err
			}
			if err := c.Policies().Discard(ctx, d.ID, d.Revision); err != nil {
				return err
			}
			a.notice(sprint("已丢弃 ", d.ID, " 的草稿 ", d.Revision), sprint("discarded draft ", d.Revision, " of ", d.ID))
			return nil
		}),
	}
}

func (a *app) activateLayer(n noun[bus.LayerID, bus.Layer]) *cobra.Command {
	var note string
	var dry bool
	cmd := &cobra.Command{
		Use: "activate LAYER DRAFT", Short: a.say("启用他人提交的草稿，成为新的修订", "Put a draft that somebody else pushed in force, as a new revision"), Args: a.exactly("LAYER", "DRAFT"),
		Long: a.say("启用草稿，须写明所复核的草稿号：其后又有人替换了草稿的，不予启用。不得启用本人提交的草稿。policy diff 显示将有的变化。",
			"Put a draft in force. Its number says what you reviewed: where it was replaced since, nothing is activated. Nobody activates what they\npushed. policy diff shows what would change."),
		ValidArgsFunction: n.complete(a),
		Example:           "  gxbus policy diff division/440100\n  gxbus policy activate division/440100 57 --note '已复核'\n  gxbus policy activate division/440100 57 --dry-run",
	}
	a.noteFlag(cmd, &note)
	cmd.Flags().BoolVar(&dry, "dry-run", false, a.say("只显示将有的变化", "only show what would change"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
		id, err := layerArgument(args[0])
		if err != nil {
			return err
		}
		draft, err := a.revisionArgument(cmd, args[1])
		if err != nil {
			return err
		}
		if dry {
			a.notice("未启用", "nothing was activated")
			return a.differences(ctx, c, cmd, id, inForceWord, draftWord)
		}
		r, err := c.Policies().Activate(ctx, id, draft, note)
		if err != nil {
			return err
		}
		return printList(a, layerRevisionColumns(a), []bus.LayerRevision{r})
	})
	return cmd
}
