// Package storage is about the disk under a node's bbolt files: whether it is
// full, how much room is left, whether a file is sound, and how a file that has
// grown far beyond what it holds is made small again.
//
// It knows nothing of what the files hold, and counts what is written to others.
package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

const openTimeout = time.Second

// Full reports whether a write failed for want of room before anything of it
// counted: bbolt writes its meta page last, so that a transaction of which a page
// could not be written leaves the file as it was. A sync that fails for want of
// room is not that: after it nobody knows what is on the disk.
func Full(err error) bool {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return false
	}
	at, ok := errors.AsType[*fs.PathError](err)
	return ok && at.Op != "sync"
}

// Free returns the bytes that an ordinary user may still write to the filesystem
// of dir, and how many the filesystem has in all.
func Free(dir string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	size := uint64(s.Bsize)
	return s.Bavail * size, s.Blocks * size, nil
}

// Check reads every page of the bbolt file of a node that is not running and
// returns what is wrong with it, at most 20 faults. An error means that the file
// could not be opened: it is in use, or is no bbolt file.
func Check(path string) (faults []error, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: openTimeout})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(tx *bbolt.Tx) error {
		// bbolt's own check builds the list of free pages first, in a goroutine of
		// its own, where a damaged page would end this process.
		if fault := walk(tx); fault != nil {
			faults = append(faults, fault)
			return nil
		}
		for fault := range tx.Check() {
			if len(faults) < 20 {
				faults = append(faults, fault)
			}
		}
		return nil
	})
	return faults, err
}

// walk reads every key and value, and returns the panic that a damaged page causes.
func walk(tx *bbolt.Tx) (fault error) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Errorf("%v", p)
		}
	}()
	var bucket func(b *bbolt.Bucket) error
	bucket = func(b *bbolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return bucket(b.Bucket(k))
			}
			return nil
		})
	}
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return bucket(b) })
}

// Usage is how large a bbolt file is, and how much of that holds something.
type Usage struct {
	Size int64 // bytes of its pages; the file may be longer, with nothing there
	Live int64 // bytes of its pages in use
}

// Bloated reports whether the file is over twice what it holds. Small files are
// left alone: there is nothing to gain.
func (u Usage) Bloated() bool { return u.Size >= bloat && u.Size > 2*u.Live }

const bloat = 8 << 20

// UsageOf measures the bbolt file of a node that is not running.
func UsageOf(path string) (u Usage, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: openTimeout, PreLoadFreelist: true})
	if err != nil {
		return u, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return Measure(db)
}

// Measure measures an open file, as it was when it was opened.
func Measure(db *bbolt.DB) (u Usage, err error) {
	stats := db.Stats()
	err = db.View(func(tx *bbolt.Tx) error {
		free := int64(stats.FreePageN+stats.PendingPageN) * int64(db.Info().PageSize)
		u = Usage{Size: tx.Size(), Live: tx.Size() - free}
		return nil
	})
	return u, err
}

// pause is how long a writer waits for room before it tries again.
const pause = 250 * time.Millisecond

// ErrStopped ends a wait for room that was called off.
var ErrStopped = errors.New("stopped waiting for room on the disk")

// UntilRoom writes, again and again as long as the disk is full. It returns what
// write returns otherwise, or ErrStopped with the last failure once stop is
// closed; the write then did not happen. waiting, where not nil, is told when a
// wait begins (true) and ends (false).
func UntilRoom(stop <-chan struct{}, waiting func(bool), write func() error) error {
	err := write()
	if !Full(err) {
		return err
	}
	if waiting != nil {
		waiting(true)
		defer waiting(false)
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return errors.Join(ErrStopped, err)
		case <-tick.C:
			if err = write(); !Full(err) {
				return err
			}
		}
	}
}

// Counter counts the bytes that are written through it to W.
type Counter struct {
	W io.Writer
	N int64
}

// Write writes p to W.
func (c *Counter) Write(p []byte) (int, error) {
	n, err := c.W.Write(p)
	c.N += int64(n)
	return n, err
}
