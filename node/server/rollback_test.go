package server_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/pkg/bus"
)

// S53: a node whose disk was rolled back to yesterday would give sequence numbers
// and evidence out a second time. It stops instead, and says why.
func TestS53_ARolledBackExchangeFileStopsTheNode(t *testing.T) {
	c := nodetest.Start(t, fleet.Province()[0])
	n := c.First
	n.Stop()
	file := filepath.Join(n.Config.DataDir, "exchange.db")
	yesterday, err := os.ReadFile(file)
	check(t, err)

	n.Start()
	before := published(t, c)
	for range 3 {
		c.Client("auditor") // each sign-in is on record
	}
	nodetest.Eventually(t, "a later checkpoint is known", func() error {
		if now := published(t, c); now <= before {
			return fmt.Errorf("the directory knows %d leaves", now)
		}
		return nil
	})
	n.Stop()
	check(t, os.WriteFile(file, yesterday, 0o600))

	s, err := n.Open()
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	select {
	case err := <-s.Failed():
		if bus.CodeOf(err) != bus.CodeEvidence {
			t.Errorf("it stops for %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a rolled-back node goes on")
	}
}

// published is how many leaves of the first node the directory has a checkpoint of.
func published(t *testing.T, c *nodetest.Cluster) int64 {
	t.Helper()
	checkpoints, err := c.Client("sysadmin").Checkpoints(context.Background())
	check(t, err)
	for _, checkpoint := range checkpoints {
		if checkpoint.Node == c.First.Spec.ID {
			return checkpoint.Size
		}
	}
	return 0
}
