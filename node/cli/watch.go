package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) watchCommand() *cobra.Command {
	var from uint64
	var kinds []string
	cmd := &cobra.Command{
		Use: "watch", Short: a.say("跟踪目录变更", "Follow the changes of the directory"), Args: a.exactly(),
		Long: a.say("按目录日志的顺序逐行输出本身份可见条目的新增、修改与删除，直至中断；连接断开后自动续接。\n"+
			"--from 之后的变更记录已清理时报 resync-required：请重新列出全部条目，再从当时的位置继续。\n"+
			"-o json 每行一个 CloudEvents 事件，其 data 为条目的当前内容。",
			"Write a line for each entry that is put or deleted and that you may see, in the order of the directory's log, until\n"+
				"interrupted; a broken connection is taken up again. Where the changes after --from are no longer kept it ends with\n"+
				"resync-required: list the entries anew and go on from there. With -o json each line is a CloudEvent whose data is\n"+
				"the entry as it is now."),
		Example: "  gxbus watch\n  gxbus watch --from 0 --kind resource,grant\n  gxbus watch -o json | jq .data",
	}
	flags := cmd.Flags()
	flags.Uint64Var(&from, "from", 0, a.say("从目录位置 `N` 之后开始（缺省为当前位置）", "begin after the directory index `N` (else the present one)"))
	flags.StringSliceVar(&kinds, "kind", nil, a.say("仅这些 `类别`，以逗号分隔，如 resource,grant（缺省为全部）", "only these `kinds`, separated by commas, such as resource,grant (else all)"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, _ []string) error {
		start := client.Now
		if cmd.Flags().Changed("from") {
			start = bus.Revision(from)
		}
		return a.watch(ctx, c, start, kinds)
	})
	return cmd
}

func (a *app) watch(ctx context.Context, c *client.Client, from bus.Revision, kinds []string) error {
	write := a.changeWriter()
	for change, err := range c.Watch(ctx, from, kinds...) {
		if errors.Is(err, context.Canceled) {
			return nil // an interrupt is how watching ends
		}
		if err != nil {
			return err
		}
		if err := write(change); err != nil {
			return err
		}
	}
	return nil
}

// changeWriter writes one change at a time, as soon as it is there.
func (a *app) changeWriter() func(client.Change) error {
	switch a.output {
	case "json":
		enc := json.NewEncoder(a.Out)
		enc.SetEscapeHTML(false)
		return func(c client.Change) error { return enc.Encode(c.Event) }
	case "yaml":
		return func(c client.Change) error {
			if _, err := io.WriteString(a.Out, "---\n"); err != nil {
				return err
			}
			return writeYAML(a.Out, c.Event)
		}
	case "csv":
		out := csv.NewWriter(a.Out)
		out.UseCRLF = true
		_ = out.Write([]string{"index", "time", "kind", "change", "key"})
		return func(c client.Change) error {
			_ = out.Write([]string{sprint(c.Index), stamp(c.Event.Time()), c.Kind, changeText(c).EN, c.Key})
			out.Flush()
			return out.Error()
		}
	default:
		return func(c client.Change) error {
			line := padded(sprint(c.Index), 10) + padded(stamp(c.Event.Time()), 21) + padded(printable(a.kindText(c.Kind)), 14) +
				padded(changeText(c).In(a.lang), 9) + printable(c.Key) + "\n"
			_, err := io.WriteString(a.Out, line)
			return err
		}
	}
}

func changeText(c client.Change) bus.Text {
	if c.Deleted {
		return bus.Text{ZH: "删除", EN: "deleted"}
	}
	return bus.Text{ZH: "写入", EN: "put"}
}

var kindTexts = map[string]string{
	"division": "行政区划", "node": "节点", "department": "部门", "system": "业务系统", "resource": "数据资源",
	"grant": "授权", "subscription": "订阅", "layer": "策略层", "checkpoint": "存证检查点",
	"correction": "校核", "dispute": "争议",
}

// kindText names a kind of entry; one of a newer node by its own word.
func (a *app) kindText(kind string) string {
	if zh, ok := kindTexts[kind]; ok {
		return a.say(zh, kind)
	}
	return kind
}
