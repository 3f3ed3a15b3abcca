package signin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/storage"
	"go.etcd.io/bbolt"
)

var (
	bucketFailures = []byte("failures") // who and where from → attempts
	bucketKnown    = []byte("known")    // account and address → last good sign-in
	bucketFloors   = []byte("floors")   // signing key → second up to which requests may have been accepted
	bucketUses     = []byte("uses")     // system/credential → last use
)

const (
	openTimeout = time.Second
	batchDelay  = time.Millisecond // that a durable write waits for others to go along
	flushEvery  = time.Minute
)

// Memory keeps what must survive a restart in a bbolt file of its own.
type Memory struct {
	*Lockout
	*Replays
	*Uses

	db      *bbolt.DB
	cancel  context.CancelFunc
	flusher sync.WaitGroup
}

// Open opens or creates the file at path. halt must bring the node down: it is
// called when a write fails for another reason than a full disk.
func Open(path string, now func() time.Time, halt func(error)) (*Memory, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openTimeout, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	db.MaxBatchDelay = batchDelay
	file := &file{db, halt}
	m := &Memory{Lockout: newLockout(now, file), Replays: newReplays(now, file), Uses: newUses(file), db: db}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketFailures, bucketKnown, bucketFloors, bucketUses} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return errors.Join(m.Lockout.load(tx), m.Replays.load(tx), m.Uses.load(tx))
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", filepath.Base(path), err), db.Close())
	}
	running, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.flusher.Go(func() { m.flushAll(running) })
	return m, nil
}

// Close writes what is still to be written and closes the file.
func (m *Memory) Close() error {
	m.cancel()
	m.flusher.Wait()
	err := m.Uses.flush()
	if bus.CodeOf(err) == bus.CodeStorageFull {
		err = nil // when a credential was last used is no more than that
	}
	return errors.Join(err, m.db.Close())
}

func (m *Memory) flushAll(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = m.Uses.flush() // what failed is written the next time
		case <-ctx.Done():
			return
		}
	}
}

// file writes durably: when write returns nil, it is on the disk.
type file struct {
	db   *bbolt.DB
	halt func(error)
}

func (f *file) write(fn func(tx *bbolt.Tx) error) error {
	err := f.db.Batch(fn)
	switch {
	case err == nil:
		return nil
	case storage.Full(err):
		return bus.E(bus.CodeStorageFull).Because(err)
	}
	f.halt(fmt.Errorf("write what is remembered of sign-ins: %w", err))
	return err
}
