package bus

import (
	"fmt"
	"slices"
	"time"
)

// Application is a department's request for data of another (共享申请, decree 809
// art. 20–22). It is for the applicant, the provider, the provider's data
// authority and the administrators to see.
type Application struct {
	ID        ApplicationID      `json:"id"`
	Content   ApplicationContent `json:"content"`
	State     ApplicationState   `json:"state"`
	Sharing   SharingType        `json:"sharing,omitempty"`  // how what it asks for is shared, as of its submission
	Created   Submission         `json:"created"`            // the draft
	Filed     *Submission        `json:"filed,omitempty"`    // when it was first submitted
	Complete  *Submission        `json:"complete,omitempty"` // when its material was complete: the term of the answer runs from then
	Returned  *Review            `json:"returned,omitempty"` // 一次性告知: what else it needs, told once
	Extension *Extension         `json:"extension,omitempty"`
	Answer    *Review            `json:"answer,omitempty"`
	Withdrawn *Submission        `json:"withdrawn,omitempty"`
	Grant     GrantID            `json:"grant,omitempty"` // that consent gave, or renewed
	Revision  Revision           `json:"revision"`

	Shown *ApplicationShown `json:"shown,omitempty"` // worked out when it is read; nothing of it is stored
}

// ApplicationContent is the part of an application that its department writes: the
// contents that decree 809 art. 20 wants.
type ApplicationContent struct {
	Department USCC         `json:"department"`         // 申请部门
	Resource   ResourceID   `json:"resource,omitempty"` // what it asks for,
	Version    int          `json:"version,omitempty"`  // as which version of the directory entry says
	Basis      string       `json:"basis,omitempty"`    // 使用依据
	Scenario   string       `json:"scenario,omitempty"` // 使用场景
	Items      []ItemID     `json:"items,omitempty"`    // 使用范围: of which items
	Division   DivisionCode `json:"division,omitempty"` // 使用范围: about which division and those below
	Mode       string       `json:"mode,omitempty"`     // 共享方式: interface, batch; a draft may have file
	Purposes   []Purpose    `json:"purposes,omitempty"` // 使用用途
	Matters    []string     `json:"matters,omitempty"`  // 事项编码; none listed: any
	From       time.Time    `json:"from,omitzero"`      // 使用时限: from the consent where it is left out,
	Until      time.Time    `json:"until,omitzero"`     // to then, exclusive
	Renews     GrantID      `json:"renews,omitempty"`   // 续期: the grant that is to run on
}

// ApplicationState is where an application is in its life.
type ApplicationState string

// The states of an application.
const (
	ApplicationNone      ApplicationState = ""
	ApplicationDraft     ApplicationState = "draft"     // 草稿
	ApplicationPending   ApplicationState = "pending"   // 待答复
	ApplicationReturned  ApplicationState = "returned"  // 待补正
	ApplicationApproved  ApplicationState = "approved"  // 已同意
	ApplicationRefused   ApplicationState = "refused"   // 不予同意
	ApplicationWithdrawn ApplicationState = "withdrawn" // 已撤回
)

// ApplicationShown is what a node works out about an application.
type ApplicationShown struct {
	Provider  USCC      `json:"provider,omitempty"`
	Authority USCC      `json:"authority,omitempty"` // of the provider: it consents to an extension
	Answer    *Deadline `json:"answer,omitempty"`    // of the answer, once it is complete
	Delivery  *Deadline `json:"delivery,omitempty"`  // of the data, once it is approved
	Missing   []Defect  `json:"missing,omitempty"`   // what keeps a draft from being submitted, where one is shown
}

// Terms are what a consent gives where that is less than what was applied for; what
// is empty is as applied for. A consent adds no condition of its own: there is no
// field for one (decree 809 art. 15).
type Terms struct {
	Items    []ItemID     `json:"items,omitempty"`
	Division DivisionCode `json:"division,omitempty"`
	Purposes []Purpose    `json:"purposes,omitempty"`
	Matters  []string     `json:"matters,omitempty"`
	Until    time.Time    `json:"until,omitzero"`
}

// Days is the term of the answer in working days, with what was consented to.
func (a Application) Days() int {
	if a.Sharing == Unconditional {
		return AnswerAtOnceDays
	}
	return AnswerDays + a.Extension.Granted()
}

// Open reports whether a waits for somebody: its applicant or its provider.
func (a Application) Open() bool {
	return slices.Contains([]ApplicationState{ApplicationDraft, ApplicationPending, ApplicationReturned}, a.State)
}

// Check returns every defect of form of what is there; what is missing is for Gate.
func (c ApplicationContent) Check() []Defect {
	defects := checkUSCC("department", c.Department)
	if c.Resource != "" {
		defects = append(defects, CheckID("resource", c.Resource)...)
	}
	if c.Renews != "" {
		defects = append(defects, CheckID("renews", c.Renews)...)
	}
	defects = append(defects, known("mode", c.Mode, modes)...)
	for i, p := range c.Purposes {
		defects = append(defects, CheckPurpose(fmt.Sprintf("purposes[%d]", i), p)...)
	}
	defects = append(defects, twice("items", c.Items)...)
	defects = append(defects, twice("matters", c.Matters)...)
	if !c.Until.IsZero() && !c.Until.After(c.From) {
		defects = append(defects, Defect{"until", Text{"截止时间应晚于起始时间", "must be after from"}, "RFC 3339, later than from"})
	}
	return defects
}

// twice returns the defects of what is listed again, or empty.
func twice[T ~string](field string, values []T) []Defect {
	var defects []Defect
	for i, v := range values {
		if v == "" || slices.Contains(values[:i], v) {
			defects = append(defects, Defect{fmt.Sprintf("%s[%d]", field, i), Text{"空或重复：" + string(v), "empty or listed twice: " + string(v)}, "each once"})
		}
	}
	return defects
}
