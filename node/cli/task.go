package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) taskCommand() *cobra.Command {
	return a.group("task", "待办事项及到期提醒", "What awaits you, and reminders of it", a.listTasks(), a.watchTasks())
}

func taskColumns(a *app) []column[bus.Task] {
	return []column[bus.Task]{
		{"due", "期限", func(t bus.Task) string { return a.deadline(t.Deadline) }},
		{"left", "剩余", func(t bus.Task) string { return a.timeLeft(t) }},
		{"task", "待办", func(t bus.Task) string { return t.Title.In(a.lang) }},
		{"since", "自", func(t bus.Task) string { return stamp(t.Since) }},
		{"command", "办理命令", func(t bus.Task) string { return t.Command }},
	}
}

// timeLeft tells the time left to a deadline.
func (a *app) timeLeft(t bus.Task) string {
	switch {
	case t.Deadline == nil:
		return a.say("无法定期限", "no term")
	case t.Deadline.Overdue:
		return a.say("逾期", "overdue")
	default:
		return a.say(sprint(t.Left.Days, " 个工作日（", t.Left.Hours, " 小时）"), sprint(t.Left.Days, " working days (", t.Left.Hours, " h)"))
	}
}

func (a *app) listTasks() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("列出本人待办", "List what awaits you"), Args: a.exactly(),
		Long: a.say("列出本人（按角色及部门）的待办，最近到期的在前，无法定期限的在后。剩余工作日不含今天。",
			"List what awaits you, by your role and department: the nearest deadline first, what has none last. Today is not\ncounted among the working days that are left."),
		Example: "  gxbus task list\n  gxbus task list -o csv > tasks.csv",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			tasks, err := c.Tasks(ctx)
			if err != nil {
				return err
			}
			return printList(a, taskColumns(a), tasks)
		}),
	}
}

func (a *app) watchTasks() *cobra.Command {
	var from uint64
	cmd := &cobra.Command{
		Use: "watch", Short: a.say("接收本部门的到期提醒", "Follow the reminders of your department"), Args: a.exactly(),
		Long: a.say("逐行输出本部门的到期提醒：期限前 3 个工作日、前 1 个工作日及逾期各一次，直至中断；连接断开后自动续接。\n-o json 每行一个 CloudEvents 事件。",
			"Write a line for each reminder of your department: 3 working days before a deadline, 1 before, and once it has passed, each\nonce, until interrupted; a broken connection is taken up again. With -o json each line is a CloudEvent."),
		Example: "  gxbus task watch\n  gxbus task watch --from 0 -o json",
	}
	cmd.Flags().Uint64Var(&from, "from", 0, a.say("自第 `N` 条之后开始，0 为全部（缺省仅接收新的）", "begin after reminder `N`, 0 for all that are kept (else new ones only)"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, _ []string) error {
		start := client.Now
		if cmd.Flags().Changed("from") {
			start = bus.Revision(from)
		}
		write := a.reminderWriter()
		for r, err := range c.WatchTasks(ctx, start) {
			if errors.Is(err, context.Canceled) {
				return nil // an interrupt is how watching ends
			}
			if err != nil {
				return err
			}
			if err := write(r); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// reminderWriter writes one reminder at a time, as soon as it is there.
func (a *app) reminderWriter() func(client.Reminder) error {
	if a.output == "json" {
		enc := json.NewEncoder(a.Out)
		enc.SetEscapeHTML(false)
		return func(r client.Reminder) error { return enc.Encode(r.Event) }
	}
	headed := false
	columns := append([]column[bus.Task]{}, taskColumns(a)[:3]...)
	return func(r client.Reminder) error {
		switch a.output {
		case "yaml":
			if _, err := io.WriteString(a.Out, "---\n"); err != nil {
				return err
			}
			return writeYAML(a.Out, r.Event)
		case "csv":
			g := gridOf(a, columns, []bus.Task{r.Task})
			return writeCSVRows(a.Out, g, &headed)
		default:
			line := padded(stamp(r.Event.Time()), 21) + padded(a.timeLeft(r.Task), 26) + printable(a.deadline(r.Task.Deadline)) + "  " +
				printable(r.Task.Title.In(a.lang)) + "\n"
			_, err := io.WriteString(a.Out, line)
			return err
		}
	}
}
