package bus

import (
	"slices"
	"time"
)

// MaxRectifyDays is how many working days may be given for a rectification.
const MaxRectifyDays = 60

// State says where g is in its life at at.
func (g Grant) State(at time.Time) GrantState {
	held, isHeld := g.Held()
	switch {
	case g.Revoked != "":
		return GrantTerminated
	case !at.Before(g.NotAfter):
		return GrantExpired
	case isHeld && held.Step == GrantRectify:
		return GrantRectifying
	case g.Suspended != "":
		return GrantSuspended
	case at.Before(g.NotBefore):
		return GrantWaiting
	default:
		return GrantInForce
	}
}

// Expiring reports whether g is in force at at and ends within ExpiryNotice.
func (g Grant) Expiring(at time.Time) bool {
	return g.State(at) == GrantInForce && g.NotAfter.Sub(at) <= ExpiryNotice
}

// Held returns the suspension or rectification that is not over.
func (g Grant) Held() (Stop, bool) {
	for _, s := range slices.Backward(g.Stops) {
		switch s.Step {
		case GrantSuspend, GrantRectify:
			return s, true
		case GrantResume:
			return Stop{}, false
		}
	}
	return Stop{}, false
}

// Unconfirmed reports whether g is suspended because the directory came out of a
// backup: only a security administrator's confirmation ends that.
func (g Grant) Unconfirmed() bool {
	held, _ := g.Held()
	return g.Suspended != "" && g.Suspended != held.Reason
}

// Confirm returns g as it stands once it is confirmed after a restore.
func (g Grant) Confirm() Grant {
	held, _ := g.Held()
	g.Suspended = held.Reason
	return g
}

// possible lists the steps that can be taken with g.
func (g Grant) possible() []GrantStep {
	held, isHeld := g.Held()
	switch {
	case g.Revoked != "":
		return nil
	case !isHeld:
		return []GrantStep{GrantSuspend, GrantRectify, GrantTerminate, GrantGiveBack}
	case held.Step == GrantSuspend:
		return []GrantStep{GrantRectify, GrantResume, GrantTerminate, GrantGiveBack}
	default:
		return []GrantStep{GrantResume, GrantTerminate, GrantGiveBack}
	}
}

// After returns g after a step, which is on file in it from then on; CodeWrongState
// with what could be done instead.
func (g Grant) After(s Stop) (Grant, error) {
	if !slices.Contains(g.possible(), s.Step) {
		return g, E(CodeWrongState, Defect{
			Field:   "step",
			Problem: Text{"授权的当前状态不允许 " + string(s.Step), "no " + string(s.Step) + " as the grant stands"},
			Allowed: join(g.possible()),
		})
	}
	unconfirmed := g.Unconfirmed()
	g.Stops = append(slices.Clone(g.Stops), s)
	switch s.Step {
	case GrantTerminate, GrantGiveBack:
		g.Revoked = s.Reason
	case GrantRectify, GrantSuspend, GrantResume:
		if !unconfirmed {
			g = g.Confirm()
		}
	}
	return g, nil
}

// Check returns every defect of s that shows without looking anything up.
func (s Stop) Check() []Defect {
	defects := oneOf("step", s.Step, []GrantStep{GrantSuspend, GrantRectify, GrantResume, GrantTerminate, GrantGiveBack})
	if !filled(s.Reason) { // art. 27
		defects = append(defects, Defect{"reason", Text{"须说明理由并备案", "it is filed with its reason"}, ""})
	}
	switch {
	case s.Step == GrantRectify && (s.Days < 1 || s.Days > MaxRectifyDays):
		defects = append(defects, Defect{"days", Text{"整改期限超出范围", "out of range"}, "1–60 working days"})
	case s.Step != GrantRectify && s.Days != 0:
		defects = append(defects, Defect{"days", Text{"仅限期整改须写明期限", "only a rectification has a term"}, "none"})
	}
	return defects
}
