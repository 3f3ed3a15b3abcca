package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) auditCommand() *cobra.Command {
	return a.group("audit", "存证与审计", "Evidence", a.traceEvent(), a.resolveWatermark(), a.verifyEvidence(), a.exportEvidence(), a.proveEvent(), a.checkProof(), a.evidenceKeys())
}

func (a *app) traceEvent() *cobra.Command {
	return &cobra.Command{
		Use: "trace EVENT_ID", Short: a.say("查询一个事件在各节点的全过程", "Show the way of one event across the nodes"), Args: a.exactly("EVENT_ID"),
		Example: "  gxbus audit trace 2f6c1d\n  gxbus audit trace 2f6c1d -o json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			trace, err := c.AuditTrace(ctx, args[0])
			if err != nil {
				return err
			}
			if len(trace.Silent) > 0 {
				a.notice("未答复的节点："+listed(trace.Silent), "nodes that did not answer: "+listed(trace.Silent))
			}
			return a.print(trace, gridOf(a, a.stepColumns(), stepsOf(trace)))
		}),
	}
}

func (a *app) exportEvidence() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "export", Short: a.say("导出节点的存证日志（JSON Lines）", "Export the node's evidence log (JSON Lines)"), Args: a.exactly(),
		Example: "  gxbus audit export -f evidence.jsonl\n  gxbus audit export | gzip > evidence.jsonl.gz",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "-", a.say("写入 `文件`，中断时不留下残缺文件", "write to `file`; one that breaks off leaves none"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		export, err := c.AuditExport(ctx)
		if err != nil {
			return err
		}
		defer export.Close()
		if file == "-" {
			_, err = io.Copy(a.Out, export)
			return err
		}
		return copyToFile(file, export)
	})
	return cmd
}

// copyToFile writes beside the file, and renames when all of it is there.
func copyToFile(file string, in io.Reader) (err error) {
	next, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next.Name())
		}
	}()
	_, err = io.Copy(next, in)
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), file)
}
