package bus

import "time"

// Subscription is a standing request for the events of a resource (订阅).
type Subscription struct {
	ID       SubscriptionID `json:"id"`
	Resource ResourceID     `json:"resource"`
	Consumer USCC           `json:"consumer"`
	System   SystemID       `json:"system"` // who pulls
	Grant    GrantID        `json:"grant,omitempty"`
	Purpose  Purpose        `json:"purpose"`
	Matter   string         `json:"matter,omitempty"` // 实施清单编码
	Items    []ItemID       `json:"items,omitempty"`  // none listed: all that is allowed
	Created  time.Time      `json:"created"`          // events that arrive from then on are for it
	Revision Revision       `json:"revision"`
}

// Check returns every defect of s that shows without looking anything up.
func (s Subscription) Check() []Defect {
	defects := CheckID("id", s.ID)
	if s.Resource == "" {
		defects = append(defects, missing("resource"))
	}
	if s.System == "" {
		defects = append(defects, missing("system"))
	}
	return append(defects, CheckPurpose("purpose", s.Purpose)...)
}
