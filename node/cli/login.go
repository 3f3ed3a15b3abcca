package cli

import (
	"cmp"
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) loginCommand() *cobra.Command {
	var passwordFile, newFile string
	var oidc bool
	cmd := &cobra.Command{
		Use: "login (ACCOUNT | --oidc)", Short: a.say("登录节点", "Sign in to a node"), Args: cobra.ArbitraryArgs,
		Long: a.say("登录节点。口令来自 --password-file、环境变量 GXBUS_PASSWORD 或终端输入；首次登录须另设新口令\n"+
			"（--new-password-file、GXBUS_NEW_PASSWORD 或终端输入）。会话存于仅本人可读的文件 $GXBUS_CREDENTIALS，\n"+
			"缺省在用户配置目录的 gxbus/credentials.json；其后的命令默认使用该节点及其 CA 证书。\n"+
			"--oidc 经浏览器在统一身份认证登录，认证后回到本机 127.0.0.1。",
			"Sign in to a node. The password comes from --password-file, GXBUS_PASSWORD or the terminal; at the first\n"+
				"sign-in a new one is needed too (--new-password-file, GXBUS_NEW_PASSWORD or the terminal). The session is\n"+
				"kept in a file that only you can read, $GXBUS_CREDENTIALS or gxbus/credentials.json in your configuration\n"+
				"directory; later commands use that node and its CA.\n"+
				"With --oidc you sign in at the identity provider in a browser, which comes back to 127.0.0.1 here."),
		Example: "  gxbus login sysadmin --server 127.0.0.1:8440 --ca ca.crt\n  gxbus login sysadmin --password-file once.txt --new-password-file chosen.txt\n  gxbus login --oidc --server 127.0.0.1:8440 --ca ca.crt",
	}
	cmd.Flags().StringVar(&passwordFile, "password-file", "", a.say("口令 `文件`，\"-\" 为标准输入", "`file` with the password, \"-\" for the standard input"))
	cmd.Flags().StringVar(&newFile, "new-password-file", "", a.say("新口令 `文件`", "`file` with the new password"))
	cmd.Flags().BoolVar(&oidc, "oidc", false, a.say("经统一身份认证登录", "sign in at the identity provider"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
		if oidc {
			if err := a.exactly()(cmd, args); err != nil {
				return err
			}
			return a.loginFederated(ctx, c.WithToken(""))
		}
		if err := a.exactly("ACCOUNT")(cmd, args); err != nil {
			return err
		}
		in, err := a.signInOf(ctx, cmd, args[0], passwordFile, newFile)
		if err != nil {
			return err
		}
		c = c.WithToken("")
		session, err := c.SignIn(ctx, in)
		if client.IsCode(err, bus.CodePasswordChange) && in.NewPassword == "" {
			var chosen string
			if chosen, err = a.replaced(ctx, err); err != nil {
				return err
			}
			in.NewPassword = chosen
			session, err = c.SignIn(ctx, in)
		}
		if err != nil {
			return err
		}
		return a.keep(c.Server(), session)
	})
	return cmd
}

func (a *app) signInOf(ctx context.Context, cmd *cobra.Command, account, passwordFile, newFile string) (client.SignIn, error) {
	in := client.SignIn{Account: account}
	var err error
	if in.Password, err = a.password(ctx, passwordFile, "GXBUS_PASSWORD", a.say("口令：", "Password: ")); err != nil {
		return in, err
	}
	if in.Password == "" {
		return in, a.usage(cmd, "没有口令：请用 --password-file 或 GXBUS_PASSWORD", "no password: use --password-file or GXBUS_PASSWORD")
	}
	if newFile != "" {
		in.NewPassword, err = a.passwordFile(newFile)
		return in, err
	}
	in.NewPassword = a.Env("GXBUS_NEW_PASSWORD")
	return in, nil
}

// replaced asks for the password that replaces a one-time one; without a
// terminal the node's demand for it stands.
func (a *app) replaced(ctx context.Context, demand error) (string, error) {
	chosen, err := a.choose(ctx)
	if err != nil {
		return "", err
	}
	if chosen == "" {
		return "", demand
	}
	return chosen, nil
}

// keep stores a session with the CA that vouched for its node.
func (a *app) keep(server string, session client.Session) error {
	saved, err := a.loadCredentials()
	if err != nil {
		return err
	}
	entry := login{Session: session, CA: saved.Servers[server].CA}
	if file := cmp.Or(a.ca, a.Env("GXBUS_CA")); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		entry.CA = string(pem)
	}
	saved.Servers[server], saved.Current = entry, server
	if err := a.saveCredentials(saved); err != nil {
		return err
	}
	a.notice("已登录 "+server+"，账户 "+session.Account+"（"+roleNames[session.Role].ZH+"），有效期至 "+stamp(session.Expires),
		"signed in to "+server+" as "+session.Account+" ("+string(session.Role)+"), until "+stamp(session.Expires)+" UTC+8")
	return nil
}

var roleNames = map[bus.Role]bus.Text{
	bus.RoleSystemAdministrator:   {ZH: "系统管理员"},
	bus.RoleSecurityAdministrator: {ZH: "安全管理员"},
	bus.RoleAuditor:               {ZH: "审计管理员"},
	bus.RoleOperator:              {ZH: "部门经办人"},
	bus.RoleReviewer:              {ZH: "部门审核人"},
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: a.say("退出登录", "Sign out of a node"), Args: a.exactly(),
		Example: "  gxbus logout",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			ended := c.SignOut(ctx)
			// The session is forgotten here whatever the node said.
			saved, err := a.loadCredentials()
			if err != nil {
				return err
			}
			delete(saved.Servers, c.Server())
			if saved.Current == c.Server() {
				saved.Current = ""
			}
			if err := a.saveCredentials(saved); err != nil {
				return err
			}
			if ended != nil && !client.IsCode(ended, bus.CodeUnauthenticated) {
				return ended
			}
			a.notice("已退出 "+c.Server(), "signed out of "+c.Server())
			return nil
		}),
	}
}
