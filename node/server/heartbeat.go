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
	of  map[bus.ResourceID]*bus.Pulse
}

func newPulses(interval time.Duration) *pulses {
	return &pulses{gap: max(heartbeatGap, 2*interval), of: map[bus.ResourceID]*bus.Pulse{}}
}

func (p *pulses) beat(id bus.ResourceID, at time.Time, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[id] == nil {
		p.of[id] = &bus.Pulse{}
	}
	p.of[id].Beat(at, answered, p.gap)
}

// until gives the heartbeats of the hours that were over at a time.
func (p *pulses) until(at time.Time) map[bus.ResourceID][]bus.Heartbeat {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[bus.ResourceID][]bus.Heartbeat{}
	for id, pulse := range p.of {
		if hours := pulse.Until(at); len(hours) > 0 {
			all[id] = hours
		}
	}
	return all
}

func (p *pulses) forget(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, pulse := range p.of {
		if pulse.Forget(at) { // it is asked no more, or begins anew
			delete(p.of, id)
		}
	}
}

// heartbeats reports of which of the resources that are bound here minutes of a heartbeat
// are expected.
func (s *Server) heartbeats(bound []binding.Shown) (expected map[bus.ResourceID]bool, err error) {
	expected = map[bus.ResourceID]bool{}
	return expected, s.state.View(func(tx *state.Tx) error {
		for _, b := range bound {
			if r, ok := tx.Resource(b.Resource); ok && r.Heartbeats() {
				expected[r.ID] = true
			}
		}
		return nil
	})
}

// recordHeartbeats puts on record, a leaf a resource and hour, what was heard in the
// hours that were over at a time. What could not be recorded is tried again after the
// next round of probes.
func (s *Server) recordHeartbeats(ctx context.Context, p *pulses, at time.Time) {
	var records []audit.Record
	for id, hours := range p.until(at) {
		provider, err := s.exchange.Provides(id)
		if err != nil { // its provider is served elsewhere by now
			continue
		}
		for _, h := range hours {
			records = append(records, audit.Record{
				Kind: audit.KindHeartbeat, Principal: bus.Principal{Node: s.self.Node}, Resource: id, Provider: provider, Heartbeat: &h,
				Detail: fmt.Sprintf("%s %d/60", h.Hour.In(calendar.Shanghai).Format("2006-01-02 15:04"), h.Up()),
			})
		}
	}
	if len(records) > 0 {
		if err := s.exchange.Record(ctx, records...); err != nil {
			s.logger.Warn("record heartbeats", "error", err)
			return
		}
	}
	p.forget(at)
}
