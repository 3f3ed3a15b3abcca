// Package consensus runs this node's part of the hashicorp/raft group: its
// stores on disk, its membership, its leadership.
//
// It orders bytes and knows nothing of what they mean. A raft server's address
// is its node id: where a node is reached is the peer plane's business, so that
// a changed address needs no change of membership.
package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/hashicorp/raft"
	boltstore "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// Config says how to run the group's part on this node.
type Config struct {
	ID      bus.NodeID
	Dir     string // holds log.db and snapshots/
	Streams raft.StreamLayer
	FSM     raft.FSM
	Applied bus.Revision // what the state machine has already
	// Committed is an index up to which the log is known to be committed. Where it is
	// beyond Applied, the state machine lost what it had in a power cut, and gets it
	// again before the group starts, so that it needs no leader to show it.
	Committed bus.Revision
	// Heartbeat is how long a member goes without word from the leader before it
	// stands for election; default 1 s. The leader speaks to each member some thirty
	// times in that time, so that it is also what an idle group costs.
	Heartbeat time.Duration
	Logger    *slog.Logger
	Halt      func(error) // brings the node down when the log cannot be written
}

const (
	transportPool    = 3
	transportTimeout = 10 * time.Second
	keptSnapshots    = 2
	logCache         = 512
)

// Group is the running part.
type Group struct {
	raft      *raft.Raft
	transport *raft.NetworkTransport
	log       *boltstore.BoltStore
	id        bus.NodeID
	contacts  *contacts
}

// ErrLogLost means that the log on disk ends before what the state machine has
// applied: log.db and snapshots/ were lost, or put back from an older copy. Such
// a node has forgotten its votes and would skip new entries as applied before.
var ErrLogLost = errors.New("the raft log ends before what the directory has applied")

// Open starts the group's part. A node whose log is empty waits for a leader to
// find it, unless Bootstrap is called.
func Open(c Config) (*Group, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("raft directory: %w", err)
	}
	logger := newLogger(c.Logger)
	log, err := boltstore.New(boltstore.Options{
		Path:                    filepath.Join(c.Dir, "log.db"),
		BoltOptions:             &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true},
		MsgpackUseNewTimeFormat: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open raft log: %w", err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(c.Dir, keptSnapshots, logger)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshots: %w", err), log.Close())
	}
	if err := reaches(log, snapshots, max(c.Applied, c.Committed)); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	applied, err := rebuild(c, log, snapshots)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build the state again from the log: %w", err), log.Close())
	}
	durable := haltingStore{log, c.Halt}
	cached, err := raft.NewLogCache(logCache, durable)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: c.Streams, MaxPool: transportPool, Timeout: transportTimeout, Logger: logger,
	})
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(c.ID)
	if c.Heartbeat > 0 {
		config.HeartbeatTimeout, config.ElectionTimeout = c.Heartbeat, c.Heartbeat
		config.LeaderLeaseTimeout, config.CommitTimeout = c.Heartbeat/2, c.Heartbeat/20
	}
	config.Logger = logger
	config.ShutdownOnRemove = false // whether the node goes on is decided above
	config.NoSnapshotRestoreOnStart = holds(applied, snapshots)
	r, err := raft.NewRaft(config, c.FSM, cached, durable, snapshots, transport)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start raft: %w", err), transport.Close(), log.Close())
	}
	return &Group{raft: r, transport: transport, log: log, id: c.ID, contacts: watchContacts(r)}, nil
}

// reaches returns ErrLogLost where log and snapshots together end before applied.
func reaches(log raft.LogStore, snapshots raft.SnapshotStore, applied bus.Revision) error {
	last, err := log.LastIndex()
	if err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	list, err := snapshots.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	if len(list) > 0 {
		last = max(last, list[0].Index)
	}
	if last < uint64(applied) {
		return fmt.Errorf("%w: %d before %d", ErrLogLost, last, applied)
	}
	return nil
}

// holds reports whether a state machine at applied has all that the newest
// snapshot has. If it has not (its file was lost), the snapshot must be restored,
// for the log that led to it is gone.
func holds(applied bus.Revision, snapshots raft.SnapshotStore) bool {
	list, err := snapshots.List()
	return err == nil && (len(list) == 0 || uint64(applied) >= list[0].Index)
}

// haltingStore brings the node down when raft's log cannot be written: after a
// failed fsync nobody knows what is on the disk.
type haltingStore struct {
	*boltstore.BoltStore
	halt func(error)
}

func (s haltingStore) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

func (s haltingStore) StoreLogs(logs []*raft.Log) error { return s.check(s.BoltStore.StoreLogs(logs)) }

func (s haltingStore) DeleteRange(first, last uint64) error {
	return s.check(s.BoltStore.DeleteRange(first, last))
}

func (s haltingStore) Set(key, value []byte) error { return s.check(s.BoltStore.Set(key, value)) }

func (s haltingStore) SetUint64(key []byte, value uint64) error {
	return s.check(s.BoltStore.SetUint64(key, value))
}

func (s haltingStore) check(err error) error {
	if err != nil {
		s.halt(fmt.Errorf("write raft log: %w", err))
	}
	return err
}

// Bootstrap makes this node the only voter of a new group. It does nothing on a
// node that has been in one.
func (g *Group) Bootstrap() error {
	err := g.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(g.id), Address: raft.ServerAddress(g.id),
	}}}).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return nil
	}
	return err
}

// Apply proposes an entry and returns the state machine's answer.
// bus.CodeNoLeader where this node does not lead; any other error leaves open
// whether the entry was committed.
func (g *Group) Apply(ctx context.Context, entry []byte) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	future := g.raft.Apply(entry, patience(ctx))
	if err := g.wait(ctx, future); err != nil {
		return nil, err
	}
	return future.Response(), nil
}

// Barrier returns once an entry that this node proposes now is committed and all
// before it is applied here; errors as of Apply. That proves that the node led
// after the call began.
func (g *Group) Barrier(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return g.wait(ctx, g.raft.Barrier(patience(ctx)))
}

// patience is how long raft may take to accept a request, for it knows no
// context: until ctx's deadline, at least a moment (0 would be for ever).
func patience(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 10 * time.Second
	}
	return max(time.Until(deadline), time.Millisecond)
}

// wait waits for a future, no longer than ctx.
func (g *Group) wait(ctx context.Context, future raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return bus.E(bus.CodeNoLeader).Because(err)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leader returns the leader's id, "" while there is none known.
func (g *Group) Leader() bus.NodeID {
	_, id := g.raft.LeaderWithID()
	return bus.NodeID(id)
}

// LeaderChanges tells of leadership gained (true) or lost (false) by this node.
func (g *Group) LeaderChanges() <-chan bool { return g.raft.LeaderCh() }

// LastContact is how long ago this node heard the leader; 0 on the leader. A
// node that has heard none since it started answers a very long time.
func (g *Group) LastContact() time.Duration {
	if g.raft.State() == raft.Leader {
		return 0
	}
	last := g.raft.LastContact()
	if last.IsZero() {
		return 365 * 24 * time.Hour
	}
	return time.Since(last)
}

// CommitIndex is the highest log index this node knows to be committed.
func (g *Group) CommitIndex() uint64 { return g.raft.CommitIndex() }

// AppliedIndex is the highest log index handed to the state machine.
func (g *Group) AppliedIndex() uint64 { return g.raft.AppliedIndex() }

// Close stops raft and closes its files.
func (g *Group) Close() error {
	err := g.raft.Shutdown().Error()
	g.contacts.close()
	return errors.Join(err, g.transport.Close(), g.log.Close())
}
