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
	return a.group("audit", "存证与审计", "Evidence", a.traceEvidence(), a.resolveWatermark(), a.verifyEvidence(), a.exportEvidence(), a.proveEvent(), a.checkProof(), a.evidenceKeys(), a.segmentCommand())
}

func (a *app) traceEvidence() *cobra.Command {
	var q client.TraceQuery
	cmd := &cobra.Command{
		Use: "trace [EVENT_ID]", Short: a.say("查询事件、办件、授权、事项或部门在各节点的全过程", "Show what all nodes recorded of an event, a case, a grant, a matter or a department"), Args: cobra.MaximumNArgs(1),
		Long: a.say(`汇总各节点存证，按时间排列。审计管理员看全部（须连接表决节点），部门看与本部门有关的，数据主管部门看本区划及以下的；
由各节点自行核对查询人的权限。未答复的节点会列出。查询本身亦留存证。`,
			`One timeline of the evidence of all nodes. The auditor sees all, through a node that votes; a department what is about it; a
data authority what is about its division and below. Each node checks the rights of who asks. Nodes that did not answer are
named. That it was asked is recorded too.`),
		Example: "  gxbus audit trace 2f6c1d\n  gxbus audit trace --case 440106-2026-000123\n  gxbus audit trace --grant tianhe-registration --from 2026-03-01 --to 2026-03-31 -o json",
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Case, "case", "", a.say("仅此 `办件号` 的", "only what names this case `number`"))
	flags.StringVar((*string)(&q.Grant), "grant", "", a.say("仅此授权 `标识` 下的", "only what is under the grant with this `id`"))
	flags.StringVar(&q.Matter, "matter", "", a.say("仅此事项（`实施清单编码`）的", "only what names the matter with this `code`"))
	flags.StringVar((*string)(&q.Department), "department", "", a.say("仅此部门（`统一社会信用代码`）提供、使用或查询的", "only what the department with this `code` provides, uses or asked for"))
	within := a.withinDays(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if q.From, q.To, err = within(cmd); err != nil {
			return err
		}
		given := q != client.TraceQuery{}
		if len(args) == 1 {
			q.Event = args[0]
		}
		if given == (len(args) == 1) {
			return a.usage(cmd, "请给出 EVENT_ID，或 --case、--grant、--matter、--department、--from 之一", "give EVENT_ID, or one of --case, --grant, --matter, --department, --from")
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			whole := client.Trace{Event: q.Event, Steps: []client.TraceStep{}}
			for page, err := range c.AuditTimeline(ctx, q) {
				if err != nil {
					return err
				}
				whole.Steps, whole.Silent = append(whole.Steps, page.Steps...), page.Silent
			}
			if len(whole.Silent) > 0 {
				a.notice("未答复的节点："+listed(whole.Silent), "nodes that did not answer: "+listed(whole.Silent))
			}
			return a.print(whole, gridOf(a, a.stepColumns(), stepsOf(whole)))
		})(cmd, args)
	}
	return cmd
}

func (a *app) exportEvidence() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "export", Short: a.say("导出节点的存证日志（JSON Lines）", "Export the node's evidence log (JSON Lines)"), Args: a.exactly(),
		Long: a.say("导出节点的存证日志。给出日期时仅导出该时段，仍可用 gxbus audit verify FILE 验证：时段内不能有遗漏或添加。",
			"Export the node's evidence log. With days, only what was recorded then; it verifies with gxbus audit verify FILE all the\nsame: nothing can be left out of the window or put into it."),
		Example: "  gxbus audit export -f evidence.jsonl\n  gxbus audit export --from 2026-03-01 --to 2026-03-31 -f march.jsonl\n  gxbus audit export | gzip > evidence.jsonl.gz",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "-", a.say("写入 `文件`，中断时不留下残缺文件", "write to `file`; one that breaks off leaves none"))
	within := a.withinDays(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, to, err := within(cmd)
		if err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			export, err := c.AuditExportWindow(ctx, from, to)
			if err != nil {
				return err
			}
			defer export.Close()
			if file == "-" {
				_, err = io.Copy(a.Out, export)
				return err
			}
			return copyToFile(file, export)
		})(cmd, args)
	}
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
