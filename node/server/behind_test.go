package server_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// A node whose disk is full answers and takes in no entry. Status shows that it runs
// the policies of before, until it has room.
func TestStatusShowsANodeThatLags(t *testing.T) {
	disk := smallDisk(t)
	const lagging bus.NodeID = "tianhe"
	onDisk := func(c *server.Config) {
		if filepath.Base(c.DataDir) == string(lagging) {
			c.DataDir = filepath.Join(disk, string(lagging))
		}
	}
	c := nodetest.StartWith(t, nodetest.Options{Reserve: 1 << 20, Config: onDisk}, fleet.Province()[0], fleet.Spec{ID: lagging, Division: "440106"})
	wait := func(what string, id bus.LayerID, want client.LayerState, lags bool) {
		t.Helper()
		nodetest.Eventually(t, what, func() error {
			status, err := c.Client("auditor").Status(context.Background(), false)
			if err != nil {
				return err
			}
			for _, m := range status.Members {
				state, behind := want, lags
				if m.ID != lagging {
					state = client.LayerState{Revision: want.InForce, InForce: want.InForce, Standing: client.LayerCurrent}
					behind = false
				}
				at := slices.IndexFunc(m.Layers, func(l client.LayerState) bool { return l.ID == id })
				if at < 0 || m.Layers[at].Revision != state.Revision || m.Layers[at].InForce != state.InForce || m.Layers[at].Standing != state.Standing {
					return fmt.Errorf("%s runs %+v, want %+v", m.ID, m.Layers, state)
				}
				if !m.Reachable || (m.Lag > 0) != behind {
					return fmt.Errorf("%s: reachable %v, %d entries behind", m.ID, m.Reachable, m.Lag)
				}
			}
			return nil
		})
	}
	before := c.Enact(nodetest.SampleLayer(t, "440000"))
	current := client.LayerState{Revision: before.Revision, InForce: before.Revision, Standing: client.LayerCurrent}
	wait("both run the layer", before.ID, current, false)

	free := fillDisk(t, disk, 0)
	changed := nodetest.SampleLayer(t, "440000")
	changed.Modules["note.rego"] = strings.Repeat("# 样例：没有空闲页能容纳的一个修订\n", 1000) + "package gxbus.division.d440000\n"
	after := c.Enact(changed)
	wait("it runs the revision before", before.ID, client.LayerState{Revision: before.Revision, InForce: after.Revision, Standing: client.LayerBehind}, true)
	free()
	current = client.LayerState{Revision: after.Revision, InForce: after.Revision, Standing: client.LayerCurrent}
	wait("it has caught up", after.ID, current, false)
}
