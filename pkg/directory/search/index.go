package search

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Directory is what the index is made from and follows.
type Directory interface {
	View(func(*state.Tx) error) error
	// Changes returns what changed after an index, once there is something, or
	// CodeResync where that is no longer known.
	Changes(ctx context.Context, from bus.Revision, of ...state.Table) (state.Batch, error)
}

// Config joins the index to its surroundings.
type Config struct {
	Dir       string // its own; what is in it can be removed while the node is down
	Directory Directory
	Logger    *slog.Logger
}

// Index finds entries of the directory.
type Index struct {
	Config
	cancel  context.CancelFunc
	workers sync.WaitGroup
	spare   sync.Pool // of *scratch

	mu       sync.Mutex
	view     *view
	progress Progress
	failure  error                   // why it could not be opened last, until it is
	moved    chan struct{}           // closed and renewed when view or progress change
	wanted   chan struct{}           // received from by a follower that waits for the end of an import
	give     context.CancelCauseFunc // gives up the index that is open now
}

// view is what searches read: it does not change.
type view struct {
	words  snapshot
	pages  []*page
	labels []meaning // by label
	kinds  []common  // by kind

	mu      *sync.Mutex
	users   int
	retired bool
}

// Open starts an index. It can be searched at once, and tells in its answers how
// far it has come.
func Open(c Config) *Index {
	ctx, cancel := context.WithCancel(context.Background())
	x := &Index{Config: c, cancel: cancel, moved: make(chan struct{}), wanted: make(chan struct{})}
	x.view = x.empty()
	x.workers.Go(func() { x.run(ctx) })
	return x
}

// Close stops following and closes the files. Searches under way end by themselves.
func (x *Index) Close() error {
	x.cancel()
	x.workers.Wait()
	return nil
}

func (x *Index) empty() *view { return &view{mu: &x.mu} }

// acquire takes the present view for a search, which releases it.
func (x *Index) acquire() (*view, Progress) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.view.users++
	return x.view, x.progress
}

func (v *view) release() {
	v.mu.Lock()
	v.users--
	last := v.retired && v.users == 0
	v.mu.Unlock()
	if last {
		v.close()
	}
}

func (v *view) close() {
	if v.words.reader != nil {
		_ = v.words.reader.Close() // gives back a reference; the files are the store's to close
	}
}

// publish makes a view the present one, where one is given, and tells the progress.
func (x *Index) publish(next *view, p Progress) {
	x.mu.Lock()
	old := x.view
	if next != nil && next != old {
		x.view, old.retired = next, true
	} else {
		old = nil
	}
	x.progress = p
	close(x.moved)
	x.moved = make(chan struct{})
	idle := old != nil && old.users == 0
	x.mu.Unlock()
	if idle {
		old.close()
	}
}

// Progress tells how far the index has come.
func (x *Index) Progress() Progress {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.progress
}

// Wait returns once the index is complete and shows the directory as of an index,
// or with ctx's error. A follower that waits for the end of an import goes on.
func (x *Index) Wait(ctx context.Context, index bus.Revision) error {
	for {
		x.mu.Lock()
		p, moved := x.progress, x.moved
		x.mu.Unlock()
		if p.Complete && p.Index >= index {
			return nil
		}
		select {
		case x.wanted <- struct{}{}:
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Current tells how far the index has come, once it has all that there is now of what
// it follows or ctx has ended; an error says why it cannot be opened.
func (x *Index) Current(ctx context.Context) (p Progress, behind bool, err error) {
	var newest bus.Revision
	err = x.Directory.View(func(tx *state.Tx) error {
		for _, table := range followed {
			newest = max(newest, tx.Revision(table))
		}
		return nil
	})
	if err != nil {
		return p, false, err
	}
	behind = x.Wait(ctx, newest) != nil
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.progress, behind, x.failure
}

// fail keeps why the index cannot be opened; nil: it is.
func (x *Index) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failure = err
}

// guard runs a reading of the files. Where they turn out to be damaged the index is
// made anew, and the caller is told to come again.
func (x *Index) guard(read func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = x.damaged(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	if err = read(); err == nil || err == context.Canceled || err == context.DeadlineExceeded {
		return err
	}
	return x.damaged(err)
}

func (x *Index) damaged(err error) error {
	x.mu.Lock()
	give := x.give
	x.mu.Unlock()
	if give != nil {
		give(&unusable{err})
	}
	return bus.E(bus.CodeUnavailable, bus.Defect{
		Problem: bus.Text{ZH: "检索索引已损坏，正在重建，请稍后重试", EN: "the search index is damaged and is being made anew; try again"},
	}).Because(err)
}

// unusable is why an index is made anew.
type unusable struct{ why error }

func (u *unusable) Error() string { return u.why.Error() }
func (u *unusable) Unwrap() error { return u.why }
