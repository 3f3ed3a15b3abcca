package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
)

func (a *app) restoreCommand() *cobra.Command {
	var r server.Restoration
	var keyFile string
	cmd := &cobra.Command{
		Use: "restore FILE", Short: a.say("由备份建立新集群", "Make a new cluster out of a backup"), Args: a.exactly("FILE"),
		Long: a.say(`由备份在空目录中建立只有本节点的新集群：事件、收件箱、存证原样恢复，存证日志以新名称续写。
备份之后撤回的一切无从知晓，故凡可放行数据的一律不沿用：授权全部暂停待安全管理员确认，业务系统凭证和入网令牌作废，
账号改用新的一次性口令，其他节点的标识停用，须以新标识重新入网。`,
			`Make a new cluster of one node in an empty directory out of a backup: events, inboxes and evidence come back as they
were, and the evidence log goes on under a new name.
Nobody knows what was taken back since the backup, so nothing that lets data pass is taken over: every grant is suspended
until a security administrator confirms it, the credentials of systems and join tokens are void, accounts get new one-time
passwords, and the ids of all other nodes are retired: those nodes join anew, under new ids.`),
		Example: "  gxbus restore guangdong.gxb --data-dir /var/lib/gxbus --recovery-key /media/safe/gxbus-recovery.key --dry-run\n" +
			"  gxbus restore guangdong.gxb --data-dir /var/lib/gxbus --recovery-key /media/safe/gxbus-recovery.key \\\n      --peer-address 10.0.0.9:8441 --api-address 10.0.0.9:8440",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&r.Dir), "data-dir", server.DefaultConfig().DataDir, a.say("数据 `目录`，须为空或不存在", "data `directory`, empty or new"))
	flags.StringVar(&keyFile, "recovery-key", "", a.say("恢复私钥 `文件`", "`file` with the recovery key"))
	flags.StringVar(&r.PeerAddress, "peer-address", "", a.say("其他节点连接本节点的 `地址`，缺省同备份", "`address` other nodes dial, as it was where left out"))
	flags.StringVar(&r.APIAddress, "api-address", "", a.say("业务系统和管理员连接的 `地址`，缺省同备份", "`address` agencies and administrators dial, as it was where left out"))
	flags.StringSliceVar(&r.Hosts, "host", nil, a.say("证书中另加的 `主机名` 或 IP", "further `name` or IP in the node's certificate"))
	flags.BoolVar(&r.DryRun, "dry-run", false, a.say("全部试做一遍后删除，只显示结果", "do all of it aside, remove it, and show what would be"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "recovery-key"); err != nil {
			return err
		}
		var err error
		if r.Key, err = readRecoveryKey(keyFile); err != nil {
			return err
		}
		in, size, err := openArchive(args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		r.Archive, r.Now = a.metered(in, size), a.Now()
		done, err := server.Restore(r)
		if err != nil {
			return err
		}
		return a.restored(r, done)
	}
	return cmd
}

// restored tells what became of a backup: what needs hands on the error stream, the
// passwords, or all of it in a format, on the output.
func (a *app) restored(r server.Restoration, done server.Restored) error {
	d := done.Directory
	a.notice(sprint("新集群 ", done.Cluster, "，节点 ", done.Self.Node, "，策略纪元 ", d.Epoch, "，目录序号 ", d.Index, "，存证 ", done.Leaves, " 条验证通过"),
		sprint("new cluster ", done.Cluster, ", node ", done.Self.Node, ", policy epoch ", d.Epoch, ", index ", d.Index, ", ", done.Leaves, " leaves of evidence verified"))
	a.notice(sprint("暂停待确认的授权 ", len(d.Suspended), " 项（gxbus grant confirm），作废的系统凭证 ", len(d.Systems), " 个（gxbus system rotate）"),
		sprint(len(d.Suspended), " grants suspended (gxbus grant confirm), ", len(d.Systems), " credentials of systems void (gxbus system rotate)"))
	if len(d.Retired) > 0 {
		a.notice("停用的节点标识："+listed(d.Retired)+"；请以新标识重新入网", "retired node ids: "+listed(d.Retired)+"; let those nodes join anew under new ids")
	}
	if len(d.Unserved) > 0 {
		a.notice(sprint("无节点服务的部门 ", len(d.Unserved), " 个（gxbus department move CODE --to NODE --abandon）"),
			sprint(len(d.Unserved), " departments are served by nobody (gxbus department move CODE --to NODE --abandon)"))
	}
	if len(done.Unreadable) > 0 {
		a.notice("无法解密、须重新设置的推送地址与挂接："+listed(done.Unreadable), "sinks and bindings that cannot be opened, and have to be put again: "+listed(done.Unreadable))
	}
	if r.DryRun {
		a.notice("仅试做，未恢复", "a dry run; nothing was restored")
		if a.output == "table" || a.output == "csv" {
			return nil
		}
		return a.preview(done)
	}
	a.notice("一次性口令只显示这一次，首次登录时须修改", "these one-time passwords are shown only once, and changed at the first sign-in")
	err := a.print(done, gridOf(a, passwordColumns, done.Passwords))
	a.nextSteps(server.Founding{Dir: r.Dir, PeerAddress: done.Self.PeerAddress, APIAddress: done.Self.APIAddress})
	return err
}

func (a *app) compactCommand() *cobra.Command {
	var dataDir string
	var force bool
	cmd := &cobra.Command{
		Use: "compact --data-dir DIR", Short: a.say("压缩已停止节点的数据文件", "Compact the files of a stopped node"), Args: a.exactly(),
		Long: a.say("压缩已停止节点的数据文件：大于实际内容两倍的重写一遍。节点启动时也会自动进行。中断不丢失数据。",
			"Compact the files of a stopped node: those over twice what they hold are written anew. A node does so by itself when it\nstarts. Cut off at any moment, it loses nothing."),
		Example: "  gxbus compact --data-dir /var/lib/gxbus\n  gxbus compact --data-dir /var/lib/gxbus --all",
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", a.say("数据 `目录`", "data `directory`"))
	cmd.Flags().BoolVar(&force, "all", false, a.say("不论大小全部重写", "write all of them anew, whatever their size"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.need(cmd, "data-dir"); err != nil {
			return err
		}
		if !server.DataDir(dataDir).Exists() {
			return bus.E(bus.CodeNotInitialized, bus.Defect{Field: "data_dir", Problem: bus.Text{ZH: "此处没有节点：" + dataDir, EN: "no node here: " + dataDir}})
		}
		files, err := server.Compact(server.DataDir(dataDir), force)
		return errors.Join(err, printList(a, []column[server.Compacted]{
			{"file", "文件", func(c server.Compacted) string { return c.File }},
			{"before", "原字节", func(c server.Compacted) string { return sprint(c.Before) }},
			{"live", "在用字节", func(c server.Compacted) string { return sprint(c.Live) }},
			{"after", "现字节", func(c server.Compacted) string { return sprint(c.After) }},
			{"done", "已压缩", func(c server.Compacted) string { return sprint(c.Done) }},
		}, files))
	}
	return cmd
}
