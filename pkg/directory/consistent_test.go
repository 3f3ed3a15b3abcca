package directory_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestAConsistentReadWaitsForWhatTheLeaderShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		d, far := g.join("gz"), g.join("sz")
		g.must(d.Write(t.Context(), initEntry(t)))
		g.lag("sz", true)
		at := g.must(d.Write(t.Context(), tickEntry(t))).Index
		time.AfterFunc(3*time.Second, func() { g.lag("sz", false) })
		if err := far.Consistent(t.Context()); err != nil {
			t.Fatal(err)
		}
		if applied, _ := far.Applied(); applied < at {
			t.Errorf("the replica is at %d, the write before the read at %d", applied, at)
		}
	})
}

func TestAConsistentReadNeedsALeaderThatCanProveIt(t *testing.T) {
	for name, c := range map[string]struct {
		leader bus.NodeID
		doubt  []error
		code   bus.Code
		took   time.Duration
	}{
		"a leader":                        {"gz", nil, "", 0},
		"none":                            {"", nil, bus.CodeNoLeader, 10 * time.Second},
		"one that is one no longer":       {"gz", []error{bus.E(bus.CodeNoLeader)}, "", 100 * time.Millisecond},
		"one that loses its place":        {"gz", []error{errors.New("leadership lost"), context.DeadlineExceeded}, "", 200 * time.Millisecond},
		"one that refuses, which is told": {"gz", []error{bus.E(bus.CodeForbidden)}, bus.CodeForbidden, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(t, c.leader)
				g.doubt = c.doubt
				here, far := g.join("gz"), g.join("sz")
				for _, d := range []interface {
					Consistent(context.Context) error
				}{here, far} {
					g.doubt = append([]error(nil), c.doubt...)
					start := time.Now()
					err := d.Consistent(t.Context())
					if took := time.Since(start); took != c.took || err != nil && bus.CodeOf(err) != c.code || err == nil && c.code != "" {
						t.Errorf("after %v: %v", took, err)
					}
				}
			})
		})
	}
}

// Who asks while a barrier is under way must not be answered by it: it may have
// begun before a write that was acknowledged since.
func TestReadsThatComeInTogetherShareABarrierThatBeganAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		d := g.join("gz")
		g.must(d.Write(t.Context(), initEntry(t)))
		goOn := make(chan struct{})
		g.during = func() { <-goOn }
		answered := make(chan error)
		read := func() { answered <- d.Consistent(t.Context()) }
		go read()
		synctest.Wait()
		const late = 20
		for range late {
			go read()
		}
		synctest.Wait()
		goOn <- struct{}{}
		if err := <-answered; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		select {
		case err := <-answered:
			t.Error("answered by a barrier that began before the read: ", err)
		default:
		}
		close(goOn)
		for range late {
			if err := <-answered; err != nil {
				t.Error(err)
			}
		}
		if g.barriers != 2 {
			t.Errorf("%d barriers for %d reads", g.barriers, late+1)
		}
	})
}

func TestAReadTellsHowFarItsReplicaHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		d := g.join("gz")
		at := g.must(d.Write(t.Context(), initEntry(t))).Index
		if err := d.Reach(t.Context(), at); err != nil {
			t.Error(err)
		}
		start := time.Now()
		err := d.Reach(t.Context(), at+1)
		e, ok := errors.AsType[*bus.Error](err)
		if !ok || e.Code != bus.CodeUnavailable || !strings.Contains(e.Defects[0].Allowed, "1") || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
