package cli

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) resourceSchema(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	return &cobra.Command{
		Use: "schema ID [N]", Short: a.say("显示事件数据的 JSON Schema", "Show the JSON Schema of its events' data"), Args: a.between(1, 2, "ID", "N"),
		Long: a.say("显示某一已发布版本下事件数据须符合的 JSON Schema（2020-12）；不写版本号时为现行版本。由信息项生成，或由提供部门随版本给出。",
			"Show the JSON Schema (2020-12) that the data of events has to meet under a published version, the one in force where no number is given. It is made of the items, or supplied by the provider with the version."),
		Example:           "  gxbus resource schema enterprise-registration\n  gxbus resource schema enterprise-registration 1",
		ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
			id, number := bus.ResourceID(args[0]), 0
			var err error
			if len(args) == 2 {
				number, err = a.number(cmd, args[1])
			} else {
				var inForce bus.Resource
				inForce, err = c.Resources().Read(ctx, id)
				number = inForce.Version
			}
			if err != nil {
				return err
			}
			text, err := c.Resources().Schema(ctx, id, number)
			if err != nil {
				return err
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, text, "", "  "); err != nil {
				return err
			}
			indented.WriteByte('\n')
			_, err = indented.WriteTo(a.Out)
			return err
		}),
	}
}
