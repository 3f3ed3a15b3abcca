package due

import "github.com/gxbus/gxbus/pkg/bus"

// disputes are for both sides to negotiate, then for the authority above both to
// decide; the law sets no term (decree 809 art. 28).
func (v *view) disputes() {
	for d := range v.tx.Disputes() {
		last := d.Steps[len(d.Steps)-1]
		switch d.State {
		case bus.DisputeNegotiating:
			for _, side := range []bus.USCC{d.Raiser, d.Respondent} {
				v.add(bus.Task{
					Kind: bus.TaskDisputeNegotiate, Subject: string(d.ID) + "/" + string(side), Department: side, Role: bus.RoleOperator, Since: d.Steps[0].At,
					Title:   bus.Text{ZH: "协商争议：" + d.About.String(), EN: "negotiate the dispute about " + d.About.String()},
					Command: "gxbus dispute negotiate " + string(d.ID),
				})
			}
		case bus.DisputeSubmitted:
			_, authority, ok := v.tx.ArbiterBetween(d.Raiser, d.Respondent)
			if !ok {
				continue // nobody above is neither side any more
			}
			v.add(bus.Task{
				Kind: bus.TaskDisputeDecide, Subject: string(d.ID), Department: authority, Role: bus.RoleReviewer, Since: last.At,
				Title:   bus.Text{ZH: "裁定争议：" + d.About.String(), EN: "decide the dispute about " + d.About.String()},
				Command: "gxbus dispute decide " + string(d.ID),
			})
		}
	}
}
