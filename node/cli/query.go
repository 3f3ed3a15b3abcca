package cli

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) queryCommand() *cobra.Command {
	var q client.Query
	var items, parameters []string
	cmd := &cobra.Command{
		Use: "query RESOURCE", Short: a.say("查询数据资源", "Query a resource"), Args: a.exactly("RESOURCE"), ValidArgsFunction: resources(a).complete(a),
		Long: a.say("由业务系统在本部门所在节点查询已挂接服务的资源。每次查询须说明授权、用途、事项和办件号，并可说明依据和经办人代号。结果以 JSON 输出。",
			"By an agency system, at its own node, of a resource that is bound to a service. Each query says under which grant, for\nwhich purpose, matter and case it is, and can say on what basis and by which operator. The answer is JSON."),
		Example: "  gxbus query enterprise-registration --grant tianhe-registration --purpose verification \\\n" +
			"      --matter 440106001000 --case 2026-000123 --operator window-3 --param uscc=91440300MA5SAMPLE1",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&q.Grant), "grant", "", a.say("所依据的授权 `标识`", "`id` of the grant it rests on"))
	flags.StringVar((*string)(&q.Purpose), "purpose", "", a.say("使用 `用途`", "`purpose`"))
	flags.StringVar(&q.Matter, "matter", "", a.say("事项 `编码`", "matter `code`"))
	flags.StringVar(&q.Case, "case", "", a.say("办件 `编号`", "case `number`"))
	flags.StringVar(&q.Basis, "basis", "", a.say("使用 `依据`", "`basis` of the use"))
	flags.StringVar(&q.Operator, "operator", "", a.say("经办人 `代号`，本单位自编，不得为姓名", "`pseudonym` of the person who asks, of your agency's making; no name"))
	flags.StringSliceVar(&items, "item", nil, a.say("所需信息项，可多个；缺省为全部获准项", "item wanted, repeatable; all that is allowed where left out"))
	flags.StringArrayVar(&parameters, "param", nil, a.say("参数 `名=值`，可多个", "parameter `name=value`, repeatable"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		values := map[string]string{}
		for _, p := range parameters {
			name, value, ok := strings.Cut(p, "=")
			if !ok {
				return a.usage(cmd, "参数应为 名=值", "a parameter is name=value")
			}
			values[name] = value
		}
		var err error
		if q.Parameters, err = json.Marshal(values); err != nil {
			return err
		}
		q.Items = typed[bus.ItemID](items)
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			answer, err := c.Query(ctx, bus.ResourceID(args[0]), q)
			if err != nil {
				return err
			}
			if answer.Cut {
				a.notice("结果已截断：提供方每次最多返回这些", "the answer is cut: its provider passes on no more at once")
			}
			if a.output == "yaml" {
				return writeYAML(a.Out, answer)
			}
			return writeJSON(a.Out, answer)
		})(cmd, args)
	}
	return cmd
}
