package bus

import "time"

// DeliveryState says how far an event has come on its way to one subscription.
type DeliveryState string

// The states, in the order of the way.
const (
	DeliveryUnmatched    DeliveryState = "unmatched"    // the subscription's filters are not for it
	DeliveryWaiting      DeliveryState = "waiting"      // at the provider's node
	DeliveryHeld         DeliveryState = "held"         // at the provider's node, by a policy or a limit
	DeliveryForwarded    DeliveryState = "forwarded"    // the consumer's node has it, and has not told more
	DeliveryReceived     DeliveryState = "received"     // waits at the consumer's node
	DeliveryDelivered    DeliveryState = "delivered"    // handed out, not acknowledged
	DeliveryAcknowledged DeliveryState = "acknowledged" // the consumer has it
	DeliveryDenied       DeliveryState = "denied"       // it will not be delivered
	DeliveryFiltered     DeliveryState = "filtered"     // no row of it meets a policy's conditions
	DeliveryExpired      DeliveryState = "expired"      // its expirytime came first
	DeliveryDead         DeliveryState = "dead-letter"  // the consumer's webhook did not take it
	DeliveryDiscarded    DeliveryState = "discarded"    // a dead letter that the consumer threw away
	DeliveryUnknown      DeliveryState = "unknown"      // what is on record here of an event that has gone, or has moved here, does not tell
)

// Delivery is how far an event has come to one subscription.
type Delivery struct {
	Subscription SubscriptionID `json:"subscription"`
	Consumer     USCC           `json:"consumer"`
	System       SystemID       `json:"system"`
	Node         NodeID         `json:"node"` // of the consumer
	State        DeliveryState  `json:"state"`
	At           time.Time      `json:"at,omitzero"`       // of the newest step
	Reasons      []Reason       `json:"reasons,omitempty"` // of a denial
	Detail       string         `json:"detail,omitempty"`
	DecisionID   string         `json:"decision_id,omitempty"`
	Silent       bool           `json:"silent,omitempty"` // the consumer's node does not answer: there may be more
	AsOf         time.Time      `json:"as_of,omitzero"`   // of one that does not: when it last told, by a signed receipt, what is told here
}
