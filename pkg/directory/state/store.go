// Package state keeps the directory: tables in a bbolt file, and what each log
// entry does to them. Equal logs give equal tables, byte for byte.
//
// An entry is planned, then written: a planner reads the tables and answers with
// a list of changes or with a refusal, and only a whole list is written. A
// refused entry in the middle of a batch so leaves no trace. Data and applied
// index commit in one transaction. The package knows nothing of raft, has no
// clock and no randomness; time comes in with the entry.
package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/storage"
	"go.etcd.io/bbolt"
)

const (
	keyApplied = "applied"
	keyTick    = "tick"
	keyFloor   = "changes-floor" // the newest index that the journal has forgotten
	keyLayout  = "layout"        // of the indexes

	// mapped is address space for the file to grow in (no memory), so that no
	// entry waits for a snapshot that is being read.
	mapped = 8 << 30
)

// Store is the directory on disk.
type Store struct {
	path string

	swap     sync.RWMutex // read-held while db is used, held by Restore to replace it
	db       *bbolt.DB
	requests requests // of the journal; Apply's, and Restore's under swap

	mu      sync.Mutex
	applied bus.Revision
	changed chan struct{} // closed and renewed when applied moves
	failed  error         // why nothing more is applied

	readOnly bool

	marking sync.Mutex   // held while mark is changed
	mark    mark         // under marking
	opened  bus.Revision // mark.Applied when it was opened
	shut    sync.Once
	closing chan struct{} // ends keepMark
	marked  chan struct{} // closed when it has ended
}

// Open opens or creates the directory file at path. The file is locked: a
// second opener gets an error after a second. A file that a power cut may have hit
// is replaced by an empty one: see Committed.
func Open(path string) (*Store, error) {
	mark, err := distrust(path)
	if err != nil {
		return nil, err
	}
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	if err := reindex(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{
		path: path, db: db, changed: make(chan struct{}),
		mark: mark, opened: mark.Applied, closing: make(chan struct{}), marked: make(chan struct{}),
	}
	if err := s.clearAside(); err != nil { // a crash may have cut a restore off
		return nil, errors.Join(err, db.Close())
	}
	err = s.View(func(tx *Tx) error {
		s.applied, s.requests = tx.Index(), tx.requests()
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.keepMark()
	return s, nil
}

// OpenReadOnly opens the file of a node that is not running, to look at it.
func OpenReadOnly(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", filepath.Base(path), err)
	}
	if err := whole(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{path: path, db: db, changed: make(chan struct{}), readOnly: true}, nil
}

func openFile(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true, InitialMmapSize: mapped, NoSync: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", filepath.Base(path), err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, t := range tables {
			if _, err := tx.CreateBucketIfNotExists([]byte(t)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare directory: %w", err), db.Close())
	}
	return db, nil
}

// Close brings the file to the disk and closes it; reads in progress end first. To
// close it again does nothing.
func (s *Store) Close() (err error) {
	s.shut.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	if s.readOnly {
		return s.db.Close()
	}
	select {
	case <-s.closing:
		return nil // it is closed
	default:
		close(s.closing)
	}
	<-s.marked
	applied, _ := s.Applied()
	err := s.failure()
	if err == nil {
		err = s.syncTo(applied, true)
	}
	switch {
	case storage.Full(err): // the mark of before stands: as if the process had been killed
		err = nil
	case err != nil: // what is on the disk is anybody's guess
		s.mark.Boot = ""
		err = errors.Join(err, s.mark.write(s.path))
	}
	s.swap.Lock()
	defer s.swap.Unlock()
	return errors.Join(err, s.db.Close())
}

// Usage says how large the file is, and how much of it holds something.
func (s *Store) Usage() (storage.Usage, error) {
	s.swap.RLock()
	defer s.swap.RUnlock()
	return storage.Measure(s.db)
}

// View reads the directory as of one applied index.
func (s *Store) View(fn func(*Tx) error) error {
	s.swap.RLock()
	defer s.swap.RUnlock()
	return s.db.View(func(tx *bbolt.Tx) error { return fn(&Tx{tx: tx}) })
}

// Applied returns the applied index, and a channel that is closed once it has
// moved on.
func (s *Store) Applied() (bus.Revision, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied, s.changed
}

// advance moves the applied index and wakes those who wait for it.
func (s *Store) advance(to bus.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to == s.applied {
		return
	}
	s.applied = to
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait returns once the applied index has reached index, or with ctx's error.
func (s *Store) Wait(ctx context.Context, index bus.Revision) error {
	for {
		applied, changed := s.Applied()
		if applied >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Tick returns the time of the newest replicated tick; zero before the first.
func (t *Tx) Tick() time.Time {
	at, _ := read[time.Time](t, meta, keyTick)
	return at
}

// Log is an entry's bytes and its place in the log. Entries that were joined into
// one of raft's have the same place.
type Log struct {
	Index uint64
	Data  []byte
}

// Result is what became of an entry.
type Result struct {
	Index    bus.Revision `json:"index"`    // where the write is in the log
	Revision bus.Revision `json:"revision"` // new revision of what it wrote
	Refusal  *Refusal     `json:"refusal,omitempty"`

	Rows []bus.ImportRow `json:"rows,omitempty"` // of a bulk entry, in its order
}

// Refusal is an entry's refusal in a form that the log keeps for repeats.
type Refusal struct {
	Code    bus.Code     `json:"code"`
	Defects []bus.Defect `json:"defects,omitempty"`
}

// Err returns the refusal as an error, or nil.
func (r Result) Err() error {
	if r.Refusal == nil {
		return nil
	}
	return bus.E(r.Refusal.Code, r.Refusal.Defects...)
}

// Apply applies a batch in one transaction and returns a result an entry. It does
// not wait for the disk: the entries are in the log.
// Entries at or below the applied index were applied before and give a zero
// result. An error means that nothing of the batch was applied and that the
// node must not go on.
func (s *Store) Apply(logs []Log) ([]Result, error) {
	results := make([]Result, len(logs))
	s.swap.RLock()
	defer s.swap.RUnlock()
	if err := s.failure(); err != nil {
		return nil, err
	}
	before, _ := s.Applied()
	last := before
	var b *batch
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b = newBatch(&Tx{tx: tx}, s.requests)
		for i, log := range logs {
			if bus.Revision(log.Index) <= before {
				continue
			}
			last = bus.Revision(log.Index)
			result, err := b.apply(last, log.Data)
			if err != nil {
				return fmt.Errorf("entry %d: %w", log.Index, err)
			}
			results[i] = result
		}
		return b.close(last)
	})
	if err != nil {
		return nil, fmt.Errorf("apply directory entries: %w", err)
	}
	b.settle()
	s.advance(last)
	return results, nil
}

func (t *Tx) put(table Table, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return t.tx.Bucket([]byte(table)).Put([]byte(key), data)
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
