// Package due works out what awaits whom, and until when (待办): from the tables of
// the directory, the calendar and a moment, and from nothing else. It stores
// nothing, so that a task is there as long as its cause is, and gone with it. Each
// kind of task has a file.
package due

import (
	"cmp"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// sources are what tasks come from.
var sources = []func(*view){
	(*view).drafts, (*view).triggers, (*view).claims, (*view).corrections, (*view).disputes,
	(*view).applications, (*view).grants, (*view).layers,
}

// view is one look at the directory.
type view struct {
	tx    *state.Tx
	days  calendar.Calendar
	now   time.Time
	tasks []bus.Task
}

// Tasks returns everything that awaits anybody at now: the nearest deadline first,
// what has none last.
func Tasks(tx *state.Tx, now time.Time) []bus.Task {
	v := &view{tx: tx, days: tx.Calendar(), now: now}
	for _, source := range sources {
		source(v)
	}
	slices.SortFunc(v.tasks, func(a, b bus.Task) int {
		switch {
		case a.Deadline != nil && b.Deadline != nil:
			return cmp.Or(a.Deadline.Due.Compare(b.Deadline.Due), cmp.Compare(a.ID, b.ID))
		case a.Deadline != nil:
			return -1
		case b.Deadline != nil:
			return 1
		default:
			return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
		}
	})
	return v.tasks
}

// Of returns those tasks that await p, in their order.
func Of(p bus.Principal, tasks []bus.Task) []bus.Task {
	mine := []bus.Task{}
	for _, t := range tasks {
		if t.Awaits(p) {
			mine = append(mine, t)
		}
	}
	return mine
}

// add adds a task that the law sets no term for.
func (v *view) add(t bus.Task) {
	t.ID = string(t.Kind) + "/" + t.Subject
	v.tasks = append(v.tasks, t)
}

// addWithin adds a task that is due a number of working days after it began.
func (v *view) addWithin(days int, t bus.Task) {
	v.addBy(v.days.Deadline(t.Since, days), t)
}

// addBy adds a task with a deadline.
func (v *view) addBy(deadline bus.Deadline, t bus.Task) {
	deadline = deadline.At(v.now)
	t.Deadline, t.Left = &deadline, &bus.Left{}
	if !deadline.Overdue {
		*t.Left = bus.Left{Days: v.days.Left(v.now, deadline.Due), Hours: int(deadline.Due.Sub(v.now) / time.Hour)}
	}
	v.add(t)
}
