package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/storage"
)

// The directory file is a view of raft's log, which is on the disk before anything
// is acknowledged. Its own commits are therefore not synced one by one (ADR 0017).
// A killed process loses nothing by that, for the system writes out what it was
// given. After a power cut any page may be missing: a file that was open in an
// earlier run of the machine is thrown away and built again from the log.

// mark stands beside the file and says whether to trust it.
type mark struct {
	Boot    string       `json:"boot"`    // the machine's run in which the file was last open
	Closed  bool         `json:"closed"`  // it was closed in order, and all of it is on the disk
	Applied bus.Revision `json:"applied"` // it had this once, so the log up to there is committed
}

// markPeriod is how often the mark follows the applied index.
const markPeriod = time.Second

func markPath(path string) string { return path + ".mark" }

// readMark returns the mark of a file; a file without one was put there whole.
func readMark(path string) (mark, error) {
	data, err := os.ReadFile(markPath(path))
	if errors.Is(err, os.ErrNotExist) {
		return mark{Closed: true}, nil
	}
	if err != nil {
		return mark{}, fmt.Errorf("read the directory's mark: %w", err)
	}
	var m mark
	if err := json.Unmarshal(data, &m); err != nil {
		return mark{}, fmt.Errorf("the directory's mark %s is damaged: %w", markPath(path), err)
	}
	return m, nil
}

// write puts the mark on the disk.
func (m mark) write(path string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	aside := markPath(path) + ".new"
	file, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the directory's mark: %w", err)
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write the directory's mark: %w", err)
	}
	if err := os.Rename(aside, markPath(path)); err != nil {
		return fmt.Errorf("write the directory's mark: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// distrust throws the file away if a power cut may have hit it, and returns the
// mark it is to be opened under.
func distrust(path string) (mark, error) {
	m, err := readMark(path)
	if err != nil {
		return m, err
	}
	boot := bootID()
	if !m.Closed && (boot == "" || m.Boot != boot) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return m, fmt.Errorf("remove a directory file that a power cut may have hit: %w", err)
		}
	}
	if m.Boot == boot && !m.Closed { // killed in this run, or open in another process
		return m, nil
	}
	m.Boot, m.Closed = boot, false
	return m, m.write(path)
}

// keepMark syncs the file and moves its mark along while entries are applied,
// until the store closes.
func (s *Store) keepMark() {
	defer close(s.marked)
	timer := time.NewTicker(markPeriod)
	defer timer.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-timer.C:
		}
		s.marking.Lock()
		behind := s.mark.Applied
		s.marking.Unlock()
		if applied, _ := s.Applied(); applied > behind {
			err := s.syncTo(applied, false)
			if err != nil && !storage.Full(err) { // on a full disk the mark of before stands, which is no less true
				s.fail(err)
				return
			}
		}
	}
}

// syncTo brings the file to the disk, then the mark that says so.
func (s *Store) syncTo(applied bus.Revision, closed bool) error {
	s.swap.RLock()
	err := s.db.Sync()
	s.swap.RUnlock()
	if err != nil {
		return fmt.Errorf("sync the directory file: %w", err)
	}
	s.marking.Lock()
	defer s.marking.Unlock()
	next := mark{Boot: s.mark.Boot, Closed: closed, Applied: max(s.mark.Applied, applied)}
	if err := next.write(s.path); err != nil {
		return err
	}
	s.mark = next
	return nil
}

// Trusted reports whether the file at path is whole: whether Open would take it as
// it is, and not begin an empty one.
func Trusted(path string) (bool, error) {
	m, err := readMark(path)
	return m.Closed || m.Boot != "" && m.Boot == bootID(), err
}

// fail keeps the first reason why the file is not to be trusted any more; Apply
// returns it.
func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Committed returns an index up to which the log is known to be committed, because
// the file once showed it. Where it is beyond Applied, the file was thrown away
// after a power cut, and the log up to there is to be applied again.
func (s *Store) Committed() bus.Revision {
	applied, _ := s.Applied()
	return max(applied, s.opened)
}
