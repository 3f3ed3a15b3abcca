package due

import "github.com/gxbus/gxbus/pkg/bus"

// corrections are the provider's to answer in ten working days, and then the
// consumer's to retest or accept, for which the law sets no term (decree 809 art.
// 26).
func (v *view) corrections() {
	for c := range v.tx.Corrections() {
		last := c.Steps[len(c.Steps)-1]
		t := bus.Task{Subject: string(c.ID), Department: c.Consumer, Role: bus.RoleOperator, Since: last.At}
		switch c.State {
		case bus.CorrectionOpen, bus.CorrectionConfirmed:
			t.Kind, t.Department = bus.TaskCorrection, c.Provider
			t.Since, _ = c.Running()
			t.Title = bus.Text{ZH: "核实、更正并反馈：" + string(c.Resource), EN: "verify, correct and feed back: " + string(c.Resource)}
			t.Command = "gxbus correction correct " + string(c.ID)
			if c.State == bus.CorrectionOpen {
				t.Command = "gxbus correction show " + string(c.ID)
			}
			v.addWithin(bus.CorrectionDays, t)
		case bus.CorrectionCorrected:
			t.Kind = bus.TaskCorrectionRetest
			t.Title = bus.Text{ZH: "复核更正结果：" + string(c.Resource), EN: "retest what was corrected: " + string(c.Resource)}
			t.Command = "gxbus correction retest " + string(c.ID)
			v.add(t)
		case bus.CorrectionExplained:
			t.Kind = bus.TaskCorrectionAccept
			t.Title = bus.Text{ZH: "确认说明或者提起争议：" + string(c.Resource), EN: "accept or dispute the explanation: " + string(c.Resource)}
			t.Command = "gxbus correction accept " + string(c.ID)
			v.add(t)
		}
	}
}
