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
	State     EntryState  `json:"state"`
	Clearance Clearance   `json:"clearance,omitzero"`
	Submitted *Submission `json:"submitted,omitempty"`
	Review    *Review     `json:"review,omitempty"` // the last one, where it was returned
	Revision  Revision    `json:"revision"`
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

// Outcome is what became of one entry of an import.
type Outcome string

// The outcomes. An entry that is taken again as it is has no effect.
const (
	OutcomeCreated   Outcome = "created"
	OutcomeChanged   Outcome = "changed"
	OutcomeUnchanged Outcome = "unchanged"
	OutcomeRefused   Outcome = "refused"
)

// ImportRow answers one draft of an import, in the order they were sent.
type ImportRow struct {
	ID       ResourceID `json:"id,omitempty"` // its resource: found by code, or made from it
	Outcome  Outcome    `json:"outcome"`
	State    EntryState `json:"state,omitempty"` // after the import
	Revision Revision   `json:"revision,omitempty"`
	Code     Code       `json:"code,omitempty"`    // why it was refused
	Defects  []Defect   `json:"defects,omitempty"` // of a refused one; what is still missing of one that could not be submitted
}

// Library groups resources by their codes (基础库, 主题库): whatever carries a code
// that begins with its prefix belongs to it.
type Library struct {
	ID       LibraryID   `json:"id"`
	Kind     LibraryKind `json:"kind"`
	Name     string      `json:"name"`
	Prefix   string      `json:"prefix"`         // of directory codes: class and item, as "101"
	Lead     USCC        `json:"lead,omitempty"` // the department in charge of it (牵头部门)
	Revision Revision    `json:"revision"`
}

// LibraryKind is the kind of a library.
type LibraryKind string

// The kinds.
const (
	LibraryBase  LibraryKind = "base"  // 基础信息资源
	LibraryTheme LibraryKind = "theme" // 主题信息资源
)

// BaseLibraries are the five of the coding rule (发改高技〔2017〕1272号).
func BaseLibraries() []Library {
	return []Library{
		{ID: "population", Kind: LibraryBase, Name: "人口", Prefix: "101"},
		{ID: "legal-entities", Kind: LibraryBase, Name: "法人", Prefix: "102"},
		{ID: "natural-resources", Kind: LibraryBase, Name: "自然资源和空间地理", Prefix: "103"},
		{ID: "social-credit", Kind: LibraryBase, Name: "社会信用", Prefix: "104"},
		{ID: "electronic-licences", Kind: LibraryBase, Name: "电子证照", Prefix: "105"},
	}
}
