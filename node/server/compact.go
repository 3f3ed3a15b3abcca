package server

import (
	"path/filepath"

	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/storage"
)

// Databases are the bbolt files of a data directory, relative to it.
var databases = []string{partReplica, partExchange, raftLog}

const partReplica = "directory.db"

var raftLog = filepath.Join("raft", "log.db")

// Compacted is what Compact did to one file.
type Compacted struct {
	File   string `json:"file"`
	Before int64  `json:"before"` // bytes
	Live   int64  `json:"live"`   // bytes in use
	After  int64  `json:"after"`  // bytes
	Done   bool   `json:"done"`
}

// Compact rewrites the files of a node that is not running: those that are over
// twice what they hold, or all where force is set.
func Compact(dir DataDir, force bool) ([]Compacted, error) {
	var all []Compacted
	for _, name := range databases {
		if name == partReplica { // one that a power cut may have hit is not to be walked through
			store, err := state.Open(dir.path(name))
			if err != nil {
				return all, running(err)
			}
			if err := store.Close(); err != nil {
				return all, err
			}
		}
		r, err := storage.Compact(dir.path(name), force)
		if err != nil {
			return all, running(err)
		}
		c := Compacted{File: name, Before: r.Before.Size, Live: r.Before.Live, After: r.After, Done: r.Done}
		if !r.Done {
			c.After = c.Before
		}
		all = append(all, c)
	}
	return all, nil
}

// slimmed opens a file, and again after it was compacted where it is bloated: only
// who has opened a file knows, and that takes a walk through all of it.
func slimmed[F measured](s *Server, name string, open func() (F, error)) (F, error) {
	f, err := open()
	if err != nil {
		return f, err
	}
	u, err := f.Usage()
	if err != nil || !u.Bloated() {
		return f, err
	}
	if err := f.Close(); err != nil {
		return f, err
	}
	if err := s.compact(name); err != nil {
		return f, err
	}
	return open()
}

// measured is a file that knows how large it is.
type measured interface {
	Usage() (storage.Usage, error)
	Close() error
}

// compact makes a bloated file small. One that cannot be, on a full disk say, is
// used as it is.
func (s *Server) compact(name string) error {
	r, err := storage.Compact(s.dir.path(name), false)
	switch {
	case storage.Full(err):
		s.logger.Warn("no room to compact a file", "file", name, "error", err)
	case err != nil:
		return err
	case r.Done:
		s.logger.Info("compacted", "file", name, "before", r.Before.Size, "after", r.After)
	}
	return nil
}
