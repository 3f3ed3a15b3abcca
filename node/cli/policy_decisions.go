package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/decision"
)

func (a *app) listDecisions() *cobra.Command {
	var since, until, outcome, layer, resource, department string
	var limit int
	cmd := &cobra.Command{
		Use: "decisions", Short: a.say("列出本节点记录的策略决策，新的在前", "List the decisions that the node recorded, newest first"), Args: a.exactly(),
		Example: "  gxbus policy decisions --outcome deny --since 2026-03-01\n  gxbus policy decisions --layer division/440100 --limit 20 -o json",
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", a.say("起始 `日期` 或时间", "from this `date` or time on"))
	flags.StringVar(&until, "until", "", a.say("截止 `日期`（含当日）或时间", "to this `date`, the day included, or time"))
	flags.StringVar(&outcome, "outcome", "", a.say("`结论`：allow、deny", "`outcome`: allow, deny"))
	flags.StringVar(&layer, "layer", "", a.say("涉及的策略 `层`；与 --outcome deny 合用时为作出拒绝的层", "`layer` that applied; with --outcome deny the one that denied"))
	flags.StringVar(&resource, "resource", "", a.say("`资源`", "`resource`"))
	flags.StringVar(&department, "department", "", a.say("任一方的 `部门`", "`department` on either side"))
	flags.IntVar(&limit, "limit", 100, a.say("最多 `条数`，0 为全部", "at most so `many`, 0 for all"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := client.DecisionQuery{Outcome: outcome, Layer: bus.LayerID(layer), Resource: bus.ResourceID(resource), Department: bus.USCC(department)}
		var err error
		if q.Since, q.Until, err = a.window(cmd, since, until); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			all, err := decisionsUpTo(ctx, c, q, limit)
			if err != nil {
				return err
			}
			return printList(a, a.decisionColumns(), all)
		})(cmd, args)
	}
	return cmd
}

// decisionsUpTo reads pages until there are so many; 0 is all.
func decisionsUpTo(ctx context.Context, c *client.Client, q client.DecisionQuery, limit int) (all []decision.Event, err error) {
	for {
		if q.Limit = 1000; limit > 0 {
			q.Limit = min(limit-len(all), q.Limit)
		}
		page, err := c.Decisions(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" || limit > 0 && len(all) >= limit {
			return all, nil
		}
	}
}

func (a *app) decisionColumns() []column[decision.Event] {
	return []column[decision.Event]{
		{"time", "时间", func(e decision.Event) string { return instant(e.Timestamp) }},
		{"id", "决策编号", func(e decision.Event) string { return e.DecisionID }},
		{"action", "操作", func(e decision.Event) string { return e.Custom.Action }},
		{"outcome", "结论", func(e decision.Event) string {
			if e.Result.Allow {
				return a.say("允许", "allow")
			}
			return a.say("拒绝", "deny")
		}},
		{"provider", "提供部门", func(e decision.Event) string { return string(e.Custom.Provider) }},
		{"consumer", "使用部门", func(e decision.Event) string { return string(e.Custom.Consumer) }},
		{"resource", "资源", func(e decision.Event) string { return string(e.Custom.Resource) }},
		{"purpose", "用途", func(e decision.Event) string { return string(e.Custom.Purpose) }},
		{"reasons", "理由", func(e decision.Event) string {
			var codes []string
			for _, r := range e.Result.Reasons {
				codes = append(codes, string(r.Layer)+":"+r.Code)
			}
			return strings.Join(codes, ", ")
		}},
	}
}
