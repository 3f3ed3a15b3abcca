package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/decision/replay"
	"github.com/gxbus/gxbus/pkg/policy"
)

// maxCalls bounds what --calls lists.
const maxCalls = 100_000

// replayed is what a replay is asked for, and what it has found.
type replayed struct {
	request       client.ReplayRequest
	evidence, key string
	calls         bool

	tally decision.Tally
	flips []decision.Flip
}

func (r *replayed) add(p decision.Replayed) {
	r.tally.Add(p)
	if r.calls {
		r.flips = append(r.flips, p.Flips[:min(len(p.Flips), maxCalls-len(r.flips))]...)
	}
}

func (a *app) replayLayer() *cobra.Command {
	var r replayed
	var id, since, until string
	cmd := &cobra.Command{
		Use: "replay [DIR] --layer LAYER", Short: a.say("用记录的决策试算策略草案：启用前看清哪些调用会改变结论", "Run a draft over recorded decisions: which calls would come out otherwise"),
		Args: a.between(0, 1, "DIR"),
		Long: a.say(`用已记录的决策试算策略草案：哪些调用、部门和资源的结论会改变（由允许变拒绝、由拒绝变允许、
信息项或脱敏等义务改变），因为什么。只算草案这一层，其余各层的结论取自记录。
不写 DIR 则用已提交到节点的草案。
  在节点上：   用该节点自己的存证，分段进行，不影响交换
  --evidence： 用 gxbus audit export 的导出文件，在本机进行；--key 给出公钥时先验证
无法判断的决策单独列出，不计为不变。
退出码：0 无改变；3 有改变；4 无改变，但有无法判断的；1 未完成；2 用法错误。`,
			`Run a draft of a layer over recorded decisions: which calls, departments and resources would come out
otherwise (denied instead of allowed, allowed instead of denied, other items, masks or obligations), and
why. The draft alone is evaluated; what the other layers said stands in the records. Without DIR it is
the draft that was pushed.
  on a node:   over its own evidence, by stretches, behind the exchange
  --evidence:  over an export of gxbus audit export, here; with --key it is verified first
Decisions of which nothing can be told are listed apart, and never counted as unchanged.
Exit codes: 0 nothing changes; 3 something does; 4 nothing does, but of some it cannot be told; 1 not
done; 2 wrong usage.`),
		Example: "  gxbus policy replay drafts/guangzhou --layer division/440100 --since 2026-03-01\n" +
			"  gxbus policy replay --layer division/440100\n" +
			"  gxbus policy replay drafts/guangzhou --layer division/440100 --evidence evidence.jsonl --calls -o json",
	}
	a.layerFlag(cmd, &id)
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", a.say("起始 `日期` 或时间", "from this `date` or time on"))
	flags.StringVar(&until, "until", "", a.say("截止 `日期`（含当日）或时间", "to this `date`, the day included, or time"))
	flags.StringVar(&r.evidence, "evidence", "", a.say("存证导出 `文件`", "an export of evidence, a `file`"))
	flags.StringVar(&r.key, "key", "", a.say("导出节点的存证 `公钥`，先验证", "the evidence `key` of the node, public: verify first"))
	flags.BoolVar(&r.calls, "calls", false, a.say("逐次列出改变的调用", "list each call that changes"))
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		switch {
		case len(args) == 1:
			r.request.Layer, err = a.layerOf(cmd, args[0], id)
		case r.evidence != "":
			err = a.usage(cmd, "--evidence 需要 DIR", "--evidence needs DIR")
		default:
			err = a.need(cmd, "layer")
			r.request.Layer.ID = bus.LayerID(id)
		}
		if err != nil {
			return err
		}
		if r.request.Since, r.request.Until, err = a.window(cmd, since, until); err != nil {
			return err
		}
		if r.evidence != "" {
			err = a.replayExport(cmd.Context(), &r)
		} else {
			err = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
				return a.replayNode(ctx, c, &r)
			})(cmd, args)
		}
		if err != nil {
			return err
		}
		return a.printReplay(&r)
	}
	return cmd
}

// window reads --since and --until.
func (a *app) window(cmd *cobra.Command, since, until string) (from, to time.Time, err error) {
	if since != "" {
		if from, err = a.day(cmd, "since", since, 0); err != nil {
			return from, to, err
		}
	}
	if until != "" {
		to, err = a.day(cmd, "until", until, 1)
	}
	return from, to, err
}

// replayNode asks the node for one stretch after the other.
func (a *app) replayNode(ctx context.Context, c *client.Client, r *replayed) error {
	if r.request.Layer.Modules == nil {
		draft, err := c.Policies().Draft(ctx, r.request.Layer.ID)
		if err != nil {
			return err
		}
		r.request.Layer.Modules = draft.Modules
	}
	bar := a.progress(0)
	defer bar.done()
	for {
		part, err := c.Policies().Replay(ctx, r.request)
		if err != nil {
			return err
		}
		r.add(part)
		bar.total = int(part.Total)
		bar.add(int(part.Done) - bar.made)
		if r.request.Cursor = part.Next; part.Next == "" {
			return nil
		}
	}
}

// replayExport replays a file, here.
func (a *app) replayExport(ctx context.Context, r *replayed) error {
	file, err := os.Open(r.evidence)
	if err != nil {
		return bus.NotFound("file", r.evidence).Because(err)
	}
	defer file.Close()
	if r.key == "" {
		a.notice("导出文件未经验证；--key 给出公钥则先验证", "the export is not verified; give --key to do that first")
	} else if err := a.verified(file, r.key); err != nil {
		return err
	}
	engine, err := policy.New(policy.Options{})
	if err != nil {
		return err
	}
	draft, problems := engine.Candidate(ctx, r.request.Layer)
	if len(problems) > 0 {
		refusal := bus.E(bus.CodePolicyRefused)
		for _, p := range problems {
			refusal.Defects = append(refusal.Defects, bus.Defect{Field: p.Where(), Problem: p.Message})
		}
		return refusal
	}
	log, err := audit.OpenExport(file)
	if err != nil {
		return err
	}
	bar := a.progress(int(log.Size()))
	defer bar.done()
	replayer := &replay.Replayer{Draft: draft, Since: r.request.Since, Until: r.request.Until}
	for {
		leaf, err := log.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var part decision.Replayed
		if err := replayer.Add(ctx, &part, leaf, log); err != nil {
			return err
		}
		r.add(part)
		if step := int(leaf.Index) + 1 - bar.made; step >= 1000 {
			bar.add(step)
		}
	}
}

// verified verifies an export and winds it back.
func (a *app) verified(file *os.File, key string) error {
	report, err := audit.VerifyExport(file, nil, key)
	if err != nil {
		return err
	}
	if !report.Verified {
		a.notice(report.Problem.ZH, report.Problem.EN)
		return errNotVerified
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}

// printReplay prints what was found; the exit code tells whether anything changes.
func (a *app) printReplay(r *replayed) error {
	s := r.tally.Summary()
	s.Layer, s.Since, s.Until, s.Calls = r.request.Layer.ID, r.request.Since, r.request.Until, r.flips
	if a.output == "table" {
		a.notice(sprint("决策 ", s.Decisions, " 次：变拒绝 ", s.ToDeny, "，变允许 ", s.ToAllow, "，义务改变 ", s.Obliged, "，理由改变 ", s.Reworded,
			"，不变 ", s.Same, "，不涉及 ", s.Apart, "，无法判断 ", s.Undecided),
			sprint(s.Decisions, " decisions: ", s.ToDeny, " would be denied, ", s.ToAllow, " allowed, ", s.Obliged, " with other obligations, ", s.Reworded,
				" denied for other reasons, ", s.Same, " the same, ", s.Apart, " not concerned, ", s.Undecided, " undecidable"))
		for _, u := range s.Unknown {
			a.notice(sprint("无法判断 ", u.Count, " 次：", u.Why.Text().ZH, "，例 ", listed(u.Examples)), sprint(u.Count, " undecidable: ", u.Why.Text().EN, ", such as ", listed(u.Examples)))
		}
	}
	if s.Flipped() > 0 || a.output != "table" {
		if err := a.print(s, a.replayGrid(s, r.calls)); err != nil {
			return err
		}
	}
	switch {
	case s.Flipped() > 0:
		return exitCode(ExitChanges)
	case s.Undecided > 0:
		return exitCode(ExitUnknown)
	}
	return nil
}

func (a *app) replayGrid(s decision.Summary, calls bool) grid {
	if calls {
		return gridOf(a, a.flipColumns(), s.Calls)
	}
	return gridOf(a, a.groupColumns(), s.Groups)
}

func (a *app) groupColumns() []column[decision.Group] {
	return []column[decision.Group]{
		{"change", "改变", func(g decision.Group) string { return a.change(g.Change) }},
		{"count", "次数", func(g decision.Group) string { return sprint(g.Count) }},
		{"consumer", "使用部门", func(g decision.Group) string { return string(g.Consumer) }},
		{"provider", "提供部门", func(g decision.Group) string { return string(g.Provider) }},
		{"resource", "资源", func(g decision.Group) string { return string(g.Resource) }},
		{"reason", "原因", func(g decision.Group) string { return g.Reason }},
		{"examples", "例", func(g decision.Group) string { return listed(g.Examples) }},
	}
}

func (a *app) flipColumns() []column[decision.Flip] {
	return []column[decision.Flip]{
		{"time", "时间", func(f decision.Flip) string { return instant(f.At) }},
		{"id", "决策编号", func(f decision.Flip) string { return f.DecisionID }},
		{"change", "改变", func(f decision.Flip) string { return a.change(f.Change) }},
		{"action", "操作", func(f decision.Flip) string { return f.Action }},
		{"consumer", "使用部门", func(f decision.Flip) string { return string(f.Consumer) }},
		{"resource", "资源", func(f decision.Flip) string { return string(f.Resource) }},
		{"purpose", "用途", func(f decision.Flip) string { return string(f.Purpose) }},
		{"reasons", "原因", func(f decision.Flip) string { return listed(f.Codes) }},
	}
}

func (a *app) change(c decision.Change) string {
	switch c {
	case decision.ToDeny:
		return a.say("变拒绝", "would be denied")
	case decision.ToAllow:
		return a.say("变允许", "would be allowed")
	default:
		return a.say("义务改变", "other obligations")
	}
}
