package evaluation_test

import (
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func TestAlarmsAreTheTermsThatEndSoonAndAreMeasured(t *testing.T) {
	task := func(kind bus.TaskKind, id string, days int, overdue bool) bus.Task {
		return bus.Task{ID: id, Kind: kind, Deadline: &bus.Deadline{Overdue: overdue}, Left: &bus.Left{Days: days}}
	}
	undated := bus.Task{ID: "undated", Kind: bus.TaskApplication}
	tasks := []bus.Task{
		task(bus.TaskApplication, "late", 0, true), task(bus.TaskCorrection, "soon", 3, false), task(bus.TaskDelivery, "later", 4, false),
		task(bus.TaskDraftReview, "unmeasured", 1, false), task(bus.TaskTrigger, "today", 0, false), undated,
	}
	var got []string
	for _, a := range evaluation.Alarms(evaluation.DefaultScheme(), tasks, 3) {
		got = append(got, append([]string{a.ID}, a.Indicators...)...)
	}
	if want := []string{"late", "C1", "soon", "E1", "today", "A2"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	all := evaluation.Alarms(evaluation.DefaultScheme(), tasks, 4)
	if len(all) != 4 || !slices.Equal(all[2].Indicators, []string{"C2", "C3", "F1"}) {
		t.Errorf("%+v", all)
	}
	without := evaluation.DefaultScheme()
	without.Indicators = without.Indicators[:1]
	if left := evaluation.Alarms(without, tasks, 4); len(left) != 0 {
		t.Errorf("a scheme that measures none of it: %+v", left)
	}
}
