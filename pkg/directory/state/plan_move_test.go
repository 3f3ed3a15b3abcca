package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func move(d bus.USCC, to bus.NodeID) command.Move { return command.Move{Department: d, To: to} }

func (w *world) department(id bus.USCC) (d bus.Department, home bus.NodeID) {
	w.t.Helper()
	w.view(func(tx *state.Tx) {
		d, _ = tx.Department(id)
		home, _ = tx.Home(d)
	})
	return d, home
}

func TestOnlyACompletedMoveChangesWhoServesADepartment(t *testing.T) {
	w := newWorld(t)
	began := w.must(bySysadmin, command.DepartmentMove, 0, move(market, "gz"))
	d, home := w.department(market)
	if home != "th" || d.Epoch != 0 || *d.Move != (bus.Move{From: "th", To: "gz", Epoch: began, Began: noon}) {
		t.Fatalf("while it moves: served by %s, %+v, %+v", home, d, d.Move)
	}
	// A write of the department meanwhile keeps what only moves change.
	renamed := with(department(market), func(d *bus.Department) { d.Name, d.Epoch, d.Abandoned = "新名", 99, 9 })
	w.must(bySysadmin, command.DepartmentPut, d.Revision, renamed)
	if d, _ := w.department(market); d.Move == nil || d.Epoch != 0 || d.Abandoned != 0 || d.Name != "新名" {
		t.Fatalf("put while it moves: %+v", d)
	}
	for range 2 { // the new node repeats what it heard no answer to
		w.must(byGZ, command.DepartmentMoved, 0, command.Moved{Department: market, Epoch: began})
	}
	d, home = w.department(market)
	if home != "gz" || d.Node != "gz" || d.Epoch != began || d.Move != nil || d.Base() != 0 {
		t.Fatalf("after it: served by %s, %+v", home, d)
	}
}

func TestAnAbortedMoveCannotBeCompleted(t *testing.T) {
	w := newWorld(t)
	first := w.must(bySysadmin, command.DepartmentMove, 0, move(market, "gz"))
	w.must(bySysadmin, command.DepartmentAbort, 0, command.Key{ID: string(market)})
	late := ask{by: byGZ, typ: command.DepartmentMoved, body: command.Moved{Department: market, Epoch: first}}
	checkRefusals(t, w, []refusal{{"its end", late, bus.CodeRevision, "epoch"}})
	second := w.must(bySysadmin, command.DepartmentMove, 0, move(market, "gz"))
	checkRefusals(t, w, []refusal{{"its end while another goes on", late, bus.CodeRevision, "epoch"}})
	if d, home := w.department(market); home != "th" || d.Move.Epoch != second {
		t.Errorf("served by %s, %+v", home, d)
	}
}

// An abandonment takes the place of a move that its old node's loss has stopped,
// and numbers above all that the lost node can have given.
func TestAnAbandonmentNumbersAnew(t *testing.T) {
	w := newWorld(t)
	stuck := w.must(bySysadmin, command.DepartmentMove, 0, move(market, "gz"))
	abandon := command.Move{Department: market, To: "gz", Abandon: true}
	began := w.must(bySysadmin, command.DepartmentMove, 0, abandon)
	checkRefusals(t, w, []refusal{
		{"the end of what it replaced", ask{by: byGZ, typ: command.DepartmentMoved, body: command.Moved{Department: market, Epoch: stuck}}, bus.CodeRevision, "epoch"},
		{"a second abandonment", ask{by: bySysadmin, typ: command.DepartmentMove, body: abandon}, bus.CodeInUse, "department"},
	})
	w.must(byGZ, command.DepartmentMoved, 0, command.Moved{Department: market, Epoch: began})
	if d, _ := w.department(market); d.Abandoned != 1 || d.Base() != 1<<40 {
		t.Errorf("%+v numbers above %d", d, d.Base())
	}
}

func TestMoveRefusals(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.DepartmentMove, 0, move(housing, "gz"))
	begin := func(m command.Move) ask { return ask{by: bySysadmin, typ: command.DepartmentMove, body: m} }
	d, _ := w.department(market)
	elsewhere := with(department(market), func(d *bus.Department) { d.Node = "gz" })
	d2, _ := w.department(housing)
	checkRefusals(t, w, []refusal{
		{"no such department", begin(move(freeDepartment, "gz")), bus.CodeNotFound, "department"},
		{"no such node", begin(move(market, "nowhere")), bus.CodeInvalid, "to"},
		{"to where it is", begin(move(market, "th")), bus.CodeInvalid, "to"},
		{"one that moves", begin(move(housing, "gz")), bus.CodeInUse, "department"},
		{"an abort of nothing", ask{by: bySysadmin, typ: command.DepartmentAbort, body: command.Key{ID: string(market)}}, bus.CodeInvalid, "department"},
		{"its end by the old node", ask{by: byTH, typ: command.DepartmentMoved, body: command.Moved{Department: housing, Epoch: d2.Move.Epoch}}, bus.CodeForbidden, ""},
		{"its end, of no epoch", ask{by: byTH, typ: command.DepartmentMoved, body: command.Moved{Department: market}}, bus.CodeRevision, "epoch"},
		{"by put", ask{by: bySysadmin, typ: command.DepartmentPut, expect: d.Revision, body: elsewhere}, bus.CodeInUse, "node"},
		{"by put of another division", ask{by: bySysadmin, typ: command.DepartmentPut, expect: d.Revision,
			body: with(department(market), func(d *bus.Department) { d.Division = "440100" })}, bus.CodeInUse, "node"},
		{"delete while it moves", ask{by: bySysadmin, typ: command.DepartmentDelete, expect: d2.Revision, body: command.Key{ID: string(housing)}}, bus.CodeInUse, "department"},
	})
}

// A department that has nothing yet may still be put elsewhere; one that has
// moved comes back, once deleted, to the node that holds it.
func TestWhereADepartmentIsPut(t *testing.T) {
	w := newWorld(t)
	first := w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	inCity := with(department(freeDepartment), func(d *bus.Department) { d.Division = "440100" })
	w.must(bySysadmin, command.DepartmentPut, first, inCity)
	began := w.must(bySysadmin, command.DepartmentMove, 0, command.Move{Department: freeDepartment, To: "th", Abandon: true})
	w.must(byTH, command.DepartmentMoved, 0, command.Moved{Department: freeDepartment, Epoch: began})
	d, _ := w.department(freeDepartment)
	w.must(bySysadmin, command.DepartmentDelete, d.Revision, command.Key{ID: string(freeDepartment)})
	checkRefusals(t, w, []refusal{{
		"again at another node", ask{by: bySysadmin, typ: command.DepartmentPut, body: with(inCity, func(d *bus.Department) { d.Node = "gz" })}, bus.CodeInUse, "node",
	}})
	w.must(bySysadmin, command.DepartmentPut, 0, inCity)
	if d, home := w.department(freeDepartment); home != "th" || d.Epoch != began || d.Base() != 1<<40 {
		t.Errorf("again: served by %s, %+v", home, d)
	}
}
