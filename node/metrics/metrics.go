// Package metrics shows how a node is doing in the form that Prometheus reads: what
// it did, counted from the records of its evidence, and how it stands, asked when it is
// read.
//
// Nothing that names a person, a department, a resource, a case or a request becomes a
// label: labels are words of this program, and the ids of nodes.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// other stands for whatever is not a word of this release.
const other = "other"

// Metrics counts what a node does.
type Metrics struct {
	registry  *prometheus.Registry
	leaves    *prometheus.CounterVec
	events    *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	decisions *prometheus.CounterVec
	deciding  prometheus.Histogram
	queries   *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
}

// New makes the metrics of a node; stand says how it stands, each time that is asked.
func New(version string, stand func() (Standing, error)) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gxbus_" + name, Help: help}, labels)
	}
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		leaves:    counter("evidence_leaves_total", "Leaves appended to the evidence log, by kind.", "kind"),
		events:    counter("events_total", "Events that a step touched: accepted, forwarded, received, delivered, acknowledged, withheld, held, dead-lettered and so on.", "step"),
		bytes:     counter("event_bytes_total", "Bytes of those events.", "step"),
		decisions: counter("policy_decisions_total", "Policy decisions on record, by action and outcome.", "action", "outcome"),
		refusals:  counter("refusals_total", "Requests refused on record before policy was asked, by code.", "code"),
		deciding: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gxbus_policy_decision_seconds", Help: "Evaluation of a policy decision.", Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, 1},
		}),
		queries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gxbus_query_seconds", Help: "Queries from being asked here to their end, at the consumer's and at the provider's node, by whose fault there was no answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"outcome", "fault"}),
	}
	for _, c := range []prometheus.Collector{
		m.leaves, m.events, m.bytes, m.decisions, m.refusals, m.deciding, m.queries, &standings{version, stand},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Handler answers Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2})
}

// Observe counts a record of evidence that is on the disk.
func (m *Metrics) Observe(r audit.Record) {
	kind := other
	if r.Kind.Known() {
		kind = string(r.Kind)
	}
	m.leaves.WithLabelValues(kind).Inc()
	tooMany := r.Kind == audit.KindRefused && r.Events > 0 // for the rate of their system: they have no numbers
	if r.HasRange() && r.Kind != audit.KindDecision || tooMany {
		m.events.WithLabelValues(kind).Add(float64(r.Events))
		m.bytes.WithLabelValues(kind).Add(float64(r.Bytes))
	}
	switch r.Kind {
	case audit.KindDecision:
		m.decided(r)
	case audit.KindRefused:
		m.refusals.WithLabelValues(codeOf(r.Code)).Inc()
	case audit.KindAnswered:
		outcome := "answered"
		if r.Code != "" {
			outcome = "failed"
		}
		m.queries.WithLabelValues(outcome, string(bus.FaultOf(r.Code))).Observe(float64(r.Took) / 1e6)
	}
}

func (m *Metrics) decided(r audit.Record) {
	action, outcome := other, "deny"
	if policy.Action(r.Decision.Action).Known() {
		action = r.Decision.Action
	}
	if r.Decision.Allow {
		outcome = "allow"
	}
	m.decisions.WithLabelValues(action, outcome).Inc()
	if r.Grounds != nil {
		m.deciding.Observe(float64(r.Grounds.Took) / 1e9)
	}
}

// codeOf is a code as a label: one that another node made up is none.
func codeOf(c bus.Code) string {
	if c.Known() {
		return string(c)
	}
	return other
}
