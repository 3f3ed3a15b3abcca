package mesh

import (
	"encoding/json"
	"io"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// The paths between nodes.
const (
	pathEntries    = "/peer/v1/entries"    // POST: a directory entry, to the leader
	pathDeliveries = "/peer/v1/deliveries" // POST: a batch, to the consumer's node
	pathStatus     = "/peer/v1/status"     // GET
	pathTrace      = "/peer/v1/trace"      // POST
	pathJoin       = "/peer/v1/join"       // POST: to the node that holds the CA
	pathMembers    = "/peer/v1/members"    // POST: to the leader
)

// Status is what a node tells of itself.
type Status struct {
	AppliedIndex bus.Revision        `json:"applied_index"`
	Version      string              `json:"version"`
	Layers       []client.LayerState `json:"layers"`
	Time         time.Time           `json:"time"`       // the node's clock
	Generation   uint64              `json:"generation"` // how often its group was recovered from a lost quorum
	Lineage      string              `json:"lineage,omitempty"`
}

// TraceQuery asks for the steps that a node recorded about events: about those
// with a CloudEvents id that it took in itself, and about given occurrences.
type TraceQuery struct {
	Event       string                `json:"event"`
	Occurrences []exchange.Occurrence `json:"occurrences,omitempty"`
}

// TraceAnswer is what one node knows.
type TraceAnswer struct {
	Occurrences []exchange.Occurrence `json:"occurrences,omitempty"` // of the event, here
	Steps       []client.TraceStep    `json:"steps,omitempty"`
}

// Membership asks the leader to take a node into the group or, where Promote is
// set, to let it vote.
type Membership struct {
	Node    bus.NodeID `json:"node"`
	Promote bool       `json:"promote,omitempty"`
}

// failure is an error between nodes: all of a bus.Error but its cause.
type failure struct {
	Code       bus.Code     `json:"code"`
	Defects    []bus.Defect `json:"defects,omitempty"`
	DecisionID string       `json:"decision_id,omitempty"`
}

const bodyCap = 16 << 20 // bytes of any message between nodes

func decode(r io.Reader, v any) error {
	decoder := json.NewDecoder(io.LimitReader(r, bodyCap))
	if err := decoder.Decode(v); err != nil {
		return bus.E(bus.CodeMalformedJSON).Because(err)
	}
	return nil
}
