package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// standings tells how each claimant of firm/uscc stands, in order.
func (w *world) standings() string {
	text := ""
	w.view(func(tx *state.Tx) {
		c, _ := tx.Claim("firm", "uscc")
		for _, x := range c.Claimants {
			text += string(x.Resource) + ":" + string(x.Standing) + " "
		}
	})
	return text
}

func (w *world) wantStandings(when, want string) {
	w.t.Helper()
	if got := w.standings(); got != want {
		w.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func rival(id bus.ResourceID, code bus.ResourceCode) bus.Resource {
	return with(claiming(resource(id, code)), func(r *bus.Resource) { r.Provider = housing })
}

func (w *world) decide(by bus.Principal, second bus.ResourceID, transfer bool, reason string) ask {
	var revision bus.Revision
	w.view(func(tx *state.Tx) {
		c, _ := tx.Claim("firm", "uscc")
		revision = c.Revision
	})
	return ask{by: by, typ: command.ClaimDecide, expect: revision, body: command.Decision{
		Entity: "firm", Item: "uscc", Resource: second, Transfer: transfer, Reason: reason,
	}}
}

// Art. 19: one source of each item; the second claim waits for the authority.
func TestASecondClaimIsFlaggedAndDecided(t *testing.T) {
	for _, transfer := range []bool{false, true} {
		w := newWorld(t)
		w.publish(byMarket, claiming(resource("first", "307021/1")))
		submitted := int(w.submit(byHousing, rival("second", "307022/1")))
		w.wantStandings("submitted", "first:source second:disputed ")
		w.view(func(tx *state.Tx) {
			d, _ := tx.Draft("second")
			conflicts := tx.Conflicts(d)
			if len(conflicts) != 1 || conflicts[0].Source.Resource != "first" || conflicts[0].Source.Department != market ||
				!conflicts[0].Source.Since.Equal(noon) || conflicts[0].Standing != bus.StandingDisputed {
				t.Errorf("the draft shows %+v", conflicts)
			}
		})
		approve := ask{by: byReviewer, typ: command.DraftReview, body: approval("second", submitted)}
		checkRefusals(t, w, []refusal{
			{"approved undecided", approve, bus.CodeClaim, "items[uscc].source"},
			{"decided without a reason", w.decide(byReviewer, "second", transfer, " "), bus.CodeInvalid, "reason"},
			{"decided for who does not dispute it", w.decide(byReviewer, "first", transfer, "样例"), bus.CodeWrongState, "resource"},
			{"decided for nobody", w.decide(byReviewer, "third", transfer, "样例"), bus.CodeWrongState, "resource"},
			{"S30: decided by a claimant", w.decide(byMarket, "second", transfer, "样例"), bus.CodeForbidden, ""},
		})
		if err := w.ask(w.decide(byReviewer, "second", transfer, "样例理由")).Err(); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{false: "first:source second:refused ", true: "first:refused second:source "}[transfer]
		w.wantStandings("decided", want)
		if err := w.ask(approve).Err(); err != nil {
			t.Errorf("approved after the decision: %v", err)
		}
		w.publish(byMarket, with(claiming(resource("first", "307021/1")), func(r *bus.Resource) { r.Name = "样例二" }))
		w.publish(byHousing, with(rival("second", "307022/1"), func(r *bus.Resource) { r.Name = "样例二" }))
		w.wantStandings("new versions reopen nothing", want)
		w.view(func(tx *state.Tx) {
			c, _ := tx.Claim("firm", "uscc")
			if len(c.Decisions) != 1 || c.Decisions[0].Reason != "样例理由" || c.Decisions[0].By != byReviewer || c.Decisions[0].First != "first" {
				t.Errorf("kept: %+v", c.Decisions)
			}
		})
	}
}

// The authority of the lowest division that both are of, and no other.
func TestWhoDecidesAClaim(t *testing.T) {
	w := newWorld(t)
	w.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "county", Role: bus.RoleReviewer, Department: market})
	county := bus.Principal{Account: "county", Role: bus.RoleReviewer, Department: market}
	w.must(bySysadmin, command.DepartmentPut, 0, with(department(freeDepartment), func(d *bus.Department) { d.Division = "440100" }))
	w.publish(byMarket, claiming(resource("first", "307021/1")))
	w.must(bySysadmin, command.DivisionPut, 1, bus.Division{Code: "440106", Name: "天河区", Level: bus.LevelCounty, Parent: "440100", Authority: market})
	w.submit(bySysadmin, with(rival("city", "307022/1"), func(r *bus.Resource) { r.Provider = freeDepartment }))
	w.submit(byHousing, rival("neighbour", "307023/1"))
	w.wantStandings("three", "first:source city:disputed neighbour:disputed ")
	checkRefusals(t, w, []refusal{
		{"the county's for the city", w.decide(county, "city", true, "样例"), bus.CodeForbidden, "by"},
		{"the province's for the county", w.decide(byReviewer, "neighbour", true, "样例"), bus.CodeForbidden, "by"},
	})
	for _, a := range []ask{w.decide(county, "neighbour", true, "样例"), w.decide(byReviewer, "city", false, "样例")} {
		a.expect = w.decide(county, "", false, "").expect
		if err := w.ask(a).Err(); err != nil {
			t.Error(err)
		}
	}
	w.wantStandings("decided", "first:refused city:refused neighbour:source ")
}

func TestAClaimEndsWithWhatMakesIt(t *testing.T) {
	w := newWorld(t)
	first := w.publish(byMarket, claiming(resource("first", "307021/1")))
	submitted := w.submit(byHousing, rival("second", "307022/1"))
	w.must(byReviewer, command.DraftReview, 0, command.Review{Drafts: draft("second", int(submitted)), Opinion: "样例"})
	w.wantStandings("returned to its department", "first:source ")
	w.submit(byHousing, rival("second", "307022/1"))
	w.wantStandings("submitted again", "first:source second:disputed ")
	asked := w.must(byMarket, command.ResourceWithdraw, first, command.Withdrawal{Resource: "first", Reason: "样例"})
	w.must(byReviewer, command.DraftReview, 0, approval("first", int(asked)))
	w.wantStandings("the first is withdrawn", "second:source ")
	w.must(byReviewer, command.DraftReview, 0, approval("second", int(w.draftRevision("second"))))
	w.publish(byHousing, with(rival("second", "307022/1"), func(r *bus.Resource) { r.Items[0].Source = false }))
	w.wantStandings("given up in a new version", "")
	if _, left := w.contents()["claims/firm/uscc"]; left {
		t.Error("a claim of nobody is kept")
	}
}

// Within one bulk entry the second row meets the claim of the first.
func TestRowsOfOneImportDisputeEachOther(t *testing.T) {
	w := newWorld(t)
	rows := w.ask(ask{by: bySysadmin, typ: command.DraftImport, body: command.Import{Submit: true, Drafts: []bus.DraftContent{
		content(claiming(resource("a", "307021/1"))), content(rival("b", "307022/1")),
	}}}).Rows
	wantRows(t, "both", rows, "created in-review ", "created in-review ")
	w.wantStandings("both", "a:source b:disputed ")
	refs := append(draft("a", int(rows[0].Revision)), draft("b", int(rows[1].Revision))...)
	wantRows(t, "approved together", w.ask(ask{by: byReviewer, typ: command.DraftReview, body: command.Review{Drafts: refs, Approve: true}}).Rows,
		"changed published ", "refused in-review claim-undecided")
}
