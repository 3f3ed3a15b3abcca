package consensus_test

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// province is three voters, gz leading, and ns that follows.
func province(t *testing.T) (gz, sz, th, ns *member) {
	t.Helper()
	gz = found(t)
	sz, th, ns = newMember(t, "sz", gz.wires), newMember(t, "th", gz.wires), newMember(t, "ns", gz.wires)
	for _, m := range []*member{sz, th, ns} {
		m.trusts = func(id bus.NodeID) bool { return id != "ns" }
		m.start()
		if err := gz.group.AddNonvoter(t.Context(), m.id); err != nil {
			t.Fatal(err)
		}
		m.reach(gz.apply(tick(t, 1)))
		if m != ns {
			if err := gz.group.Promote(t.Context(), m.id); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := gz.apply(tick(t, 2))
	for _, m := range []*member{sz, th, ns} {
		m.reach(last)
	}
	return gz, sz, th, ns
}

// recover makes a stopped member the only voter of a later generation.
func (m *member) recover() {
	m.t.Helper()
	if err := m.tryRecover(); err != nil {
		m.t.Fatal(err)
	}
	old, err := consensus.ReadGeneration(m.generation())
	if err != nil {
		m.t.Fatal(err)
	}
	if err := consensus.WriteGeneration(m.generation(), old.Next()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) tryRecover() error {
	store, err := state.Open(m.databasePath())
	if err != nil {
		return err
	}
	defer store.Close()
	return consensus.Recover(consensus.Recovery{
		ID: m.id, Dir: filepath.Join(m.dir, "raft"), FSM: directory.NewFSM(store, func(err error) { m.t.Error("halted: ", err) }),
		Leap: func() (bus.Revision, func(io.Writer) error, error) {
			index, err := store.Leap()
			return index, write(store), err
		},
		Logger: slog.New(slog.DiscardHandler),
	})
}

func write(store *state.Store) func(io.Writer) error {
	return func(w io.Writer) error {
		snapshot, err := store.Snapshot()
		if err != nil {
			return err
		}
		_, err = snapshot.WriteTo(w)
		return errors.Join(err, snapshot.Close())
	}
}

func (m *member) waitHalt(reason error) {
	m.t.Helper()
	select {
	case err := <-m.halted:
		if !errors.Is(err, reason) {
			m.t.Fatalf("%s stops for %v", m.id, err)
		}
	case <-time.After(patience):
		m.t.Fatalf("%s goes on", m.id)
	}
}

// The hard case of a lost quorum: two of three voters are given up, the third goes
// on, and the two come back, a majority of what they know.
func TestVotersThatWereGivenUpSplitNothing(t *testing.T) {
	t.Parallel()
	gz, sz, th, ns := province(t)
	before := gz.hash()
	for _, m := range []*member{gz, sz, th} {
		m.stop()
	}
	gz.recover()
	gz.start()
	gz.lead()
	if gz.hash() == before {
		t.Error("the applied index, at least, should be another")
	}
	if voters, others := gz.voters(); voters != 1 || others != 3 {
		t.Errorf("%d voters and %d others", voters, others)
	}
	last := gz.apply(tick(t, 3)) // writes go on
	ns.reach(last)               // and who only followed still does
	if ns.hash() != gz.hash() {
		t.Error("the follower's state is another")
	}
	if ns.fence.Generation() != gz.fence.Generation() || gz.fence.Generation().Number != 1 {
		t.Errorf("generations %+v and %+v", ns.fence.Generation(), gz.fence.Generation())
	}

	sz.start()
	th.start()
	sz.waitHalt(consensus.ErrCutOff)
	th.waitHalt(consensus.ErrCutOff)
	if gz.group.Leader() != "gz" {
		t.Errorf("led by %q", gz.group.Leader())
	}
	ns.reach(gz.apply(tick(t, 4)))
	if ns.hash() != gz.hash() {
		t.Error("the follower's state is another after they came back")
	}
	noHalt(t, gz)
	noHalt(t, ns)
	for _, m := range []*member{sz, th} {
		m.stop()
		select {
		case <-m.halted: // it met more than one stream of the later generation
		default:
		}
	}

	// With its replica given up, and the generation known, one comes back as who follows.
	for _, file := range []string{"raft", "directory.db", "directory.db.mark"} {
		sz.loseFile(file)
	}
	if err := consensus.WriteGeneration(sz.generation(), gz.fence.Generation()); err != nil {
		t.Fatal(err)
	}
	sz.start()
	sz.reach(gz.apply(tick(t, 5)))
	if sz.hash() != gz.hash() {
		t.Error("who came back has another state")
	}
	// And gives the one of old no vote.
	th.start()
	th.waitHalt(consensus.ErrCutOff)
	noHalt(t, sz)
}

// What a follower has that the recovered voter never got is gone everywhere, though
// it was applied there.
func TestAFollowerThatWasAheadTakesTheRecoveredState(t *testing.T) {
	t.Parallel()
	gz, sz, _, ns := province(t)
	sz.stop()
	ns.reach(gz.apply(tick(t, 3))) // sz never hears of it
	gz.stop()
	sz.recover()
	sz.start()
	sz.lead()
	last := sz.apply(tick(t, 4))
	until(t, "the follower is not brought over", func() bool {
		applied, _ := ns.store.Applied()
		return applied >= last && ns.hash() == sz.hash()
	})
}

func TestRecoverCanBeRepeated(t *testing.T) {
	t.Parallel()
	gz, sz, th, ns := province(t)
	for _, m := range []*member{gz, sz, th, ns} {
		m.stop()
	}
	gz.recover()
	if err := gz.tryRecover(); err != nil { // as after one that was cut off
		t.Fatal(err)
	}
	gz.start()
	gz.lead()
	gz.apply(tick(t, 3))
	standing := inspect(t, gz)
	if standing.Votes("sz") || !standing.Votes("gz") || len(standing.Members) != 4 {
		t.Errorf("%+v", standing)
	}
}

// Two recoveries that know nothing of each other never meet as one.
func TestTwoRecoveriesDoNotSpeak(t *testing.T) {
	t.Parallel()
	gz, sz, th, ns := province(t)
	for _, m := range []*member{gz, sz, th, ns} {
		m.stop()
	}
	gz.recover()
	sz.recover()
	gz.start()
	sz.start()
	gz.lead()
	sz.lead()
	one, two := gz.apply(tick(t, 3)), sz.apply(tick(t, 4))
	ns.start() // both ask for it; the first it hears keeps it
	until(t, "the follower follows nobody", func() bool { return ns.fence.Generation().Number == 1 })
	chosen, last := gz, one
	if ns.fence.Generation() == sz.fence.Generation() {
		chosen, last = sz, two
	}
	ns.reach(last)
	if ns.hash() != chosen.hash() {
		t.Error("it follows neither wholly")
	}
	noHalt(t, gz)
	noHalt(t, sz)
}

// A node that has no vote cannot cut others off by its word.
func TestOnlyAVotersWordCounts(t *testing.T) {
	t.Parallel()
	gz, sz, th, ns := province(t)
	ns.stop()
	ns.recover() // a node gone wrong, or taken over
	ns.start()
	ns.lead()
	ns.apply(tick(t, 9))
	last := gz.apply(tick(t, 3))
	sz.reach(last)
	th.reach(last)
	for _, m := range []*member{sz, th} {
		noHalt(t, m)
		if m.fence.Generation().Number != 0 {
			t.Errorf("%s believed it", m.id)
		}
	}
}

func TestSeedBeginsAGroupAtAnIndex(t *testing.T) {
	t.Parallel()
	gz := found(t)
	gz.apply(tick(t, 1))
	at, err := gz.store.Leap()
	if err != nil {
		t.Fatal(err)
	}
	hash := gz.hash()
	stream := write(gz.store)
	fresh := newMember(t, "gz", newWires())
	if err := consensus.Seed(filepath.Join(fresh.dir, "raft"), "gz", at, stream); err != nil {
		t.Fatal(err)
	}
	if err := consensus.Seed(filepath.Join(fresh.dir, "raft"), "gz", at, stream); err == nil {
		t.Error("a part was overwritten")
	}
	fresh.start() // without a directory file: it comes out of the snapshot
	fresh.lead()
	if fresh.restored != 1 || fresh.hash() != hash {
		t.Errorf("restored %d times", fresh.restored)
	}
	if next := fresh.apply(tick(t, 2)); next <= at {
		t.Errorf("the log goes on at %d after %d", next, at)
	}
}

func TestInspectReadsAStoppedPart(t *testing.T) {
	t.Parallel()
	gz, _, _, _ := province(t)
	last := gz.apply(tick(t, 3))
	gz.stop()
	standing := inspect(t, gz)
	if standing.End() < uint64(last) || standing.Term == 0 || len(standing.Members) != 4 || !standing.Votes("th") || standing.Votes("ns") || standing.Votes("xx") {
		t.Errorf("%+v", standing)
	}
	if _, err := consensus.Inspect(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	gz.start()
	if _, err := consensus.Inspect(filepath.Join(gz.dir, "raft")); err == nil {
		t.Error("a running part was read")
	}
}

func inspect(t *testing.T, m *member) consensus.Standing {
	t.Helper()
	m.stop()
	standing, err := consensus.Inspect(filepath.Join(m.dir, "raft"))
	if err != nil {
		t.Fatal(err)
	}
	return standing
}

func TestAGenerationIsReadAsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "generation.json")
	if g, err := consensus.ReadGeneration(path); err != nil || g != (consensus.Generation{}) {
		t.Errorf("no file: %+v, %v", g, err)
	}
	want := consensus.Generation{}.Next()
	if err := consensus.WriteGeneration(path, want); err != nil {
		t.Fatal(err)
	}
	if g, err := consensus.ReadGeneration(path); err != nil || g != want || want.Number != 1 || want == (consensus.Generation{}).Next() {
		t.Errorf("%+v, want %+v, %v", g, want, err)
	}
	if err := os.WriteFile(path, []byte(`{"number":3,"lineage":"abc"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := consensus.ReadGeneration(path); err == nil {
		t.Error("half a lineage was read")
	}
}
