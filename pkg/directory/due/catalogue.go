package due

import (
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// drafts are for the data authority to review, in two working days (decree 809
// art. 17).
func (v *view) drafts() {
	for d := range v.tx.Reviews() {
		authority, ok := v.tx.Authority(d.Resource.Provider)
		if !ok {
			continue
		}
		what := bus.Text{ZH: "审核目录编制稿：" + d.Resource.Name, EN: "review the draft of " + string(d.ID)}
		if d.State == bus.StateWithdrawing {
			what = bus.Text{ZH: "审核撤销申请：" + d.Resource.Name, EN: "review the withdrawal of " + string(d.ID)}
		}
		v.addWithin(bus.ReviewDays, bus.Task{
			Kind: bus.TaskDraftReview, Subject: string(d.ID), Department: authority, Role: bus.RoleReviewer, Since: d.Submitted.At,
			Title: what, Command: "gxbus draft approve " + string(d.ID),
		})
	}
}

// triggers make a change due in ten working days, and those that the authority
// consents to; it can do so until the change is due without them (art. 17).
func (v *view) triggers() {
	for t := range v.tx.Triggers() {
		if t.Met != nil {
			continue
		}
		provider := v.tx.Provider(t.Resource)
		subject := fmt.Sprintf("%s/%d", t.Resource, t.Number)
		v.addWithin(t.Days(), bus.Task{
			Kind: bus.TaskTrigger, Subject: subject, Department: provider, Role: bus.RoleOperator, Since: t.At,
			Title:   bus.Text{ZH: "提交目录更新：" + string(t.Resource), EN: "submit a change of " + string(t.Resource)},
			Command: "gxbus draft submit " + string(t.Resource),
		})
		v.extension(t.Extension, v.days.Deadline(t.At, bus.ChangeDays), t.Resource, bus.Task{
			Kind: bus.TaskTriggerConsent, Subject: subject, Command: fmt.Sprintf("gxbus trigger consent %s %d", t.Resource, t.Number),
		})
	}
}

// claims are for the authority above both to decide (art. 19).
func (v *view) claims() {
	for c := range v.tx.Claims() {
		for _, x := range c.Claimants {
			arbiter, ok := v.tx.Arbiter(c, x.Resource)
			if x.Standing != bus.StandingDisputed || !ok {
				continue
			}
			id := string(c.Entity) + "/" + string(c.Item)
			v.add(bus.Task{
				Kind: bus.TaskClaimDecide, Subject: id + "/" + string(x.Resource), Department: arbiter, Role: bus.RoleReviewer, Since: x.Since,
				Title:   bus.Text{ZH: "裁定数据源：" + id, EN: "decide who is the source of " + id},
				Command: "gxbus claim decide " + id + " --second " + string(x.Resource),
			})
		}
	}
}
