package state_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// applied is a complete application of housing for an item of market's.
func applied(id bus.ApplicationID) command.Application {
	return command.Application{ID: id, Content: bus.ApplicationContent{
		Department: housing, Resource: "registrations", Version: 1, Basis: "样例条例第一条", Scenario: "样例事项", Items: []bus.ItemID{"uscc"},
		Division: "440106", Mode: "batch", Purposes: []bus.Purpose{bus.PurposeReference}, Until: noon.AddDate(1, 0, 0),
	}}
}

// fileApplication writes and submits an application, and returns its revision.
func (w *world) fileApplication(a command.Application) bus.Revision {
	w.t.Helper()
	revision := w.must(byApplicant, command.ApplicationPut, 0, a)
	return w.must(byApplicant, command.ApplicationSubmit, revision, command.Key{ID: string(a.ID)})
}

func (w *world) application(id bus.ApplicationID) (a bus.Application) {
	w.t.Helper()
	w.view(func(tx *state.Tx) { a, _ = tx.Application(id) })
	return a
}

func (w *world) grant(id bus.GrantID) (g bus.Grant) {
	w.t.Helper()
	w.view(func(tx *state.Tx) { g, _ = tx.Grant(id) })
	return g
}

// answer answers an application as it is now.
func (w *world) answer(id bus.ApplicationID, a command.Answer) {
	w.t.Helper()
	a.Application = id
	w.must(bySharing, command.ApplicationAnswer, w.application(id).Revision, a)
}

func changed(a command.Application, change func(*bus.ApplicationContent)) command.Application {
	change(&a.Content)
	return a
}

func TestConsentMakesAGrantOfWhatWasAppliedForUnderTheEntrysConditions(t *testing.T) {
	w := newWorld(t)
	w.fileApplication(applied("a1"))
	w.now = noon.AddDate(0, 0, 2)
	w.answer("a1", command.Answer{Verdict: command.VerdictApprove})
	a, g := w.application("a1"), w.grant("a1")
	if a.State != bus.ApplicationApproved || a.Grant != "a1" || a.Answer == nil || !a.Answer.Approved || a.Answer.By != bySharing {
		t.Errorf("the application: %+v", a)
	}
	c := a.Content
	if g.Resource != c.Resource || g.Consumer != housing || !g.NotAfter.Equal(c.Until) || !g.NotBefore.Equal(w.now) || g.Division != c.Division {
		t.Errorf("the grant: %+v", g)
	}
	if g.Consent == nil || g.Consent.Range != "样例" || g.Consent.Version != 1 || !g.Consent.At.Equal(w.now) || g.Consent.Application != "a1" {
		t.Errorf("its conditions: %+v", g.Consent)
	}
}

func TestApplicationRefusals(t *testing.T) {
	w := newWorld(t)
	law := bus.Basis{Kind: "law", Citation: "样例法第一条"}
	w.publish(byMarket, with(resource("closed", "307006/1"), func(r *bus.Resource) {
		r.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "样例", Basis: &law}
	}))
	w.publish(byMarket, with(resource("part", "307008/1"), func(r *bus.Resource) {
		r.Items[1].Sharing, r.Sharing.Reason, r.Sharing.Basis = bus.NotShared, "样例", &law
	}))
	withheld := w.must(byApplicant, command.ApplicationPut, 0, changed(applied("withheld"), func(c *bus.ApplicationContent) {
		c.Resource, c.Items = "part", []bus.ItemID{"uscc", "name"}
	}))
	put := func(change func(*bus.ApplicationContent)) ask {
		return ask{by: byApplicant, typ: command.ApplicationPut, body: changed(applied("a1"), change)}
	}
	filed := w.fileApplication(applied("filed"))
	answer := func(by bus.Principal, a command.Answer) ask {
		a.Application = "filed"
		return ask{by: by, typ: command.ApplicationAnswer, expect: filed, body: a}
	}
	approve := func(t bus.Terms) ask {
		return answer(bySharing, command.Answer{Verdict: command.VerdictApprove, Terms: t, Opinion: "样例"})
	}
	w.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "both", Role: bus.RoleReviewer, Department: housing, PasswordHash: "$argon2id$"})
	checkRefusals(t, w, []refusal{
		{"for another department", put(func(c *bus.ApplicationContent) { c.Department = market }), bus.CodeForbidden, "department"},
		{"art. 14: for what is not shared", put(func(c *bus.ApplicationContent) { c.Resource = "closed" }), bus.CodeNotShared, "resource"},
		{"art. 14: for an item that is not shared", ask{by: byApplicant, typ: command.ApplicationSubmit, expect: withheld, body: command.Key{ID: "withheld"}},
			bus.CodeIncomplete, "items[1]"},
		{"for nothing that is there", put(func(c *bus.ApplicationContent) { c.Resource = "nothing" }), bus.CodeInvalid, "resource"},
		{"malformed, all at once", put(func(c *bus.ApplicationContent) {
			c.Mode, c.Purposes, c.Items, c.Until = "post", []bus.Purpose{"fun"}, []bus.ItemID{"uscc", "uscc"}, time.Time{}.AddDate(0, 0, 1)
			c.From = noon
		}), bus.CodeInvalid, "items[1] mode purposes[0] until"},
		{"answered by the applicant's own reviewer", answer(bus.Principal{Account: "both", Role: bus.RoleReviewer, Department: housing},
			command.Answer{Verdict: command.VerdictApprove}), bus.CodeForbidden, "by"},
		{"art. 21: refused without reasons", answer(bySharing, command.Answer{Verdict: command.VerdictRefuse, Opinion: " "}), bus.CodeInvalid, "opinion"},
		{"art. 21: returned without saying what it needs", answer(bySharing, command.Answer{Verdict: command.VerdictReturn}), bus.CodeInvalid, "opinion"},
		{"consent to less without reasons", answer(bySharing, command.Answer{Verdict: command.VerdictApprove, Terms: bus.Terms{Until: noon.AddDate(0, 1, 0)}}), bus.CodeInvalid, "opinion"},
		{"no verdict", answer(bySharing, command.Answer{Verdict: "perhaps", Opinion: "样例"}), bus.CodeInvalid, "verdict"},
		{"art. 15: wider than applied for", approve(bus.Terms{
			Items: []bus.ItemID{"uscc", "name"}, Purposes: []bus.Purpose{bus.PurposeVerification}, Division: "440100", Until: noon.AddDate(2, 0, 0),
		}), bus.CodeInvalid, "division items[1] purposes[0] until"},
		{"art. 15: a limit of matters that the entry lacks", approve(bus.Terms{Matters: []string{"m1"}}), bus.CodeInvalid, "matters[0]"},
	})
}

// 一次性告知: all that it lacks is told at once, when it is submitted.
func TestAnIncompleteApplicationIsToldAllThatItLacksAtOnce(t *testing.T) {
	w := newWorld(t)
	revision := w.must(byApplicant, command.ApplicationPut, 0, command.Application{ID: "a1", Content: bus.ApplicationContent{Department: housing}})
	submit := func(expect bus.Revision) ask {
		return ask{by: byApplicant, typ: command.ApplicationSubmit, expect: expect, body: command.Key{ID: "a1"}}
	}
	checkRefusals(t, w, []refusal{
		{"all of it", submit(revision), bus.CodeIncomplete, "basis division items mode purposes resource scenario until"},
	})
	revision = w.must(byApplicant, command.ApplicationPut, revision, changed(applied("a1"), func(c *bus.ApplicationContent) {
		c.Items, c.Purposes = append(c.Items, "phone"), append(c.Purposes, bus.PurposeCollaboration)
		c.Version, c.Mode, c.Division, c.Renews = 2, "file", "999999", "g9"
	}))
	checkRefusals(t, w, []refusal{
		{"what the entry does not offer", submit(revision), bus.CodeIncomplete, "division items[1] mode purposes[1] renews version"},
	})
}

// A range (使用范围) is kept to by an item that tells which division a row is about, or
// is all that the provider's division is in; any other is refused, however it comes.
func TestARangeThatNothingKeepsToIsRefused(t *testing.T) {
	const above bus.USCC = "114420000073327379"
	w := newWorld(t)
	w.must(bySysadmin, command.DepartmentPut, 0, bus.Department{ID: above, Name: "样例部门", Division: "440100"})
	from := func(id bus.ResourceID, code bus.ResourceCode, change func(*bus.Resource)) {
		w.publish(bySysadmin, with(resource(id, code), func(r *bus.Resource) {
			r.Provider = above
			change(r)
		}))
	}
	from("silent", "307009/1", func(*bus.Resource) {})
	from("telling", "307009/2", func(r *bus.Resource) { r.Items[1].Semantic = bus.SemanticDivision })
	from("free", "307009/3", func(r *bus.Resource) { r.Sharing.Type = bus.Unconditional })
	from("mixed", "307009/4", func(r *bus.Resource) { r.Sharing.Type, r.Items[1].Sharing = bus.Unconditional, bus.Conditional })
	for resource, want := range map[bus.ResourceID]map[bus.DivisionCode]bool{
		"silent":  {"440106": false, "440100": true, "440000": true},
		"telling": {"440106": true, "440000": true},
		"free":    {"440106": true},
		"mixed":   {"440106": false, "440000": true},
	} {
		for division, kept := range want {
			about := changed(applied("a1"), func(c *bus.ApplicationContent) { c.Resource, c.Division = resource, division })
			w.view(func(tx *state.Tx) {
				if defects := tx.Lacking(about.Content, noon); len(defects) == 0 != kept {
					t.Errorf("%s for %s: %+v", resource, division, defects)
				}
			})
		}
	}
	wide := changed(applied("a1"), func(c *bus.ApplicationContent) { c.Resource, c.Division = "silent", "440000" })
	filed := w.fileApplication(wide)
	w.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "above", Role: bus.RoleReviewer, Department: above, PasswordHash: "$argon2id$"})
	registered := with(grant("g2"), func(g *bus.Grant) { g.Resource, g.Division = "silent", "440106" })
	checkRefusals(t, w, []refusal{
		{"consent to less than is kept to", ask{by: bus.Principal{Account: "above", Role: bus.RoleReviewer, Department: above}, typ: command.ApplicationAnswer, expect: filed,
			body: command.Answer{Application: "a1", Verdict: command.VerdictApprove, Terms: bus.Terms{Division: "440106"}, Opinion: "样例"}}, bus.CodeInvalid, "division"},
		{"an agreement", ask{by: bySecurity, typ: command.GrantPut, body: registered}, bus.CodeInvalid, "division"},
	})
}

// What else it needs is told once, and the term of the answer runs from when it was
// complete; both times are kept.
func TestAnApplicationIsReturnedOnceAndItsClockRunsFromComplete(t *testing.T) {
	w := newWorld(t)
	w.fileApplication(applied("a1"))
	w.now = noon.AddDate(0, 0, 1)
	w.answer("a1", command.Answer{Verdict: command.VerdictReturn, Opinion: "请附上使用依据原文"})
	revision := w.must(byApplicant, command.ApplicationPut, w.application("a1").Revision, applied("a1"))
	w.now = noon.AddDate(0, 0, 2)
	revision = w.must(byApplicant, command.ApplicationSubmit, revision, command.Key{ID: "a1"})
	a := w.application("a1")
	if !a.Filed.At.Equal(noon) || !a.Complete.At.Equal(w.now) || a.State != bus.ApplicationPending {
		t.Errorf("filed %v, complete %v, %s", a.Filed.At, a.Complete.At, a.State)
	}
	checkRefusals(t, w, []refusal{
		{"a second time", ask{by: bySharing, typ: command.ApplicationAnswer, expect: revision, body: command.Answer{
			Application: "a1", Verdict: command.VerdictReturn, Opinion: "还缺",
		}}, bus.CodeWrongState, "state"},
		{"one that was submitted is not thrown away", ask{by: byApplicant, typ: command.ApplicationDelete, expect: revision, body: command.Key{ID: "a1"}}, bus.CodeWrongState, "state"},
		{"written while it is answered", ask{by: byApplicant, typ: command.ApplicationPut, expect: revision, body: applied("a1")}, bus.CodeWrongState, "state"},
	})
}

func TestWhatIsSharedUnconditionallyIsAnsweredAtOnce(t *testing.T) {
	w := newWorld(t)
	open := with(resource("open", "307006/1"), func(r *bus.Resource) { r.Sharing = bus.Sharing{Type: bus.Unconditional} })
	w.publish(byMarket, open)
	w.fileApplication(changed(applied("a1"), func(c *bus.ApplicationContent) { c.Resource, c.Matters = "open", []string{"m1"} }))
	a := w.application("a1")
	if a.State != bus.ApplicationApproved || a.Answer.By != (bus.Principal{Node: "gz"}) || !a.Answer.At.Equal(a.Complete.At) || a.Days() != 1 {
		t.Errorf("the application: %+v", a)
	}
	if g := w.grant(a.Grant); g.Consumer != housing || len(g.Matters) != 1 {
		t.Errorf("the grant: %+v", g)
	}
	open.Items[1].Sharing, open.Sharing.Range, open.Sharing.Purposes = bus.Conditional, "样例", []bus.Purpose{bus.PurposeReference}
	w.publish(byMarket, open)
	w.fileApplication(changed(applied("a2"), func(c *bus.ApplicationContent) {
		c.Resource, c.Version, c.Items = "open", 2, []bus.ItemID{"uscc", "name"}
	}))
	if a := w.application("a2"); a.State != bus.ApplicationPending || a.Days() != 10 {
		t.Errorf("one for a conditional item: %+v", a)
	}
}

func TestMoreTimeToAnswerCountsOnlyWithTheAuthoritysConsentInTime(t *testing.T) {
	w := newWorld(t)
	revision := w.fileApplication(applied("a1"))
	due := time.Date(2026, 3, 18, 16, 0, 0, 0, time.UTC) // 2026-03-04 + 10
	more := func(by bus.Principal, days int, reason string) ask {
		return ask{by: by, typ: command.ApplicationExtend, expect: revision, body: command.MoreTime{Application: "a1", Days: days, Reason: reason}}
	}
	checkRefusals(t, w, []refusal{
		{"asked for by its applicant", more(byApplicant, 10, "样例"), bus.CodeForbidden, ""},
		{"too much, for no reason", more(bySharing, 11, ""), bus.CodeInvalid, "days reason"},
		{"consent to what was not asked for", ask{by: byReviewer, typ: command.ApplicationConsent, expect: revision, body: command.MoreTimeConsent{Application: "a1"}}, bus.CodeWrongState, "extension"},
	})
	w.now = due
	checkRefusals(t, w, []refusal{{"when it is due", more(bySharing, 10, "样例"), bus.CodeWrongState, "extension"}})
	w.now = due.Add(-1)
	revision = w.must(bySharing, command.ApplicationExtend, revision, command.MoreTime{Application: "a1", Days: 10, Reason: "样例"})
	if got := w.application("a1").Days(); got != 10 {
		t.Errorf("before it is consented to the term is %d", got)
	}
	agree := ask{by: byReviewer, typ: command.ApplicationConsent, expect: revision, body: command.MoreTimeConsent{Application: "a1", Approve: true}}
	w.now = due
	checkRefusals(t, w, []refusal{
		{"a second time", more(bySharing, 1, "样例"), bus.CodeWrongState, "state"},
		{"consent when it is due", agree, bus.CodeWrongState, "extension"},
	})
	w.now = due.Add(-1)
	if err := w.ask(agree).Err(); err != nil {
		t.Fatal(err)
	}
	w.view(func(tx *state.Tx) {
		a, _ := tx.Application("a1")
		shown := tx.ShownApplication(tx.Calendar(), a, w.now).Shown
		if want := time.Date(2026, 4, 1, 16, 0, 0, 0, time.UTC); shown.Answer == nil || !shown.Answer.Due.Equal(want) {
			t.Errorf("the answer is due %+v, want %v", shown.Answer, want)
		}
	})
}

// S30: nobody is both who files and who answers, for an account keeps its role and
// department; nor is an account that filed let answer.
func TestS30NobodyAnswersWhatTheyFiled(t *testing.T) {
	w := newWorld(t)
	w.fileApplication(applied("a1"))
	checkRefusals(t, w, []refusal{
		{"an operator becomes a reviewer", ask{by: bySecurity, typ: command.AccountPut, expect: 1, body: bus.Account{
			Name: "applicant", Role: bus.RoleReviewer, Department: market, PasswordHash: "$argon2id$",
		}}, bus.CodeForbidden, "role"},
	})
	if filers := w.application("a1").Filers(); len(filers) != 3 || filers[0] != "applicant" {
		t.Errorf("filed by %v", filers)
	}
}
