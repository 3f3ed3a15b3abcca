package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/decision"
)

func (a *app) explainDecision() *cobra.Command {
	return &cobra.Command{
		Use: "explain DECISION_ID", Short: a.say("说明一次策略决策的来龙去脉", "Say in words why a decision came out as it did"), Args: a.exactly("DECISION_ID"),
		Long: a.say(`说明一次策略决策：谁在何时向谁要什么，依据哪项授权、什么用途，问了哪些策略层的哪个修订，
各层怎么说、由哪条规则（文件:行），随之的义务，以及被拒绝时怎么办。
决策编号见拒绝的答复、gxbus audit trace 与 gxbus policy decisions。在作出决策的节点上查询；
-o json 给出 OPA 决策日志形式的记录。`,
			`Say in words why a decision came out as it did: who asked what of whom and when, under which grant and
for which purpose, which layers were asked at which revision, what each said by which rule (file:row),
what has to be done to the data, and what can be done about a denial.
The id stands in refusals, in gxbus audit trace and gxbus policy decisions. Ask the node that decided;
-o json gives the record in the form of OPA's decision log.`),
		Example: "  gxbus policy explain mzx3l5kq2v4t6y7a8b9c0d1e2f\n  gxbus policy explain mzx3l5kq2v4t6y7a8b9c0d1e2f -o json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			e, err := c.Decision(ctx, args[0])
			if err != nil {
				return err
			}
			g := grid{keys: []string{"item", "text"}, heads: []string{a.say("项目", "item"), a.say("内容", "text")}}
			for _, line := range decision.Words(e) {
				g.rows = append(g.rows, []string{line.Label.In(a.lang), line.Text.In(a.lang)})
			}
			return a.print(e, g)
		}),
	}
}
