package server_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/identity"
)

func TestS24AJoinTokenAdmitsOneNodeOnce(t *testing.T) {
	ctx := context.Background()
	now := &clock{at: time.Now()}
	c := nodetest.StartWith(t, nodetest.Options{Now: now.Now}, fleet.Province()[0])
	api := c.First.Config.APIListen
	token := func(node bus.NodeID) string {
		made, err := c.Client("sysadmin").CreateToken(ctx, client.TokenRequest{Node: node, Division: "440100"})
		check(t, err)
		return made.Token
	}
	candidate := func(node bus.NodeID) *nodetest.Node {
		return nodetest.NewNode(t, nodetest.Options{Now: now.Now}, fleet.Spec{ID: node, Division: "440100"})
	}
	members := func() int {
		nodes, err := c.Client("auditor").Nodes(ctx)
		check(t, err)
		return len(nodes)
	}
	good := token("guangzhou")
	t.Run("not another node", func(t *testing.T) {
		refused(t, server.Join(ctx, candidate("foshan").Founding(), api, good), bus.CodeTokenRefused, "node")
	})
	t.Run("not another division", func(t *testing.T) {
		f := candidate("guangzhou").Founding()
		f.Division = "440300"
		refused(t, server.Join(ctx, f, api, good), bus.CodeTokenRefused, "node")
	})
	t.Run("not with another's address", func(t *testing.T) {
		f := candidate("guangzhou").Founding()
		f.PeerAddress = c.First.Config.PeerListen
		refused(t, server.Join(ctx, f, api, good), bus.CodeInvalid, "peer_address")
	})
	t.Run("not a token of another cluster", func(t *testing.T) {
		foreign := identity.JoinToken{Cluster: identity.NewClusterID(), ID: "t", CA: c.First.Server.Fingerprint(), Secret: identity.NewSecret()}
		if err := server.Join(ctx, candidate("guangzhou").Founding(), api, foreign.Reveal()); !client.IsCode(err, bus.CodeForeignCluster) {
			t.Errorf("this CA, another cluster: %v", err)
		}
		foreign.CA[0] ^= 1
		if err := server.Join(ctx, candidate("guangzhou").Founding(), api, foreign.Reveal()); err == nil {
			t.Error("another CA: no error")
		}
	})
	t.Run("not an invented one", func(t *testing.T) {
		invented := identity.JoinToken{Cluster: c.First.Server.ID(), ID: "t", CA: c.First.Server.Fingerprint(), Secret: identity.NewSecret()}
		if err := server.Join(ctx, candidate("guangzhou").Founding(), api, invented.Reveal()); !client.IsCode(err, bus.CodeTokenRefused) {
			t.Errorf("got %v", err)
		}
		for _, r := range leavesOf(t, c.Client("auditor")) { // who asks may be anybody, and ask for ever
			if r.Detail == "join with token t" {
				t.Errorf("on record, and in the log: %+v", r)
			}
		}
	})
	if n := members(); n != 1 {
		t.Fatalf("%d members after refusals only", n)
	}
	n := candidate("guangzhou")
	check(t, server.Join(ctx, n.Founding(), api, good))
	t.Run("not twice", func(t *testing.T) {
		if err := server.Join(ctx, candidate("guangzhou").Founding(), api, good); !client.IsCode(err, bus.CodeTokenRefused) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("but again where the join was cut off", func(t *testing.T) {
		for _, lost := range [][]string{{"node.json"}, {"node.json", "node.crt"}, {"node.json", "node.crt", "ca.crt"}} {
			for _, name := range lost {
				if err := os.Remove(filepath.Join(n.Config.DataDir, name)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			if _, err := server.Init(ctx, n.Founding()); bus.CodeOf(err) != bus.CodeAlreadyInitialized {
				t.Fatalf("init takes over half a join: %v", err)
			}
			check(t, server.Join(ctx, n.Founding(), api, good))
		}
		c.Nodes["guangzhou"] = n
		n.Start()
		c.WaitPlaces()
	})
	t.Run("and not when it has expired", func(t *testing.T) {
		late := token("foshan")
		now.advance(25 * time.Hour)
		if err := server.Join(ctx, candidate("foshan").Founding(), api, late); !client.IsCode(err, bus.CodeTokenRefused) {
			t.Errorf("got %v", err)
		}
	})
	if n := members(); n != 2 {
		t.Errorf("%d members, want 2", n)
	}
}

// A node that has not been seeded yet knows nobody, which is not their fault.
func TestAnEmptyReplicaHoldsNoSignInAgainstAnybody(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[0])
	token, err := c.Client("sysadmin").CreateToken(ctx, client.TokenRequest{Node: "guangzhou", Division: "440100"})
	check(t, err)
	n := c.Add(fleet.Spec{ID: "guangzhou", Division: "440100"})
	check(t, server.Join(ctx, n.Founding(), c.First.Config.APIListen, token.Token))
	c.First.Stop()
	n.Server, err = n.Open()
	check(t, err)
	t.Cleanup(n.Stop)
	anonymous := n.Client("")
	for range 12 {
		_, err := anonymous.SignIn(ctx, client.SignIn{Account: "sysadmin", Password: c.Passwords["sysadmin"]})
		if !client.IsCode(err, bus.CodeNoLeader) {
			t.Fatal(err)
		}
	}
	c.First.Start()
	nodetest.Eventually(t, "the node is seeded", n.Server.Ready)
	c.SignIn(n, "sysadmin")
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
