package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// A department moves on request; without its old node only if that is said, and
// with it never so.
func TestADepartmentMovesOrIsAbandoned(t *testing.T) {
	c := nodetest.Start(t, fleet.Spec{ID: "guangdong", Division: "440000", Voter: true},
		fleet.Spec{ID: "guangzhou", Division: "440100"}, fleet.Spec{ID: "tianhe", Division: "440106"})
	ctx := context.Background()
	admin := c.Client("sysadmin")
	d, err := admin.Departments().Put(ctx, sample.TianheServices)
	check(t, err)
	system, err := admin.Systems().Put(ctx, sample.SystemOf(d))
	check(t, err)
	own := sample.EnterpriseRegistration()
	own.Provider = d.ID
	c.Publish(own)
	publish := func(at bus.NodeID, n int) ([]client.Receipt, error) {
		return c.Nodes[at].Client(system.Bearer).Publish(ctx, own.ID, sample.Event(sample.SystemOf(d), n))
	}
	await := func(home bus.NodeID) client.DepartmentMove {
		t.Helper()
		var m client.DepartmentMove
		nodetest.Eventually(t, "the department is at "+string(home), func() (err error) {
			if m, err = admin.Move(ctx, d.ID); err == nil && (m.Home != home || m.Move != nil) {
				err = fmt.Errorf("%+v", m)
			}
			return err
		})
		return m
	}
	var receipts []client.Receipt
	nodetest.Eventually(t, "tianhe takes an event", func() (err error) {
		receipts, err = publish("tianhe", 1)
		return err
	})
	preview, err := admin.Move(ctx, d.ID)
	check(t, err)
	if preview.Home != "tianhe" || preview.Total.Events != 1 || preview.Total.Resources != 1 || preview.State != "kept" {
		t.Errorf("before the move: %+v", preview)
	}
	moveRefused(t, admin, d.ID, client.MoveRequest{To: "tianhe"}, bus.CodeInvalid, "to")
	moveRefused(t, admin, d.ID, client.MoveRequest{To: "nowhere"}, bus.CodeInvalid, "to")
	moveRefused(t, admin, d.ID, client.MoveRequest{To: "guangzhou", Abandon: true}, bus.CodeInvalid, "abandon")

	_, err = admin.BeginMove(ctx, d.ID, client.MoveRequest{To: "guangzhou"})
	check(t, err)
	await("guangzhou")
	nodetest.Eventually(t, "guangzhou answers a repeat", func() error {
		again, err := publish("guangzhou", 1)
		if err == nil && (!again[0].Duplicate || again[0].Digest != receipts[0].Digest) {
			t.Errorf("the repeat: %+v, first %+v", again[0], receipts[0])
		}
		return err
	})
	_, err = publish("tianhe", 2)
	if !client.IsCode(err, bus.CodeWrongNode) || !strings.Contains(err.Error(), c.Nodes["guangzhou"].Config.APIListen) {
		t.Errorf("the old node says %v, not where to go", err)
	}

	signingKeyOfItsNode(t, c, system.System.ID)

	c.Nodes["guangzhou"].Stop()
	moveRefused(t, admin, d.ID, client.MoveRequest{To: "tianhe"}, bus.CodeUnavailable, "from")
	_, err = admin.BeginMove(ctx, d.ID, client.MoveRequest{To: "tianhe", Abandon: true})
	check(t, err)
	await("tianhe")
	nodetest.Eventually(t, "tianhe takes events again", func() error {
		anew, err := publish("tianhe", 3)
		if err == nil && anew[0].Sequence != 1<<40+1 {
			t.Errorf("numbers begin anew at %d", anew[0].Sequence)
		}
		return err
	})
	c.Nodes["guangzhou"].Start()
	nodetest.Eventually(t, "the abandoned node has heard that it is one", func() error {
		if _, err := publish("guangzhou", 4); !client.IsCode(err, bus.CodeWrongNode) {
			return fmt.Errorf("it says %v", err)
		}
		return nil
	})
}

// A signing key is made by the node that serves the system, here guangzhou, and good
// there alone.
func signingKeyOfItsNode(t *testing.T, c *nodetest.Cluster, id bus.SystemID) {
	t.Helper()
	ctx := context.Background()
	asked := client.CredentialRequest{Kind: bus.CredentialSigning}
	if _, err := c.Client("sysadmin").Systems().AddCredential(ctx, id, asked); !client.IsCode(err, bus.CodeWrongNode) || !strings.Contains(err.Error(), c.Nodes["guangzhou"].Config.APIListen) {
		t.Errorf("another node makes a signing key: %v", err)
	}
	made, err := c.ClientAt(c.Nodes["guangzhou"], "sysadmin").Systems().AddCredential(ctx, id, asked)
	check(t, err)
	for at, want := range map[bus.NodeID]bus.Code{"guangzhou": "", "tianhe": bus.CodeUnauthenticated} {
		signing, err := client.New(client.Config{Server: c.Nodes[at].Config.APIListen, CAFile: c.First.CA(), SigningKey: made.SigningKey})
		check(t, err)
		if _, err := signing.Status(ctx, false); client.CodeOf(err) != want {
			t.Errorf("signed, at %s: %v", at, err)
		}
		signing.Close()
	}
}

func moveRefused(t *testing.T, c *client.Client, id bus.USCC, in client.MoveRequest, code bus.Code, field string) {
	t.Helper()
	_, err := c.BeginMove(context.Background(), id, in)
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Code != code || len(p.Defects) != 1 || p.Defects[0].Field != field || p.Defects[0].Problem.ZH == "" {
		t.Errorf("%+v: %v, want %s of %s", in, err, code, field)
	}
}
