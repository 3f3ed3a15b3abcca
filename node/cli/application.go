package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) applicationCommand() *cobra.Command {
	w := applications(a)
	return a.group("application", "共享申请", "Requests for data of other departments",
		a.listApplications(), a.showApplication(w.noun), a.createApplication(w), a.editApplication(w), w.putCommand(a), a.deleteApplication(w.noun),
		a.submitApplication(w.noun), a.approveApplication(w.noun), a.refuseApplication(w.noun), a.returnApplication(w.noun),
		a.extendApplication(w.noun), a.consentApplication(w.noun), a.withdrawApplication(w.noun))
}

func applications(a *app) writer[bus.ApplicationID, bus.Application] {
	return writer[bus.ApplicationID, bus.Application]{
		noun: noun[bus.ApplicationID, bus.Application]{
			zh: "共享申请", en: "application", example: "tianhe-registration",
			columns: applicationColumns(a), details: applicationDetails(a),
			entries: func(c *client.Client) client.Readable[bus.ApplicationID, bus.Application] {
				return c.Applications().Readable
			},
		},
		check: func(v bus.Application) []bus.Defect { return append(bus.CheckID("id", v.ID), v.Content.Check()...) },
		name:  func(v *bus.Application) (bus.ApplicationID, *bus.Revision) { return v.ID, &v.Revision },
		put: func(ctx context.Context, c *client.Client, v bus.Application) (bus.Application, error) {
			return c.Applications().Put(ctx, v)
		},
	}
}

func applicationColumns(a *app) []column[bus.Application] {
	return []column[bus.Application]{
		{"id", "标识", func(v bus.Application) string { return string(v.ID) }},
		{"resource", "数据资源", func(v bus.Application) string { return string(v.Content.Resource) }},
		{"department", "申请部门", func(v bus.Application) string { return string(v.Content.Department) }},
		{"provider", "提供部门", func(v bus.Application) string { return string(shownOf(v).Provider) }},
		{"state", "状态", func(v bus.Application) string { return a.named(applicationStates, string(v.State)) }},
		{"complete", "受理时间", func(v bus.Application) string { return at(v.Complete) }},
		{"answer_due", "答复期限", func(v bus.Application) string {
			if v.State != bus.ApplicationPending {
				return a.deadline(shownOf(v).Answer)
			}
			return a.left(shownOf(v).Answer)
		}},
		{"extension", "延期", func(v bus.Application) string { return a.extension(v.Extension) }},
		{"delivery_due", "供数期限", func(v bus.Application) string { return a.deadline(shownOf(v).Delivery) }},
		{"grant", "授权", func(v bus.Application) string { return string(v.Grant) }},
		{"revision", "修订号", func(v bus.Application) string { return sprint(v.Revision) }},
	}
}

func applicationDetails(a *app) []column[bus.Application] {
	return []column[bus.Application]{
		{"version", "目录版本", func(v bus.Application) string { return sprint(v.Content.Version) }},
		{"basis", "使用依据", func(v bus.Application) string { return v.Content.Basis }},
		{"scenario", "使用场景", func(v bus.Application) string { return v.Content.Scenario }},
		{"items", "使用范围：信息项", func(v bus.Application) string { return listed(v.Content.Items) }},
		{"division", "使用范围：区划", func(v bus.Application) string { return string(v.Content.Division) }},
		{"mode", "共享方式", func(v bus.Application) string { return v.Content.Mode }},
		{"purposes", "使用用途", func(v bus.Application) string { return listed(v.Content.Purposes) }},
		{"matters", "事项", func(v bus.Application) string { return listed(v.Content.Matters) }},
		{"from", "使用时限：起", func(v bus.Application) string { return stamp(v.Content.From) }},
		{"until", "使用时限：止", func(v bus.Application) string { return stamp(v.Content.Until) }},
		{"renews", "续期的授权", func(v bus.Application) string { return string(v.Content.Renews) }},
		{"filed", "首次提交", func(v bus.Application) string { return at(v.Filed) }},
		{"returned", "补正告知", func(v bus.Application) string { return opinion(v.Returned) }},
		{"answered", "答复时间", func(v bus.Application) string {
			if v.Answer == nil {
				return ""
			}
			return stamp(v.Answer.At)
		}},
		{"opinion", "答复意见", func(v bus.Application) string { return opinion(v.Answer) }},
		{"missing", "缺漏", func(v bus.Application) string { return a.defects(shownOf(v).Missing) }},
	}
}

func shownOf(v bus.Application) bus.ApplicationShown {
	if v.Shown == nil {
		return bus.ApplicationShown{}
	}
	return *v.Shown
}

// at is when something was submitted.
func at(s *bus.Submission) string {
	if s == nil {
		return ""
	}
	return stamp(s.At)
}

func opinion(r *bus.Review) string {
	if r == nil {
		return ""
	}
	return r.Opinion
}

var applicationStates = map[string]string{
	string(bus.ApplicationDraft): "草稿", string(bus.ApplicationPending): "待答复", string(bus.ApplicationReturned): "待补正",
	string(bus.ApplicationApproved): "已同意", string(bus.ApplicationRefused): "不予同意", string(bus.ApplicationWithdrawn): "已撤回",
}

// named gives a stable word for people; csv has it as it is.
func (a *app) named(chinese map[string]string, word string) string {
	if a.output == "csv" {
		return word
	}
	return a.say(chinese[word], word)
}

// left is a deadline with the days that are left of it.
func (a *app) left(d *bus.Deadline) string {
	text := a.deadline(d)
	if d == nil || d.Overdue || a.output == "csv" {
		return text
	}
	days := int(d.Due.Sub(a.Now()) / (24 * time.Hour))
	return text + a.say(sprint("（余 ", days, " 天）"), sprint(" (", days, " days left)"))
}

func (a *app) listApplications() *cobra.Command {
	var f client.ApplicationFilter
	cmd := &cobra.Command{
		Use: "list", Short: a.say("列出共享申请及办理时限", "List applications, with the time that is left"), Args: a.exactly(),
		Example: "  gxbus application list --state pending\n  gxbus application list -o csv > applications.csv",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			found, err := c.Applications().List(ctx, f)
			if err != nil {
				return err
			}
			return printList(a, applicationColumns(a), found)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&f.State), "state", "", a.say("仅处于该 `状态` 的：draft、pending、returned、approved、refused、withdrawn",
		"only those in this `state`: draft, pending, returned, approved, refused, withdrawn"))
	flags.StringVar((*string)(&f.Resource), "resource", "", a.say("仅申请该数据资源 `标识` 的", "only those for the resource with this `id`"))
	flags.StringVar((*string)(&f.Department), "department", "", a.say("仅该申请部门 `代码` 的", "only those of the department with this `code`"))
	return cmd
}

func (a *app) showApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	cmd := n.show(a)
	cmd.Long = a.say("显示一项申请、其办理时限，以及草稿距提交还缺什么。-o yaml 的输出改后可用 application put 写回。",
		"Show an application, what is due when, and all that keeps a draft from being submitted. What -o yaml prints can be changed and put back.")
	return cmd
}

// onApplication makes the body of a command that acts on one application as it is
// now, and shows what becomes of it.
func (a *app) onApplication(n noun[bus.ApplicationID, bus.Application], act func(context.Context, *client.Client, bus.Application) (bus.Application, error)) func(*cobra.Command, []string) error {
	return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		v, err := c.Applications().Read(ctx, bus.ApplicationID(args[0]))
		if err != nil {
			return err
		}
		if v, err = act(ctx, c, v); err != nil {
			return err
		}
		return printOne(a, append(n.columns, n.details...), v)
	})
}

func (a *app) deleteApplication(n noun[bus.ApplicationID, bus.Application]) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: a.say("删除一个未提交的草稿", "Delete a draft that was not submitted"), Args: a.exactly("ID"),
		Example: "  gxbus application delete tianhe-registration", ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			v, err := c.Applications().Read(ctx, bus.ApplicationID(args[0]))
			if err != nil {
				return err
			}
			if err := c.Applications().Delete(ctx, v.ID, v.Revision); err != nil {
				return err
			}
			a.notice("已删除 "+args[0], "deleted "+args[0])
			return nil
		}),
	}
}
