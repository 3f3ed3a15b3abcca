package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/storage"
	"go.etcd.io/bbolt"
)

// The buckets beside the evidence log's own.
var (
	bucketEvents   = []byte("events")   // resource → sequence → stored event
	bucketArrivals = []byte("arrivals") // arrival number → what makes an event a duplicate
	bucketCursors  = []byte("cursors")  // subscription → next sequence to forward
	bucketInbox    = []byte("inbox")    // subscription → sequence → event to hand out, with its weight
	bucketMarks    = []byte("marks")    // subscription → received, delivered, acknowledged
)

// Store is the exchange file with its group commit: steps that arrive while a
// commit is on its way to the disk share the next one. One that finds none on its
// way is committed by its caller, which spares it two changes of goroutine.
type Store struct {
	db   *bbolt.DB
	halt func(error)

	mu     sync.Mutex
	idle   *sync.Cond // told when busy ends
	busy   bool       // a commit is on its way
	queue  []*step    // for the next one
	closed bool       // no more steps are taken
}

// step is one all-or-nothing piece of a commit.
type step struct {
	write func(*bbolt.Tx) error
	done  chan error
}

const (
	stepsPerCommit = 256
	openTimeout    = time.Second

	// mapped is address space for the file to grow in (no memory): bbolt would
	// else have to wait for every reader, a slow export too, before it can map
	// a grown file anew.
	mapped = 64 << 30
)

// OpenStore opens or creates the exchange file. halt must bring the node down:
// it is called when a commit fails for another reason than a full disk, for
// after that nobody knows what is on the disk.
func OpenStore(path string, halt func(error)) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: openTimeout, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true, InitialMmapSize: mapped,
	})
	if err != nil {
		return nil, fmt.Errorf("open exchange file: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{
			bucketEvents, bucketArrivals, bucketCursors, bucketInbox, bucketMarks, bucketHoldings, bucketLedger, bucketWatermarks, bucketFirsts, bucketHusks, bucketSinks, bucketTries, bucketTold, bucketReceipts, bucketIDs, bucketShelved,
		} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return weighAll(tx)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare exchange file: %w", err), db.Close())
	}
	s := &Store{db: db, halt: halt}
	s.idle = sync.NewCond(&s.mu)
	return s, nil
}

// Close commits what is queued and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for s.busy {
		s.idle.Wait()
	}
	s.mu.Unlock()
	return s.db.Close()
}

// Usage says how large the file is, and how much of it holds something.
func (s *Store) Usage() (storage.Usage, error) { return storage.Measure(s.db) }

// View reads the file as of its last commit.
func (s *Store) View(fn func(*bbolt.Tx) error) error { return s.db.View(fn) }

// Commit writes one step and returns once it is on the disk. write may run more
// than once, each time on a state in which it has not run; an error from it
// undoes the step, and only this step, and is returned. A full disk gives
// bus.CodeStorageFull.
func (s *Store) Commit(ctx context.Context, write func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	st := &step{write: write, done: make(chan error, 1)}
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return bus.E(bus.CodeUnavailable)
	case s.busy:
		s.queue = append(s.queue, st)
		s.mu.Unlock()
		return <-st.done // once queued, a step is carried out whatever becomes of ctx
	}
	s.busy = true
	s.mu.Unlock()
	s.commit([]*step{st})
	if s.waited() {
		go s.run()
	}
	return <-st.done
}

// waited reports whether steps wait for the next commit; where none does, whoever
// comes next makes his own.
func (s *Store) waited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy = len(s.queue) > 0; !s.busy {
		s.idle.Broadcast()
	}
	return s.busy
}

// run commits what came while others committed.
func (s *Store) run() {
	for again := true; again; again = s.waited() {
		s.commit(s.gather())
	}
}

// gather takes what is queued by now; it never waits for more.
func (s *Store) gather() []*step {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), stepsPerCommit)
	batch := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	return batch
}

// commit writes a batch in one transaction. A step that fails is answered and
// left out, and the rest run again from the start. A panic is the end of the node,
// whose goroutine ever it is in.
func (s *Store) commit(batch []*step) {
	defer func() {
		if r := recover(); r != nil {
			s.halt(fmt.Errorf("commit to exchange file: panic: %v", r))
			panic(r) // as it was: a handler may recover, but the node ends
		}
	}()
	for len(batch) > 0 {
		failed := -1
		err := s.db.Update(func(tx *bbolt.Tx) error {
			for i, st := range batch {
				if err := st.write(tx); err != nil {
					failed = i
					return err
				}
			}
			return nil
		})
		if failed >= 0 {
			batch[failed].done <- err
			batch = append(batch[:failed:failed], batch[failed+1:]...)
			continue
		}
		if err != nil {
			err = s.fault(err)
		}
		for _, st := range batch {
			st.done <- err
		}
		return
	}
}

// fault turns a failed commit into an answer: a full disk is told and survived,
// anything else brings the node down.
func (s *Store) fault(err error) error {
	if storage.Full(err) {
		return bus.E(bus.CodeStorageFull).Because(err)
	}
	err = fmt.Errorf("commit to exchange file: %w", err)
	s.halt(err)
	return bus.E(bus.CodeInternal).Because(err)
}
