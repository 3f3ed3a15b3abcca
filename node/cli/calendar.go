package cli

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) calendarCommand() *cobra.Command {
	return a.group("calendar", "法定工作日历", "Statutory working days",
		a.showCalendar(), a.updateCalendar(), a.dueCommand())
}

func dayColumns() []column[calendar.Day] {
	return []column[calendar.Day]{
		{"date", "日期", func(d calendar.Day) string { return d.Date }},
		{"name", "名称", func(d calendar.Day) string { return d.Name }},
		{"type", "类型", func(d calendar.Day) string { return string(d.Kind) }},
	}
}

func (a *app) showCalendar() *cobra.Command {
	return &cobra.Command{
		Use: "show [YEAR]", Short: a.say("显示已公布的放假与调休", "Show the announced holidays and working weekends"), Args: a.between(0, 1, "YEAR"),
		Example: "  gxbus calendar show 2026\n  gxbus calendar show -o csv",
		RunE: a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
			year := 0
			if len(args) == 1 {
				var err error
				if year, err = strconv.Atoi(args[0]); err != nil || year < 1 || year > 9999 {
					return a.usage(cmd, "不是年份："+args[0], "not a year: "+args[0])
				}
			}
			days, err := c.Calendar(ctx, year)
			if err != nil {
				return err
			}
			if year != 0 && !calendar.New(days).Announced(year) {
				a.notice(args[0]+" 年放假安排尚未公布，期限按周末暂估", "the holidays of "+args[0]+" are not announced: deadlines are estimated from weekends")
			}
			return printList(a, dayColumns(), days)
		}),
	}
}

func (a *app) updateCalendar() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "update FILE", Short: a.say("录入新公布的放假安排", "Add newly announced days"), Args: a.exactly("FILE"),
		Long: a.say("按 CSV 文件（date,name,type；type 为 off、work 或 normal）录入放假安排，逐日覆盖已有内容；各项期限随之重新计算。",
			"Add announced days from a CSV file (date,name,type; type is off, work or normal). Each replaces what is known of its\ndate, and all deadlines follow."),
		Example: "  gxbus calendar update holidays-2027.csv\n  gxbus calendar update holidays-2027.csv --dry-run",
	}
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		days, err := a.readDays(args[0])
		if err != nil {
			return err
		}
		if dry {
			a.notice("仅检查，未提交", "checked only; nothing was sent")
			return printList(a, dayColumns(), days)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			if _, err := c.UpdateCalendar(ctx, days); err != nil {
				return err
			}
			a.notice(sprint("已录入 ", len(days), " 天"), sprint(len(days), " days added"))
			return printList(a, dayColumns(), days)
		})(cmd, args)
	}
	return cmd
}

func (a *app) readDays(file string) ([]calendar.Day, error) {
	in, err := a.open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	days, err := calendar.Parse(io.LimitReader(in, maxDocuments))
	if err == nil && len(days) == 0 {
		err = bus.E(bus.CodeInvalid, bus.Defect{Field: file, Problem: bus.Text{ZH: "文件中没有内容", EN: "the file holds nothing"}})
	}
	return days, err
}

func (a *app) dueCommand() *cobra.Command {
	columns := []column[client.DueAnswer]{
		{"last", "最后一日", func(d client.DueAnswer) string { return d.Last }},
		{"due", "截止时间", func(d client.DueAnswer) string { return stamp(d.Due) }},
		{"estimated", "暂估", func(d client.DueAnswer) string { return sprint(d.Estimated) }},
	}
	return &cobra.Command{
		Use: "due DATE N", Short: a.say("计算 N 个工作日的期限", "Work out a term of N working days"), Args: a.exactly("DATE", "N"),
		Long: a.say("自 DATE 起算 N 个工作日的期限：当日不计入，至最后一日 24 时止。所涉年份放假安排尚未公布的，为暂估。",
			"Work out when a term of N working days ends that DATE sets running: that day does not count, and the last one ends at\n24:00. It is estimated where it reaches into a year whose holidays are not announced."),
		Example: "  gxbus calendar due 2025-09-26 10",
		RunE: a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 {
				return a.usage(cmd, "不是工作日数："+args[1], "not a number of days: "+args[1])
			}
			answer, err := c.Due(ctx, args[0], n)
			if err != nil {
				return err
			}
			return printOne(a, columns, answer)
		}),
	}
}
