package state_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// The topmost division's authority is tax: these are its people beside the reviewer.
var (
	byPlanner = bus.Principal{Account: "planner", Role: bus.RoleOperator, Department: tax}
	byAnother = bus.Principal{Account: "another", Role: bus.RoleReviewer, Department: tax}
)

func evaluated(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for _, p := range []bus.Principal{byPlanner, byAnother} {
		a := account(p.Account, p.Role)
		a.Department = p.Department
		w.must(bySecurity, command.AccountPut, 0, a)
	}
	return w
}

func proposal(weight int) bus.SchemeProposal {
	name := bus.Text{ZH: "样例", EN: "sample"}
	return bus.SchemeProposal{Note: "样例", Scheme: bus.Scheme{
		Name: "样例方案", Cap: 10, RankedFrom: 50, Bands: []bus.Band{{Name: name}},
		Indicators: []bus.Indicator{
			{ID: "A1", Name: name, Weight: weight, Numerator: bus.CountElementsFilled, Denominator: bus.CountElementsRequired},
			{ID: "G1", Name: name, Weight: 100 - weight, Numerator: bus.CountApplicationsMet, Denominator: bus.CountApplicationsDue, Where: map[string][]string{"sharing": {"conditional"}}},
		},
	}}
}

// refused checks the code of what becomes of an ask.
func (w *world) refused(name string, a ask, want bus.Code) {
	w.t.Helper()
	if got := bus.CodeOf(w.ask(a).Err()); got != want {
		w.t.Errorf("%s: %q, want %q", name, got, want)
	}
}

func TestASchemeIsProposedByOneAndActivatedByAnotherOfTheAuthority(t *testing.T) {
	w := evaluated(t)
	inForce := func() (version int) {
		w.view(func(tx *state.Tx) {
			v, _ := tx.SchemeInForce()
			version = v.Version
		})
		return version
	}
	for name, by := range map[string]bus.Principal{"a provider's reviewer": bySharing, "a provider's operator": byOperator, "the system administrator": bySysadmin, "the auditor": byAuditor, "a node": byGZ} {
		w.refused(name, ask{by: by, typ: command.SchemePropose, body: proposal(40)}, bus.CodeForbidden)
	}
	w.refused("weights that are not 100", ask{by: byReviewer, typ: command.SchemePropose, body: bus.SchemeProposal{Note: "样例", Scheme: with(proposal(40).Scheme, func(s *bus.Scheme) { s.Indicators = s.Indicators[:1] })}}, bus.CodeInvalid)
	w.refused("no reason", ask{by: byReviewer, typ: command.SchemePropose, body: bus.SchemeProposal{Scheme: proposal(40).Scheme}}, bus.CodeInvalid)
	first := w.must(byReviewer, command.SchemePropose, 0, proposal(40))
	second := w.must(byPlanner, command.SchemePropose, 0, proposal(60))
	if inForce() != 0 {
		t.Error("what is proposed is in force")
	}
	activate := func(version int) command.SchemeActivation { return command.SchemeActivation{Version: version} }
	w.refused("their own", ask{by: byReviewer, typ: command.SchemeActivate, expect: first, body: activate(1)}, bus.CodeForbidden)
	w.refused("an operator", ask{by: byPlanner, typ: command.SchemeActivate, expect: first, body: activate(1)}, bus.CodeForbidden)
	w.refused("another department's reviewer", ask{by: bySharing, typ: command.SchemeActivate, expect: first, body: activate(1)}, bus.CodeForbidden)
	w.refused("another revision", ask{by: byAnother, typ: command.SchemeActivate, expect: second, body: activate(1)}, bus.CodeRevision)
	w.refused("none", ask{by: byAnother, typ: command.SchemeActivate, expect: second, body: activate(3)}, bus.CodeNotFound)
	w.must(byAnother, command.SchemeActivate, second, activate(2))
	if inForce() != 2 {
		t.Errorf("version %d is in force, want 2", inForce())
	}
	last := w.must(byAnother, command.SchemeActivate, first, activate(1)) // an older one that was never in force
	if inForce() != 1 {
		t.Errorf("version %d is in force, want 1", inForce())
	}
	w.refused("again", ask{by: byAnother, typ: command.SchemeActivate, expect: last, body: activate(1)}, bus.CodeWrongState)
	w.view(func(tx *state.Tx) {
		v, _ := tx.SchemeVersion(1)
		if v.Proposed.By != byReviewer || v.Activated.By != byAnother || v.Scheme.Indicators[1].Where["sharing"][0] != "conditional" {
			t.Errorf("%+v", v)
		}
	})
	restored := w.copy()
	if restored.hash() != w.hash() {
		t.Error("a snapshot does not carry the schemes")
	}
}

// seal is a report that a node of the sample world signed.
func seal(t *testing.T, id string, by bus.NodeID, change func(*bus.ReportSeal)) command.Publication {
	t.Helper()
	s := bus.ReportSeal{ID: id, Format: "gxbus-evaluation/1", From: noon, To: noon.Add(90 * 24 * time.Hour), Node: "gz", Digest: "sha256:" + strings.Repeat("a", 64)}
	if change != nil {
		change(&s)
	}
	signed, err := note.Sign(&note.Note{Text: s.Text()}, evidenceKeys(by).signer)
	if err != nil {
		t.Fatal(err)
	}
	s.Signature = string(signed)
	return command.Publication{Report: s, Note: "样例"}
}

func TestAPublishedReportIsNeverWrittenAgainAndARestatementNamesIt(t *testing.T) {
	w := evaluated(t)
	publish := func(by bus.Principal, p command.Publication) ask {
		return ask{by: by, typ: command.ReportPublish, body: p}
	}
	for name, by := range map[string]bus.Principal{"an operator of the authority": byPlanner, "a provider's reviewer": bySharing, "the auditor": byAuditor, "a node": byGZ} {
		w.refused(name, publish(by, seal(t, "q1", "gz", nil)), bus.CodeForbidden)
	}
	w.refused("signed by another node", publish(byReviewer, seal(t, "q1", "th", nil)), bus.CodeEvidence)
	edited := seal(t, "q1", "gz", nil)
	edited.Report.Digest = "sha256:" + strings.Repeat("b", 64)
	w.refused("another digest than was signed", publish(byReviewer, edited), bus.CodeEvidence)
	w.refused("no digest", publish(byReviewer, seal(t, "q1", "gz", func(s *bus.ReportSeal) { s.Digest = "x" })), bus.CodeInvalid)
	w.refused("a node that is not there", publish(byReviewer, seal(t, "q1", "gz", func(s *bus.ReportSeal) { s.Node = "ghost" })), bus.CodeNotFound)
	w.refused("it restates what is not published", publish(byReviewer, seal(t, "q1-r1", "gz", func(s *bus.ReportSeal) { s.Restates = "q1" })), bus.CodeNotFound)
	w.must(byReviewer, command.ReportPublish, 0, seal(t, "q1", "gz", nil))
	before := w.hash()
	w.refused("again", publish(byAnother, seal(t, "q1", "gz", func(s *bus.ReportSeal) { s.Digest = "sha256:" + strings.Repeat("c", 64) })), bus.CodeExists)
	w.refused("it restates itself", publish(byReviewer, seal(t, "q2", "gz", func(s *bus.ReportSeal) { s.Restates = "q2" })), bus.CodeInvalid)
	w.refused("it restates another window", publish(byReviewer, seal(t, "q1-r1", "gz", func(s *bus.ReportSeal) { s.Restates, s.From = "q1", noon.Add(time.Hour) })), bus.CodeInvalid)
	w.must(byReviewer, command.ReportPublish, 0, seal(t, "q1-r1", "gz", func(s *bus.ReportSeal) { s.Restates = "q1" }))
	w.view(func(tx *state.Tx) {
		first, _ := tx.PublishedReport("q1")
		again, _ := tx.PublishedReport("q1-r1")
		if first.Digest != "sha256:"+strings.Repeat("a", 64) || first.Published.By != byReviewer || again.Restates != "q1" {
			t.Errorf("%+v, %+v", first, again)
		}
	})
	if before == w.hash() {
		t.Error("a restatement left no trace")
	}
}
