package bus

import "time"

// ExchangeRecord is one exchange as the evidence of a node has it: a publication, or
// a batch of a subscription; who, what, how much, when, and how it stands. A time is
// zero where this node has no leaf of that step: the other node has.
type ExchangeRecord struct {
	Leaf         int64          `json:"leaf"` // of the node's evidence log, from 0
	Mode         ExchangeMode   `json:"mode"`
	Status       ExchangeStatus `json:"status"`
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
	First        uint64         `json:"first,omitempty"` // sequence numbers, inclusive
	Last         uint64         `json:"last,omitempty"`
	Events       int            `json:"events,omitempty"`
	Bytes        int64          `json:"bytes,omitempty"` // of those events
	Accepted     time.Time      `json:"accepted,omitzero"`
	Forwarded    time.Time      `json:"forwarded,omitzero"`
	Received     time.Time      `json:"received,omitzero"`
	Delivered    time.Time      `json:"delivered,omitzero"`
	Request      string         `json:"request,omitempty"`     // id of the request
	DecisionID   string         `json:"decision_id,omitempty"` // it rests on
}

// At is when the exchange began here, as far as is known.
func (r ExchangeRecord) At() time.Time {
	for _, at := range []time.Time{r.Accepted, r.Forwarded, r.Received} {
		if !at.IsZero() {
			return at
		}
	}
	return r.Delivered
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
	ExchangeFiltered     ExchangeStatus = "filtered"
	ExchangeExpired      ExchangeStatus = "expired"
	ExchangeWithheld     ExchangeStatus = "withheld"
	ExchangeDenied       ExchangeStatus = "denied"
	ExchangeRefused      ExchangeStatus = "refused"
	ExchangeFailed       ExchangeStatus = "failed" // a query that was let through and has no answer
)

// Fault is whose fault it is that an exchange went wrong.
type Fault string

// The faults.
const (
	FaultPolicy   Fault = "policy"   // it was not allowed
	FaultCaller   Fault = "caller"   // it was not asked for as it has to be
	FaultProvider Fault = "provider" // its data, or its endpoint
	FaultNetwork  Fault = "network"  // a node could not be reached
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
	case CodePeerUnreachable:
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
