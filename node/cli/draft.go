package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) draftCommand() *cobra.Command {
	w := drafts(a)
	return a.group("draft", "目录编制稿及其审核", "Catalogue entries on their way to publication",
		a.listDrafts(), a.showDraft(w.noun), w.putCommand(a), a.deleteDraft(w.noun), a.submitDrafts(w.noun), a.approveDrafts(w.noun), a.returnDrafts(w.noun))
}

func drafts(a *app) writer[bus.ResourceID, bus.Draft] {
	return writer[bus.ResourceID, bus.Draft]{
		noun: noun[bus.ResourceID, bus.Draft]{
			zh: "编制稿", en: "draft", example: "enterprise-registration",
			columns: draftColumns(a), details: draftDetails(a),
			inner:   func(d bus.Draft) grid { return itemGrid(a, d.Resource) },
			entries: func(c *client.Client) client.Readable[bus.ResourceID, bus.Draft] { return c.Drafts().Readable },
		},
		check: func(d bus.Draft) []bus.Defect {
			refusal, _ := errors.AsType[*bus.Error](d.Resource.Form()) // what is secret does not leave this machine
			if refusal == nil {
				return nil
			}
			return refusal.Defects
		},
		name: func(d *bus.Draft) (bus.ResourceID, *bus.Revision) { return d.Resource.ID, &d.Revision },
		put: func(ctx context.Context, c *client.Client, d bus.Draft) (bus.Draft, error) {
			return c.Drafts().Put(ctx, d)
		},
	}
}

func draftColumns(a *app) []column[bus.Draft] {
	return []column[bus.Draft]{
		{"id", "标识", func(d bus.Draft) string { return string(d.ID) }},
		{"name", "名称", func(d bus.Draft) string { return d.Resource.Name }},
		{"provider", "提供部门", func(d bus.Draft) string { return string(d.Resource.Provider) }},
		{"state", "状态", func(d bus.Draft) string { return a.state(d.State) }},
		{"submitted", "提交时间", func(d bus.Draft) string {
			if d.Submitted == nil {
				return ""
			}
			return stamp(d.Submitted.At)
		}},
		{"due", "审核期限", func(d bus.Draft) string { return a.deadline(d.Deadline) }},
		{"conflicts", "一数一源", func(d bus.Draft) string { return a.conflicts(d.Conflicts) }},
		{"authority", "主管部门", func(d bus.Draft) string { return string(d.Authority) }},
		{"revision", "修订号", func(d bus.Draft) string { return sprint(d.Revision) }},
	}
}

func draftDetails(a *app) []column[bus.Draft] {
	details := []column[bus.Draft]{
		{"codes", "目录代码", func(d bus.Draft) string { return listed(d.Resource.Codes) }},
		{"sharing", "共享类型", func(d bus.Draft) string { return string(d.Resource.Sharing.Type) }},
		{"update_cycle", "更新周期", func(d bus.Draft) string { return d.Resource.UpdateCycle }},
	}
	for _, c := range entryDetails(a) {
		details = append(details, column[bus.Draft]{c.key, c.zh, func(d bus.Draft) string { return c.cell(d.Resource) }})
	}
	return append(details, []column[bus.Draft]{
		{"secrecy_review", "保密审查", func(d bus.Draft) string { return d.Clearance.SecrecyReview }},
		{"assessment", "个人信息保护影响评估", func(d bus.Draft) string { return d.Clearance.Assessment }},
		{"consent", "负责人同意", func(d bus.Draft) string { return d.Clearance.Consent }},
		{"submitted_by", "提交人", func(d bus.Draft) string {
			if d.Submitted == nil {
				return ""
			}
			return who(d.Submitted.By)
		}},
		{"reason", "撤销原因", func(d bus.Draft) string {
			if d.Submitted == nil {
				return ""
			}
			return d.Submitted.Reason
		}},
		{"opinion", "审核意见", func(d bus.Draft) string {
			if d.Review == nil {
				return ""
			}
			return d.Review.Opinion
		}},
		{"missing", "缺漏", func(d bus.Draft) string { return a.defects(d.Missing) }},
	}...)
}

var stateNames = map[bus.EntryState]string{
	bus.StateDraft: "草稿", bus.StateInReview: "待审核", bus.StateReturned: "已退回", bus.StatePublished: "已发布",
	bus.StateWithdrawing: "撤销待审核", bus.StateWithdrawn: "已撤销",
}

// state names a state for people; csv has its stable word.
func (a *app) state(s bus.EntryState) string {
	if a.output == "csv" {
		return string(s)
	}
	return a.say(stateNames[s], string(s))
}

// defects gives all defects in one cell.
func (a *app) defects(defects []bus.Defect) string {
	lines := make([]string, len(defects))
	for i, d := range defects {
		lines[i] = d.In(a.lang)
	}
	return strings.Join(lines, "; ")
}

// conflicts tells who is the source of items that a draft claims.
func (a *app) conflicts(conflicts []bus.Conflict) string {
	lines := make([]string, len(conflicts))
	for i, c := range conflicts {
		lines[i] = string(c.Item) + a.say(" 源自 ", " is of ") + string(c.Source.Resource) + " (" + string(c.Source.Department) + ", " + stamp(c.Source.Since) + ")"
		if c.Standing == bus.StandingDisputed {
			lines[i] += a.say(" 待裁定", ": to be decided")
		}
	}
	return strings.Join(lines, "; ")
}

// draftFlags are the flags that say which drafts are meant.
func (a *app) draftFlags(cmd *cobra.Command, f *client.DraftFilter) {
	cmd.Flags().StringVar((*string)(&f.Provider), "provider", "", a.say("仅该部门的（统一社会信用 `代码`）", "only those of the department with this `code`"))
}

func (a *app) listDrafts() *cobra.Command {
	var f client.DraftFilter
	cmd := &cobra.Command{
		Use: "list", Short: a.say("列出编制稿", "List the drafts"), Args: a.exactly(),
		Example: "  gxbus draft list --state in-review\n  gxbus draft list -o csv > drafts.csv",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			found, err := c.Drafts().List(ctx, f)
			if err != nil {
				return err
			}
			return printList(a, draftColumns(a), found)
		}),
	}
	a.draftFlags(cmd, &f)
	cmd.Flags().StringVar((*string)(&f.State), "state", "", a.say("仅处于该 `状态` 的：draft、in-review、returned、withdrawal-in-review",
		"only those in this `state`: draft, in-review, returned, withdrawal-in-review"))
	return cmd
}

func (a *app) showDraft(n noun[bus.ResourceID, bus.Draft]) *cobra.Command {
	cmd := n.show(a)
	cmd.Long = a.say("显示一个编制稿，以及距发布还缺什么。-o yaml 的输出改后可用 draft put 写回。",
		"Show a draft, with all that keeps it from publication. What -o yaml prints can be changed and put back.")
	return cmd
}

func (a *app) deleteDraft(n noun[bus.ResourceID, bus.Draft]) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: a.say("删除一个编制稿，已发布的版本不受影响", "Delete a draft; a published version stays"), Args: a.exactly("ID"),
		Example: "  gxbus draft delete enterprise-registration", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			d, err := c.Drafts().Read(ctx, bus.ResourceID(args[0]))
			if err != nil {
				return err
			}
			if err := c.Drafts().Delete(ctx, d.ID, d.Revision); err != nil {
				return err
			}
			a.notice("已删除 "+args[0], "deleted "+args[0])
			return nil
		}),
	}
}
