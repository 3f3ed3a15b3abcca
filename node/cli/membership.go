package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) promoteNode() *cobra.Command {
	return a.step(&cobra.Command{
		Use: "promote ID", Short: a.say("使节点参与目录表决", "Let a node vote in the directory group"),
		Long: a.say("使节点参与目录表决。节点须可达并已追上目录；用 --force 可先登记，待其追上后自动获得表决权。",
			"Let a node vote in the directory group. It must answer and have caught up; with --force it is meant\nto vote from now on and does once it has."),
		Example: "  gxbus node promote foshan --dry-run\n  gxbus node promote foshan",
	}, true, func() bus.Step { return bus.StepPromote })
}

func (a *app) demoteNode() *cobra.Command {
	return a.step(&cobra.Command{
		Use: "demote ID", Short: a.say("收回节点的表决权", "Take a node's vote"),
		Long: a.say("收回节点的表决权，节点仍保有完整的目录副本。若余下在线的表决节点不足多数，则拒绝。",
			"Take a node's vote; it keeps a full replica. Refused where the voters that are left and answer would\nmake no majority."),
		Example: "  gxbus node demote foshan --dry-run\n  gxbus node demote foshan",
	}, false, func() bus.Step { return bus.StepDemote })
}

func (a *app) removeNode() *cobra.Command {
	return a.step(&cobra.Command{
		Use: "remove ID", Short: a.say("将节点永久移出总线", "Remove a node from the bus, for good"),
		Long: a.say("将节点永久移出总线：先收回表决权，再注销其标识和密钥，此后即使带着旧磁盘回来也会被拒绝。持有签发密钥或仍服务部门的节点不能移除。",
			"Remove a node from the bus, for good: its vote is taken, then its id and key are retired, and it is refused\neven if it returns with its old disk. A node that has the signing key or serves departments stays."),
		Example: "  gxbus node remove foshan --dry-run\n  gxbus node remove foshan",
	}, false, func() bus.Step { return bus.StepRemove })
}

func (a *app) drainNode() *cobra.Command {
	var end bool
	cmd := a.step(&cobra.Command{
		Use: "drain ID", Short: a.say("腾退节点，便于检修或移除", "Drain a node before it is serviced or removed"),
		Long: a.say("腾退节点：交出主节点和表决权（多数派允许时），不再接收新部门；已有部门不动。--end 结束腾退。",
			"Drain a node: it hands over the lead, gives up its vote as soon as the quorum allows, and takes on no new\ndepartments; those that it serves stay. --end ends it."),
		Example: "  gxbus node drain foshan\n  gxbus node drain foshan --end",
	}, false, func() bus.Step {
		if end {
			return bus.StepResume
		}
		return bus.StepDrain
	})
	cmd.Flags().BoolVar(&end, "end", false, a.say("结束腾退", "end the draining"))
	return cmd
}

// step makes the command of a step of a node.
func (a *app) step(cmd *cobra.Command, forcible bool, step func() bus.Step) *cobra.Command {
	var in client.NodeChange
	cmd.Args, cmd.ValidArgsFunction = a.exactly("ID"), a.completeNode
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, a.say("只显示此后的多数派，不执行", "only show what the quorum would be"))
	if forcible {
		cmd.Flags().BoolVar(&in.Force, "force", false, a.say("节点尚未追上也登记", "though the node has not caught up yet"))
	}
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		changed, err := c.ChangeNode(ctx, bus.NodeID(args[0]), step(), in)
		if err != nil {
			return err
		}
		for _, w := range changed.Outlook.Warnings {
			a.notice("注意："+w.ZH, "note: "+w.EN)
		}
		switch {
		case in.DryRun && len(changed.Outlook.Problems) > 0:
			for _, p := range changed.Outlook.Problems {
				a.notice("将被拒绝："+p.In(bus.Chinese), "it would be refused: "+p.In(bus.English))
			}
		case in.DryRun:
			a.notice("可以执行；尚未执行", "it can be done; nothing was done")
		case !changed.Done:
			a.notice("已登记，条件允许时自动完成；见 gxbus node list", "on record; it is carried out as soon as that is safe, see gxbus node list")
		default:
			a.notice("已完成", "done")
		}
		return a.print(changed, gridOfOne(a, outlookColumns, changed.Outlook))
	})
	return cmd
}

var outlookColumns = []column[bus.Outlook]{
	{"node", "节点", func(o bus.Outlook) string { return string(o.Node) }},
	{"step", "操作", func(o bus.Outlook) string { return string(o.Step) }},
	{"voters", "此后表决节点", func(o bus.Outlook) string { return sprint(o.Voters) }},
	{"needed", "多数需要", func(o bus.Outlook) string { return sprint(o.Needed) }},
	{"ready", "在线且已追上", func(o bus.Outlook) string { return sprint(o.Ready) }},
	{"missing", "缺席", func(o bus.Outlook) string { return listed(o.Missing) }},
}

func (a *app) transferLeadership() *cobra.Command {
	cmd := &cobra.Command{
		Use: "transfer-leadership [ID]", Short: a.say("移交目录主节点", "Hand the directory's lead over"),
		Long:    a.say("将目录主节点移交给指定的表决节点；不指定时移交给进度最新者。", "Hand the directory's lead over to a voter; to the one that is furthest on where none is named."),
		Example: "  gxbus node transfer-leadership guangzhou\n  gxbus node transfer-leadership",
	}
	cmd.ValidArgsFunction = a.completeNode
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return a.exactly("ID")(cmd, args)
	}
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		if err := c.TransferLeadership(ctx, bus.NodeID(strings.Join(args, ""))); err != nil {
			return err
		}
		status, err := c.Status(ctx, false)
		if err != nil {
			return err
		}
		a.notice("主节点："+string(status.Leader), "leader: "+string(status.Leader))
		return nil
	})
	return cmd
}

func (a *app) assignDivision() *cobra.Command {
	return &cobra.Command{
		Use: "assign ID DIVISION", Short: a.say("使节点兼管一个尚无节点的行政区划", "Make a node that of one more division, which has none"), Args: a.exactly("ID", "DIVISION"),
		Long: a.say("使节点兼管一个尚无节点的行政区划。该区划已有的部门仍由原节点服务，新部门归此节点。",
			"Make a node that of one more division, which has none yet. The departments that are there stay with the\nnode that serves them; new ones go to this node."),
		Example:           "  gxbus node assign guangzhou 440104",
		ValidArgsFunction: a.completeNode,
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			if err := c.AssignDivision(ctx, bus.NodeID(args[0]), bus.DivisionCode(args[1])); err != nil {
				return err
			}
			a.notice("节点 "+args[0]+" 现服务 "+args[1], "node "+args[0]+" now serves "+args[1])
			return nil
		}),
	}
}
