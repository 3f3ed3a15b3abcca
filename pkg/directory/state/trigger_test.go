package state_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// The world's clock stands at Wednesday 2026-03-04; without an announcement ten
// working days later is Wednesday 2026-03-18.
var due = time.Date(2026, 3, 19, 0, 0, 0, 0, calendar.Shanghai)

func (w *world) record(at time.Time) bus.Revision {
	w.t.Helper()
	return w.must(byMarket, command.TriggerRecord, 0, command.Trigger{Resource: "licences", Kind: bus.TriggerLaw, At: at, Description: "样例"})
}

func TestTriggerRefusals(t *testing.T) {
	w := newWorld(t)
	revision := w.record(noon)
	record := func(by bus.Principal, change func(*command.Trigger)) ask {
		return ask{by: by, typ: command.TriggerRecord, body: with(command.Trigger{Resource: "licences", Kind: bus.TriggerDuty, At: noon, Description: "样例"}, change)}
	}
	extend := func(by bus.Principal, days int, reason string) ask {
		return ask{by: by, typ: command.TriggerExtend, expect: revision, body: command.Extension{Resource: "licences", Number: 1, Days: days, Reason: reason}}
	}
	consent := ask{by: byReviewer, typ: command.TriggerConsent, expect: revision, body: command.Consent{Resource: "licences", Number: 1, Approve: true}}
	checkRefusals(t, w, []refusal{
		{"of nothing", record(byMarket, func(c *command.Trigger) { c.Resource = "nothing" }), bus.CodeNotFound, "resource"},
		{"of another's", record(byHousing, func(*command.Trigger) {}), bus.CodeForbidden, "provider"},
		{"everything missing", record(byMarket, func(c *command.Trigger) { *c = command.Trigger{Resource: "licences"} }), bus.CodeInvalid, "at description kind"},
		{"not yet", record(byMarket, func(c *command.Trigger) { c.At = noon.Add(time.Second) }), bus.CodeInvalid, "at"},
		{"six days more", extend(byMarket, 6, "样例"), bus.CodeInvalid, "days"},
		{"no days, no reason", extend(byMarket, 0, ""), bus.CodeInvalid, "days reason"},
		{"S27: another's", extend(byHousing, 5, "样例"), bus.CodeNotFound, "trigger"},
		{"consent to what is not asked for", consent, bus.CodeWrongState, "extension"},
	})
	w.now = due
	checkRefusals(t, w, []refusal{{"asked for once it is due", extend(byMarket, 5, "样例"), bus.CodeWrongState, "trigger"}})
}

func TestAnExtensionCountsIfConsentedToInTime(t *testing.T) {
	for _, tc := range []struct {
		name   string
		at     time.Time
		answer bool
		code   bus.Code
		days   int
	}{
		{"in the last second", due.Add(-time.Second), true, "", 15},
		{"refused", due.Add(-time.Second), false, "", 10},
		{"a moment late", due, true, bus.CodeWrongState, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			revision := w.record(noon)
			revision = w.must(byMarket, command.TriggerExtend, revision, command.Extension{Resource: "licences", Number: 1, Days: 5, Reason: "样例"})
			w.now = tc.at
			result := w.ask(ask{by: byReviewer, typ: command.TriggerConsent, expect: revision, body: command.Consent{Resource: "licences", Number: 1, Approve: tc.answer}})
			if got := bus.CodeOf(result.Err()); got != tc.code {
				t.Errorf("answered %q, want %q", got, tc.code)
			}
			w.view(func(tx *state.Tx) {
				if trigger, _ := tx.Trigger("licences", 1); trigger.Days() != tc.days {
					t.Errorf("%d days, want %d", trigger.Days(), tc.days)
				}
			})
		})
	}
}

func TestASubmissionMeetsTriggers(t *testing.T) {
	w := newWorld(t)
	w.record(noon.AddDate(0, 0, -1))
	w.record(noon)
	met := func() (n int) {
		w.view(func(tx *state.Tx) {
			for trigger := range tx.TriggersOf("licences") {
				if trigger.Met != nil && trigger.Met.Equal(w.now) {
					n++
				}
			}
		})
		return n
	}
	w.now = noon.Add(time.Hour)
	changed := with(resource("licences", "307002/1"), func(r *bus.Resource) { r.Name = "样例二" })
	revision := w.must(byMarket, command.DraftPut, 0, content(changed))
	if met() != 0 {
		t.Error("a draft alone meets a trigger")
	}
	w.must(byMarket, command.DraftSubmit, 0, submission("licences", int(revision)))
	if met() != 2 {
		t.Errorf("%d of 2 are met", met())
	}
	checkRefusals(t, w, []refusal{{"more time for what is met", ask{
		by: byMarket, typ: command.TriggerExtend, expect: revision + 1, body: command.Extension{Resource: "licences", Number: 1, Days: 5, Reason: "样例"},
	}, bus.CodeWrongState, "trigger"}})
}

// A deadline follows the calendar: it is stored as a start and a number of days.
func TestAnUpdatedCalendarMovesDeadlines(t *testing.T) {
	w := newWorld(t)
	at := func() bus.Deadline {
		var d bus.Deadline
		w.view(func(tx *state.Tx) { d = tx.Calendar().Deadline(noon, bus.ChangeDays) })
		return d
	}
	if got := at(); !got.Due.Equal(due) || !got.Estimated {
		t.Errorf("before any announcement: %+v", got)
	}
	w.must(bySysadmin, command.CalendarPut, 0, command.Days{Days: []calendar.Day{
		{Date: "2026-03-05", Name: "样例节", Kind: calendar.KindOff}, {Date: "2026-03-06", Name: "样例节", Kind: calendar.KindOff},
		{Date: "2026-03-07", Name: "样例节", Kind: calendar.KindWork}, {Date: "2026-10-01", Name: "国庆节", Kind: calendar.KindOff},
	}})
	if got := at(); !got.Due.Equal(due.AddDate(0, 0, 1)) || got.Estimated {
		t.Errorf("announced: %+v", got)
	}
	w.must(bySysadmin, command.CalendarPut, 0, command.Days{Days: []calendar.Day{{Date: "2026-03-06", Kind: calendar.KindNormal}}})
	if got := at(); !got.Due.Equal(due) || got.Estimated {
		t.Errorf("one day taken back: %+v", got)
	}
	checkRefusals(t, w, []refusal{
		{"nothing", ask{by: bySysadmin, typ: command.CalendarPut, body: command.Days{}}, bus.CodeInvalid, "days"},
		{"no dates", ask{by: bySysadmin, typ: command.CalendarPut, body: command.Days{Days: []calendar.Day{{Date: "2026-02-30", Kind: "off"}, {Date: "2026-2-3", Kind: "holiday"}}}},
			bus.CodeInvalid, "days[0].date days[1].date days[1].kind"},
	})
}
