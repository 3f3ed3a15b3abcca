package due

import "github.com/gxbus/gxbus/pkg/bus"

// grants wait for the first data in twenty working days (decree 809 art. 22), for
// their consumer to put right what it was told to (art. 27) or to renew them before
// they end; those that a restore has suspended, for the security administrator. Of a
// resource that was withdrawn nothing can be delivered or renewed.
func (v *view) grants() {
	for g := range v.tx.Grants() {
		if g.Revoked != "" || !v.now.Before(g.NotAfter) {
			continue
		}
		t := bus.Task{Subject: string(g.ID), Command: "gxbus grant show " + string(g.ID)}
		if g.Unconfirmed() {
			confirm := t
			confirm.Kind, confirm.Role = bus.TaskGrantConfirm, bus.RoleSecurityAdministrator
			confirm.Title = bus.Text{ZH: "确认恢复后被暂停的授权：" + string(g.Resource), EN: "confirm a grant that a restore has suspended: " + string(g.Resource)}
			confirm.Command = "gxbus grant confirm " + string(g.ID)
			v.add(confirm)
		}
		if g.Consent != nil && g.Delivered == nil && v.shared(g.Resource) {
			deliver := t
			deliver.Kind, deliver.Department, deliver.Role, deliver.Since = bus.TaskDelivery, v.tx.Provider(g.Resource), bus.RoleOperator, g.Consent.At
			deliver.Title = bus.Text{ZH: "提供数据：" + string(g.Resource), EN: "deliver data of " + string(g.Resource)}
			v.addWithin(bus.DeliveryDays, deliver)
		}
		if held, ok := g.Held(); ok && held.Step == bus.GrantRectify {
			rectify := t
			rectify.Kind, rectify.Department, rectify.Role, rectify.Since = bus.TaskRectification, g.Consumer, bus.RoleOperator, held.At
			rectify.Title = bus.Text{ZH: "限期整改：" + string(g.Resource), EN: "put right how it was used: " + string(g.Resource)}
			v.addWithin(held.Days, rectify)
		}
		if g.Expiring(v.now) && v.shared(g.Resource) {
			renew := t
			renew.Kind, renew.Department, renew.Role, renew.Since = bus.TaskGrantExpiring, g.Consumer, bus.RoleOperator, g.NotAfter.Add(-bus.ExpiryNotice)
			renew.Title = bus.Text{ZH: "授权即将到期：" + string(g.Resource), EN: "a grant is about to end: " + string(g.Resource)}
			renew.Command = "gxbus grant renew " + string(g.ID)
			v.addBy(bus.Deadline{Due: g.NotAfter}, renew)
		}
	}
}

// shared reports whether a resource is in force.
func (v *view) shared(id bus.ResourceID) bool {
	_, ok := v.tx.Resource(id)
	return ok
}
