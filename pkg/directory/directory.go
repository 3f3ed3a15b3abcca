// Package directory is the replicated shared resource directory (政务数据目录):
// one raft group over all nodes, each with a full replica in bbolt.
//
// Writes are linearizable: they go to the leader from whichever node takes them,
// and carry the revision they expect and a request id that makes a repeat safe.
// Reads are local and say at which index, and how old, they are. The log's
// entries are in package command, the tables and rules in package state; this
// package joins the two to raft and to the forwarding of writes.
package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Consensus orders entries. Apply proposes one and returns the state machine's
// answer once it is committed and applied; on a node that does not lead it
// answers bus.CodeNoLeader, as does Barrier: that returns once an entry of its own
// is committed and all before it is applied.
type Consensus interface {
	Apply(ctx context.Context, entry []byte) (answer any, err error)
	Barrier(ctx context.Context) error
	Leader() bus.NodeID // "" while there is none
	LastContact() time.Duration
}

// Forwarder asks another node: Forward takes an entry to the leader's Accept,
// ReadIndex asks for the leader's ReadIndex.
type Forwarder interface {
	Forward(ctx context.Context, leader bus.NodeID, entry []byte) (state.Result, error)
	ReadIndex(ctx context.Context, leader bus.NodeID) (bus.Revision, error)
}

// Directory is this node's part of the directory.
type Directory struct {
	self      bus.NodeID
	store     *state.Store
	consensus Consensus
	forwarder Forwarder
	now       func() time.Time
	room      func() error // nil: never full
	flights   flights
	barriers  barriers
}

// New joins a replica to the group that orders its writes.
func New(self bus.NodeID, store *state.Store, consensus Consensus, forwarder Forwarder, now func() time.Time) *Directory {
	return &Directory{
		self: self, store: store, consensus: consensus, forwarder: forwarder, now: now,
		flights: flights{turn: make(chan struct{}, atOnce)}, barriers: barriers{turn: make(chan struct{}, 1)},
	}
}

// Guard refuses writes while room returns an error, before they enter the log:
// those that come in at this node, and on the leader those of all. To be called
// before the first write.
func (d *Directory) Guard(room func() error) { d.room = room }

// fits asks for room for a write. Revocations and suspensions pass as long as the disk takes them:
// to refuse one would leave data flowing. Ticks and checkpoints pass too, for
// without them the replicas of nodes that have room would count as old.
func (d *Directory) fits(t command.Type) error {
	switch t {
	case command.GrantRevoke, command.GrantStop, command.Tick, command.CheckpointPut:
		return nil
	}
	if d.room == nil {
		return nil
	}
	return d.room()
}

const (
	writeTimeout = 10 * time.Second       // how long a write looks for a leader
	retryPause   = 100 * time.Millisecond // between two looks
)

// Write puts e through the log and returns its result once this replica shows
// it. A refusal is a *bus.Error; CodeNoLeader means that nobody could take the
// write in time, and that to repeat it with the same request id is safe.
func (d *Directory) Write(ctx context.Context, e command.Entry) (state.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := d.fits(e.Type); err != nil {
		return state.Result{}, err
	}
	if e.Request == "" {
		e.Request = rand.Text() // our own retries below must not write twice
	}
	for {
		result, err := d.propose(ctx, e)
		if err == nil {
			return d.settle(ctx, result)
		}
		if refusal, ok := errors.AsType[*bus.Error](err); ok && refusal.Code.Kind() != bus.KindUnavailable {
			return state.Result{}, err
		}
		select {
		case <-ctx.Done():
			return state.Result{}, bus.E(bus.CodeNoLeader).Because(err)
		case <-time.After(retryPause):
		}
	}
}

// settle waits until this replica shows the write.
func (d *Directory) settle(ctx context.Context, result state.Result) (state.Result, error) {
	if err := result.Err(); err != nil {
		return state.Result{}, err
	}
	if err := d.store.Wait(ctx, result.Index); err != nil {
		return state.Result{}, bus.E(bus.CodeUnavailable, bus.Defect{Problem: bus.Text{
			ZH: "已写入，但本节点副本尚未同步", EN: "written, but this node's replica has not caught up yet",
		}}).Because(err)
	}
	return result, nil
}

func (d *Directory) propose(ctx context.Context, e command.Entry) (state.Result, error) {
	leader := d.consensus.Leader()
	switch leader {
	case "":
		return state.Result{}, bus.E(bus.CodeNoLeader)
	case d.self:
		return d.order(ctx, d.self, e)
	}
	data, err := e.Encode()
	if err != nil {
		return state.Result{}, err
	}
	return d.forwarder.Forward(ctx, leader, data)
}

// Accept takes an entry on the leader that the node from forwards.
func (d *Directory) Accept(ctx context.Context, from bus.NodeID, data []byte) (state.Result, error) {
	e, err := command.Decode(data)
	if err != nil {
		return state.Result{}, bus.E(bus.CodeInvalid).Because(err)
	}
	return d.order(ctx, from, e)
}

// order puts an entry through the log. The leader's clock and the true origin go
// into it, whatever the entry says.
func (d *Directory) order(ctx context.Context, from bus.NodeID, e command.Entry) (state.Result, error) {
	if err := state.Known(e); err != nil { // once in the log it would stop every node
		return state.Result{}, bus.E(bus.CodeInvalid).Because(err)
	}
	if err := d.fits(e.Type); err != nil {
		return state.Result{}, err
	}
	e.At, e.Node = d.now().UTC(), from
	if e.Principal.Node != "" && e.Principal.Node != from {
		return state.Result{}, bus.E(bus.CodeForbidden)
	}
	if err := d.vouched(from, e); err != nil {
		return state.Result{}, err
	}
	data, err := e.Encode()
	if err != nil {
		return state.Result{}, err
	}
	return d.flights.board(ctx, data, func(entries [][]byte) ([]state.Result, error) {
		// The entries of others are on it: it outlives the one who runs it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer cancel()
		return d.apply(ctx, entries)
	})
}

// vouched refuses an entry in the name of somebody for whom the node from does not
// vouch: see state.Tx.VouchEntry. The leader lets its own accounts in whatever its place.
func (d *Directory) vouched(from bus.NodeID, e command.Entry) error {
	if from == d.self && e.Principal.Department == "" {
		return nil
	}
	return d.store.View(func(tx *state.Tx) error { return tx.VouchEntry(from, e) })
}

// apply puts entries through the log as one and returns what became of each.
func (d *Directory) apply(ctx context.Context, entries [][]byte) ([]state.Result, error) {
	answer, err := d.consensus.Apply(ctx, command.Together(entries))
	if err != nil {
		return nil, unavailable(err)
	}
	switch answer := answer.(type) {
	case []state.Result:
		for _, result := range answer {
			if result.Index == 0 { // the replica had seen that index before: the log is not the one it was built from
				return nil, bus.E(bus.CodeInternal).Because(errors.New("the entry was skipped as applied before"))
			}
		}
		if len(answer) != len(entries) {
			return nil, bus.E(bus.CodeInternal).Because(fmt.Errorf("%d answers to %d entries", len(answer), len(entries)))
		}
		return answer, nil
	case error:
		return nil, bus.E(bus.CodeInternal).Because(answer)
	default:
		return nil, bus.E(bus.CodeInternal).Because(fmt.Errorf("state machine answered %T", answer))
	}
}

// unavailable gives an error of the log the code that says: repeat later.
func unavailable(err error) error {
	if bus.CodeOf(err) != bus.CodeInternal {
		return err
	}
	return bus.E(bus.CodeUnavailable).Because(err)
}

// View reads the local replica as of one index.
func (d *Directory) View(fn func(*state.Tx) error) error { return d.store.View(fn) }

// Applied returns the local index, and a channel closed once it has moved on.
func (d *Directory) Applied() (bus.Revision, <-chan struct{}) { return d.store.Applied() }

// Wait returns once the local index has reached index.
func (d *Directory) Wait(ctx context.Context, index bus.Revision) error {
	return d.store.Wait(ctx, index)
}

// Age is how old the local replica may be at most: the larger of the time since
// the leader was last heard and the age of the newest replicated tick, so up to
// TickPeriod on a node that is well. The first sees a cut link at once and needs
// no clock to agree; the second sees a replica that hears the leader but lags
// behind.
func (d *Directory) Age() (time.Duration, error) {
	var tick time.Time
	err := d.store.View(func(tx *state.Tx) error {
		tick = tx.Tick()
		return nil
	})
	if err != nil {
		return 0, err
	}
	return max(d.consensus.LastContact(), d.now().Sub(tick), 0), nil
}

// TickPeriod is how often the leader writes a tick.
const TickPeriod = 30 * time.Second

// RunTicks writes ticks while this node leads, until ctx ends.
func (d *Directory) RunTicks(ctx context.Context) {
	timer := time.NewTicker(TickPeriod / 6)
	defer timer.Stop()
	for {
		if d.consensus.Leader() == d.self && d.tickDue() {
			e, err := command.New(command.Tick, bus.Principal{Node: d.self}, "", 0, command.Empty{})
			if err == nil {
				_, err = d.Write(ctx, e)
			}
			_ = err // a leader that cannot write is about to be none; the age of the replicas tells
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

func (d *Directory) tickDue() bool {
	due := false
	_ = d.store.View(func(tx *state.Tx) error {
		due = d.now().Sub(tx.Tick()) >= TickPeriod
		return nil
	})
	return due
}
