package command

import (
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Bodies of the entries about applications and the life of grants.
type (
	// Application is the body of ApplicationPut: a draft is written.
	Application struct {
		ID      bus.ApplicationID      `json:"id"`
		Content bus.ApplicationContent `json:"content"`
	}
	// Answer is the body of ApplicationAnswer.
	Answer struct {
		Application bus.ApplicationID `json:"application"`
		Verdict     Verdict           `json:"verdict"`
		Terms       bus.Terms         `json:"terms,omitzero"` // of a consent to less than was applied for
		Opinion     string            `json:"opinion,omitempty"`
	}
	// MoreTime is the body of ApplicationExtend.
	MoreTime struct {
		Application bus.ApplicationID `json:"application"`
		Days        int               `json:"days"`
		Reason      string            `json:"reason"`
	}
	// MoreTimeConsent is the body of ApplicationConsent.
	MoreTimeConsent struct {
		Application bus.ApplicationID `json:"application"`
		Approve     bool              `json:"approve"`
		Opinion     string            `json:"opinion,omitempty"`
	}
	// ApplicationWithdrawal is the body of ApplicationWithdraw.
	ApplicationWithdrawal struct {
		Application bus.ApplicationID `json:"application"`
		Reason      string            `json:"reason,omitempty"`
	}
	// Stop is the body of GrantStop.
	Stop struct {
		Grant  bus.GrantID   `json:"grant"`
		Step   bus.GrantStep `json:"step"`
		Reason string        `json:"reason"`
		Days   int           `json:"days,omitempty"` // of a rectification
	}
	// Delivered is the body of GrantDelivered: the provider's node has seen the
	// first exchange under a grant.
	Delivered struct {
		Grant bus.GrantID `json:"grant"`
		At    time.Time   `json:"at"`
	}
)

// Verdict is an answer to an application.
type Verdict string

// The verdicts.
const (
	VerdictApprove Verdict = "approve" // 同意
	VerdictRefuse  Verdict = "refuse"  // 不予同意
	VerdictReturn  Verdict = "return"  // 一次性告知补正
)
