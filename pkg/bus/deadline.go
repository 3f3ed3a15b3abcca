package bus

import "time"

// Deadline is when a term ends. It is worked out from the calendar when it is
// read, so that an updated calendar moves it.
type Deadline struct {
	Due       time.Time `json:"due"`                 // 24:00 in Shanghai of the last working day
	Estimated bool      `json:"estimated,omitempty"` // 暂估: it reaches into a year whose holidays are not announced
	Overdue   bool      `json:"overdue,omitempty"`   // it had passed when this was read, and was not met
}

// At returns d as it stands at now: overdue from its very end on.
func (d Deadline) At(now time.Time) Deadline {
	d.Overdue = !now.Before(d.Due)
	return d
}

// The terms of the catalogue in working days (decree 809 art. 16, 17).
const (
	ChangeDays    = 10 // to submit a change once it is due
	ExtensionDays = 5  // that it may be extended by, at most
	ReviewDays    = 2  // to answer a submission
)

// The terms of an application in working days (decree 809 art. 21, 22).
const (
	AnswerAtOnceDays    = 1  // to answer one for data that is shared unconditionally
	AnswerDays          = 10 // to answer any other
	AnswerExtensionDays = 10 // that the answer may be extended by, at most
	DeliveryDays        = 20 // to deliver, from the consent on
)

// TriggerKind is why a catalogue entry has to change.
type TriggerKind string

// The kinds of trigger.
const (
	TriggerLaw    TriggerKind = "law"    // 法律、法规、规章修改
	TriggerDuty   TriggerKind = "duty"   // 部门职责变化
	TriggerSystem TriggerKind = "system" // 业务系统或者数据变化
	TriggerOther  TriggerKind = "other"
)

// Trigger is the record of something that makes a change of a catalogue entry due
// (decree 809 art. 17). It is met when a draft of the entry is submitted.
type Trigger struct {
	Resource    ResourceID  `json:"resource"`
	Number      int         `json:"number"` // of the resource's triggers, from 1
	Kind        TriggerKind `json:"kind"`
	At          time.Time   `json:"at"` // when it happened: the term runs from then
	Description string      `json:"description"`
	By          Principal   `json:"by"`
	Recorded    time.Time   `json:"recorded"`
	Extension   *Extension  `json:"extension,omitempty"`
	Met         *time.Time  `json:"met,omitempty"` // when a draft was submitted
	Revision    Revision    `json:"revision"`

	Deadline *Deadline `json:"deadline,omitempty"` // worked out when it is shown
}

// Extension is more time for a change or an answer, asked for once and before that
// is due; it counts once the data authority consents to it, before it is due too.
type Extension struct {
	Days    int       `json:"days"` // working days
	Reason  string    `json:"reason"`
	By      Principal `json:"by"`
	At      time.Time `json:"at"`
	Consent *Review   `json:"consent,omitempty"`
}

// Days is the term of t in working days, with what was consented to.
func (t Trigger) Days() int {
	return ChangeDays + t.Extension.Granted()
}

// Granted is how many working days were consented to: 0 where it was not asked for.
func (e *Extension) Granted() int {
	if e == nil || e.Consent == nil || !e.Consent.Approved {
		return 0
	}
	return e.Days
}

var triggerKinds = []TriggerKind{TriggerLaw, TriggerDuty, TriggerSystem, TriggerOther}

// Check returns every defect of t that shows without looking anything up.
func (t Trigger) Check() []Defect {
	defects := CheckID("resource", t.Resource)
	defects = append(defects, oneOf("kind", t.Kind, triggerKinds)...)
	if t.At.IsZero() {
		defects = append(defects, missing("at"))
	}
	if !filled(t.Description) {
		defects = append(defects, missing("description"))
	}
	return defects
}
