package consensus_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/internal/powercut"
)

// found starts a group of one.
func found(t *testing.T) *member {
	t.Helper()
	m := newMember(t, "gz", newWires())
	m.start()
	if err := m.group.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	m.lead()
	m.apply(founding(t))
	return m
}

func TestANodeWithoutAGroupWaits(t *testing.T) {
	t.Parallel()
	m := newMember(t, "gz", newWires())
	m.start()
	if leader := m.group.Leader(); leader != "" {
		t.Errorf("led by %q", leader)
	}
	if age := m.group.LastContact(); age < 24*time.Hour {
		t.Errorf("it heard a leader %v ago", age)
	}
	if _, err := m.propose(t.Context(), founding(t)); bus.CodeOf(err) != bus.CodeNoLeader {
		t.Errorf("a write without a leader: %v", err)
	}
}

func TestAGroupOfOneKeepsItsLogOverARestart(t *testing.T) {
	t.Parallel()
	m := found(t)
	select {
	case leads := <-m.group.LeaderChanges():
		if !leads {
			t.Error("leadership was lost")
		}
	case <-time.After(patience):
		t.Error("nobody was told of the leadership")
	}
	if m.group.LastContact() != 0 {
		t.Error("the leader has not heard itself")
	}
	last := m.apply(tick(t, 1))
	if commit := m.group.CommitIndex(); commit < uint64(last) {
		t.Errorf("committed %d, answered %d", commit, last)
	}
	until(t, "raft to have counted the entry as applied", func() bool { return m.group.AppliedIndex() >= uint64(last) })
	before := m.hash()

	m.stop()
	m.start()
	if err := m.group.Bootstrap(); err != nil {
		t.Error("to found a group again: ", err)
	}
	m.lead()
	if m.hash() != before {
		t.Error("the state is another")
	}
	if next := m.apply(tick(t, 2)); next <= last {
		t.Errorf("the log went from %d to %d", last, next)
	}
	if m.restored != 0 {
		t.Errorf("restored %d times", m.restored)
	}
}

// A directory file that is lost comes back from the log alone.
func TestALostDirectoryIsRebuiltFromTheLog(t *testing.T) {
	t.Parallel()
	m := found(t)
	last := m.apply(tick(t, 1))
	before := m.hash()
	m.stop()
	m.loseFile("directory.db")
	m.start()
	m.reach(last)
	if m.hash() != before {
		t.Error("the state is another")
	}
}

// After a power cut the directory is built again from the log alone, without a
// leader, to where it is known to have been.
func TestAPowerCutCostsNoAcknowledgedEntry(t *testing.T) {
	disk := powercut.Mount(t)
	for name, snapshot := range map[string]bool{"from the log": false, "from a snapshot and the log": true} {
		t.Run(name, func(t *testing.T) {
			m := newMember(t, "gz", newWires())
			m.dir = filepath.Join(disk.Dir, map[bool]string{false: "a", true: "b"}[snapshot])
			if err := os.Mkdir(m.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			m.start()
			if err := m.group.Bootstrap(); err != nil {
				t.Fatal(err)
			}
			m.lead()
			m.apply(founding(t))
			for n := range 50 {
				m.apply(tick(t, n))
				if snapshot && n == 25 {
					if err := m.group.Snapshot(); err != nil {
						t.Fatal(err)
					}
				}
			}
			m.marked()
			last := m.apply(tick(t, 100)) // the mark does not know of this one
			want := m.hash()

			disk.Cut()
			_ = errors.Join(m.group.Close(), m.store.Close()) // of the dead disk
			m.group = nil
			m.anotherBoot()
			m.start()
			if applied, _ := m.store.Applied(); applied < last-1 {
				t.Errorf("without a leader it shows %d of %d", applied, last)
			}
			m.reach(last)
			if m.hash() != want {
				t.Error("the state is another")
			}
			m.lead()
			m.apply(tick(t, 101))
		})
	}
}

// A file that is written without syncs is worth nothing after a power cut, whatever
// it looks like; after a kill it is whole.
func TestAFileOfAnotherRunOfTheMachineIsNotTrusted(t *testing.T) {
	t.Parallel()
	m := found(t)
	last := m.apply(tick(t, 1))
	want := m.hash()
	m.marked()
	held := m.copyFiles("directory.db", "directory.db.mark") // as a kill leaves them
	m.stop()

	held()
	m.start()
	if m.kept < last {
		t.Errorf("after a kill the file has %d of %d", m.kept, last)
	}
	m.stop()

	held()
	m.anotherBoot()
	if err := os.WriteFile(m.databasePath(), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.reach(last)
	if m.hash() != want || m.kept != 0 {
		t.Error("the state is another")
	}
}

// Raft hands on no entry that a snapshot covers: a state that has less must have
// the snapshot.
func TestALostDirectoryIsRestoredFromTheSnapshot(t *testing.T) {
	t.Parallel()
	m := found(t)
	m.apply(tick(t, 1))
	if err := m.group.Snapshot(); err != nil {
		t.Fatal(err)
	}
	last := m.apply(tick(t, 2))
	before := m.hash()

	m.stop()
	m.start()
	m.lead()
	if m.restored != 0 || m.hash() != before {
		t.Errorf("a whole state was restored %d times", m.restored)
	}

	m.stop()
	m.loseFile("directory.db")
	m.start()
	m.reach(last)
	if m.restored != 1 || m.hash() != before {
		t.Errorf("restored %d times", m.restored)
	}
	m.lead()
	m.apply(tick(t, 3))
}

// A member that lost its log has forgotten its votes, and would take every new
// entry for one it has applied.
func TestALostLogIsNotTakenForAnEmptyOne(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"all of it": "raft", "the log alone": "raft/log.db"} {
		t.Run(name, func(t *testing.T) {
			m := found(t)
			m.apply(tick(t, 1))
			m.stop()
			m.loseFile(file)
			if err := m.tryStart(); !errors.Is(err, consensus.ErrLogLost) {
				t.Errorf("it started: %v", err)
			}
			for _, file := range []string{"directory.db", "directory.db.mark", "raft"} { // as a new node it may
				m.loseFile(file)
			}
			m.start()
		})
	}
}

func TestALogBehindASnapshotIsNoLoss(t *testing.T) {
	t.Parallel()
	m := found(t)
	m.apply(tick(t, 1))
	if err := m.group.Snapshot(); err != nil {
		t.Fatal(err)
	}
	m.stop()
	m.loseFile("raft/log.db") // what a snapshot from the leader leaves of an older log
	m.start()
	m.lead()
	m.apply(tick(t, 2))
}

func TestOpenRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	m := found(t)
	m.stop()
	path := filepath.Join(m.dir, "raft", "log.db")
	if err := os.WriteFile(path, []byte("not a log"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.tryStart(); err == nil {
		t.Error("a damaged log was opened")
	}
	m.loseFile("raft")
	if err := os.WriteFile(filepath.Join(m.dir, "raft"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.tryStart(); err == nil {
		t.Error("a file was taken for the folder")
	}
}

func TestAFailingLogHaltsTheNode(t *testing.T) {
	t.Parallel()
	m := found(t)
	if err := m.group.BreakLog(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.propose(t.Context(), tick(t, 1)); err == nil {
		t.Error("an entry was committed to no log")
	}
	select {
	case <-m.halted:
	case <-time.After(patience):
		t.Error("the node went on")
	}
}

func TestApplyWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	m := found(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	commit := m.group.CommitIndex()
	if _, err := m.propose(ended, tick(t, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	if _, err := m.propose(past, tick(t, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline in the past: %v", err)
	}
	if m.group.CommitIndex() != commit {
		t.Error("it was proposed all the same")
	}
}

// The way of a group: one founds it, others receive, then vote; a leader stops,
// another takes over; the first comes back as a follower.
func TestThreeVoters(t *testing.T) {
	t.Parallel()
	gz := found(t)
	sz, th := newMember(t, "sz", gz.wires), newMember(t, "th", gz.wires)
	sz.start()
	th.start()

	for _, m := range []*member{sz, th, sz} { // one of them twice
		if err := gz.group.AddNonvoter(t.Context(), m.id); err != nil {
			t.Fatal(err)
		}
	}
	last := gz.apply(tick(t, 1))
	sz.reach(last)
	th.reach(last)
	if voters, others := sz.voters(); voters != 1 || others != 2 {
		t.Errorf("%d voters and %d others", voters, others)
	}
	if _, err := sz.propose(t.Context(), tick(t, 2)); bus.CodeOf(err) != bus.CodeNoLeader {
		t.Errorf("a write to a follower: %v", err)
	}
	if err := sz.group.Promote(t.Context(), "sz"); bus.CodeOf(err) != bus.CodeNoLeader {
		t.Errorf("a follower promotes itself: %v", err)
	}
	if leader, contact := th.group.Leader(), th.group.LastContact(); leader != "gz" || contact > patience {
		t.Errorf("led by %q, heard %v ago", leader, contact)
	}

	for _, id := range []bus.NodeID{"sz", "th"} {
		if err := gz.group.Promote(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := gz.group.AddNonvoter(t.Context(), "sz"); err != nil { // what it is it stays
		t.Error(err)
	}
	until(t, "no three voters", func() bool {
		voters, _ := th.voters()
		return voters == 3
	})

	gz.stop()
	var next, other *member
	until(t, "nobody took over", func() bool {
		switch sz.group.Leader() {
		case "sz":
			next, other = sz, th
		case "th":
			next, other = th, sz
		}
		return next != nil && next.group.Leader() == next.id
	})
	last = next.apply(tick(t, 3))
	other.reach(last)
	gz.start()
	gz.reach(last)
	if gz.hash() != sz.hash() || sz.hash() != th.hash() {
		t.Error("replicas differ")
	}

	// One of three that is alone commits nothing, and says so in time.
	other.stop()
	gz.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	if answer, err := next.propose(ctx, tick(t, 4)); err == nil {
		t.Errorf("one of three committed an entry: %+v", answer)
	}
	if waited := time.Since(start); waited > 5*time.Second {
		t.Errorf("it took %v", waited)
	}
	if err := next.group.AddNonvoter(ctx, "new"); err == nil {
		t.Error("one of three changed the membership")
	}
	_ = next.store.View(func(tx *state.Tx) error {
		if !tx.Tick().Equal(time.Unix(3, 0)) {
			t.Errorf("its newest tick is %v", tx.Tick())
		}
		return nil
	})
}

// A member that is far behind gets a snapshot from the leader.
func TestANewMemberIsSeededBySnapshot(t *testing.T) {
	t.Parallel()
	gz := found(t)
	gz.apply(tick(t, 1))
	if err := gz.group.Snapshot(); err != nil {
		t.Fatal(err)
	}
	gz.stop()
	gz.loseFile("raft/log.db") // the log that led to the snapshot is gone
	gz.start()
	gz.lead()
	last := gz.apply(tick(t, 2))

	sz := newMember(t, "sz", gz.wires)
	sz.start()
	if err := gz.group.AddNonvoter(t.Context(), "sz"); err != nil {
		t.Fatal(err)
	}
	sz.reach(last)
	if sz.restored != 1 || sz.hash() != gz.hash() {
		t.Errorf("restored %d times", sz.restored)
	}
	sz.stop()
	sz.start()
	sz.reach(gz.apply(tick(t, 3)))
	if sz.restored != 1 {
		t.Error("after a restart it was restored again")
	}
}

// A voter gives up its vote and leaves; the lead goes to another before.
func TestMembersLeaveTheGroup(t *testing.T) {
	t.Parallel()
	gz := found(t)
	members := map[bus.NodeID]*member{"gz": gz}
	for _, id := range []bus.NodeID{"sz", "fs"} {
		m := newMember(t, id, gz.wires)
		m.start()
		members[id] = m
		ok(t, gz.group.AddNonvoter(t.Context(), id))
		m.reach(gz.apply(tick(t, 1)))
		ok(t, gz.group.Promote(t.Context(), id))
	}
	ok(t, gz.group.TransferLeadership(t.Context(), "fs"))
	fs := members["fs"]
	fs.lead()
	if err := gz.group.Demote(t.Context(), "sz"); bus.CodeOf(err) != bus.CodeNoLeader {
		t.Errorf("a follower demotes: %v", err)
	}
	ok(t, fs.group.Demote(t.Context(), "gz"))
	until(t, "gz still votes", func() bool { v, n := fs.voters(); return v == 2 && n == 1 })
	gz.reach(fs.apply(tick(t, 2))) // it still receives the log
	if len(fs.group.Silences()) > 0 || gz.group.Silences() != nil {
		t.Errorf("silent are %v", fs.group.Silences())
	}
	gz.stop()
	until(t, "nobody misses gz", func() bool { return fs.group.Silences()["gz"] > 0 })
	gz.start()
	until(t, "gz is missed for ever", func() bool { return len(fs.group.Silences()) == 0 })
	ok(t, fs.group.Remove(t.Context(), "gz"))
	until(t, "gz is still a member", func() bool { v, n := fs.voters(); return v == 2 && n == 0 })
	term := fs.group.Term()
	fs.apply(tick(t, 3))
	if fs.group.Term() != term {
		t.Errorf("the term went from %d to %d", term, fs.group.Term())
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
