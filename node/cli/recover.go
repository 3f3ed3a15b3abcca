package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
)

func (a *app) recoverCommand() *cobra.Command {
	var dataDir, confirmed string
	var rejoin, dry bool
	cmd := &cobra.Command{
		Use: "recover --data-dir DIR", Short: a.say("失去多数后由本节点独自继续", "Go on alone after the quorum is lost for good"), Args: a.exactly(),
		Long: a.say(`在已停止的表决节点上运行，仅当其余表决成员永久丢失、凑不成多数时使用。本节点成为唯一表决成员，进入新的世代；
仅其他成员有而本节点没有的目录变更就此丢失。仍有多数可达时拒绝执行，并须键入集群标识确认。
被放弃的成员若带着旧磁盘回来，凡与新世代的成员接触即停止；两边互不可达时无法察觉，故须确保它们不再启动。
  --rejoin：在被放弃的节点上运行，使其交出旧目录副本，保留事件与存证，跟随新世代`,
			`Run on a stopped voter, only when the other voters are lost for good and no majority is left. This node becomes the
only voter, in a new generation; changes to the directory that only the others have are lost. It refuses while a
majority can be reached, and asks for the cluster's id.
A voter that was given up and comes back with its old disk stops as soon as it meets a member of the new generation;
while neither side reaches the other nobody can tell: make sure that it is not started.
  --rejoin:  on a node that was given up: let go of its old replica, keep its events and evidence, and follow the new
             generation`),
		Example: "  gxbus recover --data-dir /var/lib/gxbus --dry-run\n  gxbus recover --data-dir /var/lib/gxbus\n  gxbus recover --data-dir /var/lib/gxbus --rejoin",
	}
	flags := cmd.Flags()
	flags.StringVar(&dataDir, "data-dir", "", a.say("数据 `目录`", "data `directory`"))
	flags.StringVar(&confirmed, "cluster", "", a.say("集群 `标识`，代替键入", "the cluster's `id`, in place of typing it"))
	flags.BoolVar(&rejoin, "rejoin", false, a.say("被放弃的节点跟随新世代", "a node that was given up follows the new generation"))
	flags.BoolVar(&dry, "dry-run", false, a.say("只查看，不改动", "only look"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.need(cmd, "data-dir"); err != nil {
			return err
		}
		dir := server.DataDir(dataDir)
		if rejoin {
			aside, err := server.Rejoin(cmd.Context(), dir, a.Now)
			if err == nil {
				a.notice("旧目录副本已移至 "+aside+"；启动节点即可", "the old replica is in "+aside+"; start the node")
			}
			return err
		}
		survey, err := server.Look(cmd.Context(), dir, a.Now)
		if err != nil {
			return err
		}
		if dry {
			return printOne(a, a.surveyColumns(), survey)
		}
		a.notice(sprint("集群 ", survey.Cluster, "，表决成员 ", listed(survey.Voters), "，可达 ", listed(survey.Reachable)),
			sprint("cluster ", survey.Cluster, ", voters ", listed(survey.Voters), ", reachable ", listed(survey.Reachable)))
		if confirmed == "" && !survey.Quorum() {
			if confirmed, err = a.typedLine("键入集群标识以确认：", "type the cluster's id to confirm: "); err != nil {
				return err
			}
		}
		done, err := server.Recover(cmd.Context(), dir, confirmed, a.Now)
		if err != nil {
			return err
		}
		return a.recovered(done)
	}
	return cmd
}

func (a *app) surveyColumns() []column[server.Survey] {
	return []column[server.Survey]{
		{"cluster", "集群", func(s server.Survey) string { return s.Cluster }},
		{"node", "节点", func(s server.Survey) string { return string(s.Node) }},
		{"voters", "表决成员", func(s server.Survey) string { return listed(s.Voters) }},
		{"reachable", "可达的其他表决成员", func(s server.Survey) string { return listed(s.Reachable) }},
		{"quorum", "多数可达", func(s server.Survey) string { return sprint(s.Quorum()) }},
		{"applied", "已应用", func(s server.Survey) string { return sprint(s.Applied) }},
		{"last", "日志末尾", func(s server.Survey) string { return sprint(s.Last) }},
		{"generation", "世代", func(s server.Survey) string { return sprint(s.Generation) }},
	}
}

func (a *app) recovered(done server.Recovered) error {
	err := printOne(a, []column[server.Recovered]{
		{"cluster", "集群", func(r server.Recovered) string { return r.Cluster }},
		{"node", "唯一表决成员", func(r server.Recovered) string { return string(r.Node) }},
		{"generation", "世代", func(r server.Recovered) string { return sprint(r.Generation) }},
		{"index", "目录序号", func(r server.Recovered) string { return sprint(r.Index) }},
		{"lost", "已放弃", func(r server.Recovered) string { return listed(r.Lost) }},
	}, done)
	a.notice("下一步：启动本节点。已放弃的节点不得带旧磁盘启动；磁盘尚好的，在其上运行 gxbus recover --rejoin 后再启动；已毁的，移除后以新标识入网。",
		"next: start this node. Those given up must not start with their old disks: where a disk is sound, run gxbus recover --rejoin there first; where it is gone, let a new node join under a new id.")
	return err
}

// typedLine asks for a line on the standard input.
func (a *app) typedLine(zh, en string) (string, error) {
	fmt.Fprint(a.Err, a.say(zh, en))
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		return "", bus.E(bus.CodeInvalid, bus.Defect{Field: "cluster", Problem: bus.Text{ZH: "未确认", EN: "not confirmed"}, Allowed: "the cluster's id, typed or with --cluster"})
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimSpace(line), err
}
