package state

import (
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// planGrantConfirm lets suspended grants stand again: all of those named, or none.
// One that is not suspended, or that its provider or the data authority has
// suspended, is passed over, so that the act can be repeated.
func planGrantConfirm(tx *Tx, r request[command.Confirm]) ([]Change, error) {
	var defects []bus.Defect
	var changes []Change
	if len(r.body.Grants) == 0 {
		defects = append(defects, bus.Defect{Field: "grants", Problem: bus.Text{ZH: "必填", EN: "required"}})
	}
	done := map[bus.GrantID]bool{}
	for i, id := range r.body.Grants {
		g, ok := tx.Grant(id)
		field := fmt.Sprintf("grants[%d]", i)
		switch {
		case !ok:
			defects = append(defects, unknown(field, string(id)))
		case g.Revoked != "":
			defects = append(defects, bus.Defect{
				Field: field, Problem: bus.Text{ZH: "已撤销：" + string(id), EN: "revoked: " + string(id)}, Allowed: "a grant that is suspended",
			})
		case !g.Unconfirmed() || done[id]:
		default:
			done[id] = true
			g = g.Confirm()
			g.Revision = r.index
			c, err := set(Grants, string(id), g)
			if err != nil {
				return nil, err
			}
			changes = append(changes, c...)
		}
	}
	return changes, bus.Invalid(defects)
}
