package bus

import "time"

// ExchangeRecord is one exchange as the evidence of its nodes has it: a publication, a
// batch of a subscription, or a query; who, what, how much, when, and how it stands. A
// time is zero where the step was not taken, or the node that has a leaf of it did not
// tell.
type ExchangeRecord struct {
	Node         NodeID         `json:"node"`           // whose evidence tells it
	Leaf         int64          `json:"leaf"`           // of that node's log, from 0
	At           time.Time      `json:"at"`             // of that leaf
	Peer         NodeID         `json:"peer,omitempty"` // the node that it came from; it tells of it, where it answers
	Mode         ExchangeMode   `json:"mode"`
	Status       ExchangeStatus `json:"status"`
	AsOf         time.Time      `json:"as_of,omitzero"`  // the consumer's node does not answer: the status is by its receipt of then
	Fault        Fault          `json:"fault,omitempty"` // whose, where it went wrong
	Code         Code           `json:"code,omitempty"`  // of what went wrong
	Resource     ResourceID     `json:"resource,omitempty"`
	Provider     USCC           `json:"provider,omitempty"`
	Consumer     USCC           `json:"consumer,omitempty"`
	System       SystemID       `json:"system,omitempty"` // of the publisher, or of the consumer
	Subscription SubscriptionID `json:"subscription,omitempty"`
	Grant        GrantID        `json:"grant,omitempty"`
	Purpose      Purpose        `json:"purpose,omitempty"`
	Matter       string         `json:"matter,omitempty"`
	Case         string         `json:"case,omitempty"`        // 办件号
	Basis        string         `json:"basis,omitempty"`       // 使用依据
	Operator     string         `json:"operator,omitempty"`    // 经办人代号
	Correlation  string         `json:"correlation,omitempty"` // of a query
	Trace        string         `json:"trace,omitempty"`       // W3C trace id, of the first event that has one
	First        uint64         `json:"first,omitempty"`       // sequence numbers, inclusive
	Last         uint64         `json:"last,omitempty"`
	Events       int            `json:"events,omitempty"`
	Bytes        int64          `json:"bytes,omitempty"` // of those events
	ExchangeTimes
	Request    string `json:"request,omitempty"`     // id of the request
	DecisionID string `json:"decision_id,omitempty"` // it rests on
}

// ExchangeTimes are when an exchange passed each of its points. Those of a query are
// when it was first asked, let through at the provider's node, answered by the provider's
// system, and handed out whole.
type ExchangeTimes struct {
	Accepted     time.Time `json:"accepted,omitzero"`     // at the provider's node
	Forwarded    time.Time `json:"forwarded,omitzero"`    // the provider's node knows that the consumer's has it
	Received     time.Time `json:"received,omitzero"`     // at the consumer's node
	Delivered    time.Time `json:"delivered,omitzero"`    // handed out
	Acknowledged time.Time `json:"acknowledged,omitzero"` // by the consumer
	Delayed      time.Time `json:"delayed,omitzero"`      // since when a fault kept it from the next of them, also where it has passed that by now
}

// ExchangeMode is how data is exchanged.
type ExchangeMode string

// The modes.
const (
	ModePublish   ExchangeMode = "publish"   // events of a system to its own node
	ModeSubscribe ExchangeMode = "subscribe" // events of a resource to a subscription
	ModeQuery     ExchangeMode = "query"     // a request for data, or for a subscription
)

// ExchangeStatus is how far an exchange has come.
type ExchangeStatus string

// The statuses: first those on the way, then those it ends in.
const (
	ExchangeAccepted     ExchangeStatus = "accepted"
	ExchangeHeld         ExchangeStatus = "held"
	ExchangeForwarded    ExchangeStatus = "forwarded"
	ExchangeReceived     ExchangeStatus = "received"
	ExchangeDelivered    ExchangeStatus = "delivered"
	ExchangeAcknowledged ExchangeStatus = "acknowledged"
	ExchangeDelayed      ExchangeStatus = "delayed" // for a fault; it is tried again
	ExchangeFiltered     ExchangeStatus = "filtered"
	ExchangeExpired      ExchangeStatus = "expired"
	ExchangeWithheld     ExchangeStatus = "withheld"
	ExchangeDenied       ExchangeStatus = "denied"
	ExchangeRefused      ExchangeStatus = "refused"
	ExchangeFailed       ExchangeStatus = "failed"        // a query that was let through and has no answer
	ExchangeDeadLettered ExchangeStatus = "dead-lettered" // given up: the consumer's webhook did not take it
	ExchangeDiscarded    ExchangeStatus = "discarded"     // thrown away by the consumer, or with its subscription
	ExchangeReplayed     ExchangeStatus = "replayed"      // left the inbox: the consumer began anew
)

// OnTheWay reports whether a batch of this status may yet come further.
func (s ExchangeStatus) OnTheWay() bool {
	switch s {
	case ExchangeForwarded, ExchangeReceived, ExchangeDelivered, ExchangeAcknowledged:
		return true
	}
	return false
}

// Fault is whose fault it is that an exchange went wrong.
type Fault string

// The faults.
const (
	FaultPolicy   Fault = "policy"   // it was not allowed
	FaultCaller   Fault = "caller"   // it was not asked for as it has to be, or the consumer does not take it
	FaultProvider Fault = "provider" // its data, or its endpoint
	FaultNetwork  Fault = "network"  // a node, or the consumer's endpoint, could not be reached
	FaultBus      Fault = "bus"      // a node could not do it
)

// FaultOf returns whose fault a refusal with a code is.
func FaultOf(c Code) Fault {
	switch c {
	case "":
		return ""
	case CodeDenied, CodeHeld, CodeNotShared:
		return FaultPolicy
	case CodeLate, CodeNotBound:
		return FaultProvider
	case CodeEndpointRefused, CodeInboxFull: // the consumer does not take what waits
		return FaultCaller
	case CodePeerUnreachable, CodeEndpointUnreachable:
		return FaultNetwork
	}
	switch c.Kind() {
	case KindProvider:
		return FaultProvider
	case KindInternal, KindUnavailable, KindStorageFull:
		return FaultBus
	}
	return FaultCaller
}
