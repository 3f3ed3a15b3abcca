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
			v.extension(a.Extension, v.days.Deadline(a.Complete.At, bus.AnswerDays), a.Content.Resource, bus.Task{
				Kind: bus.TaskAnswerConsent, Subject: id, Command: "gxbus application consent " + id,
			})
		}
	}
}
