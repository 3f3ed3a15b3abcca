package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) submitDrafts(n noun[bus.ResourceID, bus.Draft]) *cobra.Command {
	cmd := a.manyDrafts(n, bus.StateDraft, func(ctx context.Context, c *client.Client, refs []bus.DraftRef) ([]bus.ImportRow, error) {
		return c.Drafts().Submit(ctx, refs...)
	})
	cmd.Use, cmd.Short = "submit ID...", a.say("提交审核", "Submit drafts for review")
	cmd.Long = a.say("将编制稿提交数据主管部门审核。内容不完整的不予提交，缺漏一次列全。",
		"Put drafts up for review by the data authority. An incomplete one stays a draft, and all that it lacks is told at once.")
	cmd.Example = "  gxbus draft submit enterprise-registration\n  gxbus draft submit --all --provider 11440000006939561H"
	return cmd
}

func (a *app) approveDrafts(n noun[bus.ResourceID, bus.Draft]) *cobra.Command {
	var opinion string
	cmd := a.manyDrafts(n, bus.StateInReview, func(ctx context.Context, c *client.Client, refs []bus.DraftRef) ([]bus.ImportRow, error) {
		return c.Drafts().Review(ctx, true, opinion, refs...)
	})
	cmd.Use, cmd.Short = "approve ID...", a.say("审核通过", "Approve drafts")
	cmd.Long = a.say("审核通过：编制稿成为新的版本并发布；撤销申请随即生效。不得审核本人提交的内容。",
		"Approve drafts, which are then in force as a new version; a withdrawal takes effect. Nobody approves what they submitted.")
	cmd.Example = "  gxbus draft approve enterprise-registration\n  gxbus draft approve --all --dry-run"
	cmd.Flags().StringVar(&opinion, "opinion", "", a.say("审核 `意见`", "opinion, as `text`"))
	return cmd
}

func (a *app) returnDrafts(n noun[bus.ResourceID, bus.Draft]) *cobra.Command {
	var opinion string
	cmd := a.manyDrafts(n, bus.StateInReview, func(ctx context.Context, c *client.Client, refs []bus.DraftRef) ([]bus.ImportRow, error) {
		return c.Drafts().Review(ctx, false, opinion, refs...)
	})
	cmd.Use, cmd.Short = "return ID... --opinion TEXT", a.say("退回编制稿", "Return drafts to their department")
	cmd.Example = "  gxbus draft return enterprise-registration --opinion '共享范围不明确'"
	cmd.Flags().StringVar(&opinion, "opinion", "", a.say("退回 `理由`", "why, as `text`"))
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "opinion"); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

// manyDrafts makes a command that acts on the drafts it is told, or on all that
// are in a state.
func (a *app) manyDrafts(n noun[bus.ResourceID, bus.Draft], in bus.EntryState, act func(context.Context, *client.Client, []bus.DraftRef) ([]bus.ImportRow, error)) *cobra.Command {
	var all, dry bool
	f := client.DraftFilter{State: in}
	cmd := &cobra.Command{Args: cobra.ArbitraryArgs, ValidArgsFunction: n.complete(a)}
	a.draftFlags(cmd, &f)
	cmd.Flags().BoolVar(&all, "all", false, a.say("所有处于相应状态的", "all that are in the state for it"))
	cmd.Flags().BoolVar(&dry, "dry-run", false, a.say("只列出将处理的编制稿", "only list the drafts that would be taken"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all == (len(args) > 0) {
			return a.usage(cmd, "须写明标识，或用 --all", "name the drafts, or say --all")
		}
		if !all && f.Provider != "" {
			return a.usage(cmd, "--provider 须与 --all 同用", "--provider goes with --all")
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			found, err := draftsNamed(ctx, c, f, args)
			if err != nil {
				return err
			}
			if dry {
				a.notice("仅列出，未提交", "listed only; nothing was sent")
				return printList(a, draftColumns(a), found)
			}
			return a.actOn(ctx, c, found, act)
		})(cmd, args)
	}
	return cmd
}

func draftsNamed(ctx context.Context, c *client.Client, f client.DraftFilter, ids []string) ([]bus.Draft, error) {
	if len(ids) == 0 {
		return c.Drafts().List(ctx, f)
	}
	found := make([]bus.Draft, 0, len(ids))
	for _, id := range ids {
		d, err := c.Drafts().Read(ctx, bus.ResourceID(id))
		if err != nil {
			return nil, err
		}
		found = append(found, d)
	}
	return found, nil
}

// actOn acts on drafts in pieces, so that it can be seen how far it has come.
func (a *app) actOn(ctx context.Context, c *client.Client, drafts []bus.Draft, act func(context.Context, *client.Client, []bus.DraftRef) ([]bus.ImportRow, error)) error {
	const piece = 500
	bar := a.progress(len(drafts))
	defer bar.done()
	var rows []bus.ImportRow
	for len(drafts) > 0 {
		n := min(piece, len(drafts))
		refs := make([]bus.DraftRef, n)
		for i, d := range drafts[:n] {
			refs[i] = bus.DraftRef{ID: d.ID, Revision: d.Revision}
		}
		done, err := act(ctx, c, refs)
		rows = append(rows, done...)
		if err != nil {
			return err
		}
		bar.add(n)
		drafts = drafts[n:]
	}
	bar.done()
	return a.printRows(rows)
}

func (a *app) printRows(rows []bus.ImportRow) error {
	if err := printList(a, []column[bus.ImportRow]{
		{"id", "标识", func(r bus.ImportRow) string { return string(r.ID) }},
		{"outcome", "结果", func(r bus.ImportRow) string { return string(r.Outcome) }},
		{"state", "状态", func(r bus.ImportRow) string { return a.state(r.State) }},
		{"code", "代码", func(r bus.ImportRow) string { return string(r.Code) }},
		{"defects", "问题", func(r bus.ImportRow) string { return a.defects(r.Defects) }},
	}, rows); err != nil {
		return err
	}
	refused := 0
	for _, r := range rows {
		if r.Outcome == bus.OutcomeRefused {
			refused++
		}
	}
	if refused == 0 {
		return nil
	}
	return bus.E(bus.CodeInvalid, bus.Defect{Problem: bus.Text{
		ZH: sprint(len(rows), " 项中有 ", refused, " 项未通过"), EN: sprint(refused, " of ", len(rows), " were refused"),
	}})
}
