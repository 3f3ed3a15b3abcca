package cli

import (
	"context"
	"slices"
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
		Long: a.say("按各节点存证列出发布、订阅批次和查询，每次交换一行：各环节时间、条数、大小、状态及过错方。部门看本部门的，数据主管部门看本区划及以下的，审计管理员看全部。未应答的节点另行列出。查看本身亦留存证。",
			"List publications, batches of subscriptions and queries as all nodes have them on record, one line each: when each step was,\nhow much, how it stands and whose fault it is. A department sees its own, a data authority those of its division and below,\nthe auditor all. Nodes that did not answer are named. That it was looked at is recorded too.\n\nOf a query, accepted is when it was asked, forwarded when the provider's node let it through, received when the provider's\nsystem answered, delivered when the answer was handed out whole."),
		Example: "  gxbus exchange list --status withheld\n  gxbus exchange list --mode query --case 2026-000123\n  gxbus exchange list --resource enterprise-registration --from 2026-03-01 --to 2026-03-31 -o csv",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&q.Resource), "resource", "", a.say("仅此资源 `标识` 的", "only those of the resource with this `id`"))
	flags.StringVar((*string)(&q.Mode), "mode", "", a.say("仅此 `方式` 的：publish、subscribe、query", "only those of the `mode` publish, subscribe or query"))
	flags.StringVar((*string)(&q.Status), "status", "", a.say("仅此 `状态` 的", "only those with this `status`"))
	flags.StringVar((*string)(&q.Fault), "fault", "", a.say("仅此 `过错方` 的：policy、caller、provider、network、bus", "only those by the `fault` of policy, caller, provider, network or bus"))
	flags.StringVar((*string)(&q.Department), "department", "", a.say("仅此 `部门` 提供或使用的", "only what this `department` provides or uses"))
	flags.StringVar((*string)(&q.Grant), "grant", "", a.say("仅此 `授权` 之下的", "only what is under this `grant`"))
	flags.StringVar(&q.Case, "case", "", a.say("仅此 `办件号` 的", "only what names this `case`"))
	flags.StringVar(&q.Trace, "trace", "", a.say("仅此 `跟踪编号`（W3C）的", "only what is part of the trace with this `id` (W3C Trace Context)"))
	flags.BoolVar(&q.Here, "here", false, a.say("仅本节点的存证，不询问其他节点", "only what this node has on record: no other is asked"))
	within := a.withinDays(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if q.From, q.To, err = within(cmd); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			var records []bus.ExchangeRecord
			var silent []bus.NodeID
			for page, err := range c.Exchanges(ctx, q) {
				if err != nil {
					return err
				}
				records, silent = append(records, page.Items...), page.Silent
			}
			if len(silent) > 0 {
				a.notice("未答复的节点："+listed(silent), "nodes that did not answer: "+listed(silent))
			}
			columns := a.exchangeColumns()
			if a.output == "table" {
				columns = filled(columns, records)
			}
			return printList(a, columns, records)
		})(cmd, args)
	}
	return cmd
}

var (
	statusWords = map[string]string{
		"accepted": "已接收", "held": "暂缓", "forwarded": "已送出", "received": "已到达", "delivered": "已交付", "acknowledged": "已确认",
		"filtered": "已过滤", "expired": "已过期", "withheld": "已扣留", "denied": "被拒绝", "refused": "未受理", "failed": "未成功",
		"delayed": "延迟", "dead-lettered": "死信", "discarded": "已丢弃", "replayed": "已重放",
	}
	modeWords  = map[string]string{"publish": "发布", "subscribe": "订阅", "query": "查询"}
	faultWords = map[string]string{"policy": "策略", "caller": "调用方", "provider": "提供方", "network": "网络", "bus": "总线"}
)

func (a *app) exchangeColumns() []column[bus.ExchangeRecord] {
	return []column[bus.ExchangeRecord]{
		{"recorded", "留痕时间", func(r bus.ExchangeRecord) string { return instant(r.At) }},
		{"node", "节点", func(r bus.ExchangeRecord) string { return string(r.Node) }},
		{"leaf", "存证序号", func(r bus.ExchangeRecord) string { return sprint(r.Leaf) }},
		{"mode", "方式", func(r bus.ExchangeRecord) string { return a.wordOf(modeWords, string(r.Mode)) }},
		{"status", "状态", func(r bus.ExchangeRecord) string { return a.wordOf(statusWords, string(r.Status)) }},
		{"fault", "过错方", func(r bus.ExchangeRecord) string { return a.wordOf(faultWords, string(r.Fault)) }},
		{"resource", "资源", func(r bus.ExchangeRecord) string { return string(r.Resource) }},
		{"provider", "提供方", func(r bus.ExchangeRecord) string { return string(r.Provider) }},
		{"consumer", "使用方", func(r bus.ExchangeRecord) string { return string(r.Consumer) }},
		{"system", "系统", func(r bus.ExchangeRecord) string { return string(r.System) }},
		{"sequence", "序号", func(r bus.ExchangeRecord) string { return sequenceRange(r.First, r.Last) }},
		{"events", "条数", func(r bus.ExchangeRecord) string { return sprint(r.Events) }},
		{"bytes", "字节", func(r bus.ExchangeRecord) string { return strconv.FormatInt(r.Bytes, 10) }},
		{"accepted", "接收时间", func(r bus.ExchangeRecord) string { return stamp(r.Accepted) }},
		{"forwarded", "送出时间", func(r bus.ExchangeRecord) string { return stamp(r.Forwarded) }},
		{"received", "到达时间", func(r bus.ExchangeRecord) string { return stamp(r.Received) }},
		{"delivered", "交付时间", func(r bus.ExchangeRecord) string { return stamp(r.Delivered) }},
		{"acknowledged", "确认时间", func(r bus.ExchangeRecord) string { return stamp(r.Acknowledged) }},
		{"delayed", "延迟起于", func(r bus.ExchangeRecord) string { return stamp(r.Delayed) }},
		{"as_of", "回执时间", func(r bus.ExchangeRecord) string { return stamp(r.AsOf) }},
		{"case", "办件号", func(r bus.ExchangeRecord) string { return r.Case }},
		{"operator", "经办人代号", func(r bus.ExchangeRecord) string { return r.Operator }},
		{"correlation", "关联号", func(r bus.ExchangeRecord) string { return r.Correlation }},
		{"trace", "跟踪编号", func(r bus.ExchangeRecord) string { return r.Trace }},
		{"code", "错误码", func(r bus.ExchangeRecord) string { return string(r.Code) }},
	}
}

// filled are the columns that have something to say of any of the values.
func filled[V any](columns []column[V], values []V) []column[V] {
	return slices.DeleteFunc(columns, func(c column[V]) bool {
		return len(values) > 0 && !slices.ContainsFunc(values, func(v V) bool { return c.cell(v) != "" })
	})
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
