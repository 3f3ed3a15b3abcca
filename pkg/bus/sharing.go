package bus

import (
	"fmt"
	"time"
)

// Grant is the consent that a consumer may have a resource (共享授权): which
// items, for which purposes and matters, until when.
type Grant struct {
	ID        GrantID    `json:"id"`
	Resource  ResourceID `json:"resource"`
	Consumer  USCC       `json:"consumer"`
	Purposes  []Purpose  `json:"purposes"`
	Items     []ItemID   `json:"items"`             // what it covers
	Matters   []string   `json:"matters,omitempty"` // none listed: any
	NotBefore time.Time  `json:"not_before"`
	NotAfter  time.Time  `json:"not_after"`           // exclusive
	Suspended string     `json:"suspended,omitempty"` // why it does not stand for now (暂停); data is held meanwhile
	Revoked   string     `json:"revoked,omitempty"`
	Revision  Revision   `json:"revision"`
}

// Check returns every defect of g that shows without looking anything up.
func (g Grant) Check() []Defect {
	defects := CheckID("id", g.ID)
	if g.Resource == "" {
		defects = append(defects, missing("resource"))
	}
	defects = append(defects, checkUSCC("consumer", g.Consumer)...)
	if len(g.Purposes) == 0 {
		defects = append(defects, missing("purposes"))
	}
	for i, p := range g.Purposes {
		defects = append(defects, CheckPurpose(fmt.Sprintf("purposes[%d]", i), p)...)
	}
	if len(g.Items) == 0 {
		defects = append(defects, missing("items"))
	}
	if !g.NotAfter.After(g.NotBefore) {
		defects = append(defects, Defect{"not_after", Text{"截止时间应晚于起始时间", "must be after not_before"}, "RFC 3339, later than not_before"})
	}
	return defects
}

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
