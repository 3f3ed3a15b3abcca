package exchange

import (
	"context"
	"errors"
	"fmt"
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
	bucketInbox    = []byte("inbox")    // subscription → sequence → event to hand out
	bucketMarks    = []byte("marks")    // subscription → received, delivered, acknowledged
)

// Store is the exchange file with its group commit: steps that arrive while a
// commit is on its way to the disk share the next one.
type Store struct {
	db    *bbolt.DB
	halt  func(error)
	queue chan *step

	closing  chan struct{} // no more steps are taken
	finished chan struct{} // the last commit is over
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
			bucketEvents, bucketArrivals, bucketCursors, bucketInbox, bucketMarks, bucketHoldings, bucketLedger, bucketWatermarks, bucketFirsts, bucketHusks, bucketSinks, bucketTries, bucketTold, bucketReceipts,
		} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare exchange file: %w", err), db.Close())
	}
	s := &Store{
		db: db, halt: halt, queue: make(chan *step, stepsPerCommit),
		closing: make(chan struct{}), finished: make(chan struct{}),
	}
	go s.run()
	return s, nil
}

// Close commits what is queued and closes the file.
func (s *Store) Close() error {
	close(s.closing)
	<-s.finished
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
	st := &step{write: write, done: make(chan error, 1)}
	select {
	case s.queue <- st:
	case <-s.closing:
		return bus.E(bus.CodeUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	}
	select { // once queued, a step is carried out whatever becomes of ctx
	case err := <-st.done:
		return err
	case <-s.finished:
	}
	select { // it may have been in the very last commit
	case err := <-st.done:
		return err
	default:
		return bus.E(bus.CodeUnavailable)
	}
}

func (s *Store) run() {
	defer close(s.finished)
	for {
		select {
		case first := <-s.queue:
			s.commit(s.gather(first))
		case <-s.closing:
			select {
			case first := <-s.queue:
				s.commit(s.gather(first))
			default:
				return
			}
		}
	}
}

// gather takes what is queued by now; it never waits for more.
func (s *Store) gather(first *step) []*step {
	batch := []*step{first}
	for len(batch) < stepsPerCommit {
		select {
		case next := <-s.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// commit writes a batch in one transaction. A step that fails is answered and
// left out, and the rest run again from the start.
func (s *Store) commit(batch []*step) {
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
