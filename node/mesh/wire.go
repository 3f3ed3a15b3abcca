package mesh

import (
	"io"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// The paths between nodes.
const (
	pathEntries    = "/peer/v1/entries"    // POST: a directory entry, to the leader
	pathReadIndex  = "/peer/v1/read-index" // GET: to the leader
	pathDeliveries = "/peer/v1/deliveries" // POST: a batch, to the consumer's node
	pathRecalls    = "/peer/v1/recalls"    // POST: of batches, to the consumer's node
	pathStatus     = "/peer/v1/status"     // GET
	pathLocate     = "/peer/v1/locations"  // POST
	pathTrace      = "/peer/v1/trace"      // POST: from the provider's node
	pathReceipts   = "/peer/v1/receipts"   // POST: to the provider's node
	pathEvidence   = "/peer/v1/evidence"   // POST
	pathRecord     = "/peer/v1/record"     // POST
	pathProve      = "/peer/v1/proofs"     // POST
	pathJoin       = "/peer/v1/join"       // POST: to the node that holds the CA
	pathMembers    = "/peer/v1/members"    // POST: to the leader
	pathRenew      = "/peer/v1/renew"      // POST: to the node that holds the CA
	pathRoots      = "/peer/v1/roots"      // POST: from a voter, to the node that is to hold the CA
	pathHandovers  = "/peer/v1/handovers"  // POST: to the node that a department moves from
	pathSurveys    = "/peer/v1/surveys"    // POST: from a voter
	pathRollups    = "/peer/v1/rollups"    // POST: from the node of the topmost division
	pathExchanges  = "/peer/v1/exchanges"  // POST: likewise
)

// Status is what a node tells of itself.
type Status struct {
	AppliedIndex bus.Revision        `json:"applied_index"`
	Version      string              `json:"version"`
	Layers       []client.LayerState `json:"layers"`
	Relaying     client.Relaying     `json:"relaying"`
	Time         time.Time           `json:"time"`       // the node's clock
	Generation   uint64              `json:"generation"` // how often its group was recovered from a lost quorum
	Lineage      string              `json:"lineage,omitempty"`
	Witness      client.Witness      `json:"witness,omitzero"`

	Silent map[bus.NodeID]float64 `json:"silent,omitempty"` // on the leader: seconds since a member last answered, of those that do not
}

// ReadIndex is where a consistent read may read.
type ReadIndex struct {
	Index bus.Revision `json:"index"`
}

// LocateQuery asks a node, in somebody's name, where it keeps an event.
type LocateQuery struct {
	By      bus.Principal `json:"by"`
	Request string        `json:"request,omitempty"` // request id
	Event   string        `json:"event"`             // CloudEvents id
}

// LocateAnswer has those of which the caller may know.
type LocateAnswer struct {
	Occurrences []exchange.Occurrence `json:"occurrences,omitempty"`
}

// TraceQuery asks for the steps that a node recorded about one event, in the name of
// the event's provider, whom the node that asks serves; where it does not, in that of
// By.
type TraceQuery struct {
	Event   exchange.Occurrence `json:"event"`
	By      bus.Principal       `json:"by,omitzero"`
	Request string              `json:"request,omitempty"` // request id
}

// TraceAnswer is what of them it may see.
type TraceAnswer struct {
	Steps []client.TraceStep `json:"steps,omitempty"`
}

// Recalled is how far a subscription was received, for good.
type Recalled struct {
	Received uint64 `json:"received"`
}

// Receipts are what a consumer's node signed.
type Receipts struct {
	Receipts []string `json:"receipts"` // signed notes
}

// EvidenceQuery asks a node, in somebody's name, for what it recorded: of given
// occurrences, or of what a search is for.
type EvidenceQuery struct {
	By          bus.Principal         `json:"by"`
	Request     string                `json:"request,omitempty"` // request id
	Occurrences []exchange.Occurrence `json:"occurrences,omitempty"`
	Search      *audit.Search         `json:"search,omitempty"`
}

// EvidenceAnswer is what of it the caller may see, in the order of the node's log.
type EvidenceAnswer struct {
	Steps   []client.TraceStep `json:"steps,omitempty"`
	Through int64              `json:"through"` // of a search: the leaf up to which was looked
	More    bool               `json:"more,omitempty"`
}

// RecordQuery asks a node, in somebody's name, for its half of the operational record: of
// what a search is for, or how far given batches have come there.
type RecordQuery struct {
	By      bus.Principal      `json:"by"`
	Request string             `json:"request,omitempty"` // request id
	Search  *exchange.Search   `json:"search,omitempty"`
	Batches []exchange.BatchID `json:"batches,omitempty"`
}

// RecordAnswer is what of it the caller may see, in the order of the node's log, or of
// the batches.
type RecordAnswer struct {
	Records []bus.ExchangeRecord `json:"records,omitempty"`
	Through int64                `json:"through"` // of a search: the leaf up to which was looked
	More    bool                 `json:"more,omitempty"`
}

// ProofQuery asks a node, in an auditor's name, to prove what it recorded of events.
type ProofQuery struct {
	By          bus.Principal         `json:"by"`
	Request     string                `json:"request,omitempty"` // request id
	Occurrences []exchange.Occurrence `json:"occurrences"`
}

// ProofAnswer is that; nil where it recorded nothing.
type ProofAnswer struct {
	Log *audit.LogProof `json:"log,omitempty"`
}

// SurveyQuery asks what a node keeps for a department.
type SurveyQuery struct {
	Department bus.USCC `json:"department"`
}

// RollupQuery asks a node what its evidence says of days, the first to the last.
type RollupQuery struct {
	First string `json:"first"` // as "2026-03-01"
	Last  string `json:"last"`
}

// RollupAnswer has a signed rollup of each of those days that is closed.
type RollupAnswer struct {
	Rollups []evaluation.Rollup `json:"rollups"`
}

// ExchangeQuery asks a node for the exchanges of days that are about something.
type ExchangeQuery struct {
	About evaluation.About `json:"about"`
	Days  []string         `json:"days"` // as "2026-03-01"
}

// ExchangeAnswer has what the node's evidence shows of them.
type ExchangeAnswer struct {
	Exchanges []evaluation.Exchange `json:"exchanges"`
}

// StepLead asks the leader to hand the lead over.
const StepLead bus.Step = "lead"

// Membership asks the leader what a step would make of the quorum, or to hand the
// lead over to a node, in somebody's name.
type Membership struct {
	Node bus.NodeID    `json:"node"`
	Step bus.Step      `json:"step"`
	By   bus.Principal `json:"by,omitzero"`
}

// Renewal asks for a certificate in place of one that ends.
type Renewal struct {
	CSR         []byte `json:"csr"`         // DER, PKCS #10, of the key that the node joined with
	Certificate []byte `json:"certificate"` // DER: the present one, which says under which names agencies know the node
}

// Certificate is a certificate in DER.
type Certificate struct {
	Certificate []byte `json:"certificate"`
}

// failure is an error between nodes: all of a bus.Error but its cause.
type failure struct {
	Code       bus.Code     `json:"code"`
	Defects    []bus.Defect `json:"defects,omitempty"`
	DecisionID string       `json:"decision_id,omitempty"`

	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

const bodyCap = 16 << 20 // bytes of any message between nodes

func decode(r io.Reader, v any) error {
	data, err := io.ReadAll(io.LimitReader(r, bodyCap))
	if err == nil {
		err = strictjson.Own(data, v)
	}
	if err != nil {
		return bus.E(bus.CodeMalformedJSON).Because(err)
	}
	return nil
}
