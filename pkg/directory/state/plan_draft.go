package state

import (
	"errors"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

func planDraftPut(tx *Tx, r request[bus.DraftContent]) ([]Change, error) {
	f := file(tx, r.Entry, r.index, r.body.Resource.ID)
	if err := compiling(r.Principal, r.body.Resource.Provider); err != nil { // first: others learn no more than this
		return nil, err
	}
	if err := expect(r.Expect, f.draft.Revision, "draft", string(f.id)); err != nil {
		return nil, err
	}
	if err := f.compile(r.body); err != nil {
		return nil, err
	}
	err := f.keep()
	return f.changes, err
}

func planDraftDelete(tx *Tx, r request[command.Key]) ([]Change, error) {
	f := file(tx, r.Entry, r.index, bus.ResourceID(r.body.ID))
	if err := f.own(r.Expect); err != nil {
		return nil, err
	}
	err := f.discard()
	return f.changes, err
}

func planResourceWithdraw(tx *Tx, r request[command.Withdrawal]) ([]Change, error) {
	f := file(tx, r.Entry, r.index, r.body.Resource)
	if f.inForce.ID == "" {
		return nil, bus.NotFound("resource", string(f.id))
	}
	if err := compiling(r.Principal, f.inForce.Provider); err != nil {
		return nil, err
	}
	if err := expect(r.Expect, f.inForce.Revision, "resource", string(f.id)); err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.body.Reason) == "" { // art. 27: a stop carries a reason
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "reason", Problem: bus.Text{ZH: "撤销须说明理由", EN: "a withdrawal needs a reason"}})
	}
	err := f.askWithdrawal(r.body.Reason)
	return f.changes, err
}

// own finds the draft at a revision. One that the principal may not see is not
// there; one that is another's to write is not to be touched.
func (f *filing) own(revision bus.Revision) error {
	if err := f.seen(revision); err != nil {
		return err
	}
	if !compiles(f.by, f.draft.Resource.Provider) {
		return bus.E(bus.CodeForbidden)
	}
	return nil
}

func (f *filing) seen(revision bus.Revision) error {
	if f.draft.ID == "" || !f.tx.Sees(f.by, f.draft.Resource.Provider) {
		return bus.NotFound("draft", string(f.id))
	}
	return expect(revision, f.draft.Revision, "draft", string(f.id))
}

func planDraftSubmit(tx *Tx, r request[command.Submission]) ([]Change, []bus.ImportRow, error) {
	return each(tx, r.Entry, r.index, r.body.Drafts, func(f *filing, revision bus.Revision) error {
		if err := f.own(revision); err != nil {
			return err
		}
		if err := f.submit(); err != nil {
			return err
		}
		return f.keep()
	})
}

func planDraftReview(tx *Tx, r request[command.Review]) ([]Change, []bus.ImportRow, error) {
	if !r.body.Approve && strings.TrimSpace(r.body.Opinion) == "" {
		return nil, nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "opinion", Problem: bus.Text{ZH: "退回须说明理由", EN: "a return says why"}})
	}
	verdict := bus.Review{By: r.Principal, At: r.At, Approved: r.body.Approve, Opinion: r.body.Opinion}
	return each(tx, r.Entry, r.index, r.body.Drafts, func(f *filing, revision bus.Revision) error {
		if err := f.seen(revision); err != nil {
			return err
		}
		return f.review(verdict)
	})
}

// each does an act on drafts one after the other. A single one is refused as the
// entry; of several each is answered in its row.
func each(tx *Tx, e command.Entry, index bus.Revision, drafts []bus.DraftRef, act func(*filing, bus.Revision) error) ([]Change, []bus.ImportRow, error) {
	if len(drafts) == 0 {
		return nil, nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "drafts", Problem: bus.Text{ZH: "必填", EN: "required"}})
	}
	var rows rows
	view := tx.over()
	for _, d := range drafts {
		f := file(view, e, index, d.ID)
		row := bus.ImportRow{ID: d.ID, Outcome: bus.OutcomeChanged, Revision: index}
		err := act(f, d.Revision)
		if err != nil && len(drafts) == 1 {
			return nil, nil, err
		}
		row.State = f.state
		if err := rows.answer(view, f, row, err); err != nil {
			return nil, nil, err
		}
	}
	return rows.changes, rows.rows, nil
}

// rows are the answers of a bulk entry, and what it writes.
type rows struct {
	rows    []bus.ImportRow
	changes []Change
}

// answer takes the outcome of a row; one that was refused writes nothing.
func (r *rows) answer(view *Tx, f *filing, row bus.ImportRow, err error) error {
	if refusal, ok := errors.AsType[*bus.Error](err); ok {
		row.Outcome, row.Code, row.Defects = bus.OutcomeRefused, refusal.Code, refusal.Defects
		row.Revision, row.State = 0, ""
		if view.Sees(f.by, f.provider()) {
			row.State = view.EntryState(f.id)
		}
		r.rows = append(r.rows, row)
		return nil
	}
	if err != nil {
		return err
	}
	view.add(f.changes)
	r.rows, r.changes = append(r.rows, row), append(r.changes, f.changes...)
	return nil
}

func planDraftImport(tx *Tx, r request[command.Import]) ([]Change, []bus.ImportRow, error) {
	if len(r.body.Drafts) == 0 {
		return nil, nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "drafts", Problem: bus.Text{ZH: "必填", EN: "required"}})
	}
	var rows rows
	view := tx.over()
	for _, content := range r.body.Drafts {
		content.Resource.ID = identified(view, content.Resource)
		f := file(view, r.Entry, r.index, content.Resource.ID)
		row, err := f.take(content, r.body.Submit)
		if err := rows.answer(view, f, row, err); err != nil {
			return nil, nil, err
		}
	}
	return rows.changes, rows.rows, nil
}

// identified finds the id of a resource that comes without one: that of whoever
// has its first code, else one made from that code.
func identified(tx *Tx, r bus.Resource) bus.ResourceID {
	switch {
	case r.ID != "" || len(r.Codes) == 0 || !r.Codes[0].Valid():
		return r.ID
	case tx.bytes(Codes, string(r.Codes[0])) != nil:
		return bus.ResourceID(tx.bytes(Codes, string(r.Codes[0])))
	default:
		return bus.ResourceIDOf(r.Codes[0])
	}
}

// take takes one row of an import: nothing is written where it says what is there
// already.
func (f *filing) take(content bus.DraftContent, submit bool) (row bus.ImportRow, err error) {
	row = bus.ImportRow{ID: f.id, Outcome: bus.OutcomeUnchanged}
	if f.id == "" {
		return row, bus.E(bus.CodeInvalid, bus.Defect{Field: "codes", Problem: bus.Text{ZH: "无标识时须有目录代码", EN: "a row without an id needs a directory code"}})
	}
	if err := compiling(f.by, content.Resource.Provider); err != nil {
		return row, err
	}
	switch {
	case f.draft.ID != "" && same(content, f.draft.Resource, f.draft.Clearance):
	case f.draft.ID == "" && f.inForce.ID != "" && f.sameAsInForce(content):
		row.State, row.Revision = f.state, f.inForce.Revision
		return row, nil
	default:
		if row.Outcome = bus.OutcomeChanged; f.draft.ID == "" && f.inForce.ID == "" {
			row.Outcome = bus.OutcomeCreated
		}
		if content.Clearance == (bus.Clearance{}) {
			content.Clearance = f.draft.Clearance
		}
		if err := f.compile(content); err != nil {
			return row, err
		}
	}
	if submit && f.state == bus.StateDraft {
		switch err := f.submit(); {
		case err == nil && row.Outcome == bus.OutcomeUnchanged:
			row.Outcome = bus.OutcomeChanged
		case bus.CodeOf(err) == bus.CodeIncomplete:
			refusal, _ := errors.AsType[*bus.Error](err)
			row.Defects = slices.Clone(refusal.Defects)
		case err != nil:
			return row, err
		}
	}
	row.State, row.Revision = f.state, f.draft.Revision
	if row.Outcome == bus.OutcomeUnchanged {
		return row, nil
	}
	return row, f.keep()
}

// sameAsInForce reports whether content says what the version in force says.
func (f *filing) sameAsInForce(content bus.DraftContent) bool {
	v, _ := f.tx.Version(f.id, f.inForce.Version)
	return same(content, f.inForce, v.Clearance)
}
