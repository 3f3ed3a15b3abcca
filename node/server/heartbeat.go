package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// heartbeatGap is how far two answers of a service may be apart at least for it to count
// as up between them: a round of probes takes its time where others do not answer.
const heartbeatGap = 5 * time.Minute

// pulses gathers the heartbeats of the realtime resources that are bound here.
type pulses struct {
	gap time.Duration
	mu  sync.Mutex
	of  map[bus.ResourceID]*pulse
}

// pulse is that of one resource, with its provider when it was last asked.
type pulse struct {
	bus.Pulse
	provider bus.USCC
}

func newPulses(interval time.Duration) *pulses {
	return &pulses{gap: max(heartbeatGap, 2*interval), of: map[bus.ResourceID]*pulse{}}
}

func (p *pulses) beat(id bus.ResourceID, provider bus.USCC, at time.Time, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[id] == nil {
		p.of[id] = &pulse{}
	}
	p.of[id].provider = provider
	p.of[id].Beat(at, answered, p.gap)
}

// until gives the records of the hours that were over at a time, a resource and hour
// each.
func (p *pulses) until(at time.Time, node bus.NodeID) (records []audit.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, pulse := range p.of {
		for _, h := range pulse.Until(at) {
			records = append(records, audit.Record{
				Kind: audit.KindHeartbeat, Principal: bus.Principal{Node: node}, Resource: id, Provider: pulse.provider, Heartbeat: &h,
				Detail: fmt.Sprintf("%s %d/60", h.Hour.In(calendar.Shanghai).Format("2006-01-02 15:04"), h.Up()),
			})
		}
	}
	return records
}

func (p *pulses) forget(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, pulse := range p.of {
		if pulse.Forget(at, p.gap) { // it is asked no more
			delete(p.of, id)
		}
	}
}

// beating gives, of the resources that are bound here, those of which minutes of a
// heartbeat are expected, with their providers, which are served here.
func (s *Server) beating(bound []binding.Shown) (providers map[bus.ResourceID]bus.USCC, err error) {
	providers = map[bus.ResourceID]bus.USCC{}
	err = s.state.View(func(tx *state.Tx) error {
		for _, b := range bound {
			if r, ok := tx.Resource(b.Resource); ok && r.Heartbeats() {
				providers[r.ID] = r.Provider
			}
		}
		return nil
	})
	for id := range providers {
		if _, elsewhere := s.exchange.Provides(id); elsewhere != nil {
			delete(providers, id)
		}
	}
	return providers, err
}

// recordHeartbeats puts on record what was heard in the hours that were over at a time.
// What could not be recorded is tried again after the next round of probes.
func (s *Server) recordHeartbeats(ctx context.Context, p *pulses, at time.Time) {
	if records := p.until(at, s.self.Node); len(records) > 0 {
		if err := s.exchange.Record(ctx, records...); err != nil {
			s.logger.Warn("record heartbeats", "error", err)
			return
		}
	}
	p.forget(at)
}
