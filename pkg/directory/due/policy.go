package due

import (
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// layers that were pushed await another security administrator than the one who did.
func (v *view) layers() {
	for d := range v.tx.LayerDrafts() {
		v.add(bus.Task{
			Kind: bus.TaskLayerActivate, Subject: string(d.ID), Role: bus.RoleSecurityAdministrator, Except: d.Pushed.By.Account, Since: d.Pushed.At,
			Title:   bus.Text{ZH: "启用或者放弃策略层草稿：" + string(d.ID), EN: "activate or discard the draft of layer " + string(d.ID)},
			Command: fmt.Sprintf("gxbus policy activate %s %d", d.ID, d.Revision),
		})
	}
}
