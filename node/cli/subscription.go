package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

func (a *app) subscriptionCommand() *cobra.Command {
	w := subscriptions()
	return a.group("subscription", "订阅", "Standing requests for events",
		w.list(a), w.show(a), a.createSubscription(w), remove(a, w, func(c *client.Client) client.Removable[bus.SubscriptionID, bus.Subscription] {
			return c.Subscriptions().Removable
		}),
		a.pauseSubscription(w), a.resumeSubscription(w), a.replaySubscription(w), a.sinkCommand(w), a.deadLetterCommand(w))
}

func subscriptions() writer[bus.SubscriptionID, bus.Subscription] {
	return writer[bus.SubscriptionID, bus.Subscription]{
		noun: noun[bus.SubscriptionID, bus.Subscription]{
			zh: "订阅", en: "subscription", example: "tianhe-registration",
			columns: []column[bus.Subscription]{
				{"id", "标识", func(s bus.Subscription) string { return string(s.ID) }},
				{"resource", "数据资源", func(s bus.Subscription) string { return string(s.Resource) }},
				{"consumer", "使用部门", func(s bus.Subscription) string { return string(s.Consumer) }},
				{"system", "业务系统", func(s bus.Subscription) string { return string(s.System) }},
				{"grant", "授权", func(s bus.Subscription) string { return string(s.Grant) }},
				{"purpose", "使用用途", func(s bus.Subscription) string { return string(s.Purpose) }},
				{"revision", "修订号", func(s bus.Subscription) string { return sprint(s.Revision) }},
			},
			details: []column[bus.Subscription]{
				{"matter", "事项", func(s bus.Subscription) string { return s.Matter }},
				{"basis", "使用依据", func(s bus.Subscription) string { return s.Basis }},
				{"items", "信息项", func(s bus.Subscription) string { return listed(s.Items) }},
				{"start", "起点", func(s bus.Subscription) string { return s.Start }},
				{"paused", "已暂停", func(s bus.Subscription) string { return sprint(s.Paused) }},
				{"replays", "重放次数", func(s bus.Subscription) string { return sprint(s.Replays) }},
				{"source", "事件来源", func(s bus.Subscription) string { return s.Source }},
				{"types", "事件类型", func(s bus.Subscription) string { return listed(s.Types) }},
				{"filters", "过滤条件", func(s bus.Subscription) string { return oneLine(s.Filters) }},
			},
			entries: func(c *client.Client) client.Readable[bus.SubscriptionID, bus.Subscription] {
				return c.Subscriptions().Readable
			},
		},
		check: bus.Subscription.Check,
		name:  func(s *bus.Subscription) (bus.SubscriptionID, *bus.Revision) { return s.ID, &s.Revision },
		put: func(ctx context.Context, c *client.Client, s bus.Subscription) (bus.Subscription, error) {
			return c.Subscriptions().Put(ctx, s)
		},
	}
}

func (a *app) createSubscription(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	var s bus.Subscription
	var items, filters []string
	create := creation[bus.SubscriptionID, bus.Subscription]{
		writer: w,
		example: "  gxbus subscription create tianhe-registration --resource enterprise-registration \\\n" +
			"      --system tianhe-permits --grant tianhe-registration --purpose verification\n  gxbus subscription create -f subscription.yaml",
		needed: []string{"resource", "system", "purpose"},
	}
	cmd := create.command(a, func(_ *cobra.Command, id string) (bus.Subscription, error) {
		s.ID, s.Items = bus.SubscriptionID(id), typed[bus.ItemID](items)
		for i, text := range filters {
			var f bus.Filter
			if err := strictjson.Decode([]byte(text), strictjson.Limits{}, &f); err != nil {
				return s, fmt.Errorf("--filter %d: %w", i+1, err)
			}
			s.Filters = append(s.Filters, f)
		}
		return s, nil
	})
	flags := cmd.Flags()
	flags.StringVar((*string)(&s.Resource), "resource", "", a.say("数据资源 `标识`", "`id` of the resource"))
	flags.StringVar((*string)(&s.System), "system", "", a.say("接收数据的业务系统 `标识`", "`id` of the system that pulls"))
	flags.StringVar((*string)(&s.Consumer), "consumer", "", a.say("使用部门 `代码`，缺省为业务系统所属部门", "consumer's `code`; the system's department where left out"))
	flags.StringVar((*string)(&s.Grant), "grant", "", a.say("所依据的授权 `标识`", "`id` of the grant it rests on"))
	flags.StringVar((*string)(&s.Purpose), "purpose", "", a.say("使用 `用途`", "`purpose`"))
	flags.StringVar(&s.Matter, "matter", "", a.say("事项 `编码`", "matter `code`"))
	flags.StringVar(&s.Basis, "basis", "", a.say("使用 `依据`", "`basis` of the use"))
	flags.StringSliceVar(&items, "item", nil, a.say("所需信息项，可多个；缺省为全部获准项", "item wanted, repeatable; all that is allowed where left out"))
	flags.StringVar(&s.Start, "start", "", a.say("起点：now、beginning 或 `时间`（RFC 3339）；缺省为 now", "where it begins: now, beginning or a `time` (RFC 3339); now where left out"))
	flags.StringVar(&s.Source, "source", "", a.say("仅此 `来源` 的事件", "events of this `source` alone"))
	flags.StringSliceVar(&s.Types, "type", nil, a.say("仅此 `类型` 的事件，可多个", "events of this `type` alone, repeatable: of one of them"))
	flags.StringArrayVar(&filters, "filter", nil, a.say("CloudEvents 过滤条件 `JSON`，可多个，须全部满足",
		"a CloudEvents filter as `JSON`, repeatable: an event has to pass them all"))
	return cmd
}

// oneLine gives what has parts as JSON; nothing for none.
func oneLine[V any](parts []V) string {
	if len(parts) == 0 {
		return ""
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
