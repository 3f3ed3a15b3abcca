package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
)

// resettle keeps a mover running for each department that this node has a duty
// for.
func (x *Exchange) resettle(ctx context.Context) {
	running := map[bus.USCC]chan struct{}{} // closed when the mover has ended
	var seen bus.Revision
	for {
		_, changed := x.Directory.Applied()
		due, now, err := x.due(seen)
		if seen = now; err != nil {
			x.Logger.Error("look for departments that move", "error", err)
			seen = 0 // they are looked for again with the next change
		}
		for _, id := range due {
			if ended, ok := running[id]; ok {
				select {
				case <-ended:
				default:
					continue
				}
			}
			ended := make(chan struct{})
			running[id] = ended
			x.workers.Go(func() {
				(&mover{x, id}).run(ctx)
				close(ended)
				poke(x.resettling)
			})
		}
		select {
		case <-changed:
		case <-x.resettling:
			seen = 0
		case <-ctx.Done():
			return
		}
	}
}

// due lists the departments that this node has a duty for, where the directory's
// departments have changed since revision before.
func (x *Exchange) due(before bus.Revision) (due []bus.USCC, now bus.Revision, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		if now = tx.Revision(state.Departments); now == before {
			return nil
		}
		return x.Store.View(func(btx *bbolt.Tx) error {
			for d := range tx.Departments() {
				if d.Move == nil && btx.Bucket(bucketHoldings).Get([]byte(d.ID)) == nil {
					continue
				}
				h, err := holdingOf(btx, d.ID)
				if err != nil {
					return err
				}
				home, _ := tx.Home(d)
				if dutyOf(x.Self, tx.Index(), d, home, h) != toRest {
					due = append(due, d.ID)
				}
			}
			return nil
		})
	})
	return due, now, err
}

// mover does this node's part in the moves of one department.
type mover struct {
	x  *Exchange
	id bus.USCC
}

func (m *mover) run(ctx context.Context) {
	pause := m.x.RetryMin
	for ctx.Err() == nil {
		done, err := m.step(ctx)
		switch {
		case done:
			return
		case err == nil:
			pause = m.x.RetryMin
			continue
		case ctx.Err() == nil:
			m.x.Logger.Warn("move", "department", m.id, "error", err, "retry_in", pause)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, m.x.RetryMax)
	}
}

// step does the present duty; done says that there is none.
func (m *mover) step(ctx context.Context) (done bool, err error) {
	var d bus.Department
	var todo duty
	var h holding
	err = m.x.Directory.View(func(tx *state.Tx) error {
		d, _ = tx.Department(m.id)
		home, _ := tx.Home(d)
		if h, err = m.holding(); err != nil {
			return err
		}
		todo = dutyOf(m.x.Self, tx.Index(), d, home, h)
		return nil
	})
	if err != nil || todo == toRest {
		return err == nil, err
	}
	m.x.Logger.Debug("move", "department", m.id, "duty", int(todo), "epoch", max(h.Move, h.Epoch))
	switch todo {
	case toSeal:
		return false, m.seal(ctx, d, h)
	case toTally:
		return false, m.tally(ctx, d, h)
	case toUnseal:
		return false, m.unseal(ctx, h)
	case toDisown:
		return false, m.become(ctx, h, holding{State: gone, Move: h.Move}, "abandoned: what is here of department "+string(m.id)+" is kept, never served")
	case toPrepare:
		return false, m.prepare(ctx, d, h)
	case toClear:
		return false, m.clear(ctx, h)
	case toFetch:
		return false, m.fetch(ctx, *d.Move, h)
	case toSettle:
		return false, m.settle(ctx, d, h)
	case toAnnounce:
		return false, m.announce(ctx, h)
	case toTidy:
		return false, m.become(ctx, h, holding{Epoch: h.Epoch}, "")
	default:
		return false, m.discard(ctx, h)
	}
}

func (m *mover) holding() (h holding, err error) {
	err = m.x.Store.View(func(tx *bbolt.Tx) error {
		h, err = holdingOf(tx, m.id)
		return err
	})
	return h, err
}

var errOvertaken = errors.New("the holding is not as it was read") // never: a department has one mover

// change replaces the holding was, with what else write does and the records of
// it, in one transaction.
func (m *mover) change(ctx context.Context, was holding, write func(*bbolt.Tx) (next holding, records []audit.Record, err error)) error {
	return m.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		now, err := holdingOf(tx, m.id)
		if err != nil {
			return err
		}
		if now.State != was.State || now.Epoch != was.Epoch || now.Move != was.Move || now.Done != was.Done {
			return errOvertaken
		}
		next, records, err := write(tx)
		if err != nil {
			return err
		}
		if next.New && next.State == gone {
			err = tx.Bucket(bucketHoldings).Delete([]byte(m.id))
		} else {
			err = next.put(tx, m.id)
		}
		if err != nil || len(records) == 0 {
			return err
		}
		return m.x.append(tx, records...)
	})
}

// become replaces the holding, with a line of evidence where detail has one.
func (m *mover) become(ctx context.Context, was, next holding, detail string) error {
	return m.change(ctx, was, func(*bbolt.Tx) (holding, []audit.Record, error) {
		return next, m.note(detail), nil
	})
}

func (m *mover) note(detail string) []audit.Record {
	if detail == "" {
		return nil
	}
	return []audit.Record{{Kind: audit.KindAdministered, Principal: bus.Principal{Node: m.x.Self}, Detail: detail}}
}

// seal ends all steps for the department here. What moves is listed in the same
// transaction, from a replica that knows of the move: every step before it was
// decided on one that did not, for else it was refused, so the list has all that
// they stored.
func (m *mover) seal(ctx context.Context, d bus.Department, h holding) error {
	return m.change(ctx, h, func(*bbolt.Tx) (holding, []audit.Record, error) {
		c, err := m.x.contents(m.id)
		next := holding{State: sealed, Epoch: h.Epoch, Move: d.Move.Epoch, Contents: &c, Abandoned: d.Abandoned}
		return next, m.note(fmt.Sprintf("department %s is sealed for move %d to node %s", m.id, d.Move.Epoch, d.Move.To)), err
	})
}

func (x *Exchange) contents(id bus.USCC) (c contents, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		c = contentsOf(tx, id)
		return nil
	})
	return c, err
}

func (m *mover) tally(ctx context.Context, d bus.Department, h holding) error {
	sum, err := m.x.count(ctx, *h.Contents)
	if err != nil {
		return err
	}
	return m.change(ctx, h, func(*bbolt.Tx) (holding, []audit.Record, error) {
		next := h
		next.Counted = &sum
		return next, sum.records(audit.KindMovedOut, m.id, m.x.Self, fmt.Sprintf("to node %s by move %d", d.Move.To, h.Move)), nil
	})
}

func (m *mover) unseal(ctx context.Context, h holding) error {
	return m.become(ctx, h, holding{Epoch: h.Epoch}, fmt.Sprintf("move %d of department %s was aborted: it is served here again", h.Move, m.id))
}

// prepare learns what will come. Of an abandoned department nothing does, but
// what an earlier stay has left must go all the same.
func (m *mover) prepare(ctx context.Context, d bus.Department, h holding) error {
	next := holding{State: importing, Epoch: h.Epoch, Move: d.Move.Epoch}
	if d.Move.Abandon {
		c, err := m.x.contents(m.id)
		if err != nil {
			return err
		}
		next.Contents = &c
	} else {
		parcel, err := m.x.Peers.Handover(ctx, d.Move.From, Handover{Department: m.id, Epoch: d.Move.Epoch})
		if err != nil {
			return fmt.Errorf("ask node %s what moves: %w", d.Move.From, err)
		}
		if parcel.Contents == nil || parcel.Counted == nil {
			return fmt.Errorf("node %s does not say what moves", d.Move.From)
		}
		if err := m.x.Directory.View(func(tx *state.Tx) error { return parcel.Contents.of(tx, m.id) }); err != nil {
			return fmt.Errorf("the list of node %s: %w", d.Move.From, err)
		}
		next.Contents, next.Counted = parcel.Contents, parcel.Counted
	}
	return m.change(ctx, h, func(tx *bbolt.Tx) (holding, []audit.Record, error) {
		next.New = d.Epoch == 0 && tx.Bucket(bucketHoldings).Get([]byte(m.id)) == nil
		return next, nil, nil
	})
}

// clear deletes what an earlier stay has left.
func (m *mover) clear(ctx context.Context, h holding) error {
	if err := m.remove(ctx, *h.Contents); err != nil {
		return err
	}
	next := h
	next.Cleared, next.At, next.Done = true, position{}, 0
	if h.Counted == nil { // an abandonment: nothing comes
		next.At = position{Part: partEnd}
	}
	return m.become(ctx, h, next, "")
}

// remove deletes all rows, a chunk a transaction; it can be done again.
func (m *mover) remove(ctx context.Context, c contents) error {
	for at := (position{}); !at.end(); {
		from := at
		err := m.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
			var rows []row
			rows, at = c.read(tx, from, nil)
			return c.remove(tx, rows)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch copies one chunk, where there is room for it: the old node says how much comes,
// and some room is for evidence (threat S54). Its rows and the position after them commit
// together.
func (m *mover) fetch(ctx context.Context, move bus.Move, h holding) error {
	if err := m.x.Room(); err != nil {
		return err
	}
	parcel, err := m.x.Peers.Handover(ctx, move.From, Handover{Department: m.id, Epoch: move.Epoch, At: &h.At})
	if err != nil {
		return fmt.Errorf("fetch from node %s: %w", move.From, err)
	}
	if err := parcel.check(h.At); err != nil {
		return fmt.Errorf("parcel from node %s: %w", move.From, err)
	}
	next := h
	next.At = parcel.Next
	for _, r := range parcel.Rows {
		next.Done += int64(len(r.Value))
	}
	return m.change(ctx, h, func(tx *bbolt.Tx) (holding, []audit.Record, error) {
		return next, nil, h.Contents.write(tx, m.x.arrivals, m.x.vaults(), parcel.Rows)
	})
}

// settle makes the department this node's own, if what is on its disk is what
// the old node counted; else it begins again. The directory does not know yet,
// so nothing is served yet.
func (m *mover) settle(ctx context.Context, d bus.Department, h holding) error {
	sum, err := m.x.count(ctx, *h.Contents)
	if err != nil {
		return err
	}
	if h.Counted != nil && sum.Digest != h.Counted.Digest {
		again := h
		again.Cleared, again.At, again.Done = false, position{}, 0
		return errors.Join(errors.New("what came differs from what was sent; it is fetched again"), m.become(ctx, h, again, ""))
	}
	way, abandoned := fmt.Sprintf("from node %s by move %d", d.Move.From, d.Move.Epoch), d.Abandoned
	if d.Move.Abandon {
		way += ", abandoned, without its events"
		abandoned++
	}
	return m.change(ctx, h, func(*bbolt.Tx) (holding, []audit.Record, error) {
		return holding{Epoch: h.Move, New: h.New, Contents: h.Contents, Abandoned: abandoned}, sum.records(audit.KindMovedIn, m.id, d.Move.From, way), nil
	})
}

// announce tells the directory, which then knows this node as the one that
// serves the department. An abort may have come first.
func (m *mover) announce(ctx context.Context, h holding) error {
	if err := m.x.Arrived(ctx, m.id, h.Epoch); err != nil {
		return fmt.Errorf("tell the directory: %w", err)
	}
	return nil
}

// discard deletes what is here of a department that is another node's.
func (m *mover) discard(ctx context.Context, h holding) error {
	if h.State != discarding {
		next := holding{State: discarding, Epoch: h.Epoch, Move: max(h.Move, h.Epoch), New: h.New, Contents: h.Contents}
		return m.become(ctx, h, next, "")
	}
	if h.Contents != nil {
		if err := m.remove(ctx, *h.Contents); err != nil {
			return err
		}
	}
	return m.become(ctx, h, holding{State: gone, Move: h.Move, New: h.New}, fmt.Sprintf("what was here of department %s is deleted: move %d has ended elsewhere", m.id, h.Move))
}
