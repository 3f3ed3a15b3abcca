package evaluation_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// Every deadline in this file was counted by hand on the calendar of 2026: the
// spring festival is off from 2026-02-15 to 02-23, and 02-14 and 02-28 (Saturdays)
// are worked; 2026-01-04 (Sunday) is worked, 01-01 to 01-03 are off.

// clock reads "2026-03-04 09:00" in Shanghai.
func clock(text string) time.Time {
	at, err := time.ParseInLocation("2006-01-02 15:04", text, calendar.Shanghai)
	if err != nil {
		panic(err)
	}
	return at
}

func at(text string) *time.Time { return new(clock(text)) }

// published is the version of resource r that market published before the quarter.
func published(change func(*bus.Version)) map[bus.ResourceID][]bus.Version {
	v := bus.Version{
		Resource: bus.Resource{
			ID: "r", Codes: []bus.ResourceCode{"306001/1"}, Name: "样例目录", Abstract: "样例", Provider: market, Format: "database",
			Items:   []bus.Item{{ID: "uscc", Name: "代码", Type: "C", Grade: 1}},
			Sharing: bus.Sharing{Type: bus.Conditional, Range: "全省", Purposes: []bus.Purpose{bus.PurposeReference}},
			Modes:   []string{"batch"}, Open: "no", Class: "样例", UpdateCycle: "daily", Version: 1, Published: day("2025-06-01"),
		},
		Clearance: bus.Clearance{SecrecyReview: "样例", Consent: "样例"},
	}
	if change != nil {
		change(&v)
	}
	return map[bus.ResourceID][]bus.Version{"r": {v}}
}

// figures evaluates a directory over a window by the default scheme.
func figures(d evaluation.Directory, w evaluation.Window) map[bus.USCC]map[string]evaluation.Figure {
	d.Days = calendar.BuiltIn()
	if d.Versions == nil {
		d.Versions = published(nil)
	}
	if d.Departments == nil {
		d.Departments = []bus.Department{{ID: market, Division: "440104"}, {ID: housing, Division: "440106"}, {ID: tax, Division: "440100"}}
	}
	d.Divisions = []bus.Division{
		{Code: "440000", Level: bus.LevelProvince}, {Code: "440100", Level: bus.LevelCity, Parent: "440000"},
		{Code: "440104", Level: bus.LevelCounty, Parent: "440100"}, {Code: "440106", Level: bus.LevelCounty, Parent: "440100"},
	}
	standings, _ := evaluation.Compute(evaluation.Input{
		Scheme: evaluation.DefaultScheme(), Window: w, Departments: d.Departments, Divisions: d.Divisions, Facts: evaluation.FactsOf(d.Cases(w)),
	})
	all := map[bus.USCC]map[string]evaluation.Figure{}
	for _, s := range standings {
		all[s.Department] = map[string]evaluation.Figure{}
		for _, f := range s.Figures {
			all[s.Department][f.Indicator] = f
		}
		for _, x := range s.Deductions {
			all[s.Department][x.Deduction] = evaluation.Figure{Numerator: x.Times}
		}
	}
	return all
}

func application(change func(*bus.Application)) []bus.Application {
	a := bus.Application{
		ID: "a", State: bus.ApplicationPending, Sharing: bus.Conditional,
		Content: bus.ApplicationContent{Department: housing, Resource: "r", Mode: "batch", Purposes: []bus.Purpose{bus.PurposeReference}, Division: "440106"},
	}
	change(&a)
	if a.Filed == nil {
		a.Filed = a.Complete
	}
	return []bus.Application{a}
}

func complete(text string) *bus.Submission { return &bus.Submission{At: clock(text)} }

func answered(text string) func(*bus.Application) {
	return func(a *bus.Application) {
		a.State, a.Answer, a.Grant = bus.ApplicationApproved, &bus.Review{At: clock(text), Approved: true}, "g"
	}
}

func extended(days int, consent string) *bus.Extension {
	return &bus.Extension{Days: days, Consent: &bus.Review{At: clock(consent), Approved: true}}
}

// ten working days after 2026-02-12 end at 24:00 on 2026-03-04 (domain §3).
func TestC1TimelyAnswers(t *testing.T) {
	first, second := evaluation.Window{From: day("2026-01-01"), To: day("2026-03-05")}, evaluation.Window{From: day("2026-03-05"), To: day("2026-06-01")}
	for _, c := range []struct {
		name         string
		change       func(*bus.Application)
		first, later [2]int64 // in the window in which it is due on 03-04, and in the next
	}{
		{"in time, at the last minute", answered("2026-03-04 23:59"), [2]int64{1, 1}, [2]int64{}},
		{"late by a moment, in the next period: fails once, in the first", answered("2026-03-05 00:00"), [2]int64{0, 1}, [2]int64{}},
		{"unanswered and overdue", func(*bus.Application) {}, [2]int64{0, 1}, [2]int64{}},
		{"refused in time is answered", func(a *bus.Application) {
			a.State, a.Answer = bus.ApplicationRefused, &bus.Review{At: clock("2026-03-02 09:00")}
		}, [2]int64{1, 1}, [2]int64{}},
		{"withdrawn before it was due", func(a *bus.Application) {
			a.State, a.Withdrawn = bus.ApplicationWithdrawn, &bus.Submission{At: clock("2026-03-04 12:00")}
		}, [2]int64{}, [2]int64{}},
		{"withdrawn after it was due", func(a *bus.Application) {
			a.State, a.Withdrawn = bus.ApplicationWithdrawn, &bus.Submission{At: clock("2026-03-05 12:00")}
		}, [2]int64{0, 1}, [2]int64{}},
		{"extended in time by 10: due 2026-03-18", func(a *bus.Application) { // 03-05 … 03-18 are ten weekdays
			a.Extension = extended(10, "2026-03-04 23:59")
			answered("2026-03-18 10:00")(a)
		}, [2]int64{}, [2]int64{1, 1}},
		{"an extension consented to when it was due counts for nothing", func(a *bus.Application) {
			a.Extension = extended(10, "2026-03-05 00:00")
			answered("2026-03-18 10:00")(a)
		}, [2]int64{0, 1}, [2]int64{}},
		{"an extension that was refused counts for nothing", func(a *bus.Application) {
			a.Extension = extended(10, "2026-03-01 00:00")
			a.Extension.Consent.Approved = false
		}, [2]int64{0, 1}, [2]int64{}},
		{"unconditional: one working day, the workday Saturday 02-14 not needed", func(a *bus.Application) {
			a.Sharing = bus.Unconditional
			answered("2026-02-13 10:00")(a)
		}, [2]int64{1, 1}, [2]int64{}},
		{"the clock runs from complete material", func(a *bus.Application) { // filed 02-12, returned in time, complete 03-04: due 03-18
			a.Returned, a.Complete, a.Filed = &bus.Review{At: clock("2026-02-24 09:00")}, complete("2026-03-04 10:00"), complete("2026-02-12 10:00")
			answered("2026-03-19 10:00")(a)
		}, [2]int64{}, [2]int64{0, 1}},
		{"returned for completion when it was due already: that fails too", func(a *bus.Application) { // complete 03-10: due 03-24
			a.Returned, a.Complete, a.Filed = &bus.Review{At: clock("2026-03-06 09:00")}, complete("2026-03-10 10:00"), complete("2026-02-12 10:00")
			answered("2026-03-11 10:00")(a)
		}, [2]int64{0, 1}, [2]int64{1, 1}},
		{"waits for its applicant", func(a *bus.Application) {
			a.State, a.Returned = bus.ApplicationReturned, &bus.Review{At: clock("2026-02-24 09:00")}
		}, [2]int64{}, [2]int64{}},
		{"a draft", func(a *bus.Application) { a.State, a.Complete = bus.ApplicationDraft, nil }, [2]int64{}, [2]int64{}},
	} {
		applications := application(func(a *bus.Application) {
			a.Complete = complete("2026-02-12 10:00")
			c.change(a)
		})
		for i, w := range []evaluation.Window{first, second} {
			got := figures(evaluation.Directory{Applications: applications}, w)[market]["C1"]
			want := [][2]int64{c.first, c.later}[i]
			if got.Numerator != want[0] || got.Denominator != want[1] {
				t.Errorf("%s, window %d: %d/%d, want %d/%d", c.name, i+1, got.Numerator, got.Denominator, want[0], want[1])
			}
			if (want == [2]int64{}) != (got.State == evaluation.NotApplicable) {
				t.Errorf("%s, window %d: %s", c.name, i+1, got.State)
			}
		}
	}
}

// What is not yet due when the window ends is left out of it.
func TestNotYetDueIsLeftOut(t *testing.T) {
	w := evaluation.Window{From: day("2026-01-01"), To: day("2026-03-04")} // due at the end of 03-04
	got := figures(evaluation.Directory{Applications: application(func(a *bus.Application) { a.Complete = complete("2026-02-12 10:00") })}, w)[market]["C1"]
	if got.State != evaluation.NotApplicable || got.Denominator != 0 {
		t.Errorf("%+v", got)
	}
}

// Twenty working days after 2026-02-12 end at 24:00 on 2026-03-18 (domain §3).
func TestC2C3F1Deliveries(t *testing.T) {
	early, late := evaluation.Window{From: day("2026-02-13"), To: day("2026-03-19")}, evaluation.Window{From: day("2026-03-19"), To: day("2026-06-01")}
	type want struct{ c2, c3, f1 [2]int64 }
	for _, c := range []struct {
		name     string
		provider bus.USCC
		grant    bus.Grant
		change   func(*bus.Application)
		early    want
		late     want
	}{
		{"delivered in time", market, bus.Grant{Delivered: at("2026-03-18 23:00")}, nil, want{c2: [2]int64{1, 1}, c3: [2]int64{1, 1}}, want{}},
		{"never delivered", market, bus.Grant{}, nil, want{c2: [2]int64{0, 1}, c3: [2]int64{0, 1}}, want{}},
		{"delivered in the next period: fails once", market, bus.Grant{Delivered: at("2026-03-20 09:00")}, nil, want{c2: [2]int64{0, 1}, c3: [2]int64{0, 1}}, want{}},
		{"given back before it was due", market, bus.Grant{Stops: []bus.Stop{{Step: bus.GrantGiveBack, At: clock("2026-03-01 09:00")}}}, nil, want{}, want{}},
		{"its provider may not escape by ending it", market, bus.Grant{Stops: []bus.Stop{{
			Step: bus.GrantTerminate, At: clock("2026-03-01 09:00"), By: bus.Principal{Department: market}, Authority: tax,
		}}}, nil, want{c2: [2]int64{0, 1}, c3: [2]int64{0, 1}}, want{}},
		{"its authority ended it", market, bus.Grant{Stops: []bus.Stop{{
			Step: bus.GrantTerminate, At: clock("2026-03-01 09:00"), By: bus.Principal{Department: tax}, Authority: tax,
		}}}, nil, want{}, want{}},
		{"a renewal was delivered on already", market, bus.Grant{Delivered: at("2026-01-10 09:00")}, func(a *bus.Application) { a.Content.Renews = "g" }, want{}, want{}},
		{"a lawful refusal is no demand", market, bus.Grant{}, func(a *bus.Application) { a.State = bus.ApplicationRefused }, want{}, want{}},
		{"a city gives a county what is about it: a return flow", tax, bus.Grant{Delivered: at("2026-03-18 23:00")}, nil,
			want{c2: [2]int64{1, 1}, c3: [2]int64{1, 1}, f1: [2]int64{1, 1}}, want{}},
		{"a city gives a county what is about another: none", tax, bus.Grant{Delivered: at("2026-03-18 23:00")},
			func(a *bus.Application) { a.Content.Division = "440104" }, want{c2: [2]int64{1, 1}, c3: [2]int64{1, 1}}, want{}},
	} {
		c.grant.ID = "g"
		d := evaluation.Directory{
			Versions: published(func(v *bus.Version) { v.Resource.Provider = c.provider }),
			Grants:   []bus.Grant{c.grant},
			Applications: application(func(a *bus.Application) {
				a.Complete = complete("2026-02-11 10:00")
				answered("2026-02-12 10:00")(a)
				if c.change != nil {
					c.change(a)
				}
			}),
		}
		for i, w := range []evaluation.Window{early, late} {
			got := figures(d, w)[c.provider]
			wanted := []want{c.early, c.late}[i]
			for id, n := range map[string][2]int64{"C2": wanted.c2, "C3": wanted.c3, "F1": wanted.f1} {
				if got[id].Numerator != n[0] || got[id].Denominator != n[1] {
					t.Errorf("%s, window %d: %s is %d/%d, want %d/%d", c.name, i+1, id, got[id].Numerator, got[id].Denominator, n[0], n[1])
				}
			}
		}
	}
	t.Run("late in the same period: not in time, yet the demand was met", func(t *testing.T) {
		d := evaluation.Directory{Grants: []bus.Grant{{ID: "g", Delivered: at("2026-03-20 09:00")}}, Applications: application(func(a *bus.Application) {
			a.Complete = complete("2026-02-11 10:00")
			answered("2026-02-12 10:00")(a)
		})}
		got := figures(d, quarter)[market]
		if got["C2"].Numerator != 0 || got["C3"].Numerator != 1 || got["C3"].Denominator != 1 {
			t.Errorf("C2 %+v, C3 %+v", got["C2"], got["C3"])
		}
	})
}

// A change that a law of 2026-02-12 made due is due on 2026-03-04.
func TestA2TimelyChanges(t *testing.T) {
	for _, c := range []struct {
		name    string
		trigger bus.Trigger
		want    [2]int64
	}{
		{"in time", bus.Trigger{Met: at("2026-03-04 23:59")}, [2]int64{1, 1}},
		{"late", bus.Trigger{Met: at("2026-03-05 00:00")}, [2]int64{0, 1}},
		{"not at all", bus.Trigger{}, [2]int64{0, 1}},
		{"extended by 5 to 2026-03-11", bus.Trigger{Met: at("2026-03-11 23:59"), Extension: extended(5, "2026-03-03 09:00")}, [2]int64{1, 1}},
		{"extended too late", bus.Trigger{Met: at("2026-03-11 23:59"), Extension: extended(5, "2026-03-05 09:00")}, [2]int64{0, 1}},
	} {
		c.trigger.Resource, c.trigger.Number, c.trigger.At = "r", 1, clock("2026-02-12 10:00")
		got := figures(evaluation.Directory{Triggers: []bus.Trigger{c.trigger}}, quarter)[market]["A2"]
		if got.Numerator != c.want[0] || got.Denominator != c.want[1] {
			t.Errorf("%s: %d/%d", c.name, got.Numerator, got.Denominator)
		}
	}
}

// An entry such as that of published requires 14 elements: codes, name, abstract,
// format, items, three of its one item, sharing type, range and purposes, modes,
// open, classification, update cycle, secrecy review and consent: 17.
func TestA1A3Entries(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*bus.Version)
		a1, a3 [2]int64
	}{
		{"complete", nil, [2]int64{17, 17}, [2]int64{1, 1}},
		{"no abstract", func(v *bus.Version) { v.Resource.Abstract = " " }, [2]int64{16, 17}, [2]int64{1, 1}},
		{"conditional without purposes", func(v *bus.Version) { v.Resource.Sharing.Purposes = nil }, [2]int64{16, 17}, [2]int64{0, 1}},
		{"unconditional has no limit", func(v *bus.Version) { v.Resource.Sharing = bus.Sharing{Type: bus.Unconditional} }, [2]int64{15, 15}, [2]int64{}},
		{"unconditional, with an item that is conditional", func(v *bus.Version) {
			v.Resource.Sharing.Type, v.Resource.Items[0].Sharing = bus.Unconditional, bus.Conditional
		}, [2]int64{17, 17}, [2]int64{1, 1}},
		{"unconditional, with an item that is not shared by no law", func(v *bus.Version) {
			v.Resource.Sharing, v.Resource.Items[0].Sharing = bus.Sharing{Type: bus.Unconditional}, bus.NotShared
		}, [2]int64{15, 17}, [2]int64{0, 1}},
		{"not shared, by a law", func(v *bus.Version) { // reason, basis, its kind and its citation for range and purposes
			v.Resource.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "样例", Basis: &bus.Basis{Kind: "law", Citation: "样例法第一条"}}
		}, [2]int64{19, 19}, [2]int64{1, 1}},
		{"not shared, by a departmental rule: no basis", func(v *bus.Version) {
			v.Resource.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "样例", Basis: &bus.Basis{Kind: "departmental-rule", Citation: "样例"}}
		}, [2]int64{19, 19}, [2]int64{0, 1}},
		{"withdrawn before the end", func(v *bus.Version) {
			v.Withdrawn = &bus.Withdrawal{Approved: bus.Review{At: clock("2026-03-31 23:59")}}
		}, [2]int64{}, [2]int64{}},
		{"withdrawn after the end", func(v *bus.Version) {
			v.Withdrawn = &bus.Withdrawal{Approved: bus.Review{At: clock("2026-04-01 00:00")}}
		}, [2]int64{17, 17}, [2]int64{1, 1}},
		{"published after the end", func(v *bus.Version) { v.Resource.Published = clock("2026-04-01 00:00") }, [2]int64{}, [2]int64{}},
	} {
		got := figures(evaluation.Directory{Versions: published(c.change)}, quarter)[market]
		for id, n := range map[string][2]int64{"A1": c.a1, "A3": c.a3} {
			if got[id].Numerator != n[0] || got[id].Denominator != n[1] {
				t.Errorf("%s: %s is %d/%d, want %d/%d", c.name, id, got[id].Numerator, got[id].Denominator, n[0], n[1])
			}
		}
	}
}

// A doubt of 2026-02-12 is to be answered by 2026-03-04.
func TestE1E2Corrections(t *testing.T) {
	step := func(step bus.CorrectionStep, text string) bus.CorrectionAct {
		return bus.CorrectionAct{Step: step, At: clock(text)}
	}
	report := step(bus.CorrectionReport, "2026-02-12 10:00")
	for _, c := range []struct {
		name   string
		steps  []bus.CorrectionAct
		e1, e2 [2]int64
	}{
		{"not answered", nil, [2]int64{0, 1}, [2]int64{}},
		{"explained in time: no error", []bus.CorrectionAct{step(bus.CorrectionExplain, "2026-03-04 12:00")}, [2]int64{1, 1}, [2]int64{}},
		{"confirmed, never corrected", []bus.CorrectionAct{step(bus.CorrectionConfirm, "2026-02-25 12:00")}, [2]int64{0, 1}, [2]int64{0, 1}},
		{"corrected in time, retested", []bus.CorrectionAct{
			step(bus.CorrectionCorrect, "2026-03-04 12:00"), step(bus.CorrectionPass, "2026-03-10 12:00"),
		}, [2]int64{1, 1}, [2]int64{1, 1}},
		{"corrected in time, not yet retested: not the provider's to do", []bus.CorrectionAct{
			step(bus.CorrectionCorrect, "2026-03-04 12:00"),
		}, [2]int64{1, 1}, [2]int64{}},
		{"corrected late, retested", []bus.CorrectionAct{
			step(bus.CorrectionCorrect, "2026-03-05 12:00"), step(bus.CorrectionPass, "2026-03-10 12:00"),
		}, [2]int64{0, 1}, [2]int64{1, 1}},
		{"the retest failed: a second term, to 2026-03-24, and one error", []bus.CorrectionAct{
			step(bus.CorrectionCorrect, "2026-03-04 12:00"), step(bus.CorrectionFail, "2026-03-10 12:00"),
		}, [2]int64{1, 2}, [2]int64{0, 1}},
		{"withdrawn before it was due", []bus.CorrectionAct{step(bus.CorrectionWithdraw, "2026-03-04 12:00")}, [2]int64{}, [2]int64{}},
	} {
		d := evaluation.Directory{Corrections: []bus.Correction{{ID: "c", Resource: "r", Provider: market, Consumer: housing, Steps: append([]bus.CorrectionAct{report}, c.steps...)}}}
		got := figures(d, quarter)[market]
		for id, n := range map[string][2]int64{"E1": c.e1, "E2": c.e2} {
			if got[id].Numerator != n[0] || got[id].Denominator != n[1] {
				t.Errorf("%s: %s is %d/%d, want %d/%d", c.name, id, got[id].Numerator, got[id].Denominator, n[0], n[1])
			}
		}
	}
}

func TestDeductionsComeOfRulings(t *testing.T) {
	dispute := func(about bus.SubjectKind, id string, upheld bool) []bus.Dispute {
		return []bus.Dispute{{
			ID: "d", About: bus.Subject{Kind: about, ID: id}, Raiser: housing, Respondent: market,
			Steps: []bus.DisputeAct{{Step: bus.DisputeRaise, At: clock("2026-03-02 09:00")}}, Ruling: &bus.Ruling{At: clock("2026-03-20 09:00"), Upheld: upheld},
		}}
	}
	stopped := func(step bus.GrantStep, by bus.USCC) []bus.Grant {
		return []bus.Grant{{ID: "g", Stops: []bus.Stop{{Step: step, At: clock("2026-03-01 09:00"), By: bus.Principal{Department: by}}}}}
	}
	for _, c := range []struct {
		name      string
		grants    []bus.Grant
		disputes  []bus.Dispute
		who       bus.USCC
		deduction string
		times     int64
	}{
		{"a stop found against its provider", stopped(bus.GrantSuspend, market), dispute(bus.SubjectGrant, "g", true), market, "K1", 1},
		{"a stop found for its provider", stopped(bus.GrantSuspend, market), dispute(bus.SubjectGrant, "g", false), market, "K1", 0},
		{"a stop of the authority is not the provider's", stopped(bus.GrantSuspend, tax), dispute(bus.SubjectGrant, "g", true), market, "K1", 0},
		{"a refusal found against", nil, dispute(bus.SubjectApplication, "a", true), market, "K2", 1},
		{"a misuse upheld is the consumer's", stopped(bus.GrantRectify, market), dispute(bus.SubjectGrant, "g", false), housing, "K3", 1},
	} {
		got := figures(evaluation.Directory{Grants: c.grants, Disputes: c.disputes}, quarter)[c.who][c.deduction]
		if got.Numerator != c.times {
			t.Errorf("%s: %s %d times, want %d", c.name, c.deduction, got.Numerator, c.times)
		}
	}
	got := figures(evaluation.Directory{Disputes: dispute(bus.SubjectApplication, "a", true)}, quarter)[market]["C3"]
	if got.Numerator != 0 || got.Denominator != 1 {
		t.Errorf("demand refused and found against: %d/%d", got.Numerator, got.Denominator)
	}
}

// market is merged into tax on 2026-03-01: what comes due before is market's, what
// comes due after is tax's, though it was asked of market.
func TestMergedDepartmentsCountByOwnerAtEventTime(t *testing.T) {
	versions := published(nil)
	merged := versions["r"][0]
	merged.Resource.Provider, merged.Resource.Version, merged.Resource.Published = tax, 2, clock("2026-03-01 00:00")
	versions["r"] = append(versions["r"], merged)
	before, after := application(func(a *bus.Application) { a.Complete = complete("2026-01-05 10:00") })[0], // due 2026-01-19
		application(func(a *bus.Application) { a.ID, a.Complete = "b", complete("2026-02-12 10:00") })[0] // due 2026-03-04
	got := figures(evaluation.Directory{Versions: versions, Applications: []bus.Application{before, after}}, quarter)
	if m, x := got[market]["C1"], got[tax]["C1"]; m.Denominator != 1 || x.Denominator != 1 || m.Evidence.Denominator[0] != "application/a" || x.Evidence.Denominator[0] != "application/b" {
		t.Errorf("market %+v, tax %+v", m, x)
	}
	if m, x := got[market]["A1"], got[tax]["A1"]; m.Denominator != 0 || x.Denominator != 17 {
		t.Errorf("entries at the end: market %d, tax %d", m.Denominator, x.Denominator)
	}
}
