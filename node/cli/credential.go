package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// weekly is how many hours the credential before goes on where nothing is said.
const weekly = 7 * 24

var kindNames = map[bus.CredentialKind]string{
	bus.CredentialBearer: "访问凭证", bus.CredentialSigning: "签名密钥", bus.CredentialCertificate: "客户端证书", bus.CredentialIssued: "受信机构签发的证书",
}

func (a *app) credentialColumns() []column[client.CredentialState] {
	return []column[client.CredentialState]{
		{"id", "标识", func(c client.CredentialState) string { return string(c.ID) }},
		{"kind", "种类", func(c client.CredentialState) string {
			if a.output == "csv" {
				return string(c.Kind)
			}
			return a.say(kindNames[c.Kind], string(c.Kind))
		}},
		{"created", "生成时间", func(c client.CredentialState) string { return stamp(c.Created) }},
		{"expires", "失效时间", func(c client.CredentialState) string { return stamp(c.Expires) }},
		{"last_used", "本节点最近使用", func(c client.CredentialState) string { return stamp(c.LastUsed) }},
		{"live", "有效", func(c client.CredentialState) string { return sprint(c.Live) }},
		{"node", "节点", func(c client.CredentialState) string { return string(c.Node) }},
	}
}

func (a *app) listCredentials(n noun[bus.SystemID, bus.System]) *cobra.Command {
	return &cobra.Command{
		Use: "credentials ID", Short: a.say("列出系统的凭证（不含秘密）", "List a system's credentials, without secrets"), Args: a.exactly("ID"),
		Example: "  gxbus system credentials tianhe-permits", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			all, err := c.Systems().Credentials(ctx, bus.SystemID(args[0]))
			if err != nil {
				return err
			}
			return printList(a, a.credentialColumns(), all)
		}),
	}
}

// addedCredential makes a command that adds a credential beside the one in use.
func (a *app) addedCredential(n noun[bus.SystemID, bus.System], cmd *cobra.Command, request func() (client.CredentialRequest, error)) *cobra.Command {
	var overlap int
	cmd.Args, cmd.ValidArgsFunction = a.exactly("ID"), n.complete(a)
	cmd.Flags().IntVar(&overlap, "overlap", weekly, a.say("原同类凭证再有效多少 `小时`；0 为立即失效", "`hours` that the other one of this kind stays good; 0: it ends at once"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		asked, err := request()
		if err != nil {
			return err
		}
		asked.OverlapHours = &overlap
		made, err := c.Systems().AddCredential(ctx, bus.SystemID(args[0]), asked)
		if err != nil {
			return err
		}
		a.tellOthers(made)
		if made.Secret() != "" {
			return a.secret(made.Secret(), made)
		}
		return printOne(a, a.credentialColumns(), client.CredentialState{Credential: made.Credential, Live: made.Credential.Live(a.Now())})
	})
	return cmd
}

// tellOthers says until when the credentials that a new one takes the place of are good.
func (a *app) tellOthers(made client.NewCredential) {
	for _, c := range made.System.Credentials {
		if c.Kind == made.Credential.Kind && c.ID != made.Credential.ID {
			a.notice("原凭证 "+string(c.ID)+" 有效期至 "+stamp(c.Expires), "credential "+string(c.ID)+" stays good until "+stamp(c.Expires)+" UTC+8")
		}
	}
}

func (a *app) rotateSystem(n noun[bus.SystemID, bus.System]) *cobra.Command {
	return a.addedCredential(n, &cobra.Command{
		Use: "rotate ID", Short: a.say("发给新的访问凭证，原凭证在过渡期内仍有效", "Give a new bearer; the one before goes on for the overlap"),
		Long: a.say("发给新的访问凭证，原凭证在过渡期（缺省 7 天）内仍有效，同时有效的不超过两个。\n原凭证可能泄露的，用 --overlap 0 或 gxbus system retire 立即停用。",
			"Give a new bearer. The one before goes on for the overlap, 7 days where nothing is said; two are live at most.\nWhere the old one may have leaked, end it at once: --overlap 0, or gxbus system retire."),
		Example: "  gxbus system rotate tianhe-permits > credential\n  gxbus system rotate tianhe-permits --overlap 0 > credential",
	}, func() (client.CredentialRequest, error) {
		return client.CredentialRequest{Kind: bus.CredentialBearer}, nil
	})
}

func (a *app) addSigningKey(n noun[bus.SystemID, bus.System]) *cobra.Command {
	return a.addedCredential(n, &cobra.Command{
		Use: "signing-key ID", Short: a.say("发给请求签名密钥（HMAC-SHA256），只显示一次", "Give a key to sign requests with, shown once"),
		Long: a.say("发给请求签名密钥。须连接服务该系统所属部门的节点办理：只有生成密钥的节点能验证它。\n部门迁移后须在新节点重新生成。",
			"Give a key to sign requests with (HMAC-SHA256). Ask the node that serves the system's department: only the node\nthat made a key can check it. After a department has moved it needs a new one from its new node."),
		Example: "  gxbus system signing-key tianhe-permits > signing-key\n  GXBUS_TOKEN=$(cat signing-key) gxbus status",
	}, func() (client.CredentialRequest, error) {
		return client.CredentialRequest{Kind: bus.CredentialSigning}, nil
	})
}

func (a *app) addCertificate(n noun[bus.SystemID, bus.System]) *cobra.Command {
	var file string
	var issued bool
	cmd := &cobra.Command{
		Use: "certificate ID (-f FILE | --issued)", Short: a.say("登记客户端证书", "Register a client certificate"),
		Long: a.say("登记客户端证书：-f 按公钥指纹登记一个证书（可自签名；换证不换密钥无须重新登记）；\n--issued 接受本节点 client_ca 签发、URI 为 spiffe://集群/system/ID 的任何证书。",
			"Register a client certificate: with -f by the fingerprint of its key (it may be self-signed; a renewal with the\n"+
				"same key needs nothing); with --issued any certificate that the node's client_ca issued to the URI\nspiffe://CLUSTER/system/ID."),
		Example: "  gxbus system certificate tianhe-permits -f permits.crt\n  gxbus system certificate tianhe-permits --issued",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", a.say("PEM 证书 `文件`，\"-\" 为标准输入", "`file` with the certificate in PEM, \"-\" for the standard input"))
	cmd.Flags().BoolVar(&issued, "issued", false, a.say("接受 client_ca 签发的证书", "take what the node's client_ca issued"))
	return a.addedCredential(n, cmd, func() (client.CredentialRequest, error) {
		if issued == (file != "") {
			return client.CredentialRequest{}, a.usage(cmd, "请用 -f 或 --issued 之一", "one of -f and --issued is needed")
		}
		if issued {
			return client.CredentialRequest{Kind: bus.CredentialIssued}, nil
		}
		in, err := a.open(file)
		if err != nil {
			return client.CredentialRequest{}, err
		}
		defer in.Close()
		text, err := io.ReadAll(io.LimitReader(in, 64<<10))
		return client.CredentialRequest{Kind: bus.CredentialCertificate, Certificate: string(text)}, err
	})
}

func (a *app) retireCredential(n noun[bus.SystemID, bus.System]) *cobra.Command {
	return &cobra.Command{
		Use: "retire ID CREDENTIAL", Short: a.say("立即停用一个凭证", "End a credential at once"), Args: a.exactly("ID", "CREDENTIAL"),
		Example: "  gxbus system credentials tianhe-permits\n  gxbus system retire tianhe-permits first", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			if err := c.Systems().Retire(ctx, bus.SystemID(args[0]), bus.CredentialID(args[1])); err != nil {
				return err
			}
			a.notice("已停用 "+args[0]+" 的凭证 "+args[1], "credential "+args[1]+" of "+args[0]+" is good no more")
			return nil
		}),
	}
}
