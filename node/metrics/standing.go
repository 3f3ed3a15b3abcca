package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Standing is how a node stands.
type Standing struct {
	Leader         bool          // this node leads
	LeaderKnown    bool          // somebody does
	Term           uint64        // of the raft group
	Applied        bus.Revision  // index of the directory here
	Committed      uint64        // index that is known to be committed
	ReplicaAge     time.Duration // how old the directory here may be
	Layers         bus.Revision  // index at which a policy layer in force was last changed
	BrokenLayers   int           // that could not be compiled, and deny
	Leaves         int64         // of the evidence log
	Unwitnessed    int64         // of those, not cosigned yet
	UnwitnessedFor time.Duration // of the first of them
	FileBytes      int64         // of exchange.db
	LiveBytes      int64         // of those, that hold something
	DiskFree       uint64        // bytes
	InboxBytes     int64         // of exchange.db, that wait for consumers
	InboxesFull    int           // inboxes here that nothing more is taken into
	InboxesWaiting int           // subscriptions whose events wait here for one that is full
	Backlog        map[bus.NodeID]uint64
}

// gauge is one figure of a standing.
type gauge struct {
	name, help string
	value      func(Standing) float64
}

var gauges = []gauge{
	{"raft_leader", "1 where this node leads.", func(s Standing) float64 { return truth(s.Leader) }},
	{"raft_leader_known", "1 where the group has a leader that this node knows.", func(s Standing) float64 { return truth(s.LeaderKnown) }},
	{"raft_term", "Term of the raft group.", func(s Standing) float64 { return float64(s.Term) }},
	{"directory_applied_index", "Index that the directory here is at.", func(s Standing) float64 { return float64(s.Applied) }},
	{"raft_committed_index", "Index that this node knows to be committed.", func(s Standing) float64 { return float64(s.Committed) }},
	{"directory_age_seconds", "How old the directory here may be.", func(s Standing) float64 { return s.ReplicaAge.Seconds() }},
	{"policy_layers_index", "Index at which a policy layer in force here was last changed.", func(s Standing) float64 { return float64(s.Layers) }},
	{"policy_layers_broken", "Policy layers that could not be compiled, and deny.", func(s Standing) float64 { return float64(s.BrokenLayers) }},
	{"evidence_leaves", "Leaves of the evidence log.", func(s Standing) float64 { return float64(s.Leaves) }},
	{"evidence_unwitnessed_leaves", "Leaves that no other node has cosigned yet.", func(s Standing) float64 { return float64(s.Unwitnessed) }},
	{"evidence_unwitnessed_seconds", "Age of the first of them.", func(s Standing) float64 { return s.UnwitnessedFor.Seconds() }},
	{"exchange_file_bytes", "Size of exchange.db.", func(s Standing) float64 { return float64(s.FileBytes) }},
	{"exchange_live_bytes", "Bytes of exchange.db that hold something; log_bytes bounds it.", func(s Standing) float64 { return float64(s.LiveBytes) }},
	{"inbox_bytes", "Bytes that wait here for consumers to take them.", func(s Standing) float64 { return float64(s.InboxBytes) }},
	{"inboxes_full", "Subscriptions whose inbox here has no room for more.", func(s Standing) float64 { return float64(s.InboxesFull) }},
	{"forward_inbox_full", "Subscriptions whose events wait here because their inbox, at the consumer's node, is full.", func(s Standing) float64 { return float64(s.InboxesWaiting) }},
	{"disk_free_bytes", "Free bytes of the data directory's disk.", func(s Standing) float64 { return float64(s.DiskFree) }},
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var (
	backlog = prometheus.NewDesc("gxbus_forward_backlog_events", "Events that wait to be forwarded, by the node that they are for.", []string{"node"}, nil)
	build   = prometheus.NewDesc("gxbus_build_info", "1, with the release.", []string{"version"}, nil)
	failed  = prometheus.NewDesc("gxbus_standing", "How the node stands.", nil, nil)
)

// standings collects a standing.
type standings struct {
	version string
	stand   func() (Standing, error)
}

// Describe implements prometheus.Collector.
func (c *standings) Describe(out chan<- *prometheus.Desc) {
	out <- backlog
	out <- build
	for _, g := range gauges {
		out <- g.desc()
	}
}

// Collect implements prometheus.Collector.
func (c *standings) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(build, prometheus.GaugeValue, 1, c.version)
	s, err := c.stand()
	if err != nil {
		out <- prometheus.NewInvalidMetric(failed, err)
		return
	}
	for _, g := range gauges {
		out <- prometheus.MustNewConstMetric(g.desc(), prometheus.GaugeValue, g.value(s))
	}
	for node, events := range s.Backlog {
		out <- prometheus.MustNewConstMetric(backlog, prometheus.GaugeValue, float64(events), string(node))
	}
}

func (g gauge) desc() *prometheus.Desc { return prometheus.NewDesc("gxbus_"+g.name, g.help, nil, nil) }
