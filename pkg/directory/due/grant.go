package due

import (
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// expiryNotice is how long before its end a grant's consumer is told.
const expiryNotice = 30 * 24 * time.Hour

// grants are about to end, which their consumer should know; or were suspended when
// the bus was restored, which the security administrator confirms.
func (v *view) grants() {
	for g := range v.tx.Grants() {
		if g.Revoked != "" {
			continue
		}
		if g.Suspended != "" {
			v.add(bus.Task{
				Kind: bus.TaskGrantConfirm, Subject: string(g.ID), Role: bus.RoleSecurityAdministrator,
				Title:   bus.Text{ZH: "确认被暂停的授权：" + g.Suspended, EN: "confirm a suspended grant: " + g.Suspended},
				Command: "gxbus grant confirm " + string(g.ID),
			})
		}
		if notice := g.NotAfter.Add(-expiryNotice); !v.now.Before(notice) && v.now.Before(g.NotAfter) {
			v.addBy(bus.Deadline{Due: g.NotAfter}, bus.Task{
				Kind: bus.TaskGrantExpiring, Subject: string(g.ID), Department: g.Consumer, Role: bus.RoleOperator, Since: notice,
				Title:   bus.Text{ZH: "授权即将到期：" + string(g.Resource), EN: "a grant is about to end: " + string(g.Resource)},
				Command: "gxbus grant show " + string(g.ID),
			})
		}
	}
}
