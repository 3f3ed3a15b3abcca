package state

import (
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// planLayerPush makes, or replaces, the draft of a layer. What is in force stays.
func planLayerPush(tx *Tx, r request[command.Push]) ([]Change, error) {
	push, id := r.body, r.body.Layer
	defects := push.Form()
	if !push.Remove { // of what is gone a layer may still have to go
		defects = append(defects, governed(tx, id)...)
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	have, _ := tx.LayerDraft(id)
	if err := expect(r.Expect, have.Revision, "draft", string(id)); err != nil {
		return nil, err
	}
	draft := bus.LayerDraft{
		ID: id, Modules: push.Modules, Rollback: push.Rollback, Remove: push.Remove, Report: push.Report, Revision: r.index,
		Pushed: bus.LayerAct{By: r.Principal, At: r.At, Node: r.Node, Note: push.Note},
	}
	switch {
	case push.Remove:
		draft.Report = nil
		if _, ok := tx.Layer(id); !ok {
			return nil, bus.NotFound("layer", string(id))
		}
	case push.Report == nil || !push.Report.OK || push.Report.Layer != id:
		return nil, bus.E(bus.CodePolicyRefused, bus.Defect{Field: "report", Problem: bus.Text{ZH: "未经检查或检查未通过", EN: "not checked, or the check failed"}})
	case push.Rollback != 0:
		old, err := retaken(tx, id, push.Rollback)
		if err != nil {
			return nil, err
		}
		draft.Modules = old.Modules
	}
	return set(LayerDrafts, string(id), draft)
}

// governed finds nothing wrong with a layer of a division or department that is
// there.
func governed(tx *Tx, id bus.LayerID) []bus.Defect {
	known := false
	switch kind, of := id.Split(); kind {
	case "division":
		_, known = tx.Division(bus.DivisionCode(of))
	case "department":
		_, known = tx.Department(bus.USCC(of))
	default:
		return []bus.Defect{{Field: "id", Problem: bus.Text{ZH: "策略层不存在", EN: "no such layer"}, Allowed: "division/CODE, department/USCC"}}
	}
	if !known {
		return []bus.Defect{unknown("id", string(id))}
	}
	return nil
}

// retaken is the older revision of a layer whose text is taken up again. The text is
// that which was kept: nobody hands it in.
func retaken(tx *Tx, id bus.LayerID, revision bus.Revision) (bus.Layer, error) {
	old, ok := tx.LayerRevision(id, revision)
	if !ok {
		return bus.Layer{}, bus.NotFound("revision", fmt.Sprintf("%s@%d", id, revision))
	}
	layer, ok := old.Layer()
	if !ok {
		return bus.Layer{}, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "rollback", Problem: bus.Text{ZH: "该修订是撤销，没有文本", EN: "that revision is a removal and has no text"}, Allowed: "remove",
		})
	}
	return layer, nil
}

// planLayerActivate puts the draft in force as a new revision. Nobody activates what
// they pushed, whatever it is: a rollback and a removal too.
func planLayerActivate(tx *Tx, r request[command.Activation]) ([]Change, error) {
	id := r.body.Layer
	draft, err := layerDraft(tx, id, r.Expect)
	if err != nil {
		return nil, err
	}
	if draft.Pushed.By.Account == r.Principal.Account {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "不得启用本人提交的策略", EN: "nobody activates what they pushed"}, Allowed: "another security administrator",
		})
	}
	if !draft.Remove {
		if err := bus.Invalid(governed(tx, id)); err != nil { // it may have gone since
			return nil, err
		}
	}
	revision := bus.LayerRevision{
		Revision: r.index, Draft: draft,
		Activated: bus.LayerAct{By: r.Principal, At: r.At, Node: r.Node, Note: r.body.Note},
	}
	changes, err := set(LayerHistory, layerKey(id, r.index), revision)
	if err != nil {
		return nil, err
	}
	changes = append(changes, Change{LayerDrafts, string(id), nil})
	layer, ok := revision.Layer()
	if !ok {
		return append(changes, Change{Layers, string(id), nil}), nil
	}
	inForce, err := set(Layers, string(id), layer)
	return append(changes, inForce...), err
}

// planLayerDiscard throws a draft away; whose it is does not matter.
func planLayerDiscard(tx *Tx, r request[command.Key]) ([]Change, error) {
	if _, err := layerDraft(tx, bus.LayerID(r.body.ID), r.Expect); err != nil {
		return nil, err
	}
	return []Change{{LayerDrafts, r.body.ID, nil}}, nil
}

// layerDraft finds a draft as somebody looked at it: one that was pushed since is
// another.
func layerDraft(tx *Tx, id bus.LayerID, revision bus.Revision) (bus.LayerDraft, error) {
	draft, ok := tx.LayerDraft(id)
	if !ok {
		return draft, bus.NotFound("draft", string(id))
	}
	return draft, expect(revision, draft.Revision, "draft", string(id))
}
