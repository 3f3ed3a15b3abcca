package server_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Three voters and a county; two voters are lost. The third goes on with the county.
// The two come back, a majority of the configuration that they know.
func TestALostQuorumIsRecoveredAndTheLostSplitNothing(t *testing.T) {
	ctx := context.Background()
	s := tell(t, fleet.Province()[:4]...)
	gd, gz, sz, th := s.Nodes["guangdong"], s.Nodes["guangzhou"], s.Nodes["shenzhen"], s.Nodes["tianhe"]
	dir := server.DataDir(gd.Config.DataDir)
	cluster := gd.Server.ID()
	put := func(n int) error {
		_, err := s.Client("sysadmin").Departments().Put(ctx, bus.Department{ID: sample.USCC("440000", 700+n), Name: "恢复后", Division: "440000"})
		return err
	}
	if _, err := server.Recover(ctx, dir, cluster, time.Now); bus.CodeOf(err) != bus.CodeInUse {
		t.Errorf("while the node runs: %v", err)
	}
	gd.Stop()
	_, err := server.Recover(ctx, dir, cluster, time.Now)
	refused(t, err, bus.CodeQuorumStands, "voters")
	gz.Stop()
	sz.Stop()
	_, err = server.Recover(ctx, server.DataDir(th.Config.DataDir), cluster, time.Now)
	if bus.CodeOf(err) != bus.CodeInUse {
		t.Errorf("a county that runs: %v", err)
	}
	_, err = server.Recover(ctx, dir, "another", time.Now)
	refused(t, err, bus.CodeInvalid, "cluster")
	survey, err := server.Look(ctx, dir, time.Now)
	check(t, err)
	if survey.Quorum() || len(survey.Voters) != 3 || len(survey.Reachable) != 0 || survey.Cluster != cluster {
		t.Errorf("%+v", survey)
	}
	done, err := server.Recover(ctx, dir, cluster, time.Now)
	check(t, err)
	if done.Generation != 1 || !slices.Equal(done.Lost, []bus.NodeID{"guangzhou", "shenzhen"}) || uint64(done.Index) <= survey.Last {
		t.Errorf("%+v", done)
	}
	gd.Start()
	nodetest.Eventually(t, "writes go on", func() error { return put(1) })
	nodetest.Eventually(t, "the county follows", func() error {
		_, err := s.ClientAt(th, "sysadmin").Departments().Read(ctx, sample.USCC("440000", 701))
		return err
	})
	onRecord(t, s, "recover from a lost quorum: generation 1")

	for _, n := range []*nodetest.Node{gz, sz} {
		if back, err := n.Open(); bus.CodeOf(err) != bus.CodeCutOff {
			t.Errorf("%s starts with its old disk: %v", n.Spec.ID, err)
			if back != nil {
				check(t, back.Close())
			}
		}
	}
	oneElectedEach(t, s, gd, gz, sz)
	check(t, put(2))

	aside, err := server.Rejoin(ctx, server.DataDir(gz.Config.DataDir), time.Now)
	check(t, err)
	if _, err := os.Stat(filepath.Join(gz.Config.DataDir, "search")); !os.IsNotExist(err) {
		t.Errorf("the index of the directory that was given up is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(gz.Config.DataDir, aside, "raft")); err != nil {
		t.Errorf("what was given up is not kept: %v", err)
	}
	gz.Start()
	nodetest.Eventually(t, "who came back votes again", func() error {
		status, err := s.Client("sysadmin").Status(ctx, false)
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			if m.ID == "guangzhou" && m.Suffrage == "voter" && m.Lag == 0 && m.Reachable {
				return nil
			}
		}
		return fmt.Errorf("%+v", status.Members)
	})
	if back, err := sz.Open(); bus.CodeOf(err) != bus.CodeCutOff {
		t.Errorf("the other starts with its old disk: %v", err)
		if back != nil {
			check(t, back.Close())
		}
	}
	check(t, put(3))
}

// oneElectedEach is the case that nothing can prevent: the recovered node is away
// when the two lost ones start, and they elect a leader. Once they meet, they stop.
func oneElectedEach(t *testing.T, s *story, recovered, one, two *nodetest.Node) {
	t.Helper()
	recovered.Stop()
	for _, n := range []*nodetest.Node{one, two} {
		opened, err := n.Open()
		check(t, err)
		n.Server = opened
	}
	nodetest.Eventually(t, "the old majority elects a leader", func() error { return one.Server.Ready() })
	recovered.Start()
	for _, n := range []*nodetest.Node{one, two} {
		select {
		case err := <-n.Server.Failed():
			if bus.CodeOf(err) != bus.CodeCutOff {
				t.Errorf("%s stops for %v", n.Spec.ID, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s goes on beside the recovered node", n.Spec.ID)
		}
		n.Stop()
	}
	status, err := s.Client("sysadmin").Status(context.Background(), false)
	check(t, err)
	if status.Leader != recovered.Spec.ID {
		t.Errorf("led by %q", status.Leader)
	}
}

func onRecord(t *testing.T, s *story, detail string) {
	t.Helper()
	if !slices.ContainsFunc(leavesOf(t, s.Client("auditor")), func(l audit.Record) bool { return strings.HasPrefix(l.Detail, detail) }) {
		t.Errorf("no leaf tells: %s", detail)
	}
}

func TestARecoveryThatWasCutOffIsRepeatedBeforeTheNodeStarts(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[:2]...)
	gd, gz := c.Nodes["guangdong"], c.Nodes["guangzhou"]
	cluster := gd.Server.ID()
	gd.Stop()
	gz.Stop()
	check(t, os.WriteFile(filepath.Join(gd.Config.DataDir, "unfinished"), []byte("gxbus recover"), 0o600))
	if s, err := gd.Open(); bus.CodeOf(err) != bus.CodeInUse {
		t.Errorf("it starts: %v", err)
		if s != nil {
			check(t, s.Close())
		}
	}
	_, err := server.Recover(ctx, server.DataDir(gd.Config.DataDir), cluster, time.Now)
	check(t, err)
	gd.Start()
	nodetest.Eventually(t, "writes go on", func() error {
		_, err := c.Client("sysadmin").CreateToken(ctx, client.TokenRequest{Node: "foshan", Division: "440600"})
		return err
	})
}

func TestRejoinNeedsALaterGeneration(t *testing.T) {
	c := nodetest.Start(t, fleet.Province()[:2]...)
	gz := c.Nodes["guangzhou"]
	gz.Stop()
	_, err := server.Rejoin(context.Background(), server.DataDir(gz.Config.DataDir), time.Now)
	refused(t, err, bus.CodeUnavailable, "voters")
	gz.Start() // and nothing was changed
}
