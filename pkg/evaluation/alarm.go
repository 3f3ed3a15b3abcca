package evaluation

import "github.com/gxbus/gxbus/pkg/bus"

// Alarm is a term that ends soon or has ended, and the indicators that it is going to
// cost, or has cost.
type Alarm struct {
	bus.Task
	Indicators []string `json:"indicators"` // ids, in the scheme's order
}

// dueOf says which counts a task is one of while its term has not ended.
var dueOf = map[bus.TaskKind][]bus.Count{
	bus.TaskTrigger:     {bus.CountTriggersDue},
	bus.TaskApplication: {bus.CountApplicationsDue},
	bus.TaskDelivery:    {bus.CountDeliveriesDue, bus.CountReturnsDue, bus.CountDemandsClosed},
	bus.TaskCorrection:  {bus.CountCorrectionsDue},
}

// Alarms chooses, in their order, the tasks that are measured by a scheme and have so
// many working days left at most, or none.
func Alarms(scheme bus.Scheme, tasks []bus.Task, within int) []Alarm {
	alarms := []Alarm{}
	for _, t := range tasks {
		if t.Deadline == nil || t.Left == nil || !t.Deadline.Overdue && t.Left.Days > within {
			continue
		}
		a := Alarm{Task: t}
		for _, x := range scheme.Indicators {
			for _, count := range dueOf[t.Kind] {
				if x.Denominator == count {
					a.Indicators = append(a.Indicators, x.ID)
				}
			}
		}
		if len(a.Indicators) > 0 {
			alarms = append(alarms, a)
		}
	}
	return alarms
}
