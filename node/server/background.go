package server

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// layers tells up to which index the policy engine holds the directory's layers.
type layers struct {
	mu     sync.Mutex
	loaded bool
	at     bus.Revision
	moved  chan struct{} // closed once at moves on; nil where nobody waits
}

func (l *layers) set(at bus.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded, l.at = true, at
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

// wait returns once the layers are those of an index or newer.
func (l *layers) wait(ctx context.Context, at bus.Revision) error {
	for {
		l.mu.Lock()
		if l.loaded && l.at >= at {
			l.mu.Unlock()
			return nil
		}
		if l.moved == nil {
			l.moved = make(chan struct{})
		}
		moved := l.moved
		l.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow keeps the policy engine at the layers that the directory holds.
func (s *Server) follow(ctx context.Context) {
	loaded, first := bus.Revision(0), true
	for {
		_, changed := s.directory.Applied()
		if err := s.loadLayers(&loaded, first); err != nil {
			s.logger.Error("load policy layers", "error", err)
		} else {
			first = false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) loadLayers(loaded *bus.Revision, first bool) error {
	var layers []bus.Layer
	fresh := false
	err := s.state.View(func(tx *state.Tx) error {
		now := tx.Revision(state.Layers)
		if fresh = first || now != *loaded; !fresh { // the first time also that there are none
			return nil
		}
		*loaded = now
		for l := range tx.Layers() {
			layers = append(layers, l)
		}
		return nil
	})
	if err == nil && fresh {
		s.policy.Load(layers)
	}
	if err == nil {
		s.layers.set(*loaded)
	}
	return err
}

// publishCheckpoints makes the head of the evidence log known to the whole bus:
// every node then holds what this one can no longer take back.
func (s *Server) publishCheckpoints(ctx context.Context) {
	timer := time.NewTicker(s.config.CheckpointInterval)
	defer timer.Stop()
	for {
		if err := s.publishCheckpoint(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("publish evidence checkpoint", "error", err)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// extends refuses an evidence log that does not begin with what the whole bus
// knows of it: the file was rolled back, or rewritten.
func (s *Server) extends(tx *bbolt.Tx, size int64, known bus.Checkpoint) error {
	if known.Size == 0 {
		return nil
	}
	forked := bus.E(bus.CodeEvidence, bus.Defect{
		Field:   "exchange.db",
		Problem: bus.Text{ZH: "存证日志与全网已登记的检查点不符，文件可能被回退或改写", EN: "the evidence log is not the one that the bus has a checkpoint of: the file was rolled back or rewritten"},
		Allowed: fmt.Sprintf("a log that begins with the %d leaves known; keep the file as it is and call the auditor", known.Size),
	})
	if size < known.Size {
		return forked
	}
	hashes, err := s.log.Hashes(tx)
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(known.Size, hashes)
	if err != nil {
		return err
	}
	if !bytes.Equal(root[:], known.Root) {
		return forked
	}
	return nil
}

func (s *Server) publishCheckpoint(ctx context.Context) error {
	var head, known bus.Checkpoint
	err := s.state.View(func(tx *state.Tx) error {
		known, _ = tx.Checkpoint(s.self.Node)
		return nil
	})
	if err != nil {
		return err
	}
	err = s.store.Commit(ctx, func(tx *bbolt.Tx) (err error) {
		size, err := s.log.Size(tx)
		if err != nil || size == 0 && known.Size == 0 {
			return err
		}
		if err := s.extends(tx, size, known); err != nil {
			return err
		}
		head, err = s.log.Checkpoint(tx, s.self.signer)
		return err
	})
	if bus.CodeOf(err) == bus.CodeEvidence {
		s.halt(err) // sequence numbers and evidence would be given out twice
	}
	if err != nil || head.Size == known.Size {
		return err
	}
	entry, err := command.New(command.CheckpointPut, bus.Principal{Node: s.self.Node}, "", 0, head)
	if err != nil {
		return err
	}
	_, err = s.directory.Write(ctx, entry)
	return err
}
