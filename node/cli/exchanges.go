package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) exchangeCommand() *cobra.Command {
	return a.group("exchange", "共享交换运行记录", "The operational record of exchanges", a.listExchanges())
}

func (a *app) listExchanges() *cobra.Command {
	var q client.ExchangeQuery
	cmd := &cobra.Command{
		Use: "list", Short: a.say("列出本部门的共享交换", "List the department's exchanges"), Args: a.exactly(),
		Long: a.say("按本节点存证列出发布和订阅批次：各环节时间、条数、大小、状态及过错方。部门看本部门的，数据主管部门看本区划及以下的，审计管理员看全部。查看本身亦留存证。",
			"List publications and batches of subscriptions as the node's evidence has them: when each step was, how much, how it stands\nand whose fault it is. A department sees its own, a data authority those of its division and below, the auditor all. That\nthey were looked at is recorded too."),
		Example: "  gxbus exchange list --status withheld\n  gxbus exchange list --resource enterprise-registration --from 2026-03-01 --to 2026-03-31 -o csv",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&q.Resource), "resource", "", a.say("仅此资源 `标识` 的", "only those of the resource with this `id`"))
	flags.StringVar((*string)(&q.Status), "status", "", a.say("仅此 `状态` 的", "only those with this `status`"))
	flags.StringVar((*string)(&q.Fault), "fault", "", a.say("仅此 `过错方` 的：policy、caller、provider、network、bus", "only those by the `fault` of policy, caller, provider, network or bus"))
	within := a.withinDays(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if q.From, q.To, err = within(cmd); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			var records []bus.ExchangeRecord
			for page, err := range c.Exchanges(ctx, q) {
				if err != nil {
					return err
				}
				records = append(records, page.Items...)
			}
			return printList(a, a.exchangeColumns(), records)
		})(cmd, args)
	}
	return cmd
}

var (
	statusWords = map[string]string{
		"accepted": "已接收", "held": "暂缓", "forwarded": "已送出", "received": "已到达", "delivered": "已交付", "acknowledged": "已确认",
		"filtered": "已过滤", "expired": "已过期", "withheld": "已扣留", "denied": "被拒绝", "refused": "未受理", "failed": "未成功",
	}
	modeWords  = map[string]string{"publish": "发布", "subscribe": "订阅", "query": "查询"}
	faultWords = map[string]string{"policy": "策略", "caller": "调用方", "provider": "提供方", "network": "网络", "bus": "总线"}
)

func (a *app) exchangeColumns() []column[bus.ExchangeRecord] {
	return []column[bus.ExchangeRecord]{
		{"leaf", "存证序号", func(r bus.ExchangeRecord) string { return sprint(r.Leaf) }},
		{"mode", "方式", func(r bus.ExchangeRecord) string { return a.wordOf(modeWords, string(r.Mode)) }},
		{"status", "状态", func(r bus.ExchangeRecord) string { return a.wordOf(statusWords, string(r.Status)) }},
		{"fault", "过错方", func(r bus.ExchangeRecord) string { return a.wordOf(faultWords, string(r.Fault)) }},
		{"resource", "资源", func(r bus.ExchangeRecord) string { return string(r.Resource) }},
		{"consumer", "使用方", func(r bus.ExchangeRecord) string { return string(r.Consumer) }},
		{"system", "系统", func(r bus.ExchangeRecord) string { return string(r.System) }},
		{"sequence", "序号", func(r bus.ExchangeRecord) string { return sequenceRange(r.First, r.Last) }},
		{"events", "条数", func(r bus.ExchangeRecord) string { return sprint(r.Events) }},
		{"bytes", "字节", func(r bus.ExchangeRecord) string { return strconv.FormatInt(r.Bytes, 10) }},
		{"accepted", "接收时间", func(r bus.ExchangeRecord) string { return stamp(r.Accepted) }},
		{"forwarded", "送出时间", func(r bus.ExchangeRecord) string { return stamp(r.Forwarded) }},
		{"received", "到达时间", func(r bus.ExchangeRecord) string { return stamp(r.Received) }},
		{"delivered", "交付时间", func(r bus.ExchangeRecord) string { return stamp(r.Delivered) }},
		{"code", "错误码", func(r bus.ExchangeRecord) string { return string(r.Code) }},
	}
}

// sequenceRange shows the sequence numbers that a batch goes from and to.
func sequenceRange(first, last uint64) string {
	switch {
	case last == 0:
		return ""
	case first == last:
		return sprint(last)
	default:
		return sprint(first, "-", last)
	}
}
