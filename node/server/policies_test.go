package server_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Every node tells which revisions it runs, and a text that it cannot compile: that
// denies there.
func TestStatusShowsWhichPoliciesEachNodeRuns(t *testing.T) {
	c := nodetest.Start(t, fleet.Province()[:2]...)
	api := c.Client("auditor")
	wait := func(what string, id bus.LayerID, revision bus.Revision, want client.LayerStanding) {
		t.Helper()
		nodetest.Eventually(t, what, func() error {
			status, err := api.Status(context.Background(), false)
			if err != nil {
				return err
			}
			for _, m := range status.Members {
				at := slices.IndexFunc(m.Layers, func(l client.LayerState) bool { return l.ID == id })
				if at < 0 || m.Layers[at].Standing != want || m.Layers[at].Revision != revision || len(m.Layers[at].Digest) != 64 {
					return fmt.Errorf("%s runs %+v", m.ID, m.Layers)
				}
			}
			return nil
		})
	}
	wait("both run base", bus.BaseLayer, 0, client.LayerCurrent)
	layer := c.Enact(nodetest.SampleLayer(t, "440000"))
	wait("both run the layer", layer.ID, layer.Revision, client.LayerCurrent)

	// No face of a node takes such a text; another release's compiler might have.
	secadmin := bus.Principal{Account: "secadmin", Role: bus.RoleSecurityAdministrator}
	second := bus.Principal{Account: sample.Second, Role: bus.RoleSecurityAdministrator}
	draft := write(t, c, command.LayerPush, secadmin, 0, command.Push{
		Layer: layer.ID, LayerPush: bus.LayerPush{Modules: map[string]string{"a.rego": "nonsense"}, Note: "样例"}, Report: &bus.LayerReport{Layer: layer.ID, OK: true},
	})
	broken := write(t, c, command.LayerActivate, second, draft, command.Activation{Layer: layer.ID})
	wait("both tell that they cannot compile it", layer.ID, broken, client.LayerBroken)

	back, err := c.Client("secadmin").Policies().Push(context.Background(), layer.ID, 0, bus.LayerPush{Rollback: layer.Revision, Note: "样例"})
	check(t, err)
	mended, err := c.Client(sample.Second).Policies().Activate(context.Background(), layer.ID, back.Revision, "")
	check(t, err)
	wait("both run the older text as a new revision", layer.ID, mended.Revision, client.LayerCurrent)
	if mended.Revision <= broken {
		t.Errorf("revision %d after %d", mended.Revision, broken)
	}
}

// write puts an entry through the directory's log, past the API.
func write(t *testing.T, c *nodetest.Cluster, typ command.Type, by bus.Principal, expect bus.Revision, body any) bus.Revision {
	t.Helper()
	e, err := command.New(typ, by, "", expect, body)
	check(t, err)
	data, err := e.Encode()
	check(t, err)
	result, err := c.First.Server.Accept(context.Background(), c.First.Spec.ID, data)
	check(t, err)
	check(t, result.Err())
	return result.Revision
}
