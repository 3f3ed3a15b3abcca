package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) statusCommand() *cobra.Command {
	var hash bool
	cmd := &cobra.Command{
		Use: "status", Short: a.say("显示节点和成员状态", "Show the nodes and their state"), Args: a.exactly(),
		Example: "  gxbus status\n  gxbus status --hash -o json",
	}
	cmd.Flags().BoolVar(&hash, "hash", false, a.say("计算目录状态摘要", "compute the digest of the directory state"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		status, err := c.Status(ctx, hash)
		if err != nil {
			return err
		}
		if a.output == "table" {
			a.statusLine(status)
		}
		return a.print(status, gridOf(a, a.memberColumns(), status.Members))
	})
	return cmd
}

func (a *app) statusLine(s client.Status) {
	leader := string(s.Leader)
	if leader == "" {
		leader = a.say("无", "none")
	}
	fmt.Fprintf(a.Out, a.say("集群 %s  本节点 %s  主节点 %s  目录序号 %d  副本至多落后 %.0f 秒\n",
		"cluster %s  node %s  leader %s  index %d  replica at most %.0f s old\n"),
		printable(s.Cluster), printable(string(s.Node)), printable(leader), s.AppliedIndex, s.AgeSeconds)
	if s.StateHash != "" {
		fmt.Fprintf(a.Out, a.say("目录状态摘要 %s\n", "state hash %s\n"), printable(s.StateHash))
	}
	if s.Epoch > 0 {
		fmt.Fprintf(a.Out, a.say("策略纪元 %d  待确认的授权 %d 项\n", "policy epoch %d  suspended grants %d\n"), s.Epoch, s.Suspended)
	}
	fmt.Fprintln(a.Out)
}

func (a *app) memberColumns() []column[client.Member] {
	return []column[client.Member]{
		{"id", "节点", func(m client.Member) string { return string(m.ID) }},
		{"division", "行政区划", func(m client.Member) string { return string(m.Division) + " " + m.DivisionName }},
		{"level", "层级", func(m client.Member) string { return string(m.Level) }},
		{"suffrage", "表决权", func(m client.Member) string { return m.Suffrage }},
		{"leader", "主节点", func(m client.Member) string { return sprint(m.Leader) }},
		{"reachable", "可达", func(m client.Member) string { return sprint(m.Reachable) }},
		{"applied_index", "目录序号", func(m client.Member) string { return sprint(m.AppliedIndex) }},
		{"lag", "落后", func(m client.Member) string { return sprint(m.Lag) }},
		{"note", "备注", a.memberNote},
		{"api_address", "接口地址", func(m client.Member) string { return m.APIAddress }},
		{"relayed", "经转接", func(m client.Member) string { return sprint(m.Relayed) }},
		{"relaying", "转接", relaying},
		{"layers", "策略层", a.layerStates},
	}
}

// relaying tells what a node relays now, and how much it has in all; nothing
// where it never did.
func relaying(m client.Member) string {
	if m.Relaying.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%d, %.1f MB", m.Relaying.Streams, float64(m.Relaying.Bytes)/1e6)
}
