package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// A city's evidence is cosigned by the province, and the directory holds what both
// signed; the province, which has none above it, is cosigned by a city.
// S53: the head of yesterday is refused, is on record, and the alarm stays until the
// log goes on.
func TestS53_ParentsCosignAndRefuseAnOldHead(t *testing.T) {
	province, city := fleet.Province()[0], fleet.Province()[1]
	city.Voter = false
	c := nodetest.Start(t, province, city)
	ctx := context.Background()
	sysadmin := c.Client("sysadmin")
	keys := map[bus.NodeID]string{}
	nodes, err := sysadmin.Nodes(ctx)
	check(t, err)
	for _, n := range nodes {
		keys[n.ID] = n.EvidenceKey
	}
	cosigned := func(node, witness bus.NodeID, above int64) (found bus.Checkpoint) {
		nodetest.Eventually(t, "the evidence of "+string(node)+" is cosigned", func() error {
			checkpoints, err := sysadmin.Checkpoints(ctx)
			check(t, err)
			for _, found = range checkpoints {
				who, err := audit.Cosignatures(found.Note, keys[witness])
				check(t, err)
				if found.Node == node && found.Size > above && len(who) == 1 && who[0].Witness == witness {
					return nil
				}
			}
			return fmt.Errorf("checkpoints %+v", checkpoints)
		})
		return found
	}
	cosigned(province.ID, city.ID, 0)
	c.ClientAt(c.Nodes[city.ID], "auditor") // the first leaf of its log: a sign-in is on record
	yesterday := cosigned(city.ID, province.ID, -1)
	c.ClientAt(c.Nodes[city.ID], "auditor")
	cosigned(city.ID, province.ID, yesterday.Size)

	_, err = c.First.Server.Cosign(ctx, city.ID, audit.Submission{Note: yesterday.Note})
	if conflict, ok := errors.AsType[*audit.Conflict](err); !ok || conflict.Size <= yesterday.Size {
		t.Errorf("the old head: %v", err)
	}
	if found := checkOf(t, c.First, "witnessed logs"); found.State != client.CheckFail || !strings.Contains(found.Detail.EN, string(city.ID)) {
		t.Errorf("no alarm: %+v", found)
	}
	if _, err = c.First.Server.Cosign(ctx, province.ID, audit.Submission{Note: yesterday.Note}); bus.CodeOf(err) != bus.CodeForbidden && bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("a node asks for another's log: %v", err)
	}
	c.ClientAt(c.Nodes[city.ID], "auditor")
	nodetest.Eventually(t, "the log that goes on settles it", func() error {
		if found := checkOf(t, c.First, "witnessed logs"); found.State != client.CheckOK {
			return errors.New(found.Detail.EN)
		}
		return nil
	})
	if found := checkOf(t, c.Nodes[city.ID], "witness"); found.State != client.CheckOK || !strings.Contains(found.Detail.EN, "cosigned by "+string(province.ID)) {
		t.Errorf("%+v", found)
	}
	status, err := sysadmin.Status(ctx, false)
	check(t, err)
	for _, m := range status.Members {
		if m.Witness.Node == "" || m.Witness.Size == 0 || m.Witness.Late {
			t.Errorf("%s: %+v", m.ID, m.Witness)
		}
	}
}

func checkOf(t *testing.T, n *nodetest.Node, name string) client.Check {
	t.Helper()
	checks, err := n.Server.Doctor(context.Background(), false)
	check(t, err)
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check of %s", name)
	return client.Check{}
}
