package cli

import (
	"context"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// The secrets of a webhook come from the environment: flags are seen by everybody on
// the machine.
const (
	sinkSecret        = "GXBUS_SINK_SECRET"
	sinkAuthorization = "GXBUS_SINK_AUTHORIZATION"
)

func (a *app) sinkCommand(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	return a.group("sink", "推送地址", "Where the events of a subscription are taken to", a.putSink(w), a.showSink(w), a.deleteSink(w))
}

func (a *app) putSink(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	var s bus.Sink
	cmd := &cobra.Command{
		Use: "put ID --url URL", Short: a.say("将订阅的事件推送至地址", "Have the events of a subscription taken to a webhook"), Args: a.exactly("ID"), ValidArgsFunction: w.complete(a),
		Long: a.say("节点先以 OPTIONS 征得同意（WebHook-Allowed-Origin），此后逐一推送。签名密钥取自 "+sinkSecret+"，Authorization 头取自 "+sinkAuthorization+"。",
			"The node asks the endpoint first (OPTIONS, WebHook-Allowed-Origin) and then delivers one request after the other. "+sinkSecret+" holds the\nsecret that deliveries are signed with, "+
				sinkAuthorization+" the header Authorization."),
		Example: "  " + sinkSecret + "=$(cat sink.secret) gxbus subscription sink put tianhe-registration --url https://permits.tianhe.example/events",
	}
	flags := cmd.Flags()
	flags.StringVar(&s.URL, "url", "", a.say("接收 `地址`", "`URL` of the endpoint"))
	flags.IntVar(&s.Batch, "batch", 0, a.say("一次请求的事件 `数`，1–100；缺省为 1", "events of one request, `N` of 1–100; 1 where left out"))
	flags.IntVar(&s.MaxAttempts, "max-attempts", 0, a.say("尝试 `次数`，此后为死信，1–50；缺省为 12", "`N` attempts, after which an event is a dead letter, 1–50; 12 where left out"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "url"); err != nil {
			return err
		}
		s.Secret, s.Authorization = os.Getenv(sinkSecret), os.Getenv(sinkAuthorization)
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			state, err := c.Subscriptions().PutSink(ctx, bus.SubscriptionID(args[0]), s)
			if err != nil {
				return err
			}
			return printOne(a, sinkColumns, state)
		})(cmd, args)
	}
	return cmd
}

func (a *app) showSink(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ID", Short: a.say("查看推送地址与失败的尝试", "Show where events are taken to, and failed attempts"), Args: a.exactly("ID"), ValidArgsFunction: w.complete(a),
		Example: "  gxbus subscription sink show tianhe-registration",
	}
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		state, err := c.Subscriptions().Sink(ctx, bus.SubscriptionID(args[0]))
		if err != nil {
			return err
		}
		return printOne(a, sinkColumns, state)
	})
	return cmd
}

func (a *app) deleteSink(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete ID", Short: a.say("停止推送，改为拉取", "End the deliveries: events are pulled again"), Args: a.exactly("ID"), ValidArgsFunction: w.complete(a),
		Example: "  gxbus subscription sink delete tianhe-registration",
	}
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		return c.Subscriptions().DeleteSink(ctx, bus.SubscriptionID(args[0]))
	})
	return cmd
}

var sinkColumns = []column[bus.SinkState]{
	{"url", "地址", func(s bus.SinkState) string { return s.URL }},
	{"active", "推送中", func(s bus.SinkState) string { return sprint(s.Active) }},
	{"why", "原因", func(s bus.SinkState) string { return s.Why }},
	{"rate", "每分钟请求数", func(s bus.SinkState) string { return sprint(s.Rate) }},
	{"authorized", "附授权头", func(s bus.SinkState) string { return sprint(s.Authorized) }},
	{"signed", "签名", func(s bus.SinkState) string { return sprint(s.Signed) }},
	{"batch", "每次事件数", func(s bus.SinkState) string { return sprint(s.Batch) }},
	{"max_attempts", "尝试次数上限", func(s bus.SinkState) string { return sprint(s.MaxAttempts) }},
	{"since", "设置时间", func(s bus.SinkState) string { return stamp(s.Since) }},
	{"number", "重试中的序号", func(s bus.SinkState) string { return sprint(s.Number) }},
	{"attempts", "失败的尝试", func(s bus.SinkState) string { return oneLine(s.Attempts) }},
}

func (a *app) deadLetterCommand(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	return a.group("dead-letter", "死信", "Events that a webhook did not take after all attempts", a.listDeadLetters(w), a.showDeadLetter(w),
		a.deadLetterStep(w, "redrive", a.say("重新投递一封死信", "Deliver a dead letter after all"), client.Subscriptions.Redrive),
		a.deadLetterStep(w, "discard", a.say("丢弃一封死信，留有记录", "Discard a dead letter for good, on record"), client.Subscriptions.Discard))
}

func (a *app) listDeadLetters(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list ID", Short: a.say("列出死信及每次尝试", "List dead letters with each attempt"), Args: a.exactly("ID"), ValidArgsFunction: w.complete(a),
		Example: "  gxbus subscription dead-letter list tianhe-registration -o json",
	}
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		letters, err := c.Subscriptions().DeadLetters(ctx, bus.SubscriptionID(args[0]))
		if err != nil {
			return err
		}
		return printList(a, append(letterColumns(), column[bus.DeadLetter]{"last", "最后一次", func(d bus.DeadLetter) string { return oneLine(d.Attempts[max(len(d.Attempts)-1, 0):]) }}), letters)
	})
	return cmd
}

func (a *app) showDeadLetter(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ID NUMBER", Short: a.say("查看一封死信及每次尝试失败的原因", "Show a dead letter, with why each attempt failed"), Args: a.exactly("ID", "NUMBER"), ValidArgsFunction: w.complete(a),
		Example: "  gxbus subscription dead-letter show tianhe-registration 41",
	}
	cmd.RunE = a.letter(func(ctx context.Context, c *client.Client, id bus.SubscriptionID, number uint64) error {
		letter, err := c.Subscriptions().DeadLetter(ctx, id, number)
		if err != nil {
			return err
		}
		return printOne(a, append(letterColumns(), column[bus.DeadLetter]{"failures", "失败原因", func(d bus.DeadLetter) string { return oneLine(d.Attempts) }}), letter)
	})
	return cmd
}

func letterColumns() []column[bus.DeadLetter] {
	return []column[bus.DeadLetter]{
		{"number", "序号", func(d bus.DeadLetter) string { return sprint(d.Number) }},
		{"id", "编号", func(d bus.DeadLetter) string { return d.ID }},
		{"type", "类型", func(d bus.DeadLetter) string { return d.Type }},
		{"source", "来源", func(d bus.DeadLetter) string { return d.Source }},
		{"at", "放弃时间", func(d bus.DeadLetter) string { return stamp(d.At) }},
		{"attempts", "尝试", func(d bus.DeadLetter) string { return sprint(len(d.Attempts)) }},
	}
}

func (a *app) deadLetterStep(w writer[bus.SubscriptionID, bus.Subscription], name, short string,
	step func(client.Subscriptions, context.Context, bus.SubscriptionID, uint64) error,
) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " ID NUMBER", Short: short, Args: a.exactly("ID", "NUMBER"), ValidArgsFunction: w.complete(a),
		Example: "  gxbus subscription dead-letter " + name + " tianhe-registration 41",
	}
	cmd.RunE = a.letter(func(ctx context.Context, c *client.Client, id bus.SubscriptionID, number uint64) error {
		return step(c.Subscriptions(), ctx, id, number)
	})
	return cmd
}

// letter runs a command about one dead letter.
func (a *app) letter(do func(context.Context, *client.Client, bus.SubscriptionID, uint64) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		number, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return a.usage(cmd, "NUMBER 应为序号", "NUMBER is the number of an event")
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			return do(ctx, c, bus.SubscriptionID(args[0]), number)
		})(cmd, args)
	}
}
