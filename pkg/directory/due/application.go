package due

import "github.com/gxbus/gxbus/pkg/bus"

// applications are for the provider to answer in ten working days, and those that
// the authority consents to; it can do so until the answer is due without them.
// What is returned is for its applicant to complete (decree 809 art. 21).
func (v *view) applications() {
	for a := range v.tx.Applications() {
		provider := v.tx.Provider(a.Content.Resource)
		resource, id := string(a.Content.Resource), string(a.ID)
		switch {
		case a.State == bus.ApplicationReturned && a.Returned != nil:
			v.add(bus.Task{
				Kind: bus.TaskApplicationEdit, Subject: id, Department: a.Content.Department, Role: bus.RoleOperator, Since: a.Returned.At,
				Title:   bus.Text{ZH: "补正共享申请：" + resource, EN: "complete the application for " + resource},
				Command: "gxbus application edit " + id,
			})
		case a.State == bus.ApplicationPending && a.Complete != nil:
			v.addWithin(a.Days(), bus.Task{
				Kind: bus.TaskApplication, Subject: id, Department: provider, Role: bus.RoleReviewer, Since: a.Complete.At,
				Title:   bus.Text{ZH: "答复共享申请：" + resource, EN: "answer the application for " + resource},
				Command: "gxbus application show " + id,
			})
			authority, ok := v.tx.Authority(provider)
			if e := a.Extension; ok && e != nil && e.Consent == nil {
				if deadline := v.days.Deadline(a.Complete.At, bus.AnswerDays); v.now.Before(deadline.Due) { // later it counts no more
					v.addBy(deadline, bus.Task{
						Kind: bus.TaskAnswerConsent, Subject: id, Department: authority, Role: bus.RoleReviewer, Since: e.At,
						Title:   bus.Text{ZH: "答复延期申请：" + resource, EN: "answer a request for more time for " + resource},
						Command: "gxbus application consent " + id,
					})
				}
			}
		}
	}
}
