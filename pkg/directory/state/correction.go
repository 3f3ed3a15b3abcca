package state

import (
	"fmt"
	"iter"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Correction returns the correction with this id.
func (t *Tx) Correction(id bus.CorrectionID) (bus.Correction, bool) {
	return read[bus.Correction](t, Corrections, string(id))
}

// Corrections yields all corrections by id.
func (t *Tx) Corrections() iter.Seq[bus.Correction] {
	return all[bus.Correction](t, Corrections)
}

// SeesCorrection reports whether p may look at a correction: both departments may,
// the data authority above the provider, and whoever would decide between the two.
func (t *Tx) SeesCorrection(p bus.Principal, c bus.Correction) bool {
	if t.Sees(p, c.Provider) || p.Department != "" && p.Department == c.Consumer {
		return true
	}
	_, arbiter, ok := t.ArbiterBetween(c.Provider, c.Consumer)
	return ok && arbiter == p.Department
}

// Uses reports whether a department has to do with the data of a resource: it has,
// or had, a grant of it; or anybody has it without asking.
func (t *Tx) Uses(department bus.USCC, r bus.Resource) bool {
	if r.Sharing.Type == bus.Unconditional {
		return true
	}
	for g := range t.Grants() {
		if g.Consumer == department && g.Resource == r.ID {
			return true
		}
	}
	return false
}

// planCorrectionReport opens a correction. It touches nothing that a decision about
// a call reads: an open correction never blocks one (decree 809 art. 26).
func planCorrectionReport(tx *Tx, r request[command.CorrectionReported]) ([]Change, error) {
	res, ok := tx.Resource(r.body.Resource)
	c := bus.Correction{
		ID: r.body.ID, Resource: r.body.Resource, Version: res.Version, Items: r.body.Items, Record: r.body.Record,
		Description: r.body.Description, Event: r.body.Event, Consumer: r.Principal.Department, Provider: res.Provider, Revision: r.index,
	}
	defects := c.Check()
	for i, id := range c.Items {
		if _, known := res.Item(id); ok && !known {
			defects = append(defects, unknown(fmt.Sprintf("items[%d]", i), string(id)))
		}
	}
	if c.Resource != "" && !ok {
		defects = append(defects, unknown("resource", string(c.Resource)))
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if c.Consumer == c.Provider || !tx.Uses(c.Consumer, res) {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "resource", Problem: bus.Text{ZH: "由使用该资源的部门提出校核", EN: "a department that uses the resource reports a doubt about it"}, Allowed: "a department with a grant",
		})
	}
	have, _ := tx.Correction(c.ID)
	if err := expect(0, have.Revision, "correction", string(c.ID)); err != nil {
		return nil, err
	}
	c, err := c.After(bus.CorrectionAct{Step: bus.CorrectionReport, By: r.Principal, At: r.At})
	if err != nil {
		return nil, err
	}
	return set(Corrections, string(c.ID), c)
}

// planCorrectionStep takes a step of the consumer's or the provider's. The
// provider's term is never extended.
func planCorrectionStep(tx *Tx, r request[command.CorrectionStepped]) ([]Change, error) {
	c, ok := tx.Correction(r.body.Correction)
	if !ok || !tx.SeesCorrection(r.Principal, c) {
		return nil, bus.NotFound("correction", string(r.body.Correction))
	}
	if err := expect(r.Expect, c.Revision, "correction", string(c.ID)); err != nil {
		return nil, err
	}
	var side bus.USCC
	switch step := r.body.Step; {
	case step.Provider():
		side = c.Provider
	case step.Consumer() && step != bus.CorrectionReport:
		side = c.Consumer
	default:
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "step", Problem: bus.Text{ZH: "没有此步骤：" + string(step), EN: "no such step: " + string(step)},
			Allowed: "confirm, correct, explain, withdraw, pass, fail, accept",
		})
	}
	if r.Principal.Department != side {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "应由另一方办理", EN: "the other side takes this step"}, Allowed: string(side),
		})
	}
	c, err := c.After(bus.CorrectionAct{Step: r.body.Step, By: r.Principal, At: r.At, Text: r.body.Text})
	if err != nil {
		return nil, err
	}
	c.Revision = r.index
	return set(Corrections, string(c.ID), c)
}

// caseOf names a correction or dispute that a department is still a side of, or "".
func (t *Tx) caseOf(id bus.USCC) string {
	for c := range t.Corrections() {
		if c.Open() && slices.Contains([]bus.USCC{c.Consumer, c.Provider}, id) {
			return "correction " + string(c.ID)
		}
	}
	for d := range t.Disputes() {
		if d.Open() && d.Party(id) {
			return "dispute " + string(d.ID)
		}
	}
	return ""
}
