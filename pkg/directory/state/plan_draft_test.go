package state_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// outcomes gives the outcome, state and code of rows, a word each.
func outcomes(rows []bus.ImportRow) []string {
	var words []string
	for _, r := range rows {
		words = append(words, string(r.Outcome)+" "+string(r.State)+" "+string(r.Code))
	}
	return words
}

func wantRows(t *testing.T, what string, rows []bus.ImportRow, want ...string) {
	t.Helper()
	got := outcomes(rows)
	if len(got) != len(want) {
		t.Fatalf("%s: %q, want %q", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: row %d is %q, want %q: %+v", what, i, got[i], want[i], rows[i])
		}
	}
}

func TestAnImportAnswersEachRowForItself(t *testing.T) {
	w := newWorld(t)
	unnamed := resource("", "307051/1")
	lacking := with(resource("", "307052/1"), func(r *bus.Resource) { r.Abstract, r.Items[0].Grade = "", 0 })
	asked := ask{by: byMarket, typ: command.DraftImport, request: "import-1", body: command.Import{Submit: true, Drafts: []bus.DraftContent{
		content(unnamed),
		content(lacking),
		content(with(resource("theirs", "307053/1"), func(r *bus.Resource) { r.Provider = housing })),
		content(with(resource("secret", "307054/1"), func(r *bus.Resource) { r.Secrecy = "秘密" })),
		content(resource("again", "307051/1")), // the code of the first row
		content(resource("")),
	}}}
	result := w.ask(asked)
	wantRows(t, "first", result.Rows, "created in-review ", "created draft ", "refused  forbidden", "refused  secrecy-marked",
		"refused  invalid-argument", "refused  invalid-argument")
	if id := result.Rows[0].ID; id != bus.ResourceIDOf("307051/1") {
		t.Errorf("the first is called %q", id)
	}
	wantRows(t, "the same request", w.ask(asked).Rows, outcomes(result.Rows)...)
	asked.request = "import-2"
	before := w.contents()
	wantRows(t, "the same content", w.ask(asked).Rows, "unchanged in-review ", "unchanged draft ", "refused  forbidden", "refused  secrecy-marked",
		"refused  invalid-argument", "refused  invalid-argument")
	after := w.contents()
	for key := range after {
		if before[key] != after[key] {
			t.Errorf("%s changed", key)
		}
	}
	w.view(func(tx *state.Tx) {
		if _, ok := tx.Draft("again"); ok {
			t.Error("a refused row left a draft")
		}
	})
}

func TestDraftRefusals(t *testing.T) {
	w := onesWorld(t)
	put := func(by bus.Principal, expect bus.Revision, change func(*bus.Resource)) ask {
		return ask{by: by, typ: command.DraftPut, expect: expect, body: content(with(resource("new", "307009/1"), change))}
	}
	submit := func(by bus.Principal, refs ...bus.DraftRef) ask {
		return ask{by: by, typ: command.DraftSubmit, body: command.Submission{Drafts: refs}}
	}
	review := func(by bus.Principal, approve bool, opinion string, refs ...bus.DraftRef) ask {
		return ask{by: by, typ: command.DraftReview, body: command.Review{Drafts: refs, Approve: approve, Opinion: opinion}}
	}
	withdraw := func(by bus.Principal, id bus.ResourceID, reason string) ask {
		return ask{by: by, typ: command.ResourceWithdraw, expect: w.revision[string(id)], body: command.Withdrawal{Resource: id, Reason: reason}}
	}
	drafted, submitted := draft("drafted", int(w.revision["drafted"])), draft("submitted", int(w.revision["submitted"]))
	checkRefusals(t, w, []refusal{
		{"of another department", put(byHousing, 0, func(*bus.Resource) {}), bus.CodeForbidden, "provider"},
		{"another's resource taken over", put(byHousing, 0, func(r *bus.Resource) { r.ID, r.Provider = "licences", housing }), bus.CodeInvalid, "provider"},
		{"another's draft taken over", put(byHousing, 0, func(r *bus.Resource) { r.ID, r.Provider = "drafted", housing }), bus.CodeExists, "draft"},
		{"another provider", put(bySysadmin, 0, func(r *bus.Resource) { r.ID, r.Provider = "licences", tax }), bus.CodeInvalid, "provider"},
		{"not well-formed", put(byMarket, 0, func(r *bus.Resource) { r.Format, r.Items[0].Grade = "tape", 9 }), bus.CodeInvalid, "format items[0].grade"},
		{"art. 3: a secrecy mark", put(byMarket, 0, func(r *bus.Resource) { r.Secrecy, r.Format = "机密", "tape" }), bus.CodeSecret, "secrecy"},
		{"art. 14: a local regulation", put(byMarket, 0, func(r *bus.Resource) {
			r.Sharing = bus.Sharing{Type: bus.NotShared, Basis: &bus.Basis{Kind: "local-regulation"}}
		}), bus.CodeInvalid, "sharing.basis.kind"},
		{"an unknown provider", put(bySysadmin, 0, func(r *bus.Resource) { r.Provider = "114420000073327379" }), bus.CodeInvalid, "provider"},
		{"a code of another", put(byMarket, 0, func(r *bus.Resource) { r.Codes = append(r.Codes, "307001/1") }), bus.CodeInvalid, "codes[1]"},
		{"a code of another's draft", put(byHousing, 0, func(r *bus.Resource) { r.Provider, r.Codes = housing, append(r.Codes, "307011/1") }), bus.CodeInvalid, "codes[1]"},
		{"one in review", put(byMarket, w.revision["submitted"], func(r *bus.Resource) { r.ID, r.Codes = "submitted", nil }), bus.CodeWrongState, "state"},
		{"one in review thrown away", ask{by: byMarket, typ: command.DraftDelete, expect: w.revision["submitted"], body: command.Key{ID: "submitted"}}, bus.CodeWrongState, "state"},
		{"S27: another's thrown away", ask{by: byHousing, typ: command.DraftDelete, expect: w.revision["drafted"], body: command.Key{ID: "drafted"}}, bus.CodeNotFound, "draft"},
		{"nothing submitted", submit(byMarket), bus.CodeInvalid, "drafts"},
		{"submitted twice", submit(byMarket, submitted...), bus.CodeWrongState, "state"},
		{"S27: another's submitted", submit(byHousing, drafted...), bus.CodeNotFound, "draft"},
		{"submitted as it was", submit(byMarket, draft("drafted", 1)...), bus.CodeRevision, "draft"},
		{"none submitted", submit(byMarket, draft("nothing", 1)...), bus.CodeNotFound, "draft"},
		{"S30: reviewed by its department", review(byOperator, true, "", submitted...), bus.CodeForbidden, ""},
		{"S30: reviewed by the system administrator", review(bySysadmin, true, "", submitted...), bus.CodeForbidden, ""},
		{"returned without a word", review(byReviewer, false, " ", submitted...), bus.CodeInvalid, "opinion"},
		{"approved before it is submitted", review(byReviewer, true, "", drafted...), bus.CodeWrongState, "state"},
		{"withdrawn by another", withdraw(byHousing, "licences", "样例"), bus.CodeForbidden, "provider"},
		{"withdrawn without a reason", withdraw(byMarket, "licences", "\t"), bus.CodeInvalid, "reason"},
		{"what is not there withdrawn", withdraw(byMarket, "nothing", "样例"), bus.CodeNotFound, "resource"},
	})
}

// Art. 13: all that is missing is told at once, and nothing is in review.
func TestAnIncompleteDraftIsNotSubmitted(t *testing.T) {
	w := newWorld(t)
	bare := bus.Resource{ID: "bare", Provider: market, Items: []bus.Item{{ID: "phone", Semantic: bus.SemanticPhone}}}
	revision := w.must(byMarket, command.DraftPut, 0, bus.DraftContent{Resource: bare})
	checkRefusals(t, w, []refusal{
		{"alone", ask{by: byMarket, typ: command.DraftSubmit, body: submission("bare", int(revision))}, bus.CodeIncomplete,
			"abstract classification clearance.assessment clearance.consent clearance.secrecy_review codes format items[0].grade items[0].name " +
				"items[0].type modes name open sharing.type update_cycle"},
	})
	good := w.must(byMarket, command.DraftPut, 0, content(resource("good", "307009/1")))
	result := w.ask(ask{by: byMarket, typ: command.DraftSubmit, body: command.Submission{Drafts: append(draft("bare", int(revision)), draft("good", int(good))...)}})
	wantRows(t, "beside one that is complete", result.Rows, "refused draft incomplete", "changed in-review ")
}

func TestWithoutADataAuthorityNothingIsSubmitted(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.DivisionPut, 1, bus.Division{Code: "440000", Name: "广东省", Level: bus.LevelProvince})
	revision := w.must(byMarket, command.DraftPut, 0, content(resource("new", "307009/1")))
	checkRefusals(t, w, []refusal{
		{"no authority", ask{by: byMarket, typ: command.DraftSubmit, body: submission("new", int(revision))}, bus.CodeIncomplete, "provider"},
	})
}

// The nearest division above that has an authority: not a parent's, not a sibling's.
func TestTheNearestAuthorityReviews(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.DivisionPut, 1, bus.Division{Code: "440100", Name: "广州市", Level: bus.LevelCity, Parent: "440000", Authority: housing})
	w.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "city", Role: bus.RoleReviewer, Department: housing})
	w.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "own", Role: bus.RoleReviewer, Department: market})
	city := bus.Principal{Account: "city", Role: bus.RoleReviewer, Department: housing}
	own := bus.Principal{Account: "own", Role: bus.RoleReviewer, Department: market}
	revision := int(w.submit(byMarket, resource("new", "307009/1")))
	checkRefusals(t, w, []refusal{
		{"the department's own reviewer is none", ask{by: own, typ: command.DraftReview, body: approval("new", revision)}, bus.CodeForbidden, "by"},
		{"S27: the province's reviewer does not see it", ask{by: byReviewer, typ: command.DraftReview, body: approval("new", revision)}, bus.CodeNotFound, "draft"},
	})
	w.must(city, command.DraftReview, 0, approval("new", revision))
}

func TestADraftLivesBesideTheVersionInForce(t *testing.T) {
	w := newWorld(t)
	inForce := func() (r bus.Resource, s bus.EntryState) {
		w.view(func(tx *state.Tx) { r, _ = tx.Resource("licences"); s = tx.EntryState("licences") })
		return r, s
	}
	before, _ := inForce()
	changed := with(resource("licences", "307003/1"), func(r *bus.Resource) { r.Name = "样例资源二"; r.Version, r.Revision = 9, 9 })
	submitted := w.submit(byOperator, changed)
	if now, s := inForce(); now.Name != before.Name || now.Revision != before.Revision || s != bus.StateInReview {
		t.Errorf("%s, %+v", s, now)
	}
	w.must(byReviewer, command.DraftReview, 0, command.Review{Drafts: draft("licences", int(submitted)), Opinion: "样例意见"})
	w.view(func(tx *state.Tx) {
		if d, _ := tx.Draft("licences"); d.State != bus.StateReturned || d.Review == nil || d.Review.Opinion != "样例意见" || d.Review.By != byReviewer {
			t.Errorf("returned: %+v", d)
		}
	})
	w.now = noon.Add(time.Hour)
	revision := w.publish(byMarket, changed)
	now, s := inForce()
	if s != bus.StatePublished || now.Name != changed.Name || now.Version != 2 || now.Revision != revision || !now.Published.Equal(w.now) {
		t.Errorf("%s, %+v", s, now)
	}
	w.view(func(tx *state.Tx) {
		var names []string
		for v := range tx.Versions("licences") {
			names = append(names, v.Resource.Name)
		}
		if len(names) != 2 || names[0] != before.Name || names[1] != changed.Name {
			t.Errorf("versions %q", names)
		}
		if v, _ := tx.Version("licences", 2); v.Submitted.By != byMarket || v.Approved.By != byReviewer || v.Clearance.Consent == "" {
			t.Errorf("how it came to be: %+v", v)
		}
	})
}

func TestCodesFollowTheirEntry(t *testing.T) {
	w := newWorld(t)
	owner := func(code string) string { return w.contents()["resource-codes/"+code] }
	moved := w.submit(byMarket, resource("licences", "307003/1"))
	if owner("307002/1") != "licences" || owner("307003/1") != "licences" {
		t.Error("while a change is in review, the old code and the new are its own")
	}
	w.must(byReviewer, command.DraftReview, 0, approval("licences", int(moved)))
	if owner("307002/1") != "" || owner("307003/1") != "licences" {
		t.Error("the old code is not free")
	}
	w.publish(byMarket, resource("heir", "307002/1"))
	revision := w.must(byMarket, command.DraftPut, 0, content(resource("licences", "307004/1")))
	w.must(byMarket, command.DraftDelete, revision, command.Key{ID: "licences"})
	if owner("307004/1") != "" || owner("307003/1") != "licences" {
		t.Error("a draft thrown away kept its code, or took that of the version in force along")
	}
}

// What is withdrawn is gone; its versions, id and codes are kept from others.
func TestAWithdrawnResource(t *testing.T) {
	w := newWorld(t)
	ask1 := command.Withdrawal{Resource: "registrations", Reason: "样例"}
	asked := w.must(byOperator, command.ResourceWithdraw, w.revision["registrations"], ask1)
	w.must(byReviewer, command.DraftReview, 0, command.Review{Drafts: draft("registrations", int(asked)), Opinion: "样例"})
	w.view(func(tx *state.Tx) {
		if s := tx.EntryState("registrations"); s != bus.StatePublished {
			t.Errorf("a withdrawal that was not approved leaves it %s", s)
		}
	})
	asked = w.must(byOperator, command.ResourceWithdraw, w.revision["registrations"], ask1)
	w.must(byReviewer, command.DraftReview, 0, approval("registrations", int(asked)))
	w.view(func(tx *state.Tx) {
		_, there := tx.Resource("registrations")
		last, _ := tx.Version("registrations", 1)
		if there || tx.EntryState("registrations") != bus.StateWithdrawn || last.Withdrawn == nil || last.Withdrawn.Asked.Reason != "样例" {
			t.Errorf("there: %v, %+v", there, last.Withdrawn)
		}
	})
	w.reopen()
	checkRefusals(t, w, []refusal{
		{"its id", ask{by: byMarket, typ: command.DraftPut, body: content(resource("registrations", "307009/1"))}, bus.CodeInvalid, "id"},
		{"its code", ask{by: byMarket, typ: command.DraftPut, body: content(resource("new", "307001/1"))}, bus.CodeInvalid, "codes[0]"},
		{"a grant", ask{by: bySecurity, typ: command.GrantPut, body: grant("g2")}, bus.CodeInvalid, "resource"},
		{"a subscription", ask{by: byHousing, typ: command.SubscriptionPut, body: subscription("s2")}, bus.CodeInvalid, "resource"},
		{"again", ask{by: byMarket, typ: command.ResourceWithdraw, body: ask1}, bus.CodeNotFound, "resource"},
	})
	rows := w.ask(ask{by: byMarket, typ: command.DraftImport, body: command.Import{Drafts: []bus.DraftContent{content(resource("", "307001/1"))}}}).Rows
	wantRows(t, "imported again", rows, "refused withdrawn invalid-argument")
}

func TestAnImportOfWhatIsInForceChangesNothing(t *testing.T) {
	w := newWorld(t)
	row := func(c bus.DraftContent, submit bool) bus.ImportRow {
		return w.ask(ask{by: byMarket, typ: command.DraftImport, body: command.Import{Drafts: []bus.DraftContent{c}, Submit: submit}}).Rows[0]
	}
	published := content(resource("", "307001/1"))
	uncleared := bus.DraftContent{Resource: published.Resource}
	before := w.contents()
	for name, c := range map[string]bus.DraftContent{"with its clearance": published, "without": uncleared} {
		if got := row(c, true); got.Outcome != bus.OutcomeUnchanged || got.State != bus.StatePublished || got.Revision != w.revision["registrations"] {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if after := w.contents(); !reflect.DeepEqual(before, after) {
		t.Error("something was written")
	}
	changed := with(published, func(c *bus.DraftContent) { c.Resource.Name = "样例资源二" })
	if got := row(changed, false); got.Outcome != bus.OutcomeChanged || got.State != bus.StateDraft || got.ID != "registrations" {
		t.Errorf("changed: %+v", got)
	}
	if got := row(bus.DraftContent{Resource: changed.Resource}, true); got.Outcome != bus.OutcomeChanged || got.State != bus.StateInReview {
		t.Errorf("the same, to be submitted: %+v", got) // with the clearance that it was put with
	}
	if got := row(published, true); got.Outcome != bus.OutcomeRefused || got.Code != bus.CodeWrongState {
		t.Errorf("another content for one in review: %+v", got)
	}
}

// Nobody reviews what they submitted, not even where a role allows both one day.
func TestASubmitterDoesNotReview(t *testing.T) {
	w := newWorld(t)
	own := with(resource("own", "307009/1"), func(r *bus.Resource) { r.Provider = tax }) // the authority's
	w.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "tax-operator", Role: bus.RoleOperator, Department: tax})
	operator := bus.Principal{Account: "tax-operator", Role: bus.RoleOperator, Department: tax}
	revision := int(w.submit(operator, own))
	checkRefusals(t, w, []refusal{
		{"S30: its submitter", ask{by: operator, typ: command.DraftReview, body: approval("own", revision)}, bus.CodeForbidden, ""},
	})
	w.must(byReviewer, command.DraftReview, 0, approval("own", revision))
}

func TestAPreviewWritesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.hash()
	entry, err := command.New(command.DraftImport, byMarket, "", 0, command.Import{Submit: true, Drafts: []bus.DraftContent{
		content(resource("", "307051/1")), content(resource("x", "307051/1")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.view(func(tx *state.Tx) {
		rows, err := state.Preview(tx, entry)
		if err != nil {
			t.Fatal(err)
		}
		wantRows(t, "previewed", rows, "created in-review ", "refused  invalid-argument")
		if entry.Principal = byAuditor; bus.CodeOf(second(state.Preview(tx, entry))) != bus.CodeForbidden {
			t.Error("previewed by somebody who may not")
		}
	})
	if w.hash() != before {
		t.Error("something was written")
	}
}

func second[A, B any](_ A, b B) B { return b }

func TestADisabledAccountMayNothing(t *testing.T) {
	w := onesWorld(t)
	accounts := []bus.Account{{Name: "operator", Role: bus.RoleOperator, Department: market}, {Name: "reviewer", Role: bus.RoleReviewer, Department: tax}}
	for _, a := range accounts {
		a.Disabled = true
		w.must(bySecurity, command.AccountPut, 1, a)
	}
	var refusals []refusal
	for typ, o := range ones(w) {
		for _, by := range []bus.Principal{byOperator, byReviewer} {
			refusals = append(refusals, refusal{string(typ) + " by " + by.Account, ask{by: by, typ: typ, expect: o.ask.expect, body: o.ask.body}, bus.CodeForbidden, ""})
		}
	}
	checkRefusals(t, w, refusals)
}

// S30: a departmental role has a department, and an administrator none; neither changes.
func TestAccountsOfDepartments(t *testing.T) {
	w := newWorld(t)
	put := func(by bus.Principal, expect bus.Revision, a bus.Account) ask {
		return ask{by: by, typ: command.AccountPut, expect: expect, body: a}
	}
	checkRefusals(t, w, []refusal{
		{"no department", put(bySecurity, 0, bus.Account{Name: "x", Role: bus.RoleOperator}), bus.CodeInvalid, "department"},
		{"an unknown one", put(bySecurity, 0, bus.Account{Name: "x", Role: bus.RoleReviewer, Department: freeDepartment}), bus.CodeInvalid, "department"},
		{"an administrator of one", put(bySecurity, 0, bus.Account{Name: "x", Role: bus.RoleAuditor, Department: market}), bus.CodeInvalid, "department"},
		{"moved", put(bySecurity, 1, bus.Account{Name: "operator", Role: bus.RoleOperator, Department: tax}), bus.CodeForbidden, "role"},
		{"promoted by oneself", put(byOperator, 1, bus.Account{Name: "operator", Role: bus.RoleReviewer, Department: market}), bus.CodeForbidden, "role"},
		{"moved by oneself", put(byOperator, 1, bus.Account{Name: "operator", Role: bus.RoleOperator, Department: tax}), bus.CodeForbidden, "role"},
		{"disabled by oneself", put(bySecurity, 1, bus.Account{Name: "security", Role: bus.RoleSecurityAdministrator, Disabled: true}), bus.CodeForbidden, "disabled"},
		{"made by an operator", put(byOperator, 0, bus.Account{Name: "x", Role: bus.RoleReviewer, Department: market}), bus.CodeForbidden, ""},
	})
	w.must(byOperator, command.AccountPut, 1, bus.Account{Name: "operator", Role: bus.RoleOperator, Department: market, PasswordHash: "new"})
}
