package cli

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
)

// followWait is how long an empty subscription is waited at before it is asked again.
const followWait = 20 * time.Second

type pulling struct {
	subscription bus.SubscriptionID
	limit        int
	ack, follow  bool
}

func (a *app) pullCommand() *cobra.Command {
	var p pulling
	cmd := &cobra.Command{
		Use: "pull SUBSCRIPTION", Short: a.say("拉取订阅的事件", "Pull the events of a subscription"), Args: a.exactly("SUBSCRIPTION"),
		Long: a.say("拉取订阅中等待的事件。未确认的事件下次仍会收到；--ack 在输出之后确认。\n"+
			"-o json 每行输出一个事件（JSON Lines），与 publish -f 的输入相同。",
			"Pull the events that wait in a subscription. The same come again until they are acknowledged; --ack does so\n"+
				"after they are written. With -o json each is a line (JSON Lines), as publish -f reads them."),
		Example:           "  gxbus pull tianhe-registration --limit 10\n  gxbus pull tianhe-registration --ack --follow -o json >> events.jsonl",
		ValidArgsFunction: subscriptions().complete(a),
	}
	flags := cmd.Flags()
	flags.IntVar(&p.limit, "limit", 100, a.say("一次最多 `件` 数，1–1000", "at most `N` at once, 1–1000"))
	flags.BoolVar(&p.ack, "ack", false, a.say("输出后确认", "acknowledge what was written"))
	flags.BoolVar(&p.follow, "follow", false, a.say("持续拉取，须与 --ack 同用", "go on until interrupted; needs --ack"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if p.limit < 1 || p.limit > 1000 {
			return a.usage(cmd, "--limit 应为 1–1000", "--limit is 1–1000")
		}
		if p.follow && !p.ack {
			return a.usage(cmd, "--follow 须与 --ack 同用，否则总是同一批事件", "--follow needs --ack, else the same events come again and again")
		}
		p.subscription = bus.SubscriptionID(args[0])
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			return a.pull(ctx, c, p)
		})(cmd, args)
	}
	return cmd
}

func (a *app) pull(ctx context.Context, c *client.Client, p pulling) error {
	for {
		patience := time.Duration(0)
		if p.follow {
			patience = followWait
		}
		events, last, err := c.Await(ctx, p.subscription, p.limit, patience)
		if err != nil && p.follow && ctx.Err() != nil {
			return nil // an interrupt is how following ends
		}
		if err != nil {
			return err
		}
		if len(events) > 0 || !p.follow {
			if err := a.printEvents(events); err != nil {
				return err
			}
		}
		switch {
		case len(events) > 0 && p.ack:
			if err := c.Ack(ctx, p.subscription, last); err != nil {
				return err
			}
		case len(events) > 0:
			a.notice(sprint("至序号 ", last, "，未确认"), sprint("up to sequence ", last, ", not acknowledged"))
		}
		if !p.follow {
			return nil
		}
	}
}

func (a *app) printEvents(events []event.Event) error {
	if a.output != "json" {
		return printList(a, eventColumns(events), events)
	}
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// eventColumns shows watermarks where an event has one: a copy is traced by it.
func eventColumns(events []event.Event) []column[event.Event] {
	if slices.ContainsFunc(events, func(e event.Event) bool { return markOf(e) != "" }) {
		return slices.Insert(slices.Clone(plainColumns), len(plainColumns)-1, column[event.Event]{"watermark", "水印", markOf})
	}
	return plainColumns
}

func markOf(e event.Event) string {
	mark, _ := event.Extension(e, event.ExtWatermark).(string)
	return mark
}

var plainColumns = []column[event.Event]{
	{"id", "编号", func(e event.Event) string { return e.ID() }},
	{"time", "时间", func(e event.Event) string { return stamp(e.Time()) }},
	{"source", "来源", func(e event.Event) string { return e.Source() }},
	{"type", "类型", func(e event.Event) string { return e.Type() }},
	{"subject", "主题", func(e event.Event) string { return e.Subject() }},
	{"data", "数据", func(e event.Event) string { return string(e.Data()) }},
}
