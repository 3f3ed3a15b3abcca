package server

import (
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// reporting keeps how far the reports have come that are being made here.
type reporting struct {
	mu      sync.Mutex
	reports map[string]client.EvaluationProgress // by id
}

// begin enters a report; CodeExists where it is being made already.
func (m *reporting) begin(id string) (*steps, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.reports[id]; ok {
		return nil, bus.E(bus.CodeExists, bus.Defect{
			Field: "id", Problem: bus.Text{ZH: "报告 " + id + " 正在计算", EN: "report " + id + " is being made"}, Allowed: "another id",
		})
	}
	if m.reports == nil {
		m.reports = map[string]client.EvaluationProgress{}
	}
	m.reports[id] = client.EvaluationProgress{}
	return &steps{m, id}, nil
}

// steps tells how far one report has come; nil tells nobody.
type steps struct {
	reporting *reporting
	id        string
}

// stage begins another stage, of so many steps; 0 where nobody knows how many.
func (s *steps) stage(name client.EvaluationStage, of int) {
	s.change(func(p *client.EvaluationProgress) { *p = client.EvaluationProgress{Stage: name, Of: of} })
}

// add counts steps of the present stage.
func (s *steps) add(n int) { s.change(func(p *client.EvaluationProgress) { p.Done += n }) }

func (s *steps) change(how func(*client.EvaluationProgress)) {
	if s == nil {
		return
	}
	s.reporting.mu.Lock()
	defer s.reporting.mu.Unlock()
	p := s.reporting.reports[s.id]
	how(&p)
	s.reporting.reports[s.id] = p
}

func (s *steps) end() {
	s.reporting.mu.Lock()
	defer s.reporting.mu.Unlock()
	delete(s.reporting.reports, s.id)
}

// EvaluationProgress tells how far a report has come that is being made here; false for
// any other.
func (s *Server) EvaluationProgress(id string) (client.EvaluationProgress, bool) {
	s.reporting.mu.Lock()
	defer s.reporting.mu.Unlock()
	p, ok := s.reporting.reports[id]
	return p, ok
}
