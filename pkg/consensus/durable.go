package consensus

import (
	"fmt"
	"sync/atomic"

	"github.com/gxbus/gxbus/pkg/storage"
	"github.com/hashicorp/raft"
	boltstore "github.com/hashicorp/raft-boltdb/v2"
)

// durableStore is raft's log and its votes on the disk. A write that fails brings
// the node down, for nobody knows then what is on the disk; but for a full disk,
// which leaves the file as it was:
//
//   - A leader is told, steps down, and acknowledges nothing: another may have room.
//   - A follower waits. Raft may have cut its log back just before, and would go on
//     with a wrong idea of its end if the append failed.
//   - Terms and votes wait too: raft panics over a term that it cannot keep, and a
//     vote that was given must never be given twice.
type durableStore struct {
	*boltstore.BoltStore
	halt  func(error)
	group *atomic.Pointer[raft.Raft] // nil before it runs
	stop  <-chan struct{}            // closed when the group closes
	grown *growth
}

func (s durableStore) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

func (s durableStore) StoreLogs(logs []*raft.Log) error {
	write := func() error {
		err := s.BoltStore.StoreLogs(logs)
		if err == nil {
			s.grown.stored(logs)
		}
		return err
	}
	if r := s.group.Load(); r != nil && r.State() == raft.Leader {
		return s.check(write())
	}
	return s.check(storage.UntilRoom(s.stop, nil, write))
}

func (s durableStore) DeleteRange(first, last uint64) error {
	return s.check(s.BoltStore.DeleteRange(first, last))
}

func (s durableStore) Set(key, value []byte) error {
	return s.check(storage.UntilRoom(s.stop, nil, func() error { return s.BoltStore.Set(key, value) }))
}

// keyCurrentTerm is raft's own name for the term.
const keyCurrentTerm = "CurrentTerm"

func (s durableStore) SetUint64(key []byte, value uint64) error {
	err := s.check(storage.UntilRoom(s.stop, nil, func() error { return s.BoltStore.SetUint64(key, value) }))
	if storage.Full(err) && string(key) == keyCurrentTerm {
		return nil // the group is closing, and raft would panic; no vote is given in this term, for that could not be kept either
	}
	return err
}

func (s durableStore) check(err error) error {
	if err != nil && !storage.Full(err) {
		s.halt(fmt.Errorf("write raft log: %w", err))
	}
	return err
}
