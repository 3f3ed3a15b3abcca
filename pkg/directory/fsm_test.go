package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/internal/powercut"
	"github.com/hashicorp/raft"
)

func TestFSMAnswersEntryByEntry(t *testing.T) {
	store := openStore(t)
	fsm := directory.NewFSM(store, func(err error) { t.Error("halted: ", err) })
	answers := fsm.ApplyBatch([]*raft.Log{
		logOf(t, 5, initEntry(t)),
		{Index: 6, Type: raft.LogConfiguration, Data: []byte("not for the directory")},
		logOf(t, 7, initEntry(t)),
	})
	if first, ok := one(answers[0]); !ok || first.Index != 5 || first.Err() != nil {
		t.Errorf("the first entry: %+v", answers[0])
	}
	if answers[1] != nil {
		t.Errorf("a configuration entry: %+v", answers[1])
	}
	if third, ok := one(answers[2]); !ok || third.Index != 7 || bus.CodeOf(third.Err()) != bus.CodeAlreadyInitialized {
		t.Errorf("the third entry: %+v", answers[2])
	}
	if answer := fsm.Apply(&raft.Log{Index: 8, Type: raft.LogConfiguration}); answer != nil {
		t.Errorf("a configuration entry alone: %+v", answer)
	}
	if answer, ok := one(fsm.Apply(logOf(t, 9, tickEntry(t)))); !ok || answer.Index != 9 {
		t.Errorf("an entry alone: %+v", answer)
	}
	if applied, _ := store.Applied(); applied != 9 {
		t.Errorf("applied %d", applied)
	}
}

// one is the answer to a log entry that holds one entry of the directory.
func one(answer any) (state.Result, bool) {
	results, ok := answer.([]state.Result)
	if !ok || len(results) != 1 {
		return state.Result{}, false
	}
	return results[0], true
}

func TestJoinedEntriesAreAnsweredOneByOne(t *testing.T) {
	store := openStore(t)
	fsm := directory.NewFSM(store, func(err error) { t.Error("halted: ", err) })
	joined := &raft.Log{Index: 5, Type: raft.LogCommand, Data: command.Together([][]byte{
		logOf(t, 5, initEntry(t)).Data, logOf(t, 5, initEntry(t)).Data, logOf(t, 5, tickEntry(t)).Data,
	})}
	answers, ok := fsm.Apply(joined).([]state.Result)
	if !ok || len(answers) != 3 {
		t.Fatalf("answered %+v", answers)
	}
	for i, code := range []bus.Code{"", bus.CodeAlreadyInitialized, ""} {
		if answers[i].Index != 5 || bus.CodeOf(answers[i].Err()) != code {
			t.Errorf("entry %d is answered %+v", i, answers[i])
		}
	}
	for i, again := range fsm.Apply(joined).([]state.Result) {
		if again.Index != 0 {
			t.Errorf("entry %d was applied again: %+v", i, again)
		}
	}
}

// Raft counts an entry as applied whatever the answer was: after the halt no
// snapshot may claim what the state lacks.
func TestAHaltedFSMDoesNothingMore(t *testing.T) {
	store := openStore(t)
	var reasons []error
	fsm := directory.NewFSM(store, func(err error) { reasons = append(reasons, err) })
	fsm.Apply(logOf(t, 1, initEntry(t)))
	good := snapshotOf(t, fsm)

	unknown := &raft.Log{Index: 2, Type: raft.LogCommand, Data: []byte(`{"type":"moon.put","v":1}`)}
	answers := fsm.ApplyBatch([]*raft.Log{unknown, {Index: 3, Type: raft.LogConfiguration}, logOf(t, 4, tickEntry(t))})
	for _, i := range []int{0, 2} {
		if err, ok := answers[i].(error); !ok || !errors.Is(err, command.ErrUnknown) {
			t.Errorf("entry %d of the batch is answered %v", i, answers[i])
		}
	}
	for range 2 {
		if _, ok := fsm.Apply(logOf(t, 5, tickEntry(t))).(error); !ok {
			t.Error("a halted state machine applied an entry")
		}
	}
	fsm.Apply(unknown)
	if len(reasons) != 1 || !errors.Is(reasons[0], command.ErrUnknown) {
		t.Errorf("halt was called with %v", reasons)
	}
	if snapshot, err := fsm.Snapshot(); err == nil {
		snapshot.Release()
		t.Error("a halted state machine gave a snapshot")
	}
	closed := &stream{Reader: bytes.NewReader(good)}
	if err := fsm.Restore(closed); err == nil || !closed.closed {
		t.Errorf("a halted state machine took a snapshot: %v; closed: %v", err, closed.closed)
	}
	if applied, _ := store.Applied(); applied != 1 {
		t.Errorf("applied %d after the halt", applied)
	}
}

func TestFSMHaltsWhenTheDiskFails(t *testing.T) {
	store := openStore(t)
	halted := 0
	fsm := directory.NewFSM(store, func(error) { halted++ })
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := fsm.Apply(logOf(t, 1, initEntry(t))).(error); !ok || halted != 1 {
		t.Errorf("halted %d times", halted)
	}
}

func TestFSMSnapshotAndRestore(t *testing.T) {
	from, to := openStore(t), openStore(t)
	one := directory.NewFSM(from, func(err error) { t.Error(err) })
	other := directory.NewFSM(to, func(err error) { t.Error(err) })
	one.Apply(logOf(t, 3, initEntry(t)))
	good := snapshotOf(t, one)

	damaged := &stream{Reader: bytes.NewReader(good[:len(good)/2])}
	if err := other.Restore(damaged); err == nil || !damaged.closed {
		t.Errorf("half a snapshot was restored: %v; closed: %v", err, damaged.closed)
	}
	whole := &stream{Reader: bytes.NewReader(good)}
	if err := other.Restore(whole); err != nil || !whole.closed {
		t.Errorf("%v; closed: %v", err, whole.closed)
	}
	if applied, _ := to.Applied(); applied != 3 {
		t.Errorf("applied %d", applied)
	}
}

func TestASnapshotThatCannotBeWrittenIsCancelled(t *testing.T) {
	fsm := directory.NewFSM(openStore(t), func(err error) { t.Error(err) })
	snapshot, err := fsm.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Release()
	to := &sink{full: true}
	if err := snapshot.Persist(to); err == nil || !to.cancelled || to.closed {
		t.Errorf("%v; %+v", err, to)
	}
}

func snapshotOf(t *testing.T, fsm *directory.FSM) []byte {
	t.Helper()
	snapshot, err := fsm.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Release()
	to := &sink{}
	if err := snapshot.Persist(to); err != nil || !to.closed || to.cancelled {
		t.Fatalf("%v; %+v", err, to)
	}
	return to.Bytes()
}

func openStore(t *testing.T) *state.Store {
	t.Helper()
	store, err := state.Open(filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func initEntry(t *testing.T) command.Entry { return initWith(t, bus.Node{ID: "gz"}) }

func initWith(t *testing.T, n bus.Node) command.Entry {
	return entryOf(t, command.ClusterInit, bus.Principal{Node: "gz"}, command.Init{
		Cluster: "gd", Node: n,
		Accounts: []bus.Account{{Name: "sysadmin", Role: bus.RoleSystemAdministrator}},
	})
}

func tickEntry(t *testing.T) command.Entry {
	return entryOf(t, command.Tick, bus.Principal{Node: "gz"}, command.Empty{})
}

func entryOf(t *testing.T, typ command.Type, by bus.Principal, body any) command.Entry {
	t.Helper()
	e, err := command.New(typ, by, "", 0, body)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func logOf(t *testing.T, index uint64, e command.Entry) *raft.Log {
	t.Helper()
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Index: index, Type: raft.LogCommand, Data: data}
}

// stream tells whether it was closed.
type stream struct {
	io.Reader
	closed bool
}

func (s *stream) Close() error {
	s.closed = true
	return nil
}

// sink takes a snapshot into memory, or is full.
type sink struct {
	bytes.Buffer
	full, closed, cancelled bool
}

func (s *sink) Write(p []byte) (int, error) {
	if s.full {
		return 0, io.ErrShortWrite
	}
	return s.Buffer.Write(p)
}

func (s *sink) Close() error  { s.closed = true; return nil }
func (s *sink) Cancel() error { s.cancelled = true; return nil }
func (s *sink) ID() string    { return "sink" }

// S54: on a full disk a committed entry waits; it is neither answered nor skipped.
func TestFullDiskHoldsAnEntryUntilThereIsRoom(t *testing.T) {
	disk := powercut.Mount(t)
	store, err := state.Open(filepath.Join(disk.Dir, "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	fsm := directory.NewFSM(store, func(err error) { t.Error("halted: ", err) })
	founding := command.Init{Cluster: "gd", Node: bus.Node{ID: "gz"}, Accounts: []bus.Account{{Name: "secadmin", Role: bus.RoleSecurityAdministrator}}}
	for n := range uint64(1000) {
		founding.Divisions = append(founding.Divisions, bus.Division{Code: province(n)})
	}
	fsm.Apply(logOf(t, 1, entryOf(t, command.ClusterInit, bus.Principal{Node: "gz"}, founding)))
	free := disk.Fill(t, 0)
	answered := make(chan any)
	index := uint64(1)
	next := func() bool { // applies one more, and reports whether it had to wait
		index++
		go func() { answered <- fsm.Apply(logOf(t, index, bulky(t, index))) }()
		for {
			select {
			case answer := <-answered:
				if result, ok := one(answer); !ok || result.Index != bus.Revision(index) {
					t.Fatalf("entry %d is answered %+v", index, answer)
				}
				return false
			case <-time.After(20 * time.Millisecond):
				if fsm.Full() {
					return true
				}
			}
		}
	}
	for index < 500 && !next() {
	}
	if !fsm.Full() {
		t.Fatal("the disk is full and everything is applied")
	}
	if applied, _ := store.Applied(); uint64(applied) != index-1 {
		t.Errorf("applied %d, waiting for %d", applied, index)
	}
	free()
	if answer, ok := one(<-answered); !ok || answer.Index != bus.Revision(index) {
		t.Errorf("answered %+v once there is room", answer)
	}
	if fsm.Full() {
		t.Error("it still says that the disk is full")
	}

	free = disk.Fill(t, 0)
	defer free()
	for index < 999 && !next() {
	}
	fsm.Close()
	if err, ok := (<-answered).(error); !ok {
		t.Errorf("a wait that was called off is answered %v", err)
	}
	if applied, _ := store.Applied(); uint64(applied) != index-1 {
		t.Errorf("applied %d, entry %d was called off", applied, index)
	}
	if _, ok := fsm.Apply(logOf(t, index+1, tickEntry(t))).(error); !ok {
		t.Error("the entry after the one that was called off is applied")
	}
}

// bulky is an entry that takes 100 KiB more of the directory's file.
func bulky(t *testing.T, n uint64) command.Entry {
	return entryOf(t, command.LayerPut, bus.Principal{Account: "secadmin", Role: bus.RoleSecurityAdministrator}, bus.Layer{
		ID: bus.DivisionLayer(province(n)), Modules: map[string]string{"x.rego": strings.Repeat("#", 100<<10)},
	})
}

func province(n uint64) bus.DivisionCode { return bus.DivisionCode(fmt.Sprintf("%06d", 100_000+n)) }
