package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) resolveWatermark() *cobra.Command {
	return &cobra.Command{
		Use: "watermark VALUE", Short: a.say("查询水印对应的授权、系统、裁决和时间", "Show which grant, system, decision and time a watermark stands for"), Args: a.exactly("VALUE"),
		Long: a.say("水印是事件的 gxbuswatermark 属性，或查询答复的 Gxbus-Watermark 头，由设置它的节点（通常是提供部门所在节点）辨认。",
			"A watermark is the attribute gxbuswatermark of an event, or the header Gxbus-Watermark of an answer to a query. The node that set it, as a rule the provider's, knows it."),
		Example: "  gxbus audit watermark 3kq2f5vdu7n4yh6wzc1xwm2a\n  gxbus audit watermark 3kq2f5vdu7n4yh6wzc1xwm2a -o json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			trace, err := c.AuditWatermark(ctx, args[0])
			if err != nil {
				return err
			}
			if len(trace.Silent) > 0 {
				a.notice("未答复的节点："+listed(trace.Silent), "nodes that did not answer: "+listed(trace.Silent))
			}
			return a.print(trace, gridOf(a, a.markedColumns(), stepsOf(trace)))
		}),
	}
}

func (a *app) markedColumns() []column[step] {
	return []column[step]{
		{"time", "时间", func(s step) string { return instant(s.record.At) }},
		{"node", "节点", func(s step) string { return string(s.Node) }},
		{"step", "环节", func(s step) string { return stepText(s.record).In(a.lang) }},
		{"grant", "授权", func(s step) string { return string(s.record.Grant) }},
		{"who", "主体", func(s step) string { return s.record.Principal.String() }},
		{"about", "对象", func(s step) string { return aboutOf(s.record) }},
		{"decision id", "裁决编号", func(s step) string {
			if s.record.Decision != nil {
				return s.record.Decision.ID
			}
			return s.record.DecisionID
		}},
		{"watermark", "水印", func(s step) string { return s.record.Watermark }},
	}
}
