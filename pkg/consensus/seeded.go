package consensus

import (
	"github.com/hashicorp/raft"
)

// seeded is the transport of a node whose log may begin behind its newest snapshot, as
// that of a node does which was seeded by one. raft looks in the log alone for the entry
// before those that its leader sends: a node that was ended after it had stored entries,
// and before the leader heard of it, would be sent the snapshot for ever.
type seeded struct {
	*raft.NetworkTransport
	log       raft.LogStore
	snapshots raft.SnapshotStore
	requests  chan raft.RPC
}

func newSeeded(t *raft.NetworkTransport, log raft.LogStore, snapshots raft.SnapshotStore, stop <-chan struct{}) *seeded {
	s := &seeded{NetworkTransport: t, log: log, snapshots: snapshots, requests: make(chan raft.RPC)}
	go s.run(stop)
	return s
}

// Consumer gives the requests of other nodes.
func (s *seeded) Consumer() <-chan raft.RPC { return s.requests }

func (s *seeded) run(stop <-chan struct{}) {
	for {
		select {
		case r := <-s.NetworkTransport.Consumer():
			if a, ok := r.Command.(*raft.AppendEntriesRequest); ok {
				s.follow(a)
			}
			select {
			case s.requests <- r:
			case <-stop:
				return
			}
		case <-stop:
			return
		}
	}
}

// follow leaves of a request what follows the snapshot, where the entry before it lies
// in the snapshot and not in the log. What a snapshot has is committed, so that every
// leader has the same (Raft, Leader Completeness); from the log's first entry on raft
// compares each.
func (s *seeded) follow(a *raft.AppendEntriesRequest) {
	if a.PrevLogEntry == 0 {
		return
	}
	var before raft.Log // mostly one of the newest, which are held in memory
	if err := s.log.GetLog(a.PrevLogEntry, &before); err == nil {
		return
	}
	first, err := s.log.FirstIndex()
	if err != nil || first == 0 || a.PrevLogEntry >= first {
		return
	}
	newest, err := s.snapshots.List()
	if err != nil || len(newest) == 0 || a.PrevLogEntry > newest[0].Index || first > newest[0].Index+1 {
		return
	}
	a.PrevLogEntry, a.PrevLogTerm = 0, 0
	for len(a.Entries) > 0 && a.Entries[0].Index < first {
		a.Entries = a.Entries[1:]
	}
}
