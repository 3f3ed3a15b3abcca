package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) caCommand() *cobra.Command {
	return a.group("ca", "集群根证书", "The cluster's root certificate", a.caStatus(), a.caBundle(), a.rotateCA(), a.retireCA())
}

func (a *app) caStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: a.say("显示根证书及各节点证书", "Show the roots and the nodes' certificates"), Args: a.exactly(),
		Example: "  gxbus ca status\n  gxbus ca status -o json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			authority, err := c.Authority(ctx)
			if err != nil {
				return err
			}
			return a.printAuthority(authority)
		}),
	}
}

// printAuthority shows the roots above the nodes.
func (a *app) printAuthority(authority client.Authority) error {
	if a.output == "table" {
		if err := writeTable(a.Out, gridOf(a, a.rootColumns(), authority.Roots)); err != nil {
			return err
		}
		fmt.Fprintln(a.Out)
	}
	return a.print(authority, gridOf(a, certifiedColumns, authority.Nodes))
}

func (a *app) rootColumns() []column[client.Root] {
	return []column[client.Root]{
		{"root", "根证书", func(r client.Root) string { return short(r.Fingerprint) }},
		{"holder", "密钥所在节点", func(r client.Root) string { return string(r.Holder) }},
		{"expires", "截止", func(r client.Root) string { return stamp(r.Expires) }},
		{"note", "备注", func(r client.Root) string {
			switch {
			case !r.Signs:
				return a.say("更换中，待停用", "being replaced")
			case r.Crossed:
				return a.say("签发中，旧根已交叉签名", "signs, also signed by the old root")
			}
			return a.say("签发中", "signs")
		}},
	}
}

var certifiedColumns = []column[client.Certified]{
	{"node", "节点", func(n client.Certified) string { return string(n.Node) }},
	{"root", "所属根证书", func(n client.Certified) string { return short(n.Root) }},
	{"expires", "截止", func(n client.Certified) string { return stamp(n.Expires) }},
}

// short is enough of a fingerprint to tell two apart.
func short(fingerprint string) string { return fingerprint[:min(16, len(fingerprint))] }

func (a *app) caBundle() *cobra.Command {
	return &cobra.Command{
		Use: "bundle", Short: a.say("输出现行根证书（PEM），供业务系统信任", "Print the trusted roots in PEM, for agencies' systems"), Args: a.exactly(),
		Example: "  gxbus ca bundle > ca.crt",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			authority, err := c.Authority(ctx)
			if err != nil {
				return err
			}
			for _, r := range authority.Roots {
				if _, err := fmt.Fprint(a.Out, r.Certificate); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func (a *app) rotateCA() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "rotate", Short: a.say("开始更换根证书", "Begin to replace the root"), Args: a.exactly(),
		Long: a.say("开始更换根证书：生成新根，新旧并行信任，各节点自动换用新根签发的证书。--to 将签发密钥转到另一节点，原密钥遗失时亦用此法。",
			"Begin to replace the root: a new one is made and trusted beside the old, and the nodes renew their\ncertificates under it by themselves. --to makes the new key on another node, also where the old one is lost."),
		Example: "  gxbus ca rotate\n  gxbus ca rotate --to guangzhou",
	}
	cmd.Flags().StringVar(&to, "to", "", a.say("新根密钥所在 `节点`，缺省为现在的节点", "`node` that is to hold the new key; the present one where left out"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		authority, err := c.RotateCA(ctx, bus.NodeID(to))
		if err != nil {
			return err
		}
		a.notice("更换已开始；各节点换证后执行 gxbus ca retire，此前请业务系统更新 ca.crt", "begun; once all nodes have changed over: gxbus ca retire. Agencies take the new ca.crt before that")
		return a.printAuthority(authority)
	})
	return cmd
}

func (a *app) retireCA() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "retire", Short: a.say("停用旧根证书", "End the trust in the old root"), Args: a.exactly(),
		Long: a.say("停用旧根证书。仍有节点持旧根签发的证书时拒绝；--force 强制停用，这些节点将被拒之门外。只信任旧 ca.crt 的业务系统此后无法连接。",
			"End the trust in the old root. Refused while a node has a certificate under it; with --force such a node is\nshut out. Agencies that trust the old ca.crt alone cannot connect afterwards."),
		Example: "  gxbus ca retire",
	}
	cmd.Flags().BoolVar(&force, "force", false, a.say("不等尚未换证的节点", "do not wait for nodes that have not changed over"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		authority, err := c.RetireCA(ctx, force)
		if err != nil {
			return err
		}
		return a.printAuthority(authority)
	})
	return cmd
}
