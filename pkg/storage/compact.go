package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Result is what Compact did.
type Result struct {
	Done   bool  // false: the file was left as it is
	Before Usage // of the file as it was
	After  int64 // bytes of the file as it is now; 0 where nothing was done
}

// Compact rewrites the bbolt file of a node that is not running, where it is over
// twice what it holds or force is set. The file is locked throughout. The copy is
// made aside, synced, and takes the file's name in one rename, so that after a
// crash at any moment there is either the old file or the new one, each whole. A
// file that is not there is left so.
func Compact(path string, force bool) (Result, error) { return compaction{path: path}.run(force) }

// aside is where a copy is made; what a crash left there is worth nothing.
func aside(path string) string { return path + ".compact" }

const commitSize = 4 << 20 // bytes a transaction of the copy

// compaction tells a test which step it has come to.
type compaction struct {
	path string
	at   func(step string) // nil: nobody watches
}

func (c compaction) step(name string) {
	if c.at != nil {
		c.at(name)
	}
}

func (c compaction) run(force bool) (r Result, err error) {
	if err := os.Remove(aside(c.path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	if info, err := os.Stat(c.path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() < bloat && !force {
		return r, nil // to open it would take a walk through all of it
	}
	// Opened to be written, though only read: that is what takes the lock.
	old, err := bbolt.Open(c.path, 0o600, &bbolt.Options{Timeout: openTimeout, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return r, fmt.Errorf("open %s: %w", filepath.Base(c.path), err)
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if r.Before, err = Measure(old); err != nil || !force && !r.Before.Bloated() {
		return r, err
	}
	if err := c.copy(old); err != nil {
		return r, errors.Join(fmt.Errorf("compact %s: %w", filepath.Base(c.path), err), os.Remove(aside(c.path)))
	}
	c.step("copied")
	if err := os.Rename(aside(c.path), c.path); err != nil {
		return r, err
	}
	c.step("renamed")
	if err := SyncDir(filepath.Dir(c.path)); err != nil {
		return r, err
	}
	c.step("synced")
	info, err := os.Stat(c.path)
	if err != nil {
		return r, err
	}
	r.Done, r.After = true, info.Size()
	return r, nil
}

// copy writes what old holds into a new file, and returns once that is on the disk.
func (c compaction) copy(old *bbolt.DB) error {
	fresh, err := bbolt.Open(aside(c.path), 0o600, &bbolt.Options{
		Timeout: openTimeout, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true,
		NoSync: true, // the file is nobody's until the Sync below
	})
	if err != nil {
		return err
	}
	c.step("begun")
	err = bbolt.Compact(fresh, old, commitSize)
	c.step("written")
	if err == nil {
		err = fresh.Sync()
	}
	return errors.Join(err, fresh.Close())
}

// SyncDir makes a rename in dir survive a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
