package bus

import "time"

// EntryState is where a catalogue entry is in its life (decree 809 art. 13–17).
type EntryState string

// The states of a catalogue entry.
const (
	StateDraft       EntryState = "draft"                // 草稿
	StateInReview    EntryState = "in-review"            // 待审核
	StateReturned    EntryState = "returned"             // 已退回
	StatePublished   EntryState = "published"            // 已发布
	StateWithdrawing EntryState = "withdrawal-in-review" // 撤销待审核
	StateWithdrawn   EntryState = "withdrawn"            // 已撤销
)

// Draft is a version of a resource's catalogue entry on its way to publication
// (编制稿). While it is on its way the version in force, if there is one, stays in
// force; there is one draft a resource at most, and it is for its provider, the
// division's data authority and the administrators to see.
type Draft struct {
	ID        ResourceID  `json:"id"`
	Resource  Resource    `json:"resource"` // as it would be published
	Clearance Clearance   `json:"clearance,omitzero"`
	State     EntryState  `json:"state"`
	Submitted *Submission `json:"submitted,omitempty"`
	Review    *Review     `json:"review,omitempty"` // the last one, where it was returned
	Revision  Revision    `json:"revision"`

	// What a node works out when it shows a draft; nothing of it is stored.
	Authority USCC       `json:"authority,omitempty"` // the department that reviews it
	Deadline  *Deadline  `json:"deadline,omitempty"`  // of the review
	Conflicts []Conflict `json:"conflicts,omitempty"` // other sources of its items (一数一源)
	Missing   []Defect   `json:"missing,omitempty"`   // what Gate finds, where one draft is shown
}

// Awaits reports whether d, a version or a withdrawal, is up for review.
func (d Draft) Awaits() bool { return d.State == StateInReview || d.State == StateWithdrawing }

// DraftContent is the part of a draft that its department writes.
type DraftContent struct {
	Resource  Resource  `json:"resource"`
	Clearance Clearance `json:"clearance,omitzero"`
}

// DraftRef names a draft as it was when somebody looked at it.
type DraftRef struct {
	ID       ResourceID `json:"id"`
	Revision Revision   `json:"revision"`
}

// Clearance is what must have been done before an entry is published (decree 809
// art. 13): references to the documents, which stay with the department.
type Clearance struct {
	SecrecyReview string `json:"secrecy_review,omitempty"` // 保密审查
	Assessment    string `json:"assessment,omitempty"`     // 个人信息保护影响评估, where items are personal
	Consent       string `json:"consent,omitempty"`        // 负责人同意
}

// Submission says who put a draft up for review, and when.
type Submission struct {
	By     Principal `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"` // why a withdrawal is asked for
}

// Review is the data authority's answer to a submission (decree 809 art. 16).
type Review struct {
	By       Principal `json:"by"`
	At       time.Time `json:"at"`
	Approved bool      `json:"approved"`
	Opinion  string    `json:"opinion,omitempty"` // required where it is returned
}

// Version is a published version of a resource's catalogue entry, with how it came
// to be.
type Version struct {
	Resource  Resource   `json:"resource"`
	Clearance Clearance  `json:"clearance,omitzero"`
	Submitted Submission `json:"submitted,omitzero"`
	Approved  Review     `json:"approved,omitzero"`

	Withdrawn *Withdrawal `json:"withdrawn,omitempty"` // it was the last one
}

// Withdrawal is how a resource left the directory.
type Withdrawal struct {
	Asked    Submission `json:"asked"`
	Approved Review     `json:"approved"`
}

// Outcome is what became of one entry of an import.
type Outcome string

// The outcomes. An entry that is taken again as it is has no effect.
const (
	OutcomeCreated   Outcome = "created"
	OutcomeChanged   Outcome = "changed"
	OutcomeUnchanged Outcome = "unchanged"
	OutcomeRefused   Outcome = "refused"
)

// ImportRow answers one draft of an import, a submission or a review, in the order
// they were sent. One that is refused stops none of the others.
type ImportRow struct {
	ID       ResourceID `json:"id,omitempty"` // its resource: found by code, or made from it
	Outcome  Outcome    `json:"outcome"`
	State    EntryState `json:"state,omitempty"` // after the import
	Revision Revision   `json:"revision,omitempty"`
	Code     Code       `json:"code,omitempty"`    // why it was refused
	Defects  []Defect   `json:"defects,omitempty"` // of a refused one; what is still missing of one that could not be submitted
}
