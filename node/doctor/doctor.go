// Package doctor judges what is found on a node: files, disk, certificates, clocks,
// indexes, evidence. It finds nothing itself: package server looks, offline or on a
// running node, and this package says whether what it saw is well and what to do.
package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/storage"
)

// Bounds of what is well.
const (
	certificateSoon = 30 * 24 * time.Hour
	rootSoon        = 365 * 24 * time.Hour // the life of a node's certificate
	skewWarn        = time.Second
	skewFail        = time.Minute
	diskLow         = 10 // percent free
)

// OK makes a check that came out well.
func OK(name, zh, en string) client.Check {
	return client.Check{Name: name, State: client.CheckOK, Detail: bus.Text{ZH: zh, EN: en}}
}

// Warn is for what works and should be seen to.
func Warn(name, zh, en string, next bus.Text) client.Check {
	return client.Check{Name: name, State: client.CheckWarn, Detail: bus.Text{ZH: zh, EN: en}, Next: next}
}

// Fail is for what does not.
func Fail(name, zh, en string, next bus.Text) client.Check {
	return client.Check{Name: name, State: client.CheckFail, Detail: bus.Text{ZH: zh, EN: en}, Next: next}
}

// Skipped is for what could not be looked at here.
func Skipped(name, zh, en string) client.Check {
	return client.Check{Name: name, State: client.CheckSkipped, Detail: bus.Text{ZH: zh, EN: en}}
}

// Failed reports whether any check failed.
func Failed(checks []client.Check) bool {
	for _, c := range checks {
		if c.State == client.CheckFail {
			return true
		}
	}
	return false
}

// Files looks at a data directory: that every needed file is there and that nobody
// but its owner may use it.
func Files(dir string, needed ...string) client.Check {
	const name = "files"
	var missing, wide []string
	for _, file := range needed {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			missing = append(missing, file)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running node makes and removes files
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return nil // as above
		}
		private := strings.HasSuffix(path, ".key") || strings.HasSuffix(path, ".db") || path == dir
		if private && info.Mode().Perm()&0o077 != 0 {
			relative, _ := filepath.Rel(dir, path)
			wide = append(wide, fmt.Sprintf("%s (%#o)", relative, info.Mode().Perm()))
		}
		return nil
	})
	switch {
	case len(missing) > 0:
		list := strings.Join(missing, ", ")
		return Fail(name, "缺少："+list, "missing: "+list, bus.Text{ZH: "从备份恢复，或以新标识重新入网；见 operations.md", EN: "restore a backup, or join again under a new id; see operations.md"})
	case err != nil:
		return Fail(name, "无法读取数据目录："+err.Error(), "the data directory cannot be read: "+err.Error(), bus.Text{ZH: "以节点的用户运行", EN: "run as the node's user"})
	case len(wide) > 0:
		list := strings.Join(wide, ", ")
		return Fail(name, "他人可读写："+list, "others may use: "+list, bus.Text{ZH: "chmod 600（目录 700）；密钥若可能已泄露，重新入网", EN: "chmod 600 (700 for the directory); if a key may be known to others, join again"})
	}
	return OK(name, "齐全，仅属主可用", "all there, for their owner only")
}

// Integrity judges a bbolt file by the faults that were found in it.
func Integrity(file string, faults []error, err error) client.Check {
	name := "integrity " + file
	next := bus.Text{ZH: "停止节点，保留原文件，检查磁盘；目录可由主节点重建，exchange.db 只能从备份恢复", EN: "stop the node, keep the file, check the disk; the directory comes back from the leader, exchange.db only from a backup"}
	if err != nil {
		return Fail(name, err.Error(), err.Error(), next)
	}
	if len(faults) > 0 {
		return Fail(name, fmt.Sprintf("%d 处损坏，如：%v", len(faults), faults[0]), fmt.Sprintf("%d faults, such as: %v", len(faults), faults[0]), next)
	}
	return OK(name, "完好", "sound")
}

// Rebuilt tells of a directory file that a power cut may have hit.
func Rebuilt(err error) client.Check {
	name := "integrity directory.db"
	if err != nil {
		return Fail(name, err.Error(), err.Error(), bus.Text{ZH: "移走 raft/ 与 directory.db*，由主节点重建", EN: "move raft/ and directory.db* away, the leader rebuilds them"})
	}
	return Warn(name, "断电后未再启动，内容不可信", "a power cut may have hit it, and the node was not started since",
		bus.Text{ZH: "启动节点，由日志自动重建", EN: "start the node: it is built again from the log"})
}

// Size judges how much of a bbolt file is in use.
func Size(file string, u storage.Usage, err error) client.Check {
	name := "size " + file
	detail := fmt.Sprintf("%d MiB, %d MiB in use", u.Size>>20, u.Live>>20)
	zh := fmt.Sprintf("%d MiB，其中在用 %d MiB", u.Size>>20, u.Live>>20)
	switch {
	case err != nil:
		return Skipped(name, err.Error(), err.Error())
	case u.Bloated():
		return Warn(name, zh, detail, bus.Text{ZH: "重启时自动压缩，或 gxbus compact", EN: "a restart compacts it, or gxbus compact"})
	}
	return OK(name, zh, detail)
}

// Tables judges the directory by the faults between its tables.
func Tables(faults []string) client.Check {
	const name = "directory tables"
	if len(faults) == 0 {
		return OK(name, "索引与数据一致", "indexes and entries agree")
	}
	return Fail(name, fmt.Sprintf("%d 处不一致，如：%s", len(faults), faults[0]), fmt.Sprintf("%d faults, such as: %s", len(faults), faults[0]),
		bus.Text{ZH: "停止节点，移走 raft/ 与 directory.db* 后重启，由主节点重建；若全网一致则为缺陷，请报告", EN: "stop the node, move raft/ and directory.db* away, start it: the leader rebuilds them; if every node has it, it is a defect: report it"})
}

// Indexes judges the applied index against the raft log and its snapshots.
func Indexes(applied bus.Revision, first, last, snapshot uint64) client.Check {
	const name = "applied index"
	zh := fmt.Sprintf("已应用 %d，日志 %d–%d，快照 %d", applied, first, last, snapshot)
	en := fmt.Sprintf("applied %d, log %d–%d, snapshot %d", applied, first, last, snapshot)
	switch end := max(last, snapshot); {
	case end < uint64(applied):
		return Fail(name, zh+"：日志短于已应用", en+": the log ends before what is applied",
			bus.Text{ZH: "raft/ 丢失或被旧副本覆盖；移走 raft/ 与 directory.db*，由主节点重建", EN: "raft/ was lost or put back from an older copy; move raft/ and directory.db* away, the leader rebuilds them"})
	case snapshot > uint64(applied):
		return Warn(name, zh, en, bus.Text{ZH: "启动时将从快照恢复目录", EN: "the directory is restored from the snapshot at the next start"})
	}
	return OK(name, zh, en)
}

// Certificate judges how long the node's certificate is good.
func Certificate(leaf *x509.Certificate, now time.Time) client.Check {
	const name = "certificate"
	until := leaf.NotAfter.Format(time.DateOnly)
	next := bus.Text{ZH: "更换节点证书，见 operations.md", EN: "renew it, see operations.md"}
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0 || now.Before(leaf.NotBefore):
		return Fail(name, "已失效："+until, "not valid now: good until "+until, next)
	case left < certificateSoon:
		return Warn(name, fmt.Sprintf("%s 到期，尚余 %d 天", until, left/(24*time.Hour)), fmt.Sprintf("ends %s, in %d days", until, left/(24*time.Hour)), next)
	}
	return OK(name, "有效至 "+until, "good until "+until)
}

// Root judges how long the cluster's root certificate is good: the newest, where one
// is about to take the other's place. No certificate outlives it.
func Root(roots []*x509.Certificate, now time.Time) client.Check {
	const name = "root certificate"
	var end time.Time
	for _, r := range roots {
		if r.NotAfter.After(end) {
			end = r.NotAfter
		}
	}
	until := end.Format(time.DateOnly)
	next := bus.Text{ZH: "gxbus ca rotate 更换根证书，见 operations.md", EN: "replace it: gxbus ca rotate, see operations.md"}
	switch left := end.Sub(now); {
	case left <= 0:
		return Fail(name, "已失效："+until, "ended "+until, next)
	case left < rootSoon:
		return Warn(name, fmt.Sprintf("%s 到期，新签证书均不晚于此日", until), fmt.Sprintf("ends %s, and every certificate with it", until), next)
	}
	return OK(name, "有效至 "+until, "good until "+until)
}

// Disk judges the room that is left; reserve is the configured one in bytes, 0 where
// it is not known.
func Disk(free, total uint64, reserve int64, err error) client.Check {
	const name = "disk"
	if err != nil {
		return Fail(name, err.Error(), err.Error(), bus.Text{ZH: "检查磁盘", EN: "check the disk"})
	}
	zh, en := fmt.Sprintf("剩余 %d MiB，共 %d MiB", free>>20, total>>20), fmt.Sprintf("%d MiB free of %d", free>>20, total>>20)
	next := bus.Text{ZH: "腾出空间；节点会自行恢复", EN: "make room; the node goes on by itself"}
	switch {
	case free < uint64(reserve) || free == 0:
		return Fail(name, zh+"，低于 disk_reserve，写入被拒绝", en+", below disk_reserve: writes are refused", next)
	case free < total/100*diskLow:
		return Warn(name, zh, en, next)
	}
	return OK(name, zh, en)
}

// Evidence judges a report of the evidence log.
func Evidence(r audit.Report, err error) client.Check {
	const name = "evidence"
	next := bus.Text{ZH: "保持数据目录原样，通知审计管理员", EN: "keep the data directory as it is and call the auditor"}
	switch {
	case err != nil:
		return Fail(name, err.Error(), err.Error(), next)
	case !r.Verified:
		return Fail(name, r.Problem.ZH, r.Problem.EN, next)
	}
	return OK(name, fmt.Sprintf("%d 条记录验证通过", r.Leaves), fmt.Sprintf("%d leaves verify", r.Leaves))
}

// Peer is another node as it answered.
type Peer struct {
	ID      bus.NodeID
	Voter   bool
	Reached bool
	Skew    time.Duration // its clock less ours, as far as can be told
}

// Peers judges who of the other nodes can be reached.
func Peers(peers []Peer) client.Check {
	const name = "peers"
	var silent []string
	voters, lost := 1, 0
	for _, p := range peers {
		if p.Voter {
			voters++
		}
		if !p.Reached {
			silent = append(silent, string(p.ID))
			if p.Voter {
				lost++
			}
		}
	}
	list := strings.Join(silent, ", ")
	next := bus.Text{ZH: "检查网络、防火墙与对方节点", EN: "check the network, the firewall and those nodes"}
	switch {
	case 2*lost >= voters && lost > 0:
		return Fail(name, "多数表决成员不可达："+list, "a majority of voters cannot be had; silent: "+list, next)
	case len(silent) > 0:
		return Warn(name, "不可达："+list, "silent: "+list, next)
	}
	return OK(name, fmt.Sprintf("%d 个均可达", len(peers)), fmt.Sprintf("all %d reachable", len(peers)))
}

// Clock judges this node's clock by those of the nodes that answered.
func Clock(peers []Peer) client.Check {
	const name = "clock"
	var worst Peer
	reached := 0
	for _, p := range peers {
		if !p.Reached {
			continue
		}
		reached++
		if p.Skew.Abs() >= worst.Skew.Abs() {
			worst = p
		}
	}
	if reached == 0 {
		return Skipped(name, "没有可比较的节点", "no other node to compare with")
	}
	skew := worst.Skew.Round(time.Millisecond)
	zh, en := fmt.Sprintf("与节点 %s 相差 %v", worst.ID, skew), fmt.Sprintf("%v from node %s", skew, worst.ID)
	next := bus.Text{ZH: "启用时间同步（chrony、NTP）", EN: "synchronise the clock (chrony, NTP)"}
	switch {
	case skew.Abs() > skewFail:
		return Fail(name, zh, en, next)
	case skew.Abs() > skewWarn:
		return Warn(name, zh, en, next)
	}
	return OK(name, zh, en)
}

// Suspended judges how many grants wait for a security administrator.
func Suspended(epoch uint64, waiting int) client.Check {
	const name = "grants"
	if waiting == 0 {
		return OK(name, "没有待确认的授权", "none is suspended")
	}
	return Warn(name, fmt.Sprintf("%d 项授权待确认（策略纪元 %d）", waiting, epoch), fmt.Sprintf("%d are suspended (policy epoch %d)", waiting, epoch),
		bus.Text{ZH: "安全管理员核对后 gxbus grant confirm", EN: "a security administrator looks at them, then gxbus grant confirm"})
}

// Port judges an address of this node: dialled where it runs, listened on where it
// does not.
func Port(name, address string, err error) client.Check {
	if address == "" {
		return Skipped(name, "本节点不接受连接，经上级转接", "this node takes no connections and is reached through the one above")
	}
	if err != nil {
		return Warn(name, address+"："+err.Error(), address+": "+err.Error(), bus.Text{ZH: "检查地址、端口占用与防火墙", EN: "check the address, who uses the port, and the firewall"})
	}
	return OK(name, address, address)
}
