package server

import (
	"context"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// layersGrace is how long the layers of before decide while those of the directory
// are compiled.
const layersGrace = 2 * time.Second

// layers tells up to which index the policy engine holds the directory's layers.
type layers struct {
	mu     sync.Mutex
	loaded bool
	at     bus.Revision
	behind time.Time     // since when newer ones are compiled; zero where none are
	moved  chan struct{} // closed once at moves on; nil where nobody waits
}

// compiling says that newer layers than those at hand are being compiled.
func (l *layers) compiling() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind = time.Now()
}

func (l *layers) set(at bus.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded, l.at, l.behind = true, at, time.Time{}
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

// Decide reports whether decisions may rest on the layers at hand, the directory's
// being those of an index: they are the same, or have only just been changed.
func (l *layers) Decide(at bus.Revision) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loaded && (l.at >= at || l.behind.IsZero() || time.Since(l.behind) < layersGrace)
}

// Wait returns once the layers are those of an index or newer, or the grace is over.
func (l *layers) Wait(ctx context.Context, at bus.Revision) {
	ctx, cancel := context.WithTimeout(ctx, layersGrace)
	defer cancel()
	for {
		l.mu.Lock()
		if l.loaded && l.at >= at {
			l.mu.Unlock()
			return
		}
		if l.moved == nil {
			l.moved = make(chan struct{})
		}
		moved := l.moved
		l.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return
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
		s.layers.compiling()
		s.policy.Load(layers)
	}
	if err == nil {
		s.layers.set(*loaded)
	}
	return err
}
