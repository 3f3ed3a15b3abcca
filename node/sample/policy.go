package sample

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Second is the account of a second security administrator: the one that a cluster
// begins with cannot activate what it pushed.
const Second = "secadmin-2"

// Enact puts a policy layer in force, or removes it where it has no text: one client
// pushes it, another activates it. They are those of two security administrators.
func Enact(ctx context.Context, pusher, activator *client.Client, layer bus.Layer) (bus.Layer, error) {
	draft, err := pusher.Policies().Push(ctx, layer.ID, 0, bus.LayerPush{Modules: layer.Modules, Remove: len(layer.Modules) == 0, Note: "样例策略"})
	if err != nil {
		return layer, err
	}
	revision, err := activator.Policies().Activate(ctx, layer.ID, draft.Revision, "样例复核")
	if err != nil {
		return layer, err
	}
	made, _ := revision.Layer()
	return made, nil
}
