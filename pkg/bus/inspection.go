package bus

import "time"

// UseRecord is one step of a resource's use, as the evidence of a node has it
// (使用记录, decree 809 art. 29): who was to get what for which purpose, what was
// decided, and how many events went.
type UseRecord struct {
	Leaf         int64          `json:"leaf"` // of the node's evidence log, from 0
	At           time.Time      `json:"at"`
	Step         string         `json:"step"`             // decision, forwarded, delivered, withheld
	Action       string         `json:"action,omitempty"` // of a decision: subscribe, forward, deliver, query, download
	Resource     ResourceID     `json:"resource"`
	Consumer     USCC           `json:"consumer"`
	System       SystemID       `json:"system,omitempty"`
	Subscription SubscriptionID `json:"subscription,omitempty"`
	Grant        GrantID        `json:"grant,omitempty"`
	Purpose      Purpose        `json:"purpose,omitempty"`
	Matter       string         `json:"matter,omitempty"`
	Case         string         `json:"case,omitempty"`     // 办件号, of a query
	Basis        string         `json:"basis,omitempty"`    // 使用依据
	Operator     string         `json:"operator,omitempty"` // 经办人代号, of a query
	Allowed      bool           `json:"allowed"`
	Reasons      []Reason       `json:"reasons,omitempty"` // why not
	Events       int            `json:"events,omitempty"`
	DecisionID   string         `json:"decision_id,omitempty"` // ties the steps to their decision
}
