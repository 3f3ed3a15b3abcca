package decision

import (
	"encoding/json"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Event is a decision in the form of an event of OPA's decision log. Fields of that
// form that the bus has nothing for (query, nd_builtin_cache, trace ids) are left
// out; what OPA has no field for stands in Custom.
type Event struct {
	Labels      Labels                 `json:"labels"`
	DecisionID  string                 `json:"decision_id"`
	Bundles     map[bus.LayerID]Bundle `json:"bundles"`         // every layer that applied
	Path        string                 `json:"path"`            // "gxbus", below which each layer has its package
	Input       json.RawMessage        `json:"input,omitempty"` // as policies saw it, but for Masked; absent in records of before there were any
	Result      Result                 `json:"result"`
	Masked      []string               `json:"masked,omitempty"` // JSON pointers, of this event, of what was replaced
	RequestedBy string                 `json:"requested_by"`     // system:…, account:…, node:…
	Timestamp   time.Time              `json:"timestamp"`
	Metrics     map[string]int64       `json:"metrics,omitempty"`
	Custom      Custom                 `json:"custom"`
}

// Labels say which node decided.
type Labels struct {
	Node  bus.NodeID `json:"node"`
	Stage string     `json:"stage,omitempty"` // provider, consumer
}

// Bundle is a layer as it was in use.
type Bundle struct {
	Revision string `json:"revision"` // of base the digest of its text
}

// Result is the answer, and what each layer said.
type Result struct {
	Allow       bool            `json:"allow"`
	Reasons     []bus.Reason    `json:"reasons,omitempty"`
	Obligations bus.Obligations `json:"obligations"`
	Verdicts    []bus.Verdict   `json:"verdicts,omitempty"`
}

// Custom is what the bus knows of a decision beside that.
type Custom struct {
	Action       string             `json:"action"`
	Index        bus.Revision       `json:"directory_index"`
	Leaf         int64              `json:"leaf"` // of the node's evidence
	Request      string             `json:"request,omitempty"`
	Principal    bus.Principal      `json:"principal,omitzero"`
	Provider     bus.USCC           `json:"provider,omitempty"`
	Consumer     bus.USCC           `json:"consumer,omitempty"`
	Resource     bus.ResourceID     `json:"resource,omitempty"`
	Subscription bus.SubscriptionID `json:"subscription,omitempty"`
	Grant        bus.GrantID        `json:"grant,omitempty"`
	Purpose      bus.Purpose        `json:"purpose,omitempty"`
	Matter       string             `json:"matter,omitempty"`
	Basis        string             `json:"basis,omitempty"`
	First        uint64             `json:"first,omitempty"` // the events that it was about
	Last         uint64             `json:"last,omitempty"`
	Events       int                `json:"events,omitempty"`
}

// EventPage is a page of decisions, newest first; Next goes on where there may be more,
// on a page without any too.
type EventPage struct {
	Items []Event `json:"items"`
	Next  string  `json:"next,omitempty"`
}
