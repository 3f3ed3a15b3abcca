package state

import (
	"encoding/json"
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// planDepartmentMove begins a move. An abandonment also takes the place of an
// ordinary move that the loss of the old node has stopped.
func planDepartmentMove(tx *Tx, r request[command.Move]) ([]Change, error) {
	d, ok := tx.Department(r.body.Department)
	if !ok {
		return nil, bus.NotFound("department", string(r.body.Department))
	}
	if m := d.Move; m != nil && (m.Abandon || !r.body.Abandon) {
		return nil, bus.E(bus.CodeInUse, bus.Defect{
			Field:   "department",
			Problem: bus.Text{ZH: "该部门正在迁往节点 " + string(m.To), EN: "the department is moving to node " + string(m.To)},
			Allowed: "wait, or abort: gxbus department move --abort",
		})
	}
	from, ok := tx.Home(d)
	if !ok {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field:   "department",
			Problem: bus.Text{ZH: "没有节点服务于该部门，无可迁移", EN: "no node serves the department, so there is nothing to move"},
			Allowed: "gxbus department put, with its node",
		})
	}
	var defects []bus.Defect
	if _, ok := tx.Node(r.body.To); !ok {
		defects = append(defects, unknown("to", string(r.body.To)))
	}
	defects = append(defects, takesOn(tx, "to", r.body.To)...)
	if r.body.To == from {
		defects = append(defects, bus.Defect{
			Field: "to", Problem: bus.Text{ZH: "该部门已由此节点服务", EN: "this node serves the department already"}, Allowed: "another node",
		})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	d.Move = &bus.Move{From: from, To: r.body.To, Epoch: r.index, Abandon: r.body.Abandon, Began: r.At}
	d.Revision = r.index
	return set(Departments, string(d.ID), d)
}

// planDepartmentAbort ends a move: the department stays where it is.
func planDepartmentAbort(tx *Tx, r request[command.Key]) ([]Change, error) {
	d, ok := tx.Department(bus.USCC(r.body.ID))
	if !ok {
		return nil, bus.NotFound("department", r.body.ID)
	}
	if d.Move == nil {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "department", Problem: bus.Text{ZH: "该部门没有进行中的迁移", EN: "the department is not moving"}, Allowed: "a department whose move is under way",
		})
	}
	d.Move, d.Revision = nil, r.index
	return set(Departments, string(d.ID), d)
}

// planDepartmentMoved completes a move at the word of the new node, which may
// repeat it.
func planDepartmentMoved(tx *Tx, r request[command.Moved]) ([]Change, error) {
	d, ok := tx.Department(r.body.Department)
	if !ok {
		return nil, bus.NotFound("department", string(r.body.Department))
	}
	if d.Epoch == r.body.Epoch && d.Epoch != 0 && d.Node == r.Principal.Node {
		return nil, nil
	}
	m := d.Move
	if m == nil || m.Epoch != r.body.Epoch {
		return nil, bus.E(bus.CodeRevision, bus.Defect{
			Field: "epoch", Problem: bus.Text{ZH: "该迁移已中止或被取代", EN: "this move was aborted or another has taken its place"}, Allowed: "the epoch of the move under way",
		})
	}
	if m.To != r.Principal.Node {
		return nil, bus.E(bus.CodeForbidden)
	}
	if m.Abandon {
		d.Abandoned++
	}
	d.Node, d.Epoch, d.Move, d.Revision = m.To, m.Epoch, nil, r.index
	return set(Departments, string(d.ID), d)
}

// settled gives a department that is put what only moves change, and refuses one
// that would be served elsewhere although it has something where it is.
func settled(tx *Tx, have bus.Department, d *bus.Department) error {
	if have.Revision == 0 {
		have = departed(tx, d.ID)
		if d.Node == "" {
			d.Node = have.Node
		}
	}
	d.Epoch, d.Abandoned, d.Move = have.Epoch, have.Abandoned, have.Move
	home, ok := tx.Home(have)
	if next, _ := tx.Home(*d); !ok || next == home || !rooted(tx, have) {
		return nil
	}
	return bus.E(bus.CodeInUse, bus.Defect{
		Field:   "node",
		Problem: bus.Text{ZH: "该部门由节点 " + string(home) + " 服务，其事件在那里编号", EN: "node " + string(home) + " serves the department, and its events are numbered there"},
		Allowed: fmt.Sprintf("%s; to move it: gxbus department move %s --to NODE", home, d.ID),
	})
}

// rooted reports whether a node may hold anything of a department.
func rooted(tx *Tx, d bus.Department) bool {
	if d.Epoch != 0 || d.Move != nil {
		return true
	}
	for r := range tx.Resources() {
		if r.Provider == d.ID {
			return true
		}
	}
	for s := range tx.Subscriptions() {
		if s.Consumer == d.ID {
			return true
		}
	}
	return false
}

// leave deletes a department. One that has moved is remembered: should it come
// back, the node where it was last still holds it by its epoch, and others that
// they hold it no more.
func leave(d bus.Department) ([]Change, error) {
	changes := []Change{{Departments, string(d.ID), nil}}
	if d.Epoch == 0 {
		return changes, nil
	}
	kept, err := set(retired, departedKey(d.ID), d)
	return append(changes, kept...), err
}

// departed returns a deleted department that had moved; none is the zero value.
func departed(tx *Tx, id bus.USCC) (d bus.Department) {
	if data := tx.bytes(retired, departedKey(id)); data != nil {
		if err := json.Unmarshal(data, &d); err != nil {
			panic(fmt.Sprintf("directory table %s, key %q: %v", retired, departedKey(id), err)) // as in read
		}
	}
	return d
}

func departedKey(id bus.USCC) string { return string(Departments) + "/" + string(id) }
