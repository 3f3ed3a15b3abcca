package cli

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) resourceAccess(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	var q client.AccessQuery
	cmd := &cobra.Command{
		Use: "access ID", Short: a.say("说明本部门对一个资源可以做什么、还缺什么", "Explain what your department may do with a resource, and what is missing"),
		Args: a.exactly("ID"),
		Long: a.say("按共享策略逐项说明：各用途下可以做什么、可得到哪些信息项、依据哪项授权、到何时为止；不能做的，缺少哪个条件、下一步怎么办。\n结果由策略引擎当场裁决得出，并记入存证；不改变任何内容。",
			"For each purpose: what may be done now, with which items, under which grant, until when; and for the rest which\ncondition is missing and what to do next. It is what the policies decide at this moment, it is recorded, and it\nchanges nothing."),
		Example: "  gxbus resource access enterprise-registration\n  gxbus resource access enterprise-registration --purpose verification --matter 440100001000\n" +
			"  gxbus resource access enterprise-registration --department 11440000006939561H",
		ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			access, err := c.Resources().Access(ctx, bus.ResourceID(args[0]), q)
			if err != nil {
				return err
			}
			return a.printAccess(access)
		}),
	}
	flags := cmd.Flags()
	flags.Var(words(&q.Purposes), "purpose", a.say("只看这些使用 `用途`", "only for these `purposes`"))
	flags.StringVar(&q.Matter, "matter", "", a.say("事项 `编码`", "matter `code`"))
	flags.StringVar((*string)(&q.Department), "department", "", a.say("管理员指定的部门 `代码`", "for an administrator: `code` of the department"))
	return cmd
}

// line is one line of an explanation: what may be done, or one thing that is missing.
type line struct {
	use                  bus.Use
	may, why, next, from string
}

func (a *app) printAccess(access bus.Access) error {
	var lines []line
	missing := func(u bus.Use, all []bus.Missing) {
		for i, m := range all {
			l := line{use: u, why: m.Message.In(a.lang), next: m.Next.In(a.lang), from: string(m.Layer) + ":" + m.Code}
			if l.may = a.say("否", "no"); i > 0 {
				l.use, l.may = bus.Use{}, ""
			}
			lines = append(lines, l)
		}
	}
	missing(bus.Use{}, access.Missing)
	for _, u := range access.Uses {
		if !u.Allowed {
			missing(u, u.Missing)
			continue
		}
		lines = append(lines, line{use: u, may: a.say("可以", "yes"), why: a.handedOut(u)})
	}
	return a.print(access, gridOf(a, []column[line]{
		{"action", "操作", func(l line) string { return l.use.Action }},
		{"purpose", "用途", func(l line) string { return string(l.use.Purpose) }},
		{"allowed", "可否", func(l line) string { return l.may }},
		{"grant", "授权", func(l line) string { return string(l.use.Grant) }},
		{"until", "至", func(l line) string { return stamp(l.use.Until) }},
		{"why", "说明", func(l line) string { return l.why }},
		{"next", "下一步", func(l line) string { return l.next }},
		{"reason", "依据", func(l line) string { return l.from }},
	}, lines))
}

// handedOut says what passes, in words.
func (a *app) handedOut(u bus.Use) string {
	text := a.say("信息项 ", "items ") + listed(u.Items)
	for _, id := range slices.Sorted(maps.Keys(u.Masks)) {
		text += a.say("；", "; ") + string(id) + " " + a.masked(u.Masks[id])
	}
	return text
}

func (a *app) masked(m bus.Mask) string {
	switch m.Method {
	case bus.MaskDrop:
		return a.say("不提供", "left out")
	case bus.MaskNull:
		return a.say("置空", "emptied")
	case bus.MaskSurname:
		return a.say("只留姓", "surname only")
	case bus.MaskCounty:
		return a.say("只到县级", "down to the county")
	default:
		return a.say(sprint("只留前 ", m.Head, " 后 ", m.Tail, " 位"), sprint("first ", m.Head, " and last ", m.Tail, " only"))
	}
}
