package cli

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) eventCommand() *cobra.Command {
	return a.group("event", "事件", "What has become of events", a.eventDeliveries())
}

// reached is a row of the deliveries of an event.
type reached struct {
	Resource bus.ResourceID `json:"resource"`
	Sequence uint64         `json:"sequence"`
	bus.Delivery
}

func (a *app) eventDeliveries() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use: "deliveries EVENT_ID", Short: a.say("事件送达各订阅的情况", "How far an event has come to each of its subscriptions"), Args: a.exactly("EVENT_ID"),
		Long: a.say("由提供部门的系统、账号或管理员在提供部门的节点查询：已送达、被拒及原因、暂存，或在何处等待。事件清除后，凡留有存证的仍可查询；存证不足以判断的，状态为 unknown。",
			"Asked by a system or an account of its provider, or an administrator, at the provider's node: delivered, denied and why, held,\nor waiting where. Also of an event that has gone, as long as there is evidence of it; unknown is what that does not tell."),
		Example: "  gxbus event deliveries 2026-03-04-0001",
	}
	cmd.Flags().StringVar(&source, "source", "", a.say("事件 `来源`，同号事件不止一个时用", "`source` of the event, where several have this id"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		found, err := c.Deliveries(ctx, args[0], source)
		if err != nil {
			return err
		}
		var rows []reached
		for _, e := range found {
			for _, d := range e.Deliveries {
				rows = append(rows, reached{e.Resource, e.Sequence, d})
			}
		}
		return printList(a, []column[reached]{
			{"resource", "数据资源", func(r reached) string { return string(r.Resource) }},
			{"sequence", "序号", func(r reached) string { return sprint(r.Sequence) }},
			{"subscription", "订阅", func(r reached) string { return string(r.Subscription) }},
			{"consumer", "使用部门", func(r reached) string { return string(r.Consumer) }},
			{"node", "节点", func(r reached) string { return string(r.Node) }},
			{"state", "状态", func(r reached) string { return string(r.State) }},
			{"at", "时间", func(r reached) string { return stamp(r.At) }},
			{"as_of", "回执时间", func(r reached) string { return stamp(r.AsOf) }},
			{"why", "原因", func(r reached) string {
				if len(r.Reasons) > 0 { // a receipt has no words
					return cmp.Or(r.Reasons[0].Message.In(a.lang), string(r.Reasons[0].Layer)+":"+r.Reasons[0].Code)
				}
				return r.Detail
			}},
		}, rows)
	})
	return cmd
}
