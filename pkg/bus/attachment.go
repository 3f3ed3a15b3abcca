package bus

import (
	"strings"
	"time"
)

// AttachmentState says whether the service that a resource is bound to is there (挂接).
type AttachmentState string

// The states.
const (
	Attached AttachmentState = "attached" // it answers
	Failing  AttachmentState = "failing"  // it is bound, and does not answer
	Detached AttachmentState = "detached" // it was bound
)

var attachmentStates = []AttachmentState{Attached, Failing, Detached}

// Attachment is how a resource is attached to a system of its provider, as the node
// knows that serves the provider: it asks the system from time to time, with no
// caller's data. Where the system is, and what it is asked, stays at that node.
type Attachment struct {
	Resource  ResourceID      `json:"resource"`
	Node      NodeID          `json:"node"` // that asks
	State     AttachmentState `json:"state"`
	Since     time.Time       `json:"since"`              // of the state
	Heartbeat time.Time       `json:"heartbeat,omitzero"` // when it last answered, to the hour or so
	Revision  Revision        `json:"revision"`
}

// Check returns every defect of a.
func (a Attachment) Check() []Defect {
	defects := CheckID("resource", a.Resource)
	for _, s := range attachmentStates {
		if a.State == s {
			return defects
		}
	}
	words := make([]string, len(attachmentStates))
	for i, s := range attachmentStates {
		words[i] = string(s)
	}
	return append(defects, Defect{Field: "state", Problem: Text{ZH: "未知的挂接状态", EN: "not a state of an attachment"}, Allowed: strings.Join(words, ", ")})
}

// HeartbeatEvery is how old the heartbeat that the directory has may get before a
// newer one is written: not each answer is worth an entry.
const HeartbeatEvery = time.Hour

// Next is a after the system was asked at a time and answered, or did not. News is
// false where nothing need be written.
func (a Attachment) Next(answered bool, at time.Time) (next Attachment, news bool) {
	next = a
	switch {
	case answered && a.State == Attached:
		if at.Sub(a.Heartbeat) < HeartbeatEvery {
			return a, false
		}
		next.Heartbeat = at
	case answered:
		next.State, next.Since, next.Heartbeat = Attached, at, at
	case a.State == Failing:
		return a, false
	default:
		next.State, next.Since = Failing, at
	}
	return next, true
}
