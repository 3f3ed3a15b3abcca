package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) claimCommand() *cobra.Command {
	n := claims(a)
	return a.group("claim", "一数一源：数据源主张及裁定", "Who is the one source of which item",
		n.list(a), n.show(a), a.decideClaim(n))
}

func claims(a *app) noun[string, bus.Claim] {
	return noun[string, bus.Claim]{
		zh: "数据源主张", en: "claim", example: "natural-person/phone",
		columns: []column[bus.Claim]{
			{"id", "实体与信息项", func(c bus.Claim) string { return string(c.Entity) + "/" + string(c.Item) }},
			{"source", "数据源", func(c bus.Claim) string {
				source, _ := c.Source()
				return string(source.Resource)
			}},
			{"department", "部门", func(c bus.Claim) string {
				source, _ := c.Source()
				return string(source.Department)
			}},
			{"since", "自", func(c bus.Claim) string {
				source, _ := c.Source()
				return stamp(source.Since)
			}},
			{"disputed", "待裁定", func(c bus.Claim) string { return claimants(c, bus.StandingDisputed) }},
			{"revision", "修订号", func(c bus.Claim) string { return sprint(c.Revision) }},
		},
		details: []column[bus.Claim]{
			{"refused", "未获确认", func(c bus.Claim) string { return claimants(c, bus.StandingRefused) }},
			{"decisions", "裁定", func(c bus.Claim) string { return a.decisions(c) }},
		},
		entries: func(c *client.Client) client.Readable[string, bus.Claim] { return c.Claims().Readable },
	}
}

// claimants lists those of a standing, with their departments.
func claimants(c bus.Claim, s bus.ClaimStanding) string {
	var words []string
	for _, x := range c.Claimants {
		if x.Standing == s {
			words = append(words, string(x.Resource)+" ("+string(x.Department)+")")
		}
	}
	return strings.Join(words, ", ")
}

func (a *app) decisions(c bus.Claim) string {
	lines := make([]string, len(c.Decisions))
	for i, d := range c.Decisions {
		verdict := a.say("确认 "+string(d.First), string(d.First)+" confirmed against "+string(d.Second))
		if d.Transfer {
			verdict = a.say("转移至 "+string(d.Second), "transferred to "+string(d.Second))
		}
		lines[i] = stamp(d.At) + " " + verdict + ": " + d.Reason
	}
	return strings.Join(lines, "; ")
}

func (a *app) decideClaim(n noun[string, bus.Claim]) *cobra.Command {
	var d client.ClaimVerdict
	var confirm bool
	cmd := &cobra.Command{
		Use: "decide ENTITY/ITEM --second RESOURCE (--confirm | --transfer) --reason TEXT", Short: a.say("裁定数据源", "Decide who is the source"),
		Args: a.exactly("ENTITY/ITEM"), ValidArgsFunction: n.complete(a),
		Long: a.say("在现有数据源与提出异议的资源之间裁定，由双方共同上级区划的数据主管部门办理。裁定及理由存档。",
			"Decide between the source and a resource that disputes it; the data authority of the lowest division that both are of does.\nThe decision is kept with its reason."),
		Example: "  gxbus claim decide natural-person/phone --second telecom-users --confirm --reason '以实名登记为准'",
	}
	cmd.Flags().StringVar((*string)(&d.Resource), "second", "", a.say("提出异议的数据资源 `标识`", "`id` of the resource that disputes it"))
	cmd.Flags().BoolVar(&confirm, "confirm", false, a.say("确认现有数据源", "the source stays"))
	cmd.Flags().BoolVar(&d.Transfer, "transfer", false, a.say("转移给提出异议者", "the second is the source from now on"))
	cmd.Flags().StringVar(&d.Reason, "reason", "", a.say("裁定 `理由`", "why, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "second", "reason"); err != nil {
			return err
		}
		if confirm == d.Transfer {
			return a.usage(cmd, "--confirm 与 --transfer 须选其一", "one of --confirm and --transfer")
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			have, err := c.Claims().Read(ctx, args[0])
			if err != nil {
				return err
			}
			decided, err := c.Claims().Decide(ctx, args[0], have.Revision, d)
			if err != nil {
				return err
			}
			return printOne(a, append(n.columns, n.details...), decided)
		})(cmd, args)
	}
	return cmd
}
