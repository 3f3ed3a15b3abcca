package state

import (
	"iter"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Dispute returns the dispute with this id.
func (t *Tx) Dispute(id bus.DisputeID) (bus.Dispute, bool) {
	return read[bus.Dispute](t, Disputes, string(id))
}

// Disputes yields all disputes by id.
func (t *Tx) Disputes() iter.Seq[bus.Dispute] { return all[bus.Dispute](t, Disputes) }

// ArbiterBetween returns the division and data authority that decides between two
// departments; ok is false where no authority above both is neither of them.
func (t *Tx) ArbiterBetween(one, other bus.USCC) (division bus.DivisionCode, authority bus.USCC, ok bool) {
	a, _ := t.Department(one)
	b, _ := t.Department(other)
	return bus.Arbiter(t.Chain(a.Division), t.Chain(b.Division), func(code bus.DivisionCode) bus.USCC {
		d, _ := t.Division(code)
		return d.Authority
	}, one, other)
}

// SeesDispute reports whether p may look at a dispute: its sides may, who decides
// or decided it, and the separated administrators.
func (t *Tx) SeesDispute(p bus.Principal, d bus.Dispute) bool {
	if p.Role.Administrator() || d.Party(p.Department) {
		return true
	}
	if d.Ruling != nil {
		return d.Ruling.Authority == p.Department
	}
	_, authority, ok := t.ArbiterBetween(d.Raiser, d.Respondent)
	return ok && authority == p.Department
}

// planDisputeRaise opens a dispute about a stop, an explanation or a claim, by a
// side of it.
func planDisputeRaise(tx *Tx, r request[command.DisputeRaised]) ([]Change, error) {
	defects := bus.CheckID("id", r.body.ID)
	other, err := tx.otherSide(r.body.About, r.Principal.Department)
	if err != nil {
		return nil, err
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	have, _ := tx.Dispute(r.body.ID)
	if err := expect(0, have.Revision, "dispute", string(r.body.ID)); err != nil {
		return nil, err
	}
	for d := range tx.Disputes() {
		if d.Open() && d.About == r.body.About && d.Party(r.Principal.Department) && d.Party(other) {
			return nil, bus.E(bus.CodeExists, bus.Defect{
				Field: "about", Problem: bus.Text{ZH: "已有未结争议 " + string(d.ID), EN: "dispute " + string(d.ID) + " about it is not over"}, Allowed: string(d.ID),
			})
		}
	}
	d := bus.Dispute{ID: r.body.ID, About: r.body.About, Raiser: r.Principal.Department, Respondent: other, Revision: r.index}
	d, err = d.After(bus.DisputeAct{Step: bus.DisputeRaise, By: r.Principal, At: r.At, Text: r.body.Reason})
	if err != nil {
		return nil, err
	}
	return disputed(tx, r.Entry, r.index, d, bus.CorrectionDispute)
}

// otherSide finds who a department is in dispute with about a subject. What it has
// nothing to do with is not there; what is not decided against it cannot be
// disputed.
func (t *Tx) otherSide(s bus.Subject, department bus.USCC) (other bus.USCC, err error) {
	var sides []bus.USCC
	wrong := ""
	switch s.Kind {
	case bus.SubjectApplication:
		a, _ := t.Application(bus.ApplicationID(s.ID))
		if sides = []bus.USCC{a.Content.Department, t.Provider(a.Content.Resource)}; a.State != bus.ApplicationRefused {
			wrong = string(bus.ApplicationRefused)
		}
	case bus.SubjectGrant:
		g, _ := t.Grant(bus.GrantID(s.ID))
		if sides = []bus.USCC{g.Consumer, t.Provider(g.Resource)}; g.Suspended == "" && g.Revoked == "" {
			wrong = "suspended, revoked"
		}
	case bus.SubjectCorrection:
		c, _ := t.Correction(bus.CorrectionID(s.ID))
		if sides = []bus.USCC{c.Consumer, c.Provider}; c.State != bus.CorrectionExplained {
			wrong = string(bus.CorrectionExplained)
		}
	case bus.SubjectClaim:
		entity, item, _ := strings.Cut(s.ID, "/")
		sides = t.claimSides(bus.EntityID(entity), bus.ItemID(item), department)
	default:
		return "", bus.E(bus.CodeInvalid, bus.Defect{
			Field: "about.kind", Problem: bus.Text{ZH: "取值不允许：" + string(s.Kind), EN: "value not allowed: " + string(s.Kind)}, Allowed: "application, grant, correction, claim",
		})
	}
	if len(sides) != 2 || department == "" || sides[0] != department && sides[1] != department {
		return "", bus.NotFound(string(s.Kind), s.ID)
	}
	if s.Kind != bus.SubjectClaim && sides[0] != department { // whoever stopped or explained disputes not with itself
		return "", bus.E(bus.CodeForbidden, bus.Defect{
			Field: "about", Problem: bus.Text{ZH: "由使用方提起争议", EN: "the consumer disputes a refusal, a stop or an explanation"}, Allowed: string(sides[0]),
		})
	}
	if wrong != "" {
		return "", bus.E(bus.CodeWrongState, bus.Defect{
			Field: "about", Problem: bus.Text{ZH: "没有可争议的答复或者停止", EN: "there is no answer or stop to dispute"}, Allowed: wrong,
		})
	}
	if sides[0] == department {
		return sides[1], nil
	}
	return sides[0], nil
}

// claimSides are a claimant and the source that it is in dispute with; or the
// source and the first that disputes it.
func (t *Tx) claimSides(entity bus.EntityID, item bus.ItemID, department bus.USCC) []bus.USCC {
	c, _ := t.Claim(entity, item)
	source, ok := c.Source()
	if !ok {
		return nil
	}
	for _, x := range c.Claimants {
		if x.Department != source.Department && (x.Department == department || source.Department == department) {
			return []bus.USCC{source.Department, x.Department}
		}
	}
	return nil
}

// planDisputeStep takes a step of one of the sides.
func planDisputeStep(tx *Tx, r request[command.DisputeStepped]) ([]Change, error) {
	d, err := tx.dispute(r.Entry, r.body.Dispute)
	if err != nil {
		return nil, err
	}
	switch r.body.Step {
	case bus.DisputeNegotiate, bus.DisputeSubmit, bus.DisputeSettle:
	default:
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "step", Problem: bus.Text{ZH: "没有此步骤：" + string(r.body.Step), EN: "no such step: " + string(r.body.Step)}, Allowed: "negotiate, submit, settle",
		})
	}
	if !d.Party(r.Principal.Department) || r.body.Step == bus.DisputeSettle && r.Principal.Department != d.Raiser {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "应由当事部门办理；协商一致由提起方确认", EN: "the sides take this step; to settle is the raiser's"}, Allowed: string(d.Raiser),
		})
	}
	if d, err = d.After(bus.DisputeAct{Step: r.body.Step, By: r.Principal, At: r.At, Text: r.body.Text}); err != nil {
		return nil, err
	}
	if _, _, ok := tx.ArbiterBetween(d.Raiser, d.Respondent); r.body.Step == bus.DisputeSubmit && !ok {
		return nil, bus.E(bus.CodeWrongState, bus.Defect{
			Field:   "step",
			Problem: bus.Text{ZH: "双方共同上级区划均无可裁定的数据主管部门，须在总线之外解决", EN: "no division above both has an authority that is neither side: it is decided outside the bus"},
			Allowed: "gxbus division set-authority",
		})
	}
	d.Revision = r.index
	step := bus.CorrectionStep("")
	if d.State == bus.DisputeSettled {
		step = bus.CorrectionSettle
	}
	return disputed(tx, r.Entry, r.index, d, step)
}

// dispute finds a dispute that the entry is about, at the revision it expects.
func (t *Tx) dispute(e command.Entry, id bus.DisputeID) (bus.Dispute, error) {
	d, ok := t.Dispute(id)
	if !ok || !t.SeesDispute(e.Principal, d) {
		return d, bus.NotFound("dispute", string(id))
	}
	return d, expect(e.Expect, d.Revision, "dispute", string(id))
}

// planDisputeDecide decides a dispute, as a reviewer of the authority of the lowest
// division that both sides are of (decree 809 art. 28).
func planDisputeDecide(tx *Tx, r request[command.DisputeDecided]) ([]Change, error) {
	d, err := tx.dispute(r.Entry, r.body.Dispute)
	if err != nil {
		return nil, err
	}
	division, authority, ok := tx.ArbiterBetween(d.Raiser, d.Respondent)
	if !ok || authority != r.Principal.Department {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "由双方共同上级区划的数据主管部门裁定", EN: "the data authority of the lowest division that both are of decides"}, Allowed: string(authority),
		})
	}
	d, err = d.Decide(bus.Ruling{
		Division: division, Authority: authority, By: r.Principal, At: r.At, Upheld: r.body.Upheld, Opinion: r.body.Opinion,
	})
	if err != nil {
		return nil, err
	}
	d.Revision = r.index
	step := bus.CorrectionReject
	if r.body.Upheld { // its consumer has raised it
		step = bus.CorrectionUphold
	}
	return disputed(tx, r.Entry, r.index, d, step)
}

// disputed writes a dispute, and the step that it means for a correction.
func disputed(tx *Tx, e command.Entry, index bus.Revision, d bus.Dispute, step bus.CorrectionStep) ([]Change, error) {
	changes, err := set(Disputes, string(d.ID), d)
	if err != nil || d.About.Kind != bus.SubjectCorrection || step == "" {
		return changes, err
	}
	c, ok := tx.Correction(bus.CorrectionID(d.About.ID))
	if !ok {
		return changes, nil
	}
	if c, err = c.After(bus.CorrectionAct{Step: step, By: e.Principal, At: e.At, Text: d.Steps[len(d.Steps)-1].Text}); err != nil {
		return nil, err
	}
	c.Revision = index
	more, err := set(Corrections, string(c.ID), c)
	return append(changes, more...), err
}
