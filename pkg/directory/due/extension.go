package due

import "github.com/gxbus/gxbus/pkg/bus"

// extension adds the task of the authority over a resource's provider to answer a
// request for more time. It can be consented to until deadline, when the term ends
// without it; later it counts no more (decree 809 art. 17, 21).
func (v *view) extension(e *bus.Extension, deadline bus.Deadline, resource bus.ResourceID, t bus.Task) {
	authority, ok := v.tx.Authority(v.tx.Provider(resource))
	if !ok || e == nil || e.Consent != nil || !v.now.Before(deadline.Due) {
		return
	}
	t.Department, t.Role, t.Since = authority, bus.RoleReviewer, e.At
	t.Title = bus.Text{ZH: "答复延期申请：" + string(resource), EN: "answer a request for more time for " + string(resource)}
	v.addBy(deadline, t)
}
