package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
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
仅其他成员有而本节点没有的目录变更就此丢失，不可撤回。网络中断与成员丢失从这里看并无区别：先确认其余成员确已丢失。
尚存几个表决成员的，停机后逐个用 --dry-run 查看，在“已应用”和“日志末尾”最大的一个上恢复。
仍有多数可达时拒绝执行，并须键入集群标识确认。
被放弃的成员若带着旧磁盘回来，凡与新世代的成员接触即停止；两边互不可达时无法察觉，故须确保它们不再启动。
  --rejoin：在被放弃的节点上运行，使其交出旧目录副本，保留事件与存证，跟随新世代`,
			`Run on a stopped voter, only when the other voters are lost for good and no majority is left. This node becomes the
only voter, in a new generation; changes to the directory that only the others have are lost, and there is no way back.
A cut network looks from here as lost voters do: make sure first that they are lost. Where several voters are left,
stop them, look at each with --dry-run, and recover the one whose applied and last are highest. It refuses while a
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
			err := printOne(a, a.surveyColumns(), survey)
			a.advise(survey)
			return err
		}
		a.advise(survey)
		if confirmed == "" && !survey.Quorum() {
			if confirmed, err = a.typedLine("键入集群标识 "+survey.Cluster+" 以继续，其他输入则停止：", "type the cluster's id, "+survey.Cluster+", to go on; anything else stops: "); err != nil {
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

// advise says what to do about a group that looks like this.
func (a *app) advise(s server.Survey) {
	switch others := slices.DeleteFunc(slices.Clone(s.Voters), func(id bus.NodeID) bool { return id == s.Node }); {
	case len(others) == len(s.Voters):
		a.notice("本节点不是表决成员，不能由它恢复：请在尚存的表决成员（"+listed(s.Voters)+"）上运行",
			"this node does not vote and cannot go on alone: run this on a voter that is left, of "+listed(s.Voters))
	case len(others) == 0:
		a.notice("本节点是唯一表决成员，没有失去多数：无须恢复，启动本节点即可", "this node is the only voter, so no majority is lost: do not recover, start it")
	case s.Quorum():
		a.notice("多数表决成员可达（"+listed(s.Reachable)+"）：无须恢复，启动本节点即可", "a majority is there, "+listed(s.Reachable)+" answer: do not recover, start this node")
	default:
		silent := slices.DeleteFunc(slices.Clone(others), func(id bus.NodeID) bool { return slices.Contains(s.Reachable, id) })
		a.notice("凑不成多数："+listed(silent)+" 无应答。网络中断看来也是如此，先确认它们确已永久丢失",
			"there is no majority: "+listed(silent)+" do not answer. A cut network looks the same: make sure first that they are lost for good")
		if len(s.Reachable) > 0 {
			a.notice("尚有 "+listed(s.Reachable)+"：停机后逐个用 --dry-run 查看，在 applied（已应用）和 last（日志末尾）最大的一个上恢复",
				"there are "+listed(s.Reachable)+" too: stop them, look at each with --dry-run, and recover the one whose applied and last are highest")
		}
		a.notice("恢复即放弃 "+listed(others)+"，仅它们有的目录变更就此丢失，不可撤回", "to recover is to give up "+listed(others)+": changes to the directory that only they have are lost, and there is no way back")
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
	a.notice("1. 启动本节点；各帐号须重新登录", "1. start this node; people sign in again")
	if len(done.Lost) == 0 {
		return err
	}
	lost := listed(done.Lost)
	a.notice("2. 确保 "+lost+" 不带旧磁盘启动", "2. see to it that "+lost+" do not start with their old disks")
	a.notice("3. 其中磁盘尚好的：本节点启动后，在其上运行 gxbus recover --data-dir DIR --rejoin，再启动它",
		"3. where such a disk is sound: once this node runs, run gxbus recover --data-dir DIR --rejoin there, then start it")
	a.notice("4. 磁盘已毁的：gxbus node remove ID，再以新标识接入一个节点", "4. where it is gone: gxbus node remove ID, and let a new node join under a new id")
	a.notice("5. 在此之前目录只有本节点这一份表决副本：尽快 gxbus node promote ID 增加表决成员",
		"5. until then this node is the only one that votes: have others vote soon, gxbus node promote ID")
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
