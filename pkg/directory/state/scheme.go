package state

import (
	"fmt"
	"iter"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// SchemeVersions yields the versions of the evaluation scheme, the first one first.
func (t *Tx) SchemeVersions() iter.Seq[bus.SchemeVersion] {
	return all[bus.SchemeVersion](t, Schemes)
}

// SchemeVersion returns a version of the evaluation scheme, numbered from 1.
func (t *Tx) SchemeVersion(number int) (bus.SchemeVersion, bool) {
	return read[bus.SchemeVersion](t, Schemes, schemeKey(number))
}

// SchemeInForce returns the version of the evaluation scheme that was activated last;
// ok is false where none was: the one that ships with the release is then in force.
func (t *Tx) SchemeInForce() (inForce bus.SchemeVersion, ok bool) {
	for v := range t.SchemeVersions() {
		if v.Activated != nil && v.Revision > inForce.Revision {
			inForce, ok = v, true
		}
	}
	return inForce, ok
}

func schemeKey(number int) string { return fmt.Sprintf("%06d", number) }

// PublishedReport returns the evaluation report that was published under this id.
func (t *Tx) PublishedReport(id string) (bus.PublishedReport, bool) {
	return read[bus.PublishedReport](t, Reports, id)
}

// PublishedReports yields the evaluation reports that were published, by id.
func (t *Tx) PublishedReports() iter.Seq[bus.PublishedReport] {
	return all[bus.PublishedReport](t, Reports)
}

// Evaluator returns the data authority of the topmost division, which says how sharing
// is evaluated and publishes the reports; ok is false where there is none.
func (t *Tx) Evaluator() (authority bus.USCC, ok bool) {
	for d := range t.Divisions() {
		if d.Parent == "" && d.Authority != "" {
			return d.Authority, true
		}
	}
	return "", false
}

// evaluates refuses who is not of the authority that evaluates.
func evaluates(tx *Tx, p bus.Principal) error {
	authority, ok := tx.Evaluator()
	if ok && p.Department == authority {
		return nil
	}
	return bus.E(bus.CodeForbidden, bus.Defect{
		Field: "by", Problem: bus.Text{ZH: "由最高一级数据主管部门办理", EN: "the data authority of the topmost division does"}, Allowed: string(authority),
	})
}

// planSchemePropose keeps a scheme as the next version, which is not in force.
func planSchemePropose(tx *Tx, r request[bus.SchemeProposal]) ([]Change, error) {
	if err := evaluates(tx, r.Principal); err != nil {
		return nil, err
	}
	if err := bus.Invalid(r.body.Check()); err != nil {
		return nil, err
	}
	v := bus.SchemeVersion{
		Version: tx.Count(Schemes) + 1, Scheme: r.body.Scheme, Revision: r.index, Proposed: bus.SchemeAct{By: r.Principal, At: r.At, Note: r.body.Note},
	}
	return set(Schemes, schemeKey(v.Version), v)
}

// planSchemeActivate puts a version in force. Nobody activates what they proposed, and
// what was in force once is proposed anew.
func planSchemeActivate(tx *Tx, r request[command.SchemeActivation]) ([]Change, error) {
	if err := evaluates(tx, r.Principal); err != nil {
		return nil, err
	}
	v, ok := tx.SchemeVersion(r.body.Version)
	if !ok {
		return nil, bus.NotFound("scheme", fmt.Sprint(r.body.Version))
	}
	if err := expect(r.Expect, v.Revision, "scheme", fmt.Sprint(v.Version)); err != nil {
		return nil, err
	}
	if v.Activated != nil {
		return nil, bus.E(bus.CodeWrongState, bus.Defect{
			Field: "version", Problem: bus.Text{ZH: "该版本已启用过", EN: "this version was activated before"}, Allowed: "a version that was proposed and not activated",
		})
	}
	if v.Proposed.By.Account == r.Principal.Account {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "不得启用本人提出的方案", EN: "nobody activates what they proposed"}, Allowed: "another reviewer",
		})
	}
	v.Activated, v.Revision = &bus.SchemeAct{By: r.Principal, At: r.At, Note: r.body.Note}, r.index
	return set(Schemes, schemeKey(v.Version), v)
}

// planReportPublish keeps the digest of a report for good. A restatement is about the
// window of a report that is published already.
func planReportPublish(tx *Tx, r request[command.Publication]) ([]Change, error) {
	if err := evaluates(tx, r.Principal); err != nil {
		return nil, err
	}
	seal := r.body.Report
	if err := bus.Invalid(seal.Check()); err != nil {
		return nil, err
	}
	if have, ok := tx.PublishedReport(seal.ID); ok {
		return nil, bus.E(bus.CodeExists, bus.Defect{
			Field: "id", Problem: bus.Text{ZH: "报告 " + seal.ID + " 已公布，不得改写", EN: "report " + seal.ID + " is published, and is not written again"}, Allowed: have.Digest,
		})
	}
	if err := signedReport(tx, seal); err != nil {
		return nil, err
	}
	if seal.Restates != "" {
		before, ok := tx.PublishedReport(seal.Restates)
		if !ok {
			return nil, bus.NotFound("report", seal.Restates)
		}
		if !before.From.Equal(seal.From) || !before.To.Equal(seal.To) {
			return nil, bus.E(bus.CodeInvalid, bus.Defect{
				Field: "restates", Problem: bus.Text{ZH: "更正报告与原报告的周期不同", EN: "a restatement is about the window of the report that it restates"},
				Allowed: fmt.Sprintf("%s – %s", before.From.UTC().Format(time.RFC3339), before.To.UTC().Format(time.RFC3339)),
			})
		}
	}
	return set(Reports, seal.ID, bus.PublishedReport{ReportSeal: seal, Published: bus.SchemeAct{By: r.Principal, At: r.At, Note: r.body.Note}, Revision: r.index})
}

// signedReport refuses a report that the node it names did not sign.
func signedReport(tx *Tx, seal bus.ReportSeal) error {
	node, ok := tx.Node(seal.Node)
	if !ok {
		return bus.NotFound("node", string(seal.Node))
	}
	key, err := note.NewVerifier(node.EvidenceKey)
	if err == nil {
		var opened *note.Note
		if opened, err = note.Open([]byte(seal.Signature), note.VerifierList(key)); err == nil && opened.Text == seal.Text() {
			return nil
		}
	}
	return bus.E(bus.CodeEvidence, bus.Defect{
		Field: "signature", Problem: bus.Text{ZH: "不是该节点对该摘要的签名", EN: "not the signature of that node over that digest"}, Allowed: "a report as gxbus evaluation run made it",
	}).Because(err)
}
