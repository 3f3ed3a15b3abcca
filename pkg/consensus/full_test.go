package consensus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/internal/powercut"
)

// S54: a full disk stops no node. Nothing is acknowledged that is not kept, and
// the group goes on by itself once there is room.
func TestFullDiskUnderTheLogIsToldAndSurvived(t *testing.T) {
	disk := powercut.Mount(t)
	m := newMember(t, "gz", newWires())
	m.dir = disk.Dir
	m.start()
	if err := m.group.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	m.lead()
	m.apply(founding(t))
	free := disk.Fill(t, 0)
	acknowledged := bus.Revision(0)
	refused := false
	for n := 1; n < 1000 && !refused; n++ { // until the pages that were free within the file are used up
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		answer, err := m.group.Apply(ctx, large(t, n))
		cancel()
		if results, ok := answer.([]state.Result); ok && err == nil {
			acknowledged = results[0].Index
		}
		refused = err != nil
	}
	if !refused {
		t.Fatal("the disk is full and everything is accepted")
	}
	noHalt(t, m)
	if err := m.store.View(func(tx *state.Tx) error { _, _ = tx.Cluster(); return nil }); err != nil {
		t.Error("reads end: ", err)
	}
	free()
	m.lead()
	var last bus.Revision
	until(t, "no write after there is room again", func() bool {
		answer, err := m.propose(t.Context(), tick(t, 1))
		results, ok := answer.([]state.Result)
		if err == nil && ok {
			last = results[0].Index
		}
		return err == nil && ok
	})
	if last <= acknowledged {
		t.Errorf("%d after %d was acknowledged", last, acknowledged)
	}
	noHalt(t, m)
	before := m.hash()
	m.stop()
	m.start()
	m.reach(last)
	if m.hash() != before {
		t.Error("the state is another after a restart")
	}
}

// A node whose disk is full can still be stopped.
func TestFullDiskHoldsNoStopUp(t *testing.T) {
	disk := powercut.Mount(t)
	m := newMember(t, "gz", newWires())
	m.dir = disk.Dir
	m.start()
	if err := m.group.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	m.lead()
	m.apply(founding(t))
	defer disk.Fill(t, 0)()
	for n := 1; n < 1000; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := m.group.Apply(ctx, large(t, n))
		cancel()
		if err != nil {
			break
		}
	}
	m.stop()
	noHalt(t, m)
}

func noHalt(t *testing.T, m *member) {
	t.Helper()
	select {
	case err := <-m.halted:
		t.Fatal("the node stops: ", err)
	default:
	}
}

// large is an entry of 200 KiB that changes nothing but the tick.
func large(t testing.TB, n int) []byte {
	t.Helper()
	data, err := tick(t, n).Encode()
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, strings.Repeat(" ", 200<<10)...)
	if _, err := command.Decode(data); err != nil {
		t.Fatal(err)
	}
	return data
}
