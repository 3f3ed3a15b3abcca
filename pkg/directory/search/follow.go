package search

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

const (
	chunk      = 500             // entries that are read, and indexed, at a time
	behindMost = 10_000          // directory entries that the disk may not know of
	pause      = 2 * time.Second // before another try after a failure

	// While an import runs and nobody searches, the index waits: what it takes of the
	// processor, three nodes on one machine would take from the import.
	bulk  = 200                    // changes at once that are an import
	lull  = 300 * time.Millisecond // without a change, after which it is over
	lagAt = 30 * time.Second       // how long the index waits at most
)

// followed are the tables that rows are made from.
var followed = []state.Table{state.Resources, state.Drafts, state.Departments, state.Divisions, state.Libraries}

// run keeps an index until ctx ends: whatever happens to one, it opens or makes
// another.
func (x *Index) run(ctx context.Context) {
	for {
		err := x.keep(ctx)
		if ctx.Err() != nil {
			x.publish(x.empty(), Progress{})
			return
		}
		if gone, ok := errors.AsType[*unusable](err); ok {
			x.Logger.Warn("the search index is made anew", "reason", gone)
			if err = os.RemoveAll(x.Dir); err == nil {
				continue
			}
		}
		x.fail(err)
		x.Logger.Error("search index", "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// keep opens the index and follows the directory until something is wrong.
func (x *Index) keep(ctx context.Context) (err error) {
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	x.mu.Lock()
	x.give = give
	x.mu.Unlock()
	f := &follower{Index: x, labels: newLabels(), slotOf: map[string]uint32{}, rows: pages{fresh: map[int]map[int]text{}}}
	defer func() {
		x.publish(x.empty(), Progress{})
		if f.store != nil {
			err = errors.Join(err, f.store.close())
		}
		if cause, ok := errors.AsType[*unusable](context.Cause(ctx)); ok {
			err = cause
		}
	}()
	if err := f.open(ctx); err != nil {
		return err
	}
	x.fail(nil)
	for {
		batch, err := x.Directory.Changes(ctx, f.through, followed...)
		if bus.CodeOf(err) == bus.CodeResync {
			return &unusable{err}
		}
		if err == nil && len(batch.Changes) >= bulk && batch.Through > f.calm {
			err = f.wait(ctx)
		}
		if err == nil {
			err = f.apply(ctx, batch)
		}
		if err = cmp.Or(err, context.Cause(ctx)); err != nil { // the next changes may be there already
			return err
		}
	}
}

// wait waits for the end of an import, until somebody wants the index, or as long
// as it may lag.
func (f *follower) wait(ctx context.Context) error {
	timer := time.NewTimer(lull)
	defer timer.Stop()
	for until := time.Now().Add(lagAt); ; {
		before := f.calm
		err := f.Directory.View(func(tx *state.Tx) error {
			for _, table := range followed {
				f.calm = max(f.calm, tx.Revision(table))
			}
			return nil
		})
		if err != nil || f.calm == before || time.Now().After(until) {
			return err
		}
		timer.Reset(lull)
		select {
		case <-timer.C:
		case <-f.wanted:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follower is the side of an index that writes.
type follower struct {
	*Index
	store    *store
	through  bus.Revision // of the directory, that rows and documents are of
	stored   bus.Revision // the same as the disk knows it
	calm     bus.Revision // up to which nothing is waited for
	goal     bus.Revision // until through has come here, the index is not complete
	total    int          // entries in the directory when it was opened
	labels   *labels
	rows     pages
	slots    uint32 // given out so far
	free     []uint32
	slotOf   map[string]uint32
	segments segments
	shown    *view // as published last
}

// open opens the files and reads the directory into memory; where the files are of
// no use it fills new ones.
func (f *follower) open(ctx context.Context) error {
	cluster, err := f.cluster(ctx)
	if err != nil {
		return err
	}
	var why string
	if f.store, f.through, why, err = openStore(f.Dir, cluster); err != nil {
		return err
	}
	fresh := f.through == 0
	if fresh {
		f.Logger.Info("the search index is being made", "reason", why)
	}
	err = f.Directory.View(func(tx *state.Tx) error {
		f.goal = tx.Index()
		f.total = tx.Count(state.Resources) + tx.Count(state.Drafts)
		return nil
	})
	if err != nil {
		return err
	}
	if f.through > f.goal {
		return &unusable{errors.New("the directory is older than the index")}
	}
	if err := f.fill(ctx, fresh); err != nil {
		return err
	}
	if fresh {
		f.through = f.goal
		if err := f.store.flush(ctx, f.through); err != nil { // a start before that would begin anew
			return err
		}
		f.Logger.Info("the search index is complete", "entries", len(f.slotOf), "index", f.through)
	}
	f.stored = f.through
	return f.show()
}

// cluster waits until this replica has its first entry.
func (f *follower) cluster(ctx context.Context) (id string, err error) {
	for {
		var index bus.Revision
		err := f.Directory.View(func(tx *state.Tx) error {
			id, _ = tx.Cluster()
			index = tx.Index()
			return nil
		})
		if err != nil || id != "" {
			return id, err
		}
		if _, err := f.Directory.Changes(ctx, index, followed...); err != nil && bus.CodeOf(err) != bus.CodeResync {
			return "", err
		}
	}
}

// fill reads all entries, a chunk at a time, and indexes them where the files are
// new. What changes meanwhile is followed afterwards, from where this began.
func (f *follower) fill(ctx context.Context, fresh bool) error {
	steps := []func(*reader, bus.ResourceID) []entry{
		func(r *reader, after bus.ResourceID) (rows []entry) {
			for res := range r.tx.ResourcesAfter(after) {
				if rows = append(rows, r.published(res)); len(rows) == chunk {
					break
				}
			}
			return rows
		},
		func(r *reader, after bus.ResourceID) (rows []entry) {
			for d := range r.tx.DraftsAfter(after) {
				if rows = append(rows, r.draft(d)); len(rows) == chunk {
					break
				}
			}
			return rows
		},
	}
	for _, next := range steps {
		var last bus.ResourceID
		for {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			var rows []entry
			err := f.Directory.View(func(tx *state.Tx) error {
				rows = next(newReader(tx, f.labels), last)
				return nil
			})
			if err != nil {
				return err
			}
			for _, r := range rows {
				f.put(r)
			}
			f.rows.settle()
			if fresh && len(rows) > 0 {
				if err := f.store.write(rows, nil, 0); err != nil {
					return err
				}
				if err := f.show(); err != nil {
					return err
				}
			}
			if len(rows) < chunk {
				break
			}
			last = rows[len(rows)-1].id
		}
	}
	return nil
}

// apply takes what changed in the directory into the index.
func (f *follower) apply(ctx context.Context, batch state.Batch) error {
	var ids []bus.ResourceID
	divided := false
	for _, c := range batch.Changes {
		switch c.Table {
		case state.Resources, state.Drafts:
			ids = append(ids, bus.ResourceID(c.Key))
		case state.Departments:
			ids = append(ids, f.of(bus.USCC(c.Key))...)
		default:
			divided = true
		}
	}
	if divided {
		if err := f.fill(ctx, false); err != nil { // every label may be another
			return err
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	written := len(ids) > 0 || divided
	for len(ids) > 0 {
		n := min(len(ids), chunk)
		through := f.stored
		if n == len(ids) {
			through = batch.Through
		}
		if err := f.index(ids[:n], through); err != nil {
			return err
		}
		ids = ids[n:]
	}
	f.through = batch.Through
	if f.through-f.stored > behindMost {
		if err := f.store.write(nil, nil, f.through); err != nil {
			return err
		}
		f.stored = f.through
	}
	if written || f.merged() {
		return f.show()
	}
	f.publish(nil, f.now())
	return nil
}

// of lists the entries of a department.
func (f *follower) of(department bus.USCC) (ids []bus.ResourceID) {
	provider, ok := f.labels.known[meaning{ByProvider, string(department)}]
	if !ok {
		return nil
	}
	for _, p := range f.rows.all {
		for _, r := range p.rows {
			if r != nil && f.labels.kinds[r.kind].provider == provider {
				ids = append(ids, r.id)
			}
		}
	}
	return ids
}

// index brings entries to what the directory says of them now, which may be newer
// than what made it necessary.
func (f *follower) index(ids []bus.ResourceID, through bus.Revision) error {
	var rows []entry
	var removed []string
	err := f.Directory.View(func(tx *state.Tx) error {
		r := newReader(tx, f.labels)
		for _, id := range ids {
			if res, ok := tx.Resource(id); ok {
				rows = append(rows, r.published(res))
			} else {
				removed = append(removed, publishedKey(id))
			}
			if d, ok := tx.Draft(id); ok {
				rows = append(rows, r.draft(d))
			} else {
				removed = append(removed, draftKey(id))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	removed = slices.DeleteFunc(removed, func(key string) bool { return !f.drop(key) })
	for _, r := range rows {
		f.put(r)
	}
	if err := f.store.write(rows, removed, through); err != nil {
		return err
	}
	f.stored = through
	return nil
}

// put gives a row its slot.
func (f *follower) put(r entry) {
	slot, ok := f.slotOf[r.key]
	switch n := len(f.free); {
	case ok:
	case n > 0:
		slot, f.free = f.free[n-1], f.free[:n-1]
	default:
		slot, f.slots = f.slots, f.slots+1
	}
	f.rows.set(slot, r)
	f.slotOf[r.key] = slot
}

// drop frees the slot of a key, if it has one.
func (f *follower) drop(key string) bool {
	slot, ok := f.slotOf[key]
	if ok {
		delete(f.slotOf, key)
		f.rows.set(slot, entry{})
		f.free = append(f.free, slot)
	}
	return ok
}

// show publishes rows and documents as they are.
func (f *follower) show() error {
	words, segments, err := f.store.snapshot(f.segments, f.slotOf)
	if err != nil {
		return err
	}
	f.segments = segments
	f.shown = &view{mu: &f.mu, words: words, pages: f.rows.share(), labels: f.labels.all, kinds: f.labels.kinds}
	f.publish(f.shown, f.now())
	return nil
}

// merged reports whether the files were put together in a new way since: the view
// then keeps the old ones from being removed.
func (f *follower) merged() bool {
	now, err := f.store.scorch.Reader()
	if err != nil {
		return false
	}
	same := now == f.shown.words.reader
	return now.Close() == nil && !same
}

func (f *follower) now() Progress {
	p := Progress{Index: f.through, Indexed: len(f.slotOf), Total: f.total}
	if p.Complete = f.through >= f.goal; p.Complete {
		p.Total = p.Indexed
	}
	return p
}
