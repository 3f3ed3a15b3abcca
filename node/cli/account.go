package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) accountCommand() *cobra.Command {
	n := accounts(a)
	return a.group("account", "人员账户", "People's accounts",
		n.list(a), n.show(a), a.createAccount(), a.resetPassword(n),
		a.switchAccount(n, true, "disable", "停用账户，其会话即终止", "Disable an account; its sessions end"),
		a.switchAccount(n, false, "enable", "恢复停用的账户", "Enable a disabled account"))
}

func accounts(a *app) noun[string, bus.Account] {
	return noun[string, bus.Account]{
		zh: "账户", en: "account", example: "market-operator",
		columns: []column[bus.Account]{
			{"name", "名称", func(c bus.Account) string { return c.Name }},
			{"role", "角色", func(c bus.Account) string {
				if a.output == "csv" {
					return string(c.Role)
				}
				return a.say(roleNames[c.Role].ZH, string(c.Role))
			}},
			{"department", "部门", func(c bus.Account) string { return string(c.Department) }},
			{"disabled", "已停用", func(c bus.Account) string { return sprint(c.Disabled) }},
			{"must_change", "须改口令", func(c bus.Account) string { return sprint(c.MustChange) }},
			{"revision", "修订号", func(c bus.Account) string { return sprint(c.Revision) }},
		},
		entries: func(c *client.Client) client.Readable[string, bus.Account] { return c.Accounts().Readable },
	}
}

func (a *app) createAccount() *cobra.Command {
	var account bus.Account
	var dry bool
	cmd := &cobra.Command{
		Use: "create NAME --role ROLE", Short: a.say("新建账户，一次性口令只显示一次", "Create an account; its one-time password is shown once"), Args: a.exactly("NAME"),
		Long: a.say("新建账户（由安全管理员办理）。角色与部门此后不可变更。",
			"Create an account (a security administrator does). Its role and department never change."),
		Example: "  gxbus account create market-operator --role department-operator --department 11440000006939561H\n" +
			"  gxbus account create data-bureau-reviewer --role department-reviewer --department 11440000006939561H -o json",
	}
	cmd.Flags().StringVar((*string)(&account.Role), "role", "", a.say("`角色`：department-operator、department-reviewer，或三员之一",
		"`role`: department-operator, department-reviewer, or one of the separated administrators"))
	cmd.Flags().StringVar((*string)(&account.Department), "department", "", a.say("所属部门的统一社会信用 `代码`", "its department's unified social credit `code`"))
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "role"); err != nil {
			return err
		}
		account.Name = args[0]
		if err := bus.Invalid(account.Check()); err != nil {
			return err
		}
		if dry {
			a.notice("仅检查，未提交", "checked only; nothing was sent")
			return a.preview(account)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			made, err := c.Accounts().Put(ctx, account)
			if err != nil {
				return err
			}
			return a.secret(made.Password, made)
		})(cmd, args)
	}
	return cmd
}

func (a *app) resetPassword(n noun[string, bus.Account]) *cobra.Command {
	return &cobra.Command{
		Use: "reset-password NAME", Short: a.say("重置口令，其会话即终止", "Give a new one-time password; sessions end"), Args: a.exactly("NAME"),
		Example: "  gxbus account reset-password market-operator", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			made, err := c.Accounts().ResetPassword(ctx, args[0])
			if err != nil {
				return err
			}
			return a.secret(made.Password, made)
		}),
	}
}

func (a *app) switchAccount(n noun[string, bus.Account], disabled bool, verb, zh, en string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: a.say(zh, en), Args: a.exactly("NAME"),
		Example: "  gxbus account " + verb + " market-operator", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			account, err := c.Accounts().Read(ctx, args[0])
			if err != nil {
				return err
			}
			account.Disabled = disabled
			made, err := c.Accounts().Put(ctx, account)
			if err != nil {
				return err
			}
			return printOne(a, n.columns, made.Account)
		}),
	}
}
