package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

func (a *app) recoveryKeyCommand() *cobra.Command {
	return a.group("recovery-key", "备份的恢复密钥", "Recovery keys of backups", a.createRecoveryKey(), a.showRecoveryKey())
}

// publicKey is a recovery key as it may be shown.
type publicKey struct {
	Public      string `json:"public"`
	Fingerprint string `json:"fingerprint"`
}

func (a *app) createRecoveryKey() *cobra.Command {
	return &cobra.Command{
		Use: "create FILE", Short: a.say("生成恢复密钥", "Make a recovery key"), Args: a.exactly("FILE"),
		Long: a.say("生成恢复密钥：私钥写入 FILE（权限 600），公钥显示出来，备份时使用。私钥不得放在任何节点上；离线保管，至少两份。丢失私钥则备份无法打开。",
			"Make a recovery key: its secret goes into FILE (mode 600), its public part is printed, for backups to be sealed to.\nThe secret belongs on no node: keep it offline, twice. Without it no backup can be opened."),
		Example: "  gxbus recovery-key create /media/safe/gxbus-recovery.key",
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); err == nil {
				return bus.E(bus.CodeExists, bus.Defect{Field: "file", Problem: bus.Text{ZH: "文件已存在：" + args[0], EN: "there is a file already: " + args[0]}, Allowed: "a new file"})
			}
			key, err := backup.NewKey()
			if err != nil {
				return err
			}
			if err := identity.WriteFile(args[0], []byte(key.Reveal()+"\n")); err != nil {
				return err
			}
			a.notice("私钥已写入 "+args[0]+"；请移离本机，离线保管", "the secret is in "+args[0]+"; take it off this machine and keep it offline")
			return a.printKey(key)
		},
	}
}

func (a *app) showRecoveryKey() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: a.say("显示恢复密钥的公钥", "Show the public part of a recovery key"), Args: a.exactly("FILE"),
		Example: "  gxbus recovery-key show /media/safe/gxbus-recovery.key -o json",
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := readRecoveryKey(args[0])
			if err != nil {
				return err
			}
			return a.printKey(key)
		},
	}
}

func (a *app) printKey(key backup.PrivateKey) error {
	return printOne(a, []column[publicKey]{
		{"public", "公钥", func(k publicKey) string { return k.Public }},
		{"fingerprint", "指纹", func(k publicKey) string { return k.Fingerprint }},
	}, publicKey{key.Public().String(), key.Public().Fingerprint()})
}

// readRecoveryKey reads a secret that nobody but its owner may read.
func readRecoveryKey(file string) (backup.PrivateKey, error) {
	data, err := identity.ReadPrivate(file)
	if err != nil {
		return backup.PrivateKey{}, err
	}
	return backup.ParsePrivate(string(data))
}
