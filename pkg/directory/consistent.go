package directory

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	readTimeout = 10 * time.Second // how long a read waits for its index
	askTimeout  = 2 * time.Second  // how long one leader is asked; a paused one never answers
)

// Reach returns once this replica shows index. After ten seconds it is
// CodeUnavailable with a defect that tells how far the replica has come.
func (d *Directory) Reach(ctx context.Context, index bus.Revision) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := d.store.Wait(ctx, index)
	if err == nil {
		return nil
	}
	applied, _ := d.store.Applied()
	return bus.E(bus.CodeUnavailable, bus.Defect{
		Field:   "min-index",
		Problem: bus.Text{ZH: "本节点副本尚未到达该位置", EN: "this node's replica has not come so far yet"},
		Allowed: "≤ " + strconv.FormatUint(uint64(applied), 10),
	}).Because(err)
}

// Consistent returns once this replica shows every write that was acknowledged
// anywhere before the call: what is read from it afterwards is linearizable.
// CodeNoLeader where no leader could prove in ten seconds that it is one.
func (d *Directory) Consistent(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for {
		index, err := d.askIndex(ctx)
		if err == nil {
			return d.Reach(ctx, index)
		}
		if refusal, ok := errors.AsType[*bus.Error](err); ok && refusal.Code.Kind() != bus.KindUnavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return bus.E(bus.CodeNoLeader).Because(err)
		case <-time.After(retryPause):
		}
	}
}

// askIndex asks whoever leads, as this node sees it, for the read index.
func (d *Directory) askIndex(ctx context.Context) (bus.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	switch leader := d.consensus.Leader(); leader {
	case "":
		return 0, bus.E(bus.CodeNoLeader)
	case d.self:
		return d.ReadIndex(ctx)
	default:
		return d.forwarder.ReadIndex(ctx, leader)
	}
}

// ReadIndex returns, on the leader, an index at which every write shows that was
// acknowledged anywhere before the call.
//
// That this node leads is proven by an entry of its own that a majority takes
// after the call began: none but the present leader can commit one, and all that
// was committed before it is then applied here. Reads that come in together share
// an entry. ADR 0010 tells why raft's VerifyLeader does not do.
func (d *Directory) ReadIndex(ctx context.Context) (bus.Revision, error) {
	return d.barriers.next(ctx, func() (bus.Revision, error) {
		// The barrier is also for those who joined it: it outlives the one who runs it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		if err := d.consensus.Barrier(ctx); err != nil {
			return 0, unavailable(err)
		}
		applied, _ := d.store.Applied()
		return applied, nil
	})
}

// barriers runs one barrier at a time. Who asks while one is under way waits for
// the next: that one may have begun before a write which must be seen.
type barriers struct {
	turn chan struct{} // holds one while a barrier is under way

	mu      sync.Mutex
	waiting *barrier // the next one, until it begins; nil where nobody waits
}

type barrier struct {
	done  chan struct{} // closed when the following are set
	index bus.Revision
	err   error
}

// next returns what the first barrier that begins after the call gives. The first
// who waits for a barrier runs it.
func (b *barriers) next(ctx context.Context, run func() (bus.Revision, error)) (bus.Revision, error) {
	b.mu.Lock()
	mine := b.waiting
	first := mine == nil
	if first {
		mine = &barrier{done: make(chan struct{})}
		b.waiting = mine
	}
	b.mu.Unlock()
	if first {
		b.turn <- struct{}{}
		b.mu.Lock()
		b.waiting = nil
		b.mu.Unlock()
		mine.index, mine.err = run()
		<-b.turn
		close(mine.done)
	}
	select {
	case <-mine.done:
		return mine.index, mine.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
