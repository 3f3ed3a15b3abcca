package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) segmentCommand() *cobra.Command {
	return a.group("segment", "存证归档段", "Sealed segments of older evidence", a.listSegments(), a.pruneSegments())
}

func (a *app) segmentColumns() []column[client.Segment] {
	return []column[client.Segment]{
		{"file", "文件", func(s client.Segment) string { return s.File }},
		{"leaves", "记录数", func(s client.Segment) string { return sprint(s.End - s.First) }},
		{"from", "起始", func(s client.Segment) string { return stamp(s.From) }},
		{"to", "截止", func(s client.Segment) string { return stamp(s.To) }},
		{"bytes", "字节", func(s client.Segment) string { return sprint(s.Bytes) }},
		{"state", "状态", func(s client.Segment) string {
			if s.Problem != "" {
				return a.say("缺失或损坏", "missing or damaged")
			}
			return a.say("完好", "as sealed")
		}},
	}
}

func (a *app) listSegments() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("列出本节点存证的归档段并核对", "List the sealed segments of the node's evidence, and check them"), Args: a.exactly(), Example: "  gxbus audit segment list",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			all, err := c.AuditSegments(ctx)
			if err != nil {
				return err
			}
			return printList(a, a.segmentColumns(), all)
		}),
	}
}

func (a *app) pruneSegments() *cobra.Command {
	var day string
	var dry bool
	cmd := &cobra.Command{
		Use: "prune", Short: a.say("删除超过保存期限的归档段", "Delete segments that are past their retention"), Args: a.exactly(),
		Long: a.say("删除全部记录均早于所给日期的归档段，并留存证。保存期限（evidence_days，不少于三年）之内的不能删除。其余存证的证明力不变。",
			"Delete the segments of which all was recorded before a day, on record. None goes that is not past evidence_days (three years\nat least). What is left of the log proves what it proved."),
		Example: "  gxbus audit segment prune --before 2023-01-01 --dry-run\n  gxbus audit segment prune --before 2023-01-01",
	}
	cmd.Flags().StringVar(&day, "before", "", a.say("早于此 `日期`", "recorded before this `day`"))
	cmd.Flags().BoolVar(&dry, "dry-run", false, a.say("只列出将删除的，不删除", "only list what would be deleted"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "before"); err != nil {
			return err
		}
		before, err := a.day(cmd, "before", day, 0)
		if err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			if !dry {
				gone, err := c.AuditPrune(ctx, before)
				if err != nil {
					return err
				}
				return printList(a, a.segmentColumns(), gone)
			}
			all, err := c.AuditSegments(ctx)
			if err != nil {
				return err
			}
			var old []client.Segment
			for _, s := range all {
				if s.To.Before(before) {
					old = append(old, s)
				}
			}
			return printList(a, a.segmentColumns(), old)
		})(cmd, args)
	}
	return cmd
}
