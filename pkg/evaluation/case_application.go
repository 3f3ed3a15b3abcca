package evaluation

import (
	"fmt"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// applications are answers (C1), deliveries (C2, F1) and demand (C3).
func (v *view) applications() {
	for _, a := range v.Applications {
		v.answer(a)
		if a.State == bus.ApplicationApproved && a.Answer != nil && a.Content.Renews == "" { // what is renewed was due once already
			v.delivery(a, v.grants[a.Grant])
		}
	}
}

// answer is the term of an application's answer. One that was withdrawn before, or
// returned in time for completion, is not waited for; one that was returned too
// late was not answered in time.
func (v *view) answer(a bus.Application) {
	c := Case{
		Ref: Ref("application/" + string(a.ID)), Due: bus.CountApplicationsDue, Met: bus.CountApplicationsMet,
		Attributes: Attributes{Mode: a.Content.Mode, Sharing: a.Sharing, Purpose: first(a.Content.Purposes)},
	}
	if a.Filed != nil && a.Returned != nil {
		late := c
		late.Ref += "/1"
		late.Started, late.Deadline = a.Filed.At, v.days.Deadline(a.Filed.At, bus.AnswerDays).Due
		late.At = lastOf(late.Deadline)
		if !a.Returned.At.Before(late.Deadline) {
			late.Done, late.Text = a.Returned.At, bus.Text{ZH: "逾期才一次性告知补正", EN: "returned for completion when the answer was due already"}
			v.add(a.Content.Resource, late)
		}
	}
	if a.Complete == nil || a.State == bus.ApplicationReturned {
		return
	}
	days := bus.AnswerAtOnceDays
	if a.Sharing != bus.Unconditional {
		days = bus.AnswerDays
		days += granted(a.Extension, v.days.Deadline(a.Complete.At, days).Due)
	}
	c.Started, c.Deadline = a.Complete.At, v.days.Deadline(a.Complete.At, days).Due
	c.At = lastOf(c.Deadline)
	if a.Withdrawn != nil && a.Withdrawn.At.Before(c.Deadline) {
		return
	}
	c.judge(when(a.Answer))
	v.add(a.Content.Resource, c)
}

func first(purposes []bus.Purpose) bus.Purpose {
	if len(purposes) == 0 {
		return ""
	}
	return purposes[0]
}

func when(r *bus.Review) *time.Time {
	if r == nil {
		return nil
	}
	return &r.At
}

// delivery is the first exchange under a grant that came of an application. It is
// not waited for where the consumer gave the grant back, or its authority ended
// it, before it was due.
func (v *view) delivery(a bus.Application, g bus.Grant) {
	c := Case{
		Ref: Ref("application/" + string(a.ID)), Due: bus.CountDeliveriesDue, Met: bus.CountDeliveriesMet,
		Started: a.Answer.At, Deadline: v.days.Deadline(a.Answer.At, bus.DeliveryDays).Due,
		Attributes: Attributes{Mode: a.Content.Mode, Sharing: a.Sharing, Purpose: first(a.Content.Purposes)},
	}
	c.At = lastOf(c.Deadline)
	given := g.Delivered == nil && slices.ContainsFunc(g.Stops, func(s bus.Stop) bool {
		ended := s.Step == bus.GrantGiveBack || s.Step == bus.GrantTerminate && s.By.Department == s.Authority
		return ended && s.At.Before(c.Deadline)
	})
	if given {
		return
	}
	c.judge(g.Delivered)
	v.add(a.Content.Resource, c)
	if v.returns(a, c.At) {
		flow := c
		flow.Due, flow.Met = bus.CountReturnsDue, bus.CountReturnsMet
		v.add(a.Content.Resource, flow)
	}
	v.demand(a, g, c)
}

// returns reports whether a delivery is a return flow (回流, decree 809 art. 24):
// a department of a higher level gives a lower division what is about that.
func (v *view) returns(a bus.Application, at time.Time) bool {
	above, below := v.of[v.owner(a.Content.Resource, at)], v.of[a.Content.Department]
	return above != below && v.divisions.Within(below, above) && a.Content.Division != "" && v.divisions.Within(a.Content.Division, below)
}

// demand is an application that was approved: it ends with its delivery, or when
// that is due. What came late, and still in the window, was met.
func (v *view) demand(a bus.Application, g bus.Grant, c Case) {
	c.Due, c.Met, c.MetN = bus.CountDemandsClosed, bus.CountDemandsMet, 0
	c.Text = bus.Text{ZH: "已同意，未供数", EN: "approved and not delivered"}
	if g.Delivered != nil && g.Delivered.Before(v.window.To) {
		c.MetN, c.Text = 1, bus.Text{ZH: "已同意并供数", EN: "approved and delivered"}
		if g.Delivered.Before(c.At) {
			c.At = *g.Delivered
		}
	}
	v.add(a.Content.Resource, c)
}

// corrections are feedbacks (E1) and errors (E2).
func (v *view) corrections() {
	for _, x := range v.Corrections {
		for i, round := range x.Rounds() {
			due := v.days.Deadline(round.Start, bus.CorrectionDays).Due
			c := Case{
				Ref: Ref(fmt.Sprintf("correction/%s/%d", x.ID, i+1)), Due: bus.CountCorrectionsDue, Met: bus.CountCorrectionsMet,
				At: lastOf(due), Started: round.Start, Deadline: due,
			}
			if gone, ok := acted(x, bus.CorrectionWithdraw, round.Start); ok && round.Answered == nil && gone.Before(due) {
				continue
			}
			c.judge(round.Answered)
			v.add(x.Resource, c)
		}
		v.mistake(x)
	}
}

// acted returns when a step was first taken after a moment, or at it.
func acted(x bus.Correction, step bus.CorrectionStep, after time.Time) (at time.Time, ok bool) {
	for _, act := range x.Steps {
		if act.Step == step && !act.At.Before(after) {
			return act.At, true
		}
	}
	return at, false
}

// mistake is an error that was confirmed (E2): by the provider, or by a ruling. It
// is one, however often it is retested. It ends when its term does; where it was
// corrected by then, once the consumer has retested it, for that is not the
// provider's to do.
func (v *view) mistake(x bus.Correction) {
	var confirmed time.Time
	for _, act := range x.Steps {
		if slices.Contains([]bus.CorrectionStep{bus.CorrectionConfirm, bus.CorrectionCorrect, bus.CorrectionUphold}, act.Step) {
			confirmed = act.At
			break
		}
	}
	if confirmed.IsZero() {
		return
	}
	start := confirmed
	for _, round := range x.Rounds() {
		if !round.Start.After(confirmed) {
			start = round.Start
		}
	}
	c := Case{
		Ref: Ref("correction/" + string(x.ID)), Due: bus.CountErrorsDue, Met: bus.CountErrorsFixed,
		Started: start, Deadline: v.days.Deadline(start, bus.CorrectionDays).Due,
	}
	c.At = lastOf(c.Deadline)
	corrected, ok := acted(x, bus.CorrectionCorrect, confirmed)
	if ok && corrected.Before(c.Deadline) {
		passed, good := acted(x, bus.CorrectionPass, corrected)
		failed, bad := acted(x, bus.CorrectionFail, corrected)
		switch {
		case !good && !bad:
			return // it waits for the consumer
		case bad && (!good || failed.Before(passed)):
			c.At = later(c.At, failed)
		default:
			c.At = later(c.At, passed)
		}
	}
	if gone, ok := acted(x, bus.CorrectionWithdraw, confirmed); ok && gone.Before(c.At) {
		return
	}
	c.Text = bus.Text{ZH: "到期未整改", EN: "not put right when it was due"}
	if passed, ok := acted(x, bus.CorrectionPass, confirmed); ok && passed.Before(v.window.To) {
		c.Done, c.MetN, c.Text = passed, 1, bus.Text{ZH: "已整改并复核通过", EN: "put right and retested"}
	}
	v.add(x.Resource, c)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// disputes are rulings: a refusal or a stop that was found against, and a misuse
// that was upheld.
func (v *view) disputes() {
	for _, d := range v.Disputes {
		if d.Ruling == nil {
			continue
		}
		c := Case{Ref: Ref("dispute/" + string(d.ID)), At: d.Ruling.At, Done: d.Ruling.At}
		switch d.About.Kind {
		case bus.SubjectApplication:
			if !d.Ruling.Upheld {
				continue
			}
			c.Department, c.Due = d.Respondent, bus.CountConditionsAdded
			c.Text = bus.Text{ZH: "裁定：不予同意超出目录载明的条件", EN: "ruled: the refusal went beyond what the directory entry says"}
			v.add("", c)
			c.Due, c.Text = bus.CountDemandsClosed, bus.Text{ZH: "不予同意被裁定不成立", EN: "refused, and found against"}
			v.add("", c)
		case bus.SubjectGrant:
			stop, ok := stopAt(v.grants[bus.GrantID(d.About.ID)], d.Steps[0].At)
			switch {
			case !ok:
			case d.Ruling.Upheld && stop.By.Department == d.Respondent:
				c.Department, c.Due, c.Text = d.Respondent, bus.CountStopsUnreasoned, bus.Text{ZH: "裁定：停止共享理由不成立", EN: "ruled: sharing was stopped without reason"}
				v.add("", c)
			case !d.Ruling.Upheld && stop.Step == bus.GrantRectify:
				c.Department, c.Due, c.Text = d.Raiser, bus.CountUsesBeyond, bus.Text{ZH: "裁定：超范围使用属实", EN: "ruled: the use was beyond its range"}
				v.add("", c)
			}
		}
	}
}

// stopAt is the last interference with a grant up to a moment.
func stopAt(g bus.Grant, at time.Time) (bus.Stop, bool) {
	for _, s := range slices.Backward(g.Stops) {
		if !s.At.After(at) && s.Step != bus.GrantResume {
			return s, true
		}
	}
	return bus.Stop{}, false
}
