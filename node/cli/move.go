package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// movePause is how often a move is asked how far it is.
const movePause = 300 * time.Millisecond

func (a *app) moveDepartment(w writer[bus.USCC, bus.Department]) *cobra.Command {
	var in client.MoveRequest
	var dry, abort bool
	cmd := &cobra.Command{
		Use: "move ID --to NODE", Short: a.say("将部门迁移到另一节点", "Move a department to another node"), Args: a.exactly("ID"),
		Long: a.say("将部门连同其事件、查重记录、订阅游标和收件箱迁移到另一节点。\n"+
			"迁移期间该部门的发布、拉取和确认得到 503 department-moving，稍后重试即可，不丢失、不重复、不乱序；其他部门不受影响。\n"+
			"命令等待迁移完成；中断命令不会中断迁移，可用 --dry-run 查看进度，用 --abort 中止。",
			"Move a department to another node with its events, what it is compared with for duplicates, the cursors of its\n"+
				"subscribers and its own inboxes. While it moves, its publications, pulls and acknowledgements are answered 503\n"+
				"department-moving and are simply repeated: nothing is lost, repeated or reordered. Other departments go on.\n"+
				"The command waits for the end. Breaking it off does not stop the move: --dry-run shows how far it is, --abort stops it."),
		Example: "  gxbus department move " + w.example + " --to guangzhou --dry-run\n" +
			"  gxbus department move " + w.example + " --to guangzhou\n" +
			"  gxbus department move " + w.example + " --abort",
		ValidArgsFunction: w.complete(a),
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&in.To), "to", "", a.say("新 `节点`", "`node` that is to serve it"))
	flags.BoolVar(&in.Abandon, "abandon", false, a.say("原节点已永久丢失：不带数据，在新节点从头开始", "its node is lost for good: begin anew at the other, without its events"))
	flags.BoolVar(&abort, "abort", false, a.say("中止进行中的迁移，部门留在原节点", "abort the move under way; the department stays where it is"))
	flags.BoolVar(&dry, "dry-run", false, a.say("只显示将迁移的内容，或进行中迁移的进度", "only show what would move, or how far a move under way has come"))
	cmd.MarkFlagsMutuallyExclusive("abort", "to")
	cmd.MarkFlagsMutuallyExclusive("abort", "dry-run")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !dry && !abort {
			if err := a.need(cmd, "to"); err != nil {
				return err
			}
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			id := bus.USCC(args[0])
			m, err := client.DepartmentMove{}, error(nil)
			switch {
			case dry:
				m, err = c.Move(ctx, id)
			case abort:
				m, err = c.AbortMove(ctx, id)
			default:
				m, err = a.moveTo(ctx, c, id, in)
			}
			if err != nil {
				return err
			}
			return printOne(a, moveColumns(a), m)
		})(cmd, args)
	}
	return cmd
}

// moveTo begins a move and waits for its end.
func (a *app) moveTo(ctx context.Context, c *client.Client, id bus.USCC, in client.MoveRequest) (client.DepartmentMove, error) {
	m, err := c.BeginMove(ctx, id, in)
	if err != nil {
		return m, err
	}
	began := m.Move
	if began == nil { // over already
		return m, nil
	}
	a.notice("迁移已开始："+string(began.From)+" → "+string(began.To), "the move has begun: "+string(began.From)+" → "+string(began.To))
	bar := a.progress(0)
	defer bar.done()
	for m.Move != nil && m.Move.Epoch == began.Epoch {
		if kib := int(m.Total.Bytes >> 10); bar.total == 0 && m.State == "sealed" && kib > 0 {
			bar.total = kib
		}
		bar.add(int(m.Done>>10) - bar.made)
		timer := time.NewTimer(movePause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return m, ctx.Err()
		}
		if m, err = c.Move(ctx, id); err != nil {
			return m, err
		}
	}
	bar.done()
	if m.Epoch < began.Epoch {
		return m, bus.E(bus.CodeRevision, bus.Defect{
			Field: "department", Problem: bus.Text{ZH: "迁移已被中止，部门仍由节点 " + string(m.Home) + " 服务", EN: "the move was aborted; node " + string(m.Home) + " still serves the department"},
		})
	}
	return m, nil
}

func moveColumns(a *app) []column[client.DepartmentMove] {
	return []column[client.DepartmentMove]{
		{"department", "部门", func(m client.DepartmentMove) string { return string(m.Department) }},
		{"home", "所在节点", func(m client.DepartmentMove) string { return string(m.Home) }},
		{"moving_to", "迁往", func(m client.DepartmentMove) string {
			if m.Move == nil {
				return ""
			}
			return string(m.Move.To)
		}},
		{"state", "状态", func(m client.DepartmentMove) string { return moveState(a, m) }},
		{"resources", "资源", func(m client.DepartmentMove) string { return sprint(m.Total.Resources) }},
		{"events", "事件", func(m client.DepartmentMove) string { return sprint(m.Total.Events) }},
		{"subscriptions", "被订阅", func(m client.DepartmentMove) string { return sprint(m.Total.Subscriptions) }},
		{"inboxes", "收件箱", func(m client.DepartmentMove) string { return sprint(m.Total.Inboxes) }},
		{"waiting", "待取事件", func(m client.DepartmentMove) string { return sprint(m.Total.Waiting) }},
		{"sinks", "推送地址", func(m client.DepartmentMove) string { return sprint(m.Total.Sinks) }},
		{"bindings", "挂接", func(m client.DepartmentMove) string { return sprint(m.Total.Bindings) }},
		{"bytes", "字节", func(m client.DepartmentMove) string { return sprint(m.Total.Bytes) }},
		{"done", "已迁字节", func(m client.DepartmentMove) string { return sprint(m.Done) }},
	}
}

// moveState says in words how far a move is.
func moveState(a *app, m client.DepartmentMove) string {
	switch {
	case len(m.Silent) > 0:
		return a.say("节点无应答：", "silent: ") + sprint(m.Silent)
	case m.Move == nil:
		return a.say("正常服务", "served")
	case m.Arrival == "importing":
		return a.say("复制中", "copying")
	case m.Arrival == "kept":
		return a.say("登记中", "telling the directory")
	case m.State == "sealed":
		return a.say("已封存", "sealed")
	default:
		return a.say("准备中", "beginning")
	}
}
