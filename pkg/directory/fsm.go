package directory

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/storage"
	"github.com/hashicorp/raft"
)

// FSM adapts the directory's state to raft: it passes log entries and snapshots
// through and adds nothing of its own.
//
// On a full disk it waits for room: nothing is applied, nothing answered, nothing
// skipped, and what was answered before stays readable.
//
// When an entry cannot be applied (a newer release's, a failing disk) the node
// must stop, for to skip it would make this replica differ: halt is called once
// with the reason, and from then on nothing is applied, restored or snapshot: a
// snapshot would carry an index that raft counts as applied and the state has not
// reached, and the entries between would be lost.
type FSM struct {
	store  *state.Store
	halt   func(error)
	halted atomic.Bool
	full   atomic.Bool
	close  sync.Once
	closed chan struct{}
}

var _ raft.BatchingFSM = (*FSM)(nil)

// NewFSM makes the state machine over store; halt must bring the node down.
func NewFSM(store *state.Store, halt func(error)) *FSM {
	return &FSM{store: store, halt: halt, closed: make(chan struct{})}
}

// Full reports whether a committed entry waits for room on the disk.
func (f *FSM) Full() bool { return f.full.Load() }

// Close ends a wait for room; from then on nothing is applied. To be called
// before raft is shut down, which waits for the state machine.
func (f *FSM) Close() { f.close.Do(func() { close(f.closed) }) }

var errHalted = errors.New("this node stopped applying directory entries")

// Apply applies one log entry and returns a []state.Result, one for each entry
// that was joined into it, or an error.
func (f *FSM) Apply(log *raft.Log) any { return f.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch applies log entries in one transaction; each is answered as by Apply.
func (f *FSM) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	var batch []state.Log
	ends := make([]int, len(logs)) // of each log entry's part of batch
	for i, log := range logs {
		if log.Type == raft.LogCommand { // configuration entries pass by too
			for _, data := range command.Split(log.Data) {
				batch = append(batch, state.Log{Index: log.Index, Data: data})
			}
		}
		ends[i] = len(batch)
	}
	results, err := f.apply(batch)
	begin := 0
	for i, end := range ends {
		switch {
		case end == begin: // not for the directory
		case err != nil:
			answers[i] = err
		default:
			answers[i] = results[begin:end:end]
		}
		begin = end
	}
	return answers
}

func (f *FSM) apply(batch []state.Log) ([]state.Result, error) {
	if f.halted.Load() {
		return nil, errHalted
	}
	if len(batch) == 0 {
		return nil, nil
	}
	var results []state.Result
	err := storage.UntilRoom(f.closed, f.full.Store, func() (err error) {
		results, err = f.store.Apply(batch)
		return err
	})
	switch {
	case errors.Is(err, storage.ErrStopped):
		f.halted.Store(true) // the next entry must not be applied without this one
	case err != nil:
		f.stop(err)
	}
	return results, err
}

func (f *FSM) stop(err error) {
	if f.halted.CompareAndSwap(false, true) {
		f.halt(err)
	}
}

// Snapshot pins the present state.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	if f.halted.Load() {
		return nil, errHalted
	}
	snapshot, err := f.store.Snapshot()
	if err != nil {
		return nil, err
	}
	return fsmSnapshot{snapshot}, nil
}

// Restore replaces the state by a snapshot from the leader.
func (f *FSM) Restore(r io.ReadCloser) error {
	if f.halted.Load() {
		return errors.Join(errHalted, r.Close())
	}
	return errors.Join(f.store.Restore(r), r.Close())
}

type fsmSnapshot struct{ *state.Snapshot }

// Persist writes the snapshot into raft's snapshot store.
func (s fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := s.WriteTo(sink); err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Release lets the pinned state go.
func (s fsmSnapshot) Release() { _ = s.Close() } // a read transaction: closing it twice is all that can fail
