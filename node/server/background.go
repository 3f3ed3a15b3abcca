package server

import (
	"context"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
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
