package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) pauseSubscription(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	return a.stepSubscription(w, "pause", a.say("暂停一项订阅，事件在提供方节点等待", "Pause a subscription: its events wait at the provider's node"), client.Subscriptions.Pause)
}

func (a *app) resumeSubscription(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	return a.stepSubscription(w, "resume", a.say("恢复一项已暂停的订阅", "Let a paused subscription go on where it was"), client.Subscriptions.Resume)
}

func (a *app) replaySubscription(w writer[bus.SubscriptionID, bus.Subscription]) *cobra.Command {
	var from string
	cmd := a.stepSubscription(w, "replay", a.say("自某一起点重放一项订阅，未确认的事件清出", "Begin a subscription anew; what waits unacknowledged goes"),
		func(s client.Subscriptions, ctx context.Context, id bus.SubscriptionID) (bus.Subscription, error) {
			return s.Replay(ctx, id, from)
		})
	cmd.Flags().StringVar(&from, "from", "", a.say("起点：now、beginning 或 `时间`（RFC 3339）", "where it begins: now, beginning or a `time` (RFC 3339)"))
	cmd.Example += " --from 2026-03-01T00:00:00+08:00"
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "from"); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

func (a *app) stepSubscription(w writer[bus.SubscriptionID, bus.Subscription], name, short string,
	step func(client.Subscriptions, context.Context, bus.SubscriptionID) (bus.Subscription, error),
) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " ID", Short: short, Args: a.exactly("ID"), ValidArgsFunction: w.complete(a),
		Example: "  gxbus subscription " + name + " tianhe-registration",
	}
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		s, err := step(c.Subscriptions(), ctx, bus.SubscriptionID(args[0]))
		if err != nil {
			return err
		}
		return printOne(a, append(w.columns, w.details...), s)
	})
	return cmd
}
