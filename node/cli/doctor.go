package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/doctor"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/client"
)

// errUnwell makes the command fail; the table has said why.
var errUnwell = errors.New("at least one check failed")

func (a *app) doctorCommand() *cobra.Command {
	var dataDir string
	var full bool
	var reserve int64
	cmd := &cobra.Command{
		Use: "doctor", Short: a.say("检查节点并给出处置建议", "Examine a node and say what to do"), Args: a.exactly(),
		Long: a.say(`检查节点并给出处置建议；有一项失败则退出码非零。
  不带参数：  检查所连的运行中节点
  --data-dir：检查已停止的节点，包括文件完整性；不改动任何内容`,
			`Examine a node and say what to do; the exit code is not zero where a check fails.
  no argument:  the node that is connected to, while it runs
  --data-dir:   a node that is not running, the integrity of its files too; nothing is changed`),
		Example: "  gxbus doctor\n  gxbus doctor --full -o json\n  gxbus doctor --data-dir /var/lib/gxbus",
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", a.say("已停止节点的数据 `目录`", "data `directory` of a stopped node"))
	cmd.Flags().BoolVar(&full, "full", false, a.say("逐条重算存证", "recompute the evidence leaf by leaf"))
	cmd.Flags().Int64Var(&reserve, "disk-reserve", server.DefaultConfig().DiskReserve, a.say("与 --data-dir 同用：配置的 disk_reserve `字节`", "with --data-dir: the configured disk_reserve in `bytes`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dataDir != "" {
			checks, err := server.Examine(cmd.Context(), server.DataDir(dataDir), full, reserve, a.Now)
			return a.diagnosis(checks, err)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			checks, err := c.Doctor(ctx, full)
			return a.diagnosis(checks, err)
		})(cmd, args)
	}
	return cmd
}

func (a *app) diagnosis(checks []client.Check, err error) error {
	if len(checks) > 0 {
		if err := printList(a, []column[client.Check]{
			{"check", "检查项", func(c client.Check) string { return c.Name }},
			{"state", "结果", func(c client.Check) string { return string(c.State) }},
			{"detail", "说明", func(c client.Check) string { return c.Detail.In(a.lang) }},
			{"next", "处置", func(c client.Check) string { return c.Next.In(a.lang) }},
		}, checks); err != nil {
			return err
		}
	}
	if err == nil && doctor.Failed(checks) {
		return errUnwell
	}
	return err
}
