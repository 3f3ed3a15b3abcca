package consensus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/hashicorp/raft"
	boltstore "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// Standing is what a stopped node's part of the group has on the disk.
type Standing struct {
	First    uint64   `json:"first"`    // log entries that are kept, 0 and 0 for none
	Last     uint64   `json:"last"`     //
	Snapshot uint64   `json:"snapshot"` // index of the newest, 0 for none
	Term     uint64   `json:"term"`     // the newest that it knows
	Members  []Member `json:"members"`  // by its newest configuration, committed or not
}

// End is the last index that log and snapshot reach.
func (s Standing) End() uint64 { return max(s.Last, s.Snapshot) }

// Votes reports whether a node is a voter.
func (s Standing) Votes(id bus.NodeID) bool {
	for _, m := range s.Members {
		if m.ID == id {
			return m.Voter
		}
	}
	return false
}

// Inspect reads the part of a node that is not running, and writes nothing; an
// error that is os.ErrNotExist where there is none.
func Inspect(dir string) (s Standing, err error) {
	path := filepath.Join(dir, logFile)
	if _, err := os.Stat(path); err != nil {
		return s, err
	}
	log, err := boltstore.New(boltstore.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: time.Second, ReadOnly: true}, MsgpackUseNewTimeFormat: true})
	if err != nil {
		return s, fmt.Errorf("open raft log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if _, err := os.Stat(filepath.Join(dir, "snapshots")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, err
	} else if err == nil {
		snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, newLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			return s, fmt.Errorf("open snapshots: %w", err)
		}
		if err := s.readSnapshots(snapshots); err != nil {
			return s, err
		}
	}
	return s, s.readLog(log)
}

func (s *Standing) readSnapshots(store raft.SnapshotStore) error {
	list, err := store.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	if len(list) > 0 {
		s.Snapshot = list[0].Index
		s.Members = membersOf(list[0].Configuration)
	}
	return nil
}

func (s *Standing) readLog(log *boltstore.BoltStore) (err error) {
	if s.First, err = log.FirstIndex(); err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	if s.Last, err = log.LastIndex(); err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	if s.Term, err = log.GetUint64([]byte(keyCurrentTerm)); err != nil && !errors.Is(err, boltstore.ErrKeyNotFound) {
		return fmt.Errorf("read term: %w", err)
	}
	for index := max(s.First, s.Snapshot+1); index <= s.Last && index > 0; index++ {
		var entry raft.Log
		if err := log.GetLog(index, &entry); err != nil {
			return fmt.Errorf("read raft log at %d: %w", index, err)
		}
		if entry.Type == raft.LogConfiguration {
			s.Members = membersOf(raft.DecodeConfiguration(entry.Data))
		}
	}
	return nil
}

func membersOf(c raft.Configuration) []Member {
	var members []Member
	for _, server := range c.Servers {
		members = append(members, Member{bus.NodeID(server.ID), server.Suffrage == raft.Voter})
	}
	return members
}

// Seed writes the part of a node that is the only voter of a new group, whose
// state machine is at index already; state writes its snapshot. dir must hold no
// part yet.
func Seed(dir string, id bus.NodeID, index bus.Revision, state func(io.Writer) error) (err error) {
	if _, err := os.Stat(filepath.Join(dir, logFile)); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s holds a part of a group already", dir), err)
	}
	log, snapshots, err := openStores(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := log.SetUint64([]byte(keyCurrentTerm), 1); err != nil {
		return fmt.Errorf("write term: %w", err)
	}
	return snapshot(snapshots, uint64(index), 1, alone(id, nil), state)
}

// releasing lets go of a snapshot once it is written, which RecoverCluster does not.
type releasing struct{ raft.FSM }

func (f releasing) Snapshot() (raft.FSMSnapshot, error) {
	s, err := f.FSM.Snapshot()
	return released{s}, err
}

type released struct{ raft.FSMSnapshot }

func (s released) Persist(sink raft.SnapshotSink) error {
	defer s.Release()
	return s.FSMSnapshot.Persist(sink)
}

// alone is the configuration of one voter; others only follow.
func alone(id bus.NodeID, followers []bus.NodeID) raft.Configuration {
	c := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)}}}
	for _, f := range followers {
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Nonvoter, ID: raft.ServerID(f), Address: raft.ServerAddress(f)})
	}
	return c
}

// snapshot writes one into the store.
func snapshot(store raft.SnapshotStore, index, term uint64, c raft.Configuration, state func(io.Writer) error) error {
	_, transport := raft.NewInmemTransport("")
	sink, err := store.Create(raft.SnapshotVersionMax, index, term, c, index, transport)
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	if err := state(sink); err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Recovery says how the last voter goes on alone.
type Recovery struct {
	ID  bus.NodeID
	Dir string
	FSM raft.FSM
	// Leap moves the state machine's index beyond any that the group can have come
	// to and returns it, with what writes the state's snapshot. Followers then take
	// the whole state from this node: entries that they have and it has not are gone.
	Leap   func() (bus.Revision, func(io.Writer) error, error)
	Logger *slog.Logger
}

// Recover makes a stopped node the only voter of its group, after the other voters
// are lost for good; every other member only follows. Every entry of the log is
// taken as committed. It may be repeated after it was cut off, and the node must
// not be started before it has returned nil.
//
// The other voters know nothing of it: see [Fence].
func Recover(r Recovery) (err error) {
	before, err := Inspect(r.Dir)
	if err != nil {
		return err
	}
	log, snapshots, err := openStores(r.Dir, r.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var followers []bus.NodeID
	for _, m := range before.Members {
		if m.ID != r.ID {
			followers = append(followers, m.ID)
		}
	}
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(r.ID)
	config.Logger = newLogger(r.Logger)
	_, transport := raft.NewInmemTransport(raft.ServerAddress(r.ID))
	if err := raft.RecoverCluster(config, releasing{r.FSM}, log, log, snapshots, transport, alone(r.ID, followers)); err != nil {
		return fmt.Errorf("recover the group: %w", err)
	}
	index, state, err := r.Leap()
	if err != nil {
		return err
	}
	term := max(before.Term, 1)
	return snapshot(snapshots, uint64(index), term, alone(r.ID, followers), state)
}
