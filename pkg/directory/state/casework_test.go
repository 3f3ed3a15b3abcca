package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

var doubt = command.CorrectionReported{ID: "c1", Resource: "registrations", Items: []bus.ItemID{"uscc"}, Record: "batch-7/row-12", Description: "样例：代码与证照不符"}

// explained is a world with a correction whose provider says that there is no error.
func explained(t *testing.T) (*world, bus.Revision) {
	w := newWorld(t)
	r := w.must(byHousing, command.CorrectionReport, 0, doubt)
	return w, w.must(byMarket, command.CorrectionStep, r, command.CorrectionStepped{Correction: "c1", Step: bus.CorrectionExplain, Text: "样例：以登记为准"})
}

// submitted is a world with a dispute about it that waits for the authority.
func submitted(t *testing.T) (*world, bus.Revision) {
	w, _ := explained(t)
	r := w.must(byHousing, command.DisputeRaise, 0, command.DisputeRaised{ID: "d1", About: bus.Subject{Kind: bus.SubjectCorrection, ID: "c1"}, Reason: "样例"})
	r = w.must(byMarket, command.DisputeStep, r, command.DisputeStepped{Dispute: "d1", Step: bus.DisputeNegotiate, Text: "样例"})
	return w, w.must(byHousing, command.DisputeStep, r, command.DisputeStepped{Dispute: "d1", Step: bus.DisputeSubmit, Text: "样例"})
}

func (w *world) correction() (c bus.Correction) {
	w.t.Helper()
	w.view(func(tx *state.Tx) { c, _ = tx.Correction("c1") })
	return c
}

func TestCorrectionRefusals(t *testing.T) {
	w := newWorld(t)
	report := func(by bus.Principal, change func(*command.CorrectionReported)) ask {
		return ask{by: by, typ: command.CorrectionReport, body: with(doubt, change)}
	}
	same := func(*command.CorrectionReported) {}
	checkRefusals(t, w, []refusal{
		{"of who uses nothing of it", report(byTax, same), bus.CodeForbidden, "resource"},
		{"of the provider itself", report(byMarket, same), bus.CodeForbidden, "resource"},
		{"of a separated administrator", report(bySysadmin, same), bus.CodeForbidden, ""},
		{"of a reviewer", report(byReviewer, same), bus.CodeForbidden, ""},
		{"of nothing", report(byHousing, func(c *command.CorrectionReported) { c.Resource = "nothing" }), bus.CodeInvalid, "resource"},
		{"everything missing", report(byHousing, func(c *command.CorrectionReported) { *c = command.CorrectionReported{} }), bus.CodeInvalid, "description id items resource"},
		{"an item that is not there", report(byHousing, func(c *command.CorrectionReported) { c.Items = []bus.ItemID{"nothing"} }), bus.CodeInvalid, "items[0]"},
		{"an identity number in the text", report(byHousing, func(c *command.CorrectionReported) { c.Description = "样例 11010519491231002X 有误" }), bus.CodeInvalid, "description"},
		{"a mobile number as the record", report(byHousing, func(c *command.CorrectionReported) { c.Record = "13800000000" }), bus.CodeInvalid, "record"},
		{"a record in words", report(byHousing, func(c *command.CorrectionReported) { c.Record = "张三" }), bus.CodeInvalid, "record"},
	})
	revision := w.must(byHousing, command.CorrectionReport, 0, doubt)
	step := func(by bus.Principal, step bus.CorrectionStep, text string) ask {
		return ask{by: by, typ: command.CorrectionStep, expect: revision, body: command.CorrectionStepped{Correction: "c1", Step: step, Text: text}}
	}
	checkRefusals(t, w, []refusal{
		{"twice", report(byHousing, same), bus.CodeExists, "correction"},
		{"answered by the consumer", step(byHousing, bus.CorrectionExplain, "样例"), bus.CodeForbidden, "by"},
		{"withdrawn by the provider", step(byMarket, bus.CorrectionWithdraw, ""), bus.CodeForbidden, "by"},
		{"an explanation that says nothing", step(byMarket, bus.CorrectionExplain, " "), bus.CodeInvalid, "text"},
		{"retested before it is corrected", step(byHousing, bus.CorrectionPass, ""), bus.CodeWrongState, "state"},
		{"a step of the authority's", step(byMarket, bus.CorrectionUphold, "样例"), bus.CodeInvalid, "step"},
		{"reported as a step", step(byHousing, bus.CorrectionReport, "样例"), bus.CodeInvalid, "step"},
		{"its department deleted", ask{by: bySysadmin, typ: command.DepartmentDelete, expect: w.revision[string(housing)], body: command.Key{ID: string(housing)}}, bus.CodeInUse, "department"},
	})
}

// Art. 26: an open correction touches nothing that a call depends on.
func TestAnOpenCorrectionChangesNoGrant(t *testing.T) {
	w := newWorld(t)
	before := w.contents()
	w.must(byHousing, command.CorrectionReport, 0, doubt)
	for key, value := range w.contents() {
		if before[key] != value && key != "corrections/c1" && key != "revisions/corrections" {
			t.Errorf("a correction changed %s", key)
		}
	}
}

func TestDisputeRefusals(t *testing.T) {
	w, _ := explained(t)
	raise := func(by bus.Principal, kind bus.SubjectKind, id string) ask {
		return ask{by: by, typ: command.DisputeRaise, body: command.DisputeRaised{ID: "d9", About: bus.Subject{Kind: kind, ID: id}, Reason: "样例"}}
	}
	checkRefusals(t, w, []refusal{
		{"about nothing", raise(byHousing, bus.SubjectCorrection, "c9"), bus.CodeNotFound, "correction"},
		{"S27: about another's", raise(byTax, bus.SubjectCorrection, "c1"), bus.CodeNotFound, "correction"},
		{"with itself", raise(byMarket, bus.SubjectCorrection, "c1"), bus.CodeForbidden, "about"},
		{"about a grant that stands", raise(byHousing, bus.SubjectGrant, "g1"), bus.CodeWrongState, "about"},
		{"about the weather", raise(byHousing, "weather", "c1"), bus.CodeInvalid, "about.kind"},
		{"about no claim", raise(byHousing, bus.SubjectClaim, "firm/uscc"), bus.CodeNotFound, "claim"},
		{"by an administrator", raise(bySysadmin, bus.SubjectCorrection, "c1"), bus.CodeForbidden, ""},
		{"without a reason", ask{by: byHousing, typ: command.DisputeRaise, body: command.DisputeRaised{ID: "d9", About: bus.Subject{Kind: bus.SubjectCorrection, ID: "c1"}}}, bus.CodeInvalid, "text"},
	})
	revision := w.must(byHousing, command.DisputeRaise, 0, command.DisputeRaised{ID: "d1", About: bus.Subject{Kind: bus.SubjectCorrection, ID: "c1"}, Reason: "样例"})
	if got := w.correction().State; got != bus.CorrectionDisputed {
		t.Errorf("the correction is %s", got)
	}
	step := func(by bus.Principal, step bus.DisputeStep) ask {
		return ask{by: by, typ: command.DisputeStep, expect: revision, body: command.DisputeStepped{Dispute: "d1", Step: step, Text: "样例"}}
	}
	checkRefusals(t, w, []refusal{
		{"submitted before they negotiated", step(byHousing, bus.DisputeSubmit), bus.CodeWrongState, "state"},
		{"settled by the respondent", step(byMarket, bus.DisputeSettle), bus.CodeForbidden, "by"},
		{"decided as a step", step(byMarket, bus.DisputeDecide), bus.CodeInvalid, "step"},
		{"decided while they negotiate", decide(byReviewer, revision), bus.CodeWrongState, "state"},
		{"a second one", raise(byHousing, bus.SubjectCorrection, "c1"), bus.CodeWrongState, "about"},
	})
}

func decide(by bus.Principal, revision bus.Revision) ask {
	return ask{by: by, typ: command.DisputeDecide, expect: revision, body: command.DisputeDecided{Dispute: "d1", Upheld: true, Opinion: "样例"}}
}

// Art. 28: never a reviewer of a side, though their department were the authority.
func TestOnlyTheAuthorityAboveBothDecides(t *testing.T) {
	w, revision := submitted(t)
	own := bus.Principal{Account: "own", Role: bus.RoleReviewer, Department: market}
	theirs := bus.Principal{Account: "theirs", Role: bus.RoleReviewer, Department: housing}
	for _, p := range []bus.Principal{own, theirs} {
		w.must(bySecurity, command.AccountPut, 0, bus.Account{Name: p.Account, Role: p.Role, Department: p.Department})
	}
	var d bus.Division
	w.view(func(tx *state.Tx) { d, _ = tx.Division("440106") })
	d.Authority = market // the county's authority is a side: the province's decides
	w.must(bySysadmin, command.DivisionPut, d.Revision, d)
	checkRefusals(t, w, []refusal{
		{"by the provider's reviewer", decide(own, revision), bus.CodeForbidden, "by"},
		{"by the consumer's reviewer", decide(theirs, revision), bus.CodeForbidden, "by"},
		{"by an operator", decide(byOperator, revision), bus.CodeForbidden, ""},
		{"by an administrator", decide(bySecurity, revision), bus.CodeForbidden, ""},
		{"without an opinion", ask{by: byReviewer, typ: command.DisputeDecide, expect: revision, body: command.DisputeDecided{Dispute: "d1"}}, bus.CodeInvalid, "text"},
	})
	w.must(byReviewer, command.DisputeDecide, revision, command.DisputeDecided{Dispute: "d1", Upheld: true, Opinion: "样例"})
	c := w.correction()
	if rounds := c.Rounds(); c.State != bus.CorrectionConfirmed || len(rounds) != 2 || rounds[1].Answered != nil {
		t.Errorf("after a ruling for the consumer the correction is %s, rounds %+v", c.State, rounds)
	}
	w.view(func(tx *state.Tx) {
		d, _ := tx.Dispute("d1")
		if d.State != bus.DisputeDecided || d.Ruling.Division != "440000" || d.Ruling.Authority != tax {
			t.Errorf("decided by %+v", d.Ruling)
		}
	})
}

func TestWhatADisputeDoesToItsCorrection(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(*world, bus.Revision)
		want bus.CorrectionState
	}{
		"upheld": {func(w *world, r bus.Revision) {
			w.must(byReviewer, command.DisputeDecide, r, command.DisputeDecided{Dispute: "d1", Upheld: true, Opinion: "样例"})
		}, bus.CorrectionConfirmed},
		"rejected": {func(w *world, r bus.Revision) {
			w.must(byReviewer, command.DisputeDecide, r, command.DisputeDecided{Dispute: "d1", Opinion: "样例"})
		}, bus.CorrectionAccepted},
		"settled": {func(w *world, r bus.Revision) {
			w.must(byHousing, command.DisputeStep, r, command.DisputeStepped{Dispute: "d1", Step: bus.DisputeSettle, Text: "样例"})
		}, bus.CorrectionExplained},
	} {
		t.Run(name, func(t *testing.T) {
			w, revision := submitted(t)
			tc.end(w, revision)
			if got := w.correction().State; got != tc.want {
				t.Errorf("the correction is %s, want %s", got, tc.want)
			}
		})
	}
}

// A dispute about a stop needs no correction.
func TestAStoppedGrantCanBeDisputed(t *testing.T) {
	w := newWorld(t)
	w.must(byMarket, command.GrantRevoke, 0, command.Revoke{Grant: "g1", Reason: "样例"})
	w.must(byHousing, command.DisputeRaise, 0, command.DisputeRaised{ID: "d1", About: bus.Subject{Kind: bus.SubjectGrant, ID: "g1"}, Reason: "样例"})
	checkRefusals(t, w, []refusal{{"a second one while it goes on", ask{
		by: byHousing, typ: command.DisputeRaise, body: command.DisputeRaised{ID: "d2", About: bus.Subject{Kind: bus.SubjectGrant, ID: "g1"}, Reason: "样例"},
	}, bus.CodeExists, "about"}})
}
