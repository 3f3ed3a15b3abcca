package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) backupCommand() *cobra.Command {
	var dataDir, public string
	cmd := &cobra.Command{
		Use: "backup FILE", Short: a.say("备份节点", "Back a node up"), Args: a.exactly("FILE"),
		Long: a.say(`备份所连节点的目录、事件、存证、证书和密钥，节点无须停机。全部内容封存给恢复公钥，没有私钥谁也读不到。
  --recovery-key：恢复公钥；缺省为节点配置的 recovery_key
  --data-dir：    备份已停止的节点
每个节点各有自己的事件与存证，须分别备份。请记下显示的摘要，恢复前核对。`,
			`Back up the node's directory, events, evidence, certificates and keys while it runs. All of it is sealed to the
public part of a recovery key; nobody reads it without the secret part.
  --recovery-key:  the public part; the node's configured recovery_key where left out
  --data-dir:      back up a node that is not running
Each node has events and evidence of its own: back up every one. Note the digest that is shown, and compare it
before you restore.`),
		Example: "  gxbus backup guangzhou-2026-03-04.gxb --recovery-key gxr-public-…\n  gxbus backup guangzhou.gxb --data-dir /var/lib/gxbus --recovery-key gxr-public-…",
	}
	cmd.Flags().StringVar(&public, "recovery-key", "", a.say("恢复 `公钥`（gxbus recovery-key create）", "public `key` to seal to (gxbus recovery-key create)"))
	cmd.Flags().StringVar(&dataDir, "data-dir", "", a.say("已停止节点的数据 `目录`", "data `directory` of a stopped node"))
	cmd.AddCommand(a.verifyBackup())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dataDir == "" {
			return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
				stream, size, err := c.Backup(ctx, public)
				if err != nil {
					return err
				}
				defer stream.Close()
				return a.saveBackup(args[0], stream, size)
			})(cmd, args)
		}
		if err := a.need(cmd, "recovery-key"); err != nil {
			return err
		}
		key, err := backup.ParsePublic(public)
		if err != nil {
			return err
		}
		in, out := io.Pipe()
		go func() {
			out.CloseWithError(server.BackupStopped(server.DataDir(dataDir), a.build.Version, a.Now(), out, key))
		}()
		return errors.Join(a.saveBackup(args[0], in, 0), in.Close())
	}
	return cmd
}

// saveBackup writes a backup beside the file, checks it on its way, and gives it its
// name when all of it is there.
func (a *app) saveBackup(file string, in io.Reader, size int64) (err error) {
	next, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next.Name())
		}
	}()
	contents, err := backup.Verify(io.TeeReader(a.metered(in, size), next), nil)
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	if err := os.Rename(next.Name(), file); err != nil {
		return err
	}
	return a.printBackup(contents)
}

// metered shows how much of a stream has come, in MiB.
func (a *app) metered(in io.Reader, size int64) io.Reader {
	return &meter{in: in, bar: a.progress(int(size >> 20))}
}

type meter struct {
	in    io.Reader
	bar   *bar
	bytes int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	before := m.bytes >> 20
	m.bytes += int64(n)
	came := int(m.bytes>>20 - before)
	if m.bar.total > 0 { // the size was a guess, and a bar has an end
		came = min(came, m.bar.total-m.bar.made)
	}
	if came > 0 {
		m.bar.add(came)
	}
	if err != nil {
		m.bar.done()
	}
	return n, err
}

func (a *app) verifyBackup() *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: a.say("离线检查备份文件并列出内容", "Check a backup offline and say what is inside"), Args: a.exactly("FILE"),
		Long: a.say("离线检查备份文件：核对每个部分和整个文件的校验和，列出内容。给出 --recovery-key 时还逐一解封。",
			"Check a backup offline: every part's checksum and the file's, and say what is inside. With --recovery-key every\npart is opened too."),
		Example: "  gxbus backup verify guangzhou.gxb\n  gxbus backup verify guangzhou.gxb --recovery-key /media/safe/gxbus-recovery.key -o json",
	}
	cmd.Flags().StringVar(&keyFile, "recovery-key", "", a.say("恢复私钥 `文件`", "`file` with the recovery key"))
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var key *backup.PrivateKey
		if keyFile != "" {
			k, err := readRecoveryKey(keyFile)
			if err != nil {
				return err
			}
			key = &k
		}
		in, size, err := openArchive(args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		contents, err := backup.Verify(a.metered(in, size), key)
		if err != nil {
			return err
		}
		return a.printBackup(contents)
	}
	return cmd
}

func openArchive(file string) (*os.File, int64, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, 0, bus.NotFound("file", file).Because(err)
	}
	info, err := in.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, in.Close())
	}
	return in, info.Size(), nil
}

func (a *app) printBackup(c backup.Contents) error {
	how := a.say("校验和相符", "checksums match")
	if c.Opened {
		how = a.say("校验和相符，各部分均可解封", "checksums match, every part opens")
	}
	a.notice("节点 "+string(c.Node)+"，集群 "+c.Cluster+"，备份于 "+stamp(c.Taken)+"，恢复密钥 "+c.Recipient+"；"+how,
		"node "+string(c.Node)+" of cluster "+c.Cluster+", taken "+stamp(c.Taken)+" UTC+8, recovery key "+c.Recipient+"; "+how)
	a.notice("SHA-256 "+c.SHA256, "SHA-256 "+c.SHA256)
	return a.print(c, gridOf(a, []column[backup.Entry]{
		{"part", "部分", func(e backup.Entry) string { return e.Name }},
		{"at", "截至", a.partAt},
		{"bytes", "字节", func(e backup.Entry) string { return sprint(e.Plain) }},
		{"stored", "存储字节", func(e backup.Entry) string { return sprint(e.Stored) }},
		{"sha256", "校验和", func(e backup.Entry) string { return e.SHA256[:min(16, len(e.SHA256))] }},
	}, c.Parts))
}

func (a *app) partAt(e backup.Entry) string {
	switch {
	case e.Index > 0:
		return a.say("目录序号 ", "index ") + sprint(e.Index)
	case e.Leaves > 0:
		return sprint(e.Leaves) + a.say(" 条存证", " leaves")
	}
	return ""
}
