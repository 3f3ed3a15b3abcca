package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/internal/powercut"
)

// box is a store with a bucket that tests write their own keys to.
type box struct {
	*exchange.Store
	halted atomic.Int32
}

var boxBucket = []byte("cursors")

func openBox(t *testing.T, path string) *box {
	t.Helper()
	b := &box{}
	var err error
	b.Store, err = exchange.OpenStore(path, func(error) { b.halted.Add(1) })
	must(t, err)
	return b
}

func put(key string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket(boxBucket).Put([]byte(key), []byte{1}) }
}

func (b *box) keys(t *testing.T) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	must(t, b.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(boxBucket).ForEach(func(key, _ []byte) error {
			keys[string(key)] = true
			return nil
		})
	}))
	return keys
}

// commits is how many transactions the file has seen.
func (b *box) commits(t *testing.T) (id int) {
	t.Helper()
	must(t, b.View(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	}))
	return id
}

// together queues steps while the committer is kept busy, so that they meet in
// one commit, and returns what each was answered.
func (b *box) together(t *testing.T, steps ...func(*bbolt.Tx) error) []error {
	t.Helper()
	busy, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	errs := make([]error, len(steps))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Commit(context.Background(), func(*bbolt.Tx) error {
			once.Do(func() { close(busy) })
			<-release
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	within(t, "the committer", busy)
	queued := b.Queued()
	for i, step := range steps {
		wg.Go(func() { errs[i] = b.Commit(context.Background(), step) })
	}
	eventually(t, "the steps are queued", func() error {
		if n := b.Queued() - queued; n != len(steps) {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	close(release)
	wg.Wait()
	return errs
}

func TestStepsThatArriveTogetherShareACommit(t *testing.T) {
	b := openBox(t, filepath.Join(t.TempDir(), "x.db"))
	defer b.Close()
	before := b.commits(t)
	var steps []func(*bbolt.Tx) error
	for i := range 200 {
		steps = append(steps, put(strconv.Itoa(i)))
	}
	for _, err := range b.together(t, steps...) {
		must(t, err)
	}
	if n := b.commits(t) - before; n != 2 {
		t.Errorf("%d commits for one step and 200 behind it", n)
	}
	if n := len(b.keys(t)); n != 200 {
		t.Errorf("%d keys", n)
	}
}

func TestFailedStepIsUndoneAlone(t *testing.T) {
	b := openBox(t, filepath.Join(t.TempDir(), "x.db"))
	defer b.Close()
	odd := errors.New("odd")
	fails := func(key string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return errors.Join(put(key)(tx), odd) }
	}
	errs := b.together(t, put("a"), fails("b"), put("c"), fails("d"), put("e"))
	for i, err := range errs {
		if failed := i%2 == 1; failed != errors.Is(err, odd) || !failed && err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if keys := b.keys(t); len(keys) != 3 || !keys["a"] || !keys["c"] || !keys["e"] {
		t.Errorf("kept %v", keys)
	}
	if b.halted.Load() != 0 {
		t.Error("halted")
	}
}

// A handler's server recovers from panics; the file does not go on after one.
func TestAPanicInACommitEndsTheNode(t *testing.T) {
	b := openBox(t, filepath.Join(t.TempDir(), "x.db"))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("was swallowed")
			}
		}()
		_ = b.Commit(t.Context(), func(*bbolt.Tx) error { panic("bug") })
	}()
	if b.halted.Load() != 1 {
		t.Errorf("halted %d times", b.halted.Load())
	}
}

// A reader that sees the step's key is a reader after the commit.
func TestAnswerComesAfterTheCommit(t *testing.T) {
	b := openBox(t, filepath.Join(t.TempDir(), "x.db"))
	defer b.Close()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			key := strconv.Itoa(i)
			if err := b.Commit(context.Background(), put(key)); err != nil {
				t.Error(err)
			}
			if !b.keys(t)[key] {
				t.Errorf("step %s was answered before its commit", key)
			}
		})
	}
	wg.Wait()
}

func TestCloseCommitsWhatIsQueuedAndTellsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	for range 20 {
		b := openBox(t, path)
		var wg sync.WaitGroup
		var mu sync.Mutex
		kept := map[string]bool{}
		started := make(chan struct{}, 100)
		for i := range 100 {
			wg.Go(func() {
				started <- struct{}{}
				switch err := b.Commit(context.Background(), put(strconv.Itoa(i))); bus.CodeOf(err) {
				case "":
					mu.Lock()
					defer mu.Unlock()
					kept[strconv.Itoa(i)] = true
				case bus.CodeUnavailable:
				default:
					t.Error(err)
				}
			})
		}
		for range 50 {
			<-started
		}
		must(t, b.Close())
		wg.Wait()
		b = openBox(t, path)
		keys := b.keys(t)
		for key := range kept {
			if !keys[key] {
				t.Errorf("%s was acknowledged and is gone", key)
			}
		}
		must(t, b.Commit(context.Background(), func(tx *bbolt.Tx) error {
			for key := range keys {
				if err := tx.Bucket(boxBucket).Delete([]byte(key)); err != nil {
					return err
				}
			}
			return nil
		}))
		must(t, b.Close())
		wantCode(t, b.Commit(context.Background(), put("late")), bus.CodeUnavailable)
	}
}

func TestCancelledCallerDoesNotQueue(t *testing.T) {
	b := openBox(t, filepath.Join(t.TempDir(), "x.db"))
	defer b.Close()
	gone, cancel := context.WithCancel(context.Background())
	busy, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- b.Commit(gone, func(tx *bbolt.Tx) error {
			select {
			case <-busy:
			default:
				close(busy)
			}
			<-release
			return put("queued before")(tx)
		})
	}()
	within(t, "the committer", busy)
	cancel() // a step under way is carried out whatever becomes of its caller
	close(release)
	must(t, <-done)
	if !b.keys(t)["queued before"] {
		t.Error("the step is gone")
	}
}

func TestFullDiskIsToldAndSurvived(t *testing.T) { // S54
	disk := powercut.Mount(t) // 64 MiB
	b := openBox(t, filepath.Join(disk.Dir, "x.db"))
	defer b.Close()
	must(t, b.Commit(context.Background(), put("before")))
	ballast := filepath.Join(disk.Dir, "ballast")
	fill(t, ballast)
	large := func(tx *bbolt.Tx) error {
		return tx.Bucket(boxBucket).Put([]byte("large"), make([]byte, 4<<20))
	}
	wantCode(t, b.Commit(context.Background(), large), bus.CodeStorageFull)
	if keys := b.keys(t); !keys["before"] || keys["large"] || b.halted.Load() != 0 {
		t.Errorf("keys %v, halted %d", keys, b.halted.Load())
	}
	must(t, os.Remove(ballast))
	must(t, b.Commit(context.Background(), large))
	if keys := b.keys(t); !keys["before"] || !keys["large"] {
		t.Errorf("keys %v", keys)
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	chunk := []byte(strings.Repeat("x", 1<<20))
	for len(chunk) > 0 {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else {
			must(t, err)
		}
	}
}

func TestPowerCutKeepsAcknowledgedEvents(t *testing.T) {
	disk := powercut.Mount(t)
	w, _ := fake(t)
	p := w.provider()
	p.close()
	p.path = filepath.Join(disk.Dir, "exchange.db")
	p.open()
	const publishers, each = 4, 25
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			for n := range each {
				if _, err := p.Publish(context.Background(), publisher, "", firms, run(each*i+n, each*i+n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	disk.Cut()
	dead := p.store
	p.Exchange.Close()
	p.open()
	_ = dead.Close() // on the dead disk; what it says is of no interest
	receipts, err := p.Publish(t.Context(), publisher, "", firms, run(0, publishers*each-1))
	must(t, err)
	lost := 0
	for _, r := range receipts {
		if !r.Duplicate {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged events did not survive the power cut", lost, len(receipts))
	}
	p.verify()
}
