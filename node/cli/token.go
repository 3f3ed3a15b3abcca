package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) tokenCommand() *cobra.Command {
	return a.group("token", "入网令牌", "Join tokens of new nodes", a.createToken())
}

func (a *app) createToken() *cobra.Command {
	var in client.TokenRequest
	var dry bool
	cmd := &cobra.Command{
		Use: "create --node ID --division CODE", Short: a.say("签发一次性入网令牌", "Make a join token, good once"), Args: a.exactly(),
		Long: a.say("签发一次性入网令牌，限定节点和行政区划，到期失效。令牌只显示一次。",
			"Make a join token. It is good once, for one node id and division, until it expires, and is shown once."),
		Example: "  gxbus token create --node guangzhou --division 440100 --voter > token",
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&in.Node), "node", "", a.say("新节点 `标识`", "`id` of the new node"))
	flags.StringVar((*string)(&in.Division), "division", "", a.say("行政区划 `代码`", "`code` of its division"))
	flags.BoolVar(&in.Voter, "voter", false, a.say("参与目录表决", "it votes in the directory group"))
	flags.IntVar(&in.Hours, "hours", 0, a.say("有效 `小时` 数，1–168，缺省 24", "how many `hours` it is good, 1–168; 24 where left out"))
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "node", "division"); err != nil {
			return err
		}
		if in.Hours < 0 || in.Hours > 168 {
			return a.usage(cmd, "--hours 应为 1–168", "--hours is 1–168")
		}
		if err := bus.Invalid(bus.CheckID("node", in.Node)); err != nil {
			return err
		}
		if dry {
			a.notice("仅检查，未提交", "checked only; nothing was sent")
			return a.preview(in)
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			token, err := c.CreateToken(ctx, in)
			if err != nil {
				return err
			}
			a.notice("有效期至 "+stamp(token.Expires), "good until "+stamp(token.Expires)+" UTC+8")
			return a.secret(token.Token, token)
		})(cmd, args)
	}
	return cmd
}
