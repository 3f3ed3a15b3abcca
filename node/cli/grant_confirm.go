package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// confirmBatch is how many grants one write confirms: far below what fits an entry.
const confirmBatch = 500

func (a *app) confirmGrants(w writer[bus.GrantID, bus.Grant]) *cobra.Command {
	var all, dry bool
	var resource, consumer string
	cmd := &cobra.Command{
		Use: "confirm [ID…]", Short: a.say("确认已暂停的授权", "Confirm suspended grants"), Args: cobra.ArbitraryArgs,
		Long: a.say("确认已暂停的授权，使其重新生效。自备份恢复后，备份中的授权全部暂停，因为此后被撤销的已无从知晓；逐项核对后确认，仍应撤销的请撤销。暂停期间数据暂存不送出。",
			"Confirm suspended grants, so that they stand again. After a restore every grant of the backup is suspended, for nobody knows\nwhich were revoked since; look at each, confirm what still holds and revoke the rest. Data is held meanwhile."),
		Example: "  gxbus grant confirm tianhe-registration\n  gxbus grant confirm --all --dry-run\n  gxbus grant confirm --all --consumer 114401069999001265",
	}
	flags := cmd.Flags()
	flags.BoolVar(&all, "all", false, a.say("全部已暂停的授权", "every suspended grant"))
	flags.StringVar(&resource, "resource", "", a.say("与 --all 同用：仅此数据资源 `标识`", "with --all: only those of this resource `id`"))
	flags.StringVar(&consumer, "consumer", "", a.say("与 --all 同用：仅此使用部门 `代码`", "with --all: only those of this consumer's `code`"))
	a.dryRunFlag(cmd, &dry)
	cmd.ValidArgsFunction = w.complete(a)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all == (len(args) > 0) {
			return a.usage(cmd, "请给出授权标识，或 --all", "name grants, or give --all")
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			grants, err := c.Grants().List(ctx)
			if err != nil {
				return err
			}
			grants = slices.DeleteFunc(grants, func(g bus.Grant) bool {
				if !all {
					return !slices.Contains(args, string(g.ID))
				}
				return g.Suspended == "" || g.Revoked != "" || resource != "" && string(g.Resource) != resource || consumer != "" && string(g.Consumer) != consumer
			})
			ids := typed[bus.GrantID](args)
			if all {
				ids = ids[:0]
				for _, g := range grants {
					ids = append(ids, g.ID)
				}
			}
			if dry {
				a.notice("仅列出，未确认", "only listed; nothing was confirmed")
				return printList(a, w.columns, grants)
			}
			return a.confirmAll(ctx, c, ids)
		})(cmd, args)
	}
	return cmd
}

func (a *app) confirmAll(ctx context.Context, c *client.Client, ids []bus.GrantID) error {
	bar := a.progress(len(ids))
	defer bar.done()
	done := 0
	for batch := range slices.Chunk(ids, confirmBatch) {
		if err := c.Grants().Confirm(ctx, batch...); err != nil {
			if done > 0 {
				a.notice(sprint("此前已确认 ", done, " 项"), sprint(done, " were confirmed before this"))
			}
			return err
		}
		done += len(batch)
		bar.add(len(batch))
	}
	bar.done()
	a.notice(sprint("已确认 ", done, " 项授权"), sprint("confirmed ", done, " grants"))
	return nil
}
