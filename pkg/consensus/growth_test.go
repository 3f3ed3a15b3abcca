package consensus_test

import (
	"sync"
	"sync/atomic"
	"testing"
)

// grow proposes large entries.
func (m *member) grow(entries int) {
	m.t.Helper()
	for n := range entries {
		if _, err := m.group.Apply(m.t.Context(), large(m.t, n)); err != nil {
			m.t.Fatal(err)
		}
	}
}

const (
	manyLarge = 340 // together 64 MiB and a little
	fewLarge  = 60  // together 12 MiB
)

// trimmed waits until the member's log begins behind its first entry.
func (m *member) trimmed() (first, snapshot uint64) {
	m.t.Helper()
	until(m.t, "the log keeps every entry", func() bool {
		first, _, snapshot = m.group.Range()
		return first > 1
	})
	return first, snapshot
}

// What a bulk import leaves is not replayed entry by entry: an empty node gets the
// snapshot. One that lacks a few entries gets those, though a snapshot has them too.
func TestAfterABulkImportAnEmptyNodeIsSeededByASnapshot(t *testing.T) {
	t.Parallel()
	leader := found(t)
	away := newMember(t, "sz", leader.wires)
	away.start()
	if err := leader.group.AddNonvoter(t.Context(), away.id); err != nil {
		t.Fatal(err)
	}
	leader.grow(manyLarge - fewLarge)
	away.reach(leader.apply(tick(t, 1)))
	away.stop()
	leader.grow(fewLarge + 1)
	if first, snapshot := leader.trimmed(); first > snapshot-fewLarge || snapshot-first > 200 {
		t.Errorf("the log begins at %d, the snapshot has up to %d", first, snapshot)
	}
	last := leader.apply(tick(t, 2))

	away.start()
	away.reach(last)
	if away.restored != 0 {
		t.Error("a node that lacked a few entries was sent the snapshot")
	}
	empty := newMember(t, "th", leader.wires)
	empty.start()
	if err := leader.group.AddNonvoter(t.Context(), empty.id); err != nil {
		t.Fatal(err)
	}
	empty.reach(last)
	if empty.restored != 1 || empty.hash() != leader.hash() {
		t.Errorf("restored %d times, the same state: %v", empty.restored, empty.hash() == leader.hash())
	}
}

// What the log gained before a restart counts.
func TestALogThatGrewOverRestartsIsTrimmed(t *testing.T) {
	t.Parallel()
	m := found(t)
	for range 2 {
		m.grow(manyLarge/2 - fewLarge/2)
		if first, _, snapshot := m.group.Range(); first != 1 || snapshot != 0 {
			t.Fatalf("the log begins at %d, the snapshot has up to %d", first, snapshot)
		}
		m.stop()
		m.start()
		m.lead()
	}
	m.grow(fewLarge)
	m.trimmed()
}

// Small entries are counted as raft does.
func TestManySmallEntriesMakeASnapshot(t *testing.T) {
	t.Parallel()
	m := found(t)
	data, err := tick(t, 1).Encode()
	if err != nil {
		t.Fatal(err)
	}
	m.flood(data, 9_500) // the snapshot is taken while they come
	until(t, "no snapshot", func() bool {
		_, _, snapshot := m.group.Range()
		return snapshot > 0
	})
	if first, _, _ := m.group.Range(); first != 1 {
		t.Errorf("the log begins at %d", first)
	}
}

// flood proposes an entry so often, many at a time.
func (m *member) flood(entry []byte, times int) {
	m.t.Helper()
	var left atomic.Int64
	left.Store(int64(times))
	var proposing sync.WaitGroup
	for range 256 {
		proposing.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := m.group.Apply(m.t.Context(), entry); err != nil {
					m.t.Error(err)
				}
			}
		})
	}
	proposing.Wait()
}
