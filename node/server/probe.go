package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

const (
	probesAtOnce = 8
	probeTimeout = 10 * time.Second
	probeTries   = 2 // in a row that fail before the service counts as failing
)

// probing keeps how often in a row each service did not answer.
type probing struct {
	mu     sync.Mutex
	failed map[bus.ResourceID]int

	pulses *pulses
}

// probeBindings asks the services that resources are bound to here whether they are
// there, now and then, with no caller's data, tells the directory what changed, and
// puts the heartbeats of realtime resources on record: of the hour that is under way
// when the node stops, too.
func (s *Server) probeBindings(ctx context.Context) {
	p := &probing{failed: map[bus.ResourceID]int{}, pulses: newPulses(s.config.ProbeInterval)}
	for {
		wait := s.config.ProbeInterval/2 + rand.N(s.config.ProbeInterval) // else all nodes ask one service at once
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			s.recordHeartbeats(context.WithoutCancel(ctx), p.pulses, s.now().Add(time.Hour))
			return
		}
		if err := s.probeAll(ctx, p); err != nil && ctx.Err() == nil {
			s.logger.Warn("probe bindings", "error", err)
		}
		if ctx.Err() == nil {
			s.recordHeartbeats(ctx, p.pulses, s.now())
		}
	}
}

func (s *Server) probeAll(ctx context.Context, p *probing) error {
	bound, err := s.bindings.All()
	if err != nil {
		return err
	}
	known, err := s.attachments()
	if err != nil {
		return err
	}
	beating, err := s.beating(bound)
	if err != nil {
		return err
	}
	var asked sync.WaitGroup
	room := make(chan struct{}, probesAtOnce)
	for _, b := range bound {
		if b.Unreadable {
			continue // as good as none
		}
		have := known[b.Resource]
		delete(known, b.Resource)
		if _, err := s.exchange.Provides(b.Resource); err != nil {
			continue // it came, or is left, of a department that is served elsewhere, or moves
		}
		room <- struct{}{}
		asked.Go(func() {
			defer func() { <-room }()
			s.probe(ctx, p, b.Resource, have, beating[b.Resource])
		})
	}
	asked.Wait()
	for _, left := range known { // that are bound no more
		if left.State != bus.Detached {
			left.State, left.Since = bus.Detached, s.now().UTC()
			s.attach(ctx, left, true)
		}
	}
	return nil
}

// attachments are what this node told the directory.
func (s *Server) attachments() (known map[bus.ResourceID]bus.Attachment, err error) {
	known = map[bus.ResourceID]bus.Attachment{}
	err = s.state.View(func(tx *state.Tx) error {
		for a := range tx.Attachments() {
			if _, ok := tx.Attachment(a.Resource); ok && a.Node == s.self.Node {
				known[a.Resource] = a
			}
		}
		return nil
	})
	return known, err
}

// probe asks one service, and puts down whether it answered where it is to beat, for its
// provider beats.
func (s *Server) probe(ctx context.Context, p *probing, id bus.ResourceID, have bus.Attachment, beats bus.USCC) {
	asking, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := s.bindings.Probe(asking, id)
	if ctx.Err() != nil || bus.CodeOf(err) == bus.CodeNotBound { // it was ended a moment ago
		return
	}
	if beats != "" {
		p.pulses.beat(id, beats, s.now(), err == nil)
	}
	p.mu.Lock()
	if p.failed[id]++; err == nil {
		p.failed[id] = 0
	}
	failed := p.failed[id]
	p.mu.Unlock()
	if failed > 0 && failed < probeTries {
		return
	}
	have.Resource = id
	if next, news := have.Next(failed == 0, s.now().UTC()); news {
		s.attach(ctx, next, next.State != have.State)
	}
}

// attach tells the directory, and puts on record what changed. What could not be told
// is told after the next probe.
func (s *Server) attach(ctx context.Context, a bus.Attachment, changed bool) {
	by := bus.Principal{Node: s.self.Node}
	entry, err := command.New(command.AttachmentPut, by, "", 0, a)
	if err == nil {
		_, err = s.directory.Write(ctx, entry)
	}
	if err == nil && changed {
		provider, _ := s.exchange.Provides(a.Resource)
		err = s.exchange.Record(ctx, audit.Record{
			Kind: audit.KindAdministered, Principal: by, Resource: a.Resource, Provider: provider, Detail: "binding." + string(a.State),
		})
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Warn("tell how a resource is attached", "resource", a.Resource, "error", err)
	}
}
