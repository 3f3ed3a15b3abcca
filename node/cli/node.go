package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) nodeCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: a.say("列出节点", "List the nodes"), Args: a.exactly(),
		Example: "  gxbus node list\n  gxbus node list -o json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			nodes, err := c.Nodes(ctx)
			if err != nil {
				return err
			}
			return printList(a, nodeColumns, nodes)
		}),
	}
	return a.group("node", "节点", "Nodes of the bus", list)
}

var nodeColumns = []column[bus.Node]{
	{"id", "节点", func(n bus.Node) string { return string(n.ID) }},
	{"division", "行政区划", func(n bus.Node) string { return string(n.Division) }},
	{"api_address", "接口地址", func(n bus.Node) string { return n.APIAddress }},
	{"peer_address", "节点间地址", func(n bus.Node) string { return n.PeerAddress }},
	{"voter", "表决", func(n bus.Node) string { return sprint(n.Voter) }},
	{"joined", "加入时间", func(n bus.Node) string { return stamp(n.Joined) }},
}
