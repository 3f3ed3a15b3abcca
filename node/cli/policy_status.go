package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// layerAt is a layer as one node runs it.
type layerAt struct {
	Node bus.NodeID `json:"node"`
	client.LayerState
}

func (a *app) policyStatus() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "status", Short: a.say("显示各节点运行的策略修订：落后的、无法编译的", "Show which revisions the nodes run: who lags, who could not compile"), Args: a.exactly(),
		Long: a.say("显示各节点运行的策略修订与生效的是否一致。落后的节点按旧修订裁决；无法编译的层在该节点上拒绝其适用的一切请求。",
			"Show whether the nodes run the revisions in force. A node that lags decides by the revision before; a layer that a node could not\ncompile denies all that it applies to there."),
		Example: "  gxbus policy status\n  gxbus policy status --all -o csv",
	}
	cmd.Flags().BoolVar(&all, "all", false, a.say("也列出一致的", "list also what is as it should be"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		status, err := c.Status(ctx, false)
		if err != nil {
			return err
		}
		rows, odd := []layerAt{}, 0
		var silent []bus.NodeID
		for _, m := range status.Members {
			if !m.Reachable {
				silent = append(silent, m.ID)
			}
			for _, l := range m.Layers {
				if l.Standing != client.LayerCurrent {
					odd++
				}
				if all || l.Standing != client.LayerCurrent {
					rows = append(rows, layerAt{m.ID, l})
				}
			}
		}
		a.notice(sprint(len(status.Members), " 个节点，其中 ", len(silent), " 个未应答；", odd, " 项与生效的不一致"),
			sprint(len(status.Members), " nodes, of which ", len(silent), " did not answer; ", odd, " layers are not as in force"))
		if len(silent) > 0 {
			a.notice("未应答："+listed(silent), "did not answer: "+listed(silent))
		}
		return printList(a, a.layerAtColumns(), rows)
	})
	return cmd
}

func (a *app) layerAtColumns() []column[layerAt] {
	return []column[layerAt]{
		{"node", "节点", func(l layerAt) string { return string(l.Node) }},
		{"layer", "策略层", func(l layerAt) string { return string(l.ID) }},
		{"revision", "运行的修订", func(l layerAt) string { return sprint(l.Revision) }},
		{"in_force", "生效的修订", func(l layerAt) string { return sprint(l.InForce) }},
		{"standing", "状态", func(l layerAt) string { return a.standing(l.Standing) }},
		{"problem", "问题", func(l layerAt) string { return l.Problem }},
		{"digest", "文本摘要", func(l layerAt) string { return l.Digest[:min(len(l.Digest), 16)] }},
	}
}

var standingNames = map[client.LayerStanding]string{
	client.LayerCurrent: "一致", client.LayerBehind: "落后", client.LayerBroken: "无法编译，拒绝", client.LayerForeign: "文本不同",
}

func (a *app) standing(s client.LayerStanding) string {
	if a.output == "csv" {
		return string(s)
	}
	return a.say(standingNames[s], string(s))
}

// layerStates counts the layers that a node runs, and names those that are not as
// in force.
func (a *app) layerStates(m client.Member) string {
	words := []string{sprint(len(m.Layers))}
	for _, l := range m.Layers {
		if l.Standing != client.LayerCurrent {
			words = append(words, sprint(l.ID, "@", l.Revision, " ", a.standing(l.Standing)))
		}
	}
	return strings.Join(words, ", ")
}
