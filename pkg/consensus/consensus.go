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
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/storage"
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
	Fence     *Fence      // keeps out who was cut off by a recovery; nil: nobody
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
	running   atomic.Pointer[raft.Raft] // raft, for its own store to ask whether it leads
	stop      chan struct{}             // closed when the group closes
	contacts  *contacts
	growth    *growth
}

// ErrLogLost means that the log on disk ends before what the state machine has
// applied: log.db and snapshots/ were lost, or put back from an older copy. Such
// a node has forgotten its votes and would skip new entries as applied before.
var ErrLogLost = errors.New("the raft log ends before what the directory has applied")

// Open starts the group's part. A node whose log is empty waits for a leader to
// find it, unless Bootstrap is called.
func Open(c Config) (*Group, error) {
	log, snapshots, err := openStores(c.Dir, c.Logger)
	if err != nil {
		return nil, err
	}
	logger := newLogger(c.Logger)
	if err := reaches(log, snapshots, max(c.Applied, c.Committed)); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	applied, err := rebuild(c, log, snapshots)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build the state again from the log: %w", err), log.Close())
	}
	g := &Group{log: log, id: c.ID, stop: make(chan struct{})}
	if g.growth, err = measureGrowth(log, snapshots); err != nil {
		return nil, errors.Join(fmt.Errorf("measure the raft log: %w", err), log.Close())
	}
	durable := durableStore{log, c.Halt, &g.running, g.stop, g.growth}
	cached, err := raft.NewLogCache(logCache, durable)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	g.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: c.Fence.around(c.Streams), MaxPool: transportPool, Timeout: transportTimeout, Logger: logger,
	})
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(c.ID)
	if c.Heartbeat > 0 {
		config.HeartbeatTimeout, config.ElectionTimeout = c.Heartbeat, c.Heartbeat
		config.LeaderLeaseTimeout, config.CommitTimeout = c.Heartbeat/2, c.Heartbeat/20
	}
	config.Logger = logger
	config.SnapshotThreshold = math.MaxUint64 // growth says when
	config.ShutdownOnRemove = false           // whether the node goes on is decided above
	config.NoSnapshotRestoreOnStart = holds(applied, snapshots)
	if g.raft, err = raft.NewRaft(config, c.FSM, cached, durable, snapshots, newSeeded(g.transport, cached, snapshots, g.stop)); err != nil {
		close(g.stop)
		return nil, errors.Join(fmt.Errorf("start raft: %w", err), g.transport.Close(), log.Close())
	}
	g.running.Store(g.raft)
	g.contacts = watchContacts(g.raft)
	g.growth.follow(g.raft, cached, g.stop)
	c.Fence.watch(g.votes)
	return g, nil
}

const logFile = "log.db" // in the part's directory

func openStores(dir string, logger *slog.Logger) (*boltstore.BoltStore, raft.SnapshotStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("raft directory: %w", err)
	}
	log, err := boltstore.New(boltstore.Options{
		Path:                    filepath.Join(dir, logFile),
		BoltOptions:             &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true},
		MsgpackUseNewTimeFormat: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open raft log: %w", err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, newLogger(logger))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open snapshots: %w", err), log.Close())
	}
	return log, snapshots, nil
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
// bus.CodeNoLeader where this node does not lead, bus.CodeStorageFull where its
// disk has no room for the entry; any other error leaves open whether the entry
// was committed.
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
		if storage.Full(err) {
			return bus.E(bus.CodeStorageFull).Because(err)
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

// votes reports whether this node is a voter by the newest configuration it has.
func (g *Group) votes() bool {
	members, err := g.Members()
	return err != nil || Standing{Members: members}.Votes(g.id)
}

// CommitIndex is the highest log index this node knows to be committed.
func (g *Group) CommitIndex() uint64 { return g.raft.CommitIndex() }

// AppliedIndex is the highest log index handed to the state machine.
func (g *Group) AppliedIndex() uint64 { return g.raft.AppliedIndex() }

// Close stops raft and closes its files.
func (g *Group) Close() error {
	close(g.stop)
	err := g.raft.Shutdown().Error()
	g.contacts.close()
	g.growth.done.Wait()
	return errors.Join(err, g.transport.Close(), g.log.Close())
}

// Range is what this node keeps of the log, 0 and 0 for nothing, and the index of
// its newest snapshot.
func (g *Group) Range() (first, last, snapshot uint64) {
	stats := g.raft.Stats()
	number := func(key string) uint64 {
		n, _ := strconv.ParseUint(stats[key], 10, 64) // raft's own numbers
		return n
	}
	first, _ = g.log.FirstIndex() // an error shows as an empty log
	return first, number("last_log_index"), number("last_snapshot_index")
}
