package bus

import (
	"fmt"
	"time"
)

// Grant is the consent that a consumer may have a resource (共享授权): which
// items, for which purposes and matters, until when. It comes of an application,
// or registers an agreement that was there before the bus (存量协议).
type Grant struct {
	ID        GrantID      `json:"id"`
	Resource  ResourceID   `json:"resource"`
	Consumer  USCC         `json:"consumer"`
	Purposes  []Purpose    `json:"purposes"`
	Items     []ItemID     `json:"items"`              // what it covers
	Division  DivisionCode `json:"division,omitempty"` // about this division and those below; none: all
	Matters   []string     `json:"matters,omitempty"`  // none listed: any
	NotBefore time.Time    `json:"not_before"`
	NotAfter  time.Time    `json:"not_after"`           // exclusive
	Suspended string       `json:"suspended,omitempty"` // why it does not stand for now (暂停); data is held meanwhile
	Revoked   string       `json:"revoked,omitempty"`   // why it has ended (终止)
	Agreement string       `json:"agreement,omitempty"` // reference of the agreement that it registers
	Consent   *Consent     `json:"consent,omitempty"`   // how it came of an application
	Delivered *time.Time   `json:"delivered,omitempty"` // the first exchange under it
	Stops     []Stop       `json:"stops,omitempty"`     // 备案: each interference with it, the first one first
	Revision  Revision     `json:"revision"`

	Shown *GrantShown `json:"shown,omitempty"` // worked out when it is read; nothing of it is stored
}

// Consent is what a grant took over from the application that it answers. Its
// conditions are those of the directory version in force, copied by the bus: there
// is no way to add another (decree 809 art. 15).
type Consent struct {
	Application ApplicationID `json:"application"`
	At          time.Time     `json:"at"`              // delivery is due 20 working days later
	Version     int           `json:"version"`         // of the directory entry
	Range       string        `json:"range,omitempty"` // 共享范围, as that states it
	Mode        string        `json:"mode"`            // 共享方式
}

// GrantStep is an interference with a grant (decree 809 art. 27).
type GrantStep string

// The steps.
const (
	GrantSuspend   GrantStep = "suspend"   // 暂停
	GrantRectify   GrantStep = "rectify"   // 限期整改: data is held until it is resumed
	GrantResume    GrantStep = "resume"    // 恢复
	GrantTerminate GrantStep = "terminate" // 终止
	GrantGiveBack  GrantStep = "give-back" // 使用方退回
)

// Stop is an interference with a grant, on file with the provider's data authority
// (备案, decree 809 art. 27).
type Stop struct {
	Step      GrantStep `json:"step"`
	Reason    string    `json:"reason"`
	By        Principal `json:"by"`
	At        time.Time `json:"at"`
	Days      int       `json:"days,omitempty"`      // of a rectification: working days to do it in
	Authority USCC      `json:"authority,omitempty"` // with which it is on file
}

// GrantState is where a grant is in its life.
type GrantState string

// The states of a grant.
const (
	GrantWaiting    GrantState = "waiting"    // 未生效: its time has not come
	GrantInForce    GrantState = "in-force"   // 有效
	GrantSuspended  GrantState = "suspended"  // 已暂停
	GrantRectifying GrantState = "rectifying" // 限期整改
	GrantTerminated GrantState = "terminated" // 已终止
	GrantExpired    GrantState = "expired"    // 已到期
)

// GrantShown is what a node works out about a grant.
type GrantShown struct {
	State         GrantState `json:"state"`
	Expiring      bool       `json:"expiring,omitempty"`      // in force, and it ends within ExpiryNotice
	Delivery      *Deadline  `json:"delivery,omitempty"`      // of the first exchange, of a consent
	Rectification *Deadline  `json:"rectification,omitempty"` // of one that was ordered
}

// ExpiryNotice is how long before its end both sides of a grant are told.
const ExpiryNotice = 30 * 24 * time.Hour

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
