package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) systemCommand() *cobra.Command {
	n := systems()
	return a.group("system", "业务系统及其访问凭证", "Agencies' systems and their credentials",
		n.list(a), n.show(a), a.createSystem(),
		a.switchSystem(n, "disable", "停用系统，其连接两秒内断开", "Disable a system; its streams end within two seconds", func(s *bus.System) { s.Disabled = true }),
		a.switchSystem(n, "enable", "恢复停用的系统", "Enable a disabled system", func(s *bus.System) { s.Disabled = false }),
		a.switchSystem(n, "require-signing", "要求该系统的每个请求都签名", "Refuse requests of a system that are not signed", func(s *bus.System) { s.SigningRequired = true }),
		a.switchSystem(n, "allow-unsigned", "不再要求签名", "Take requests of a system that are not signed", func(s *bus.System) { s.SigningRequired = false }),
		a.listCredentials(n), a.rotateSystem(n), a.addSigningKey(n), a.addCertificate(n), a.retireCredential(n))
}

func systems() noun[bus.SystemID, bus.System] {
	return noun[bus.SystemID, bus.System]{
		zh: "业务系统", en: "system", example: "tianhe-permits",
		columns: []column[bus.System]{
			{"id", "标识", func(s bus.System) string { return string(s.ID) }},
			{"name", "名称", func(s bus.System) string { return s.Name }},
			{"department", "部门", func(s bus.System) string { return string(s.Department) }},
			{"source", "事件来源", bus.System.Source},
			{"disabled", "停用", func(s bus.System) string { return sprint(s.Disabled) }},
			{"signing", "须签名", func(s bus.System) string { return sprint(s.SigningRequired) }},
			{"revision", "修订号", func(s bus.System) string { return sprint(s.Revision) }},
		},
		entries: func(c *client.Client) client.Readable[bus.SystemID, bus.System] { return c.Systems().Readable },
	}
}

func (a *app) createSystem() *cobra.Command {
	var s bus.System
	var dry bool
	cmd := &cobra.Command{
		Use: "create ID --name NAME --department CODE", Short: a.say("新建业务系统并发给访问凭证", "Create a system and its credential"), Args: a.exactly("ID"),
		Example: "  GXBUS_TOKEN=$(gxbus system create tianhe-permits --name '天河区审批系统（示例）' --department 11440000006939561H)",
	}
	cmd.Flags().StringVar(&s.Name, "name", "", a.say("`名称`", "`name`"))
	cmd.Flags().StringVar((*string)(&s.Department), "department", "", a.say("所属部门的统一社会信用 `代码`", "its department's unified social credit `code`"))
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "name", "department"); err != nil {
			return err
		}
		s.ID = bus.SystemID(args[0])
		defects := s.Check()
		if defect := s.Department.Check(); defect != nil {
			defect.Field = "department"
			defects = append(defects, *defect)
		}
		if err := bus.Invalid(defects); err != nil {
			return err
		}
		if dry {
			a.notice("仅检查，未提交", "checked only; nothing was sent")
			return a.preview(s)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			credential, err := c.Systems().Put(ctx, s)
			if err != nil {
				return err
			}
			return a.secret(credential.Bearer, credential)
		})(cmd, args)
	}
	return cmd
}

// switchSystem makes a command that changes one thing of a system.
func (a *app) switchSystem(n noun[bus.SystemID, bus.System], verb, zh, en string, change func(*bus.System)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: a.say(zh, en), Args: a.exactly("ID"),
		Example: "  gxbus system " + verb + " tianhe-permits", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			system, err := c.Systems().Read(ctx, bus.SystemID(args[0]))
			if err != nil {
				return err
			}
			change(&system)
			changed, err := c.Systems().Put(ctx, system)
			if err != nil {
				return err
			}
			return printOne(a, n.columns, changed.System)
		}),
	}
}
