package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) nodeCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: a.say("列出节点及其状态", "List the nodes and how they are"), Args: a.exactly(),
		Example: "  gxbus node list\n  gxbus node list -o json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			status, err := c.Status(ctx, false)
			if err != nil {
				return err
			}
			return printList(a, a.nodeColumns(), status.Members)
		}),
	}
	show := &cobra.Command{
		Use: "show ID", Short: a.say("显示一个节点", "Show a node"), Args: a.exactly("ID"),
		Example:           "  gxbus node show guangzhou\n  gxbus node show guangzhou -o yaml",
		ValidArgsFunction: a.completeNode,
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			status, err := c.Status(ctx, false)
			if err != nil {
				return err
			}
			for _, m := range status.Members {
				if string(m.ID) == args[0] {
					return printOne(a, slices.Concat(a.nodeColumns(), nodeDetails), m)
				}
			}
			return bus.NotFound("node", args[0])
		}),
	}
	return a.group("node", "节点", "Nodes of the bus", list, show,
		a.promoteNode(), a.demoteNode(), a.drainNode(), a.removeNode(), a.transferLeadership(), a.assignDivision())
}

func (a *app) nodeColumns() []column[client.Member] {
	return []column[client.Member]{
		{"id", "节点", func(m client.Member) string { return string(m.ID) }},
		{"serves", "服务区划", func(m client.Member) string { return listed(m.Serves) }},
		{"suffrage", "表决权", func(m client.Member) string { return m.Suffrage }},
		{"leader", "主节点", func(m client.Member) string { return sprint(m.Leader) }},
		{"reachable", "可达", func(m client.Member) string { return sprint(m.Reachable) }},
		{"last_heard", "最近应答", func(m client.Member) string { return stamp(m.LastHeard) }},
		{"lag", "落后", func(m client.Member) string { return sprint(m.Lag) }},
		{"note", "备注", a.memberNote},
		{"api_address", "接口地址", func(m client.Member) string { return m.APIAddress }},
	}
}

var nodeDetails = []column[client.Member]{
	{"peer_address", "节点间地址", func(m client.Member) string { return m.PeerAddress }},
	{"division", "所在区划", func(m client.Member) string { return string(m.Division) + " " + m.DivisionName }},
	{"joined", "加入时间", func(m client.Member) string { return stamp(m.Joined) }},
	{"expires", "证书截止", func(m client.Member) string { return stamp(m.Expires) }},
	{"applied_index", "目录序号", func(m client.Member) string { return sprint(m.AppliedIndex) }},
	{"version", "版本", func(m client.Member) string { return m.Version }},
}

// memberNote says what is out of the ordinary about a member.
func (a *app) memberNote(m client.Member) string {
	var notes []string
	if m.Silent {
		notes = append(notes, a.say("失联", "silent"))
	}
	if m.Draining {
		notes = append(notes, a.say("腾退中", "draining"))
	}
	if votes := m.Suffrage == "voter"; m.Voter && !m.Draining && !votes {
		notes = append(notes, a.say("待表决", "will vote"))
	} else if votes && (!m.Voter || m.Draining) {
		notes = append(notes, a.say("待收回表决权", "gives up its vote"))
	}
	if m.CA {
		notes = append(notes, a.say("签发节点", "CA"))
	}
	switch w := m.Witness; {
	case w.Refused != "":
		notes = append(notes, a.say("存证被拒绝联署", "its evidence is refused"))
	case w.Late:
		notes = append(notes, a.say("存证自 "+stamp(w.Since)+" 起未联署", "evidence not cosigned since "+stamp(w.Since)))
	}
	return listed(notes)
}

// completeNode offers the ids of the nodes.
func (a *app) completeNode(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := a.connect(func(cfg *client.Config) { cfg.Timeout, cfg.Attempts = 2*time.Second, 1 })
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	nodes, err := c.Nodes(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids := make([]cobra.Completion, len(nodes))
	for i, n := range nodes {
		ids[i] = cobra.CompletionWithDesc(string(n.ID), string(n.Division))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
