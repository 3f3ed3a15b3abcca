package evaluation

import (
	"github.com/gxbus/gxbus/pkg/bus"
)

// RollupFormat names the form of a rollup.
const RollupFormat = "gxbus-rollup/1"

// Rollup is what a node's evidence says of one day in Shanghai: how many exchanges
// of which kind. The node derives it from its own log and signs it; whoever has the
// log derives it again.
type Rollup struct {
	Format    string     `json:"format"`
	Node      bus.NodeID `json:"node"`
	Day       string     `json:"day"`  // as "2026-03-01"
	From      int64      `json:"from"` // the leaves of the log that it was derived from,
	To        int64      `json:"to"`   // up to, not including, To; 0, 0: there were none
	Rows      []Row      `json:"rows"` // by what they are about
	Signature string     `json:"signature,omitempty"`
}

// Row counts the exchanges of a day that are alike.
type Row struct {
	About
	Count   int64   `json:"count"`
	Events  int64   `json:"events,omitempty"`  // in them: of batches and publications
	Bytes   int64   `json:"bytes,omitempty"`   // of what was exchanged, where the leaves say
	Sum     string  `json:"sum"`               // over the names of the exchanges: which they are, in any order
	Latency Latency `json:"latency,omitempty"` // histogram; of exchanges whose begin the day's leaves show
}

// About is what the exchanges of a row have in common.
type About struct {
	Side         Side               `json:"side"`
	Mode         string             `json:"mode"` // interface, batch; publish: events that came in
	Resource     bus.ResourceID     `json:"resource"`
	Provider     bus.USCC           `json:"provider,omitempty"`
	Consumer     bus.USCC           `json:"consumer,omitempty"`
	Subscription bus.SubscriptionID `json:"subscription,omitempty"` // of batches
	Purpose      bus.Purpose        `json:"purpose,omitempty"`
	Outcome      Outcome            `json:"outcome"`
	Fault        bus.Code           `json:"fault,omitempty"`  // of what did not succeed, where there is one
	Within       bool               `json:"within,omitempty"` // the grant, with matter, case and purpose
}

// The modes of rows, beside those of the directory.
const (
	ModeInterface = "interface"
	ModeBatch     = "batch"
	ModePublish   = "publish"
)

// Side is the side of an exchange that a node saw.
type Side string

// The sides.
const (
	ProviderSide Side = "provider"
	ConsumerSide Side = "consumer"
)

// Outcome is what became of an exchange.
type Outcome string

// The outcomes.
const (
	Succeeded   Outcome = "succeeded"
	Denied      Outcome = "denied"       // by policy
	CallerFault Outcome = "caller-fault" // the request itself was wrong
	Failed      Outcome = "failed"       // the provider, or the way to it
)

// Latency counts exchanges by how long they took: below each of LatencyBounds, and
// longer.
type Latency []int64

// LatencyBounds are the upper bounds of the classes in milliseconds; the last class
// has none.
var LatencyBounds = []int64{10, 30, 100, 300, 1000, 3000, 10000, 30000}
