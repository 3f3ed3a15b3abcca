package state

import (
	"fmt"
	"iter"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Calendar returns the working days as the directory knows them.
func (t *Tx) Calendar() calendar.Calendar {
	var days []calendar.Day
	for d := range t.CalendarDays() {
		days = append(days, d)
	}
	return calendar.New(days)
}

// CalendarDays yields the announced days by date.
func (t *Tx) CalendarDays() iter.Seq[calendar.Day] { return all[calendar.Day](t, Calendar) }

// planCalendarPut lays announced days over those that are known, date by date.
func planCalendarPut(_ *Tx, r request[command.Days]) ([]Change, error) {
	var defects []bus.Defect
	if len(r.body.Days) == 0 {
		defects = append(defects, bus.Defect{Field: "days", Problem: bus.Text{ZH: "必填", EN: "required"}})
	}
	var changes []Change
	for i, d := range r.body.Days {
		defects = append(defects, d.Check(fmt.Sprintf("days[%d]", i))...)
		change, err := set(Calendar, d.Date, d)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change...)
	}
	return changes, bus.Invalid(defects)
}

// Trigger returns one of the triggers of a resource.
func (t *Tx) Trigger(id bus.ResourceID, number int) (bus.Trigger, bool) {
	return read[bus.Trigger](t, Triggers, versionKey(id, number))
}

// Triggers yields the triggers of all resources, by resource and number.
func (t *Tx) Triggers() iter.Seq[bus.Trigger] { return all[bus.Trigger](t, Triggers) }

// TriggersOf yields the triggers of a resource by number.
func (t *Tx) TriggersOf(id bus.ResourceID) iter.Seq[bus.Trigger] {
	return func(yield func(bus.Trigger) bool) {
		for trigger := range from[bus.Trigger](t, Triggers, string(id)+"/") {
			if trigger.Resource != id || !yield(trigger) {
				return
			}
		}
	}
}

func planTriggerRecord(tx *Tx, r request[command.Trigger]) ([]Change, error) {
	res, ok := tx.Resource(r.body.Resource)
	if !ok {
		return nil, bus.NotFound("resource", string(r.body.Resource))
	}
	if err := compiling(r.Principal, res.Provider); err != nil {
		return nil, err
	}
	trigger := bus.Trigger{
		Resource: res.ID, Kind: r.body.Kind, At: r.body.At, Description: r.body.Description, By: r.Principal, Recorded: r.At, Revision: r.index,
	}
	defects := trigger.Check()
	if trigger.At.After(r.At) {
		defects = append(defects, bus.Defect{Field: "at", Problem: bus.Text{ZH: "尚未发生", EN: "has not happened yet"}, Allowed: "a time that is past"})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	for range tx.TriggersOf(res.ID) {
		trigger.Number++
	}
	trigger.Number++
	return set(Triggers, versionKey(res.ID, trigger.Number), trigger)
}

// planTriggerExtend asks for more time, once and in time.
func planTriggerExtend(tx *Tx, r request[command.Extension]) ([]Change, error) {
	trigger, err := openTrigger(tx, r.Entry, r.body.Resource, r.body.Number)
	if err != nil {
		return nil, err
	}
	if err := compiling(r.Principal, tx.Provider(trigger.Resource)); err != nil {
		return nil, err
	}
	if trigger.Extension != nil {
		return nil, bus.E(bus.CodeExists, bus.Defect{Field: "extension", Problem: bus.Text{ZH: "只能申请延期一次", EN: "more time is asked for once"}})
	}
	var defects []bus.Defect
	if r.body.Days < 1 || r.body.Days > bus.ExtensionDays {
		defects = append(defects, bus.Defect{Field: "days", Problem: bus.Text{ZH: "延期天数超出范围", EN: "out of range"}, Allowed: fmt.Sprint("1–", bus.ExtensionDays)})
	}
	if strings.TrimSpace(r.body.Reason) == "" {
		defects = append(defects, bus.Defect{Field: "reason", Problem: bus.Text{ZH: "延期须说明理由", EN: "an extension needs a reason"}})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	trigger.Extension = &bus.Extension{Days: r.body.Days, Reason: r.body.Reason, By: r.Principal, At: r.At}
	trigger.Revision = r.index
	return set(Triggers, versionKey(trigger.Resource, trigger.Number), trigger)
}

// planTriggerConsent answers a request for more time. It counts only if it comes
// before the change was due.
func planTriggerConsent(tx *Tx, r request[command.Consent]) ([]Change, error) {
	trigger, err := openTrigger(tx, r.Entry, r.body.Resource, r.body.Number)
	if err != nil {
		return nil, err
	}
	authority, ok := tx.Authority(tx.Provider(trigger.Resource))
	if !ok || r.Principal.Department != authority {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "由数据主管部门同意", EN: "the division's data authority consents"}, Allowed: string(authority),
		})
	}
	if trigger.Extension == nil || trigger.Extension.Consent != nil {
		return nil, bus.E(bus.CodeWrongState, bus.Defect{Field: "extension", Problem: bus.Text{ZH: "没有待答复的延期申请", EN: "no extension is asked for"}})
	}
	if trigger.Extension.By.Account != "" && trigger.Extension.By.Account == r.Principal.Account {
		return nil, bus.E(bus.CodeForbidden)
	}
	trigger.Extension.Consent = &bus.Review{By: r.Principal, At: r.At, Approved: r.body.Approve, Opinion: r.body.Opinion}
	trigger.Revision = r.index
	return set(Triggers, versionKey(trigger.Resource, trigger.Number), trigger)
}

// openTrigger finds a trigger that may still be extended: at the revision that is
// expected, not met, not yet due without an extension.
func openTrigger(tx *Tx, e command.Entry, id bus.ResourceID, number int) (bus.Trigger, error) {
	trigger, ok := tx.Trigger(id, number)
	if !ok || !tx.Sees(e.Principal, tx.Provider(id)) {
		return trigger, bus.NotFound("trigger", fmt.Sprint(id, "/", number))
	}
	if err := expect(e.Expect, trigger.Revision, "trigger", fmt.Sprint(id, "/", number)); err != nil {
		return trigger, err
	}
	if trigger.Met != nil {
		return trigger, bus.E(bus.CodeWrongState, bus.Defect{Field: "trigger", Problem: bus.Text{ZH: "已提交更新", EN: "a change was submitted"}})
	}
	if due := tx.Calendar().Deadline(trigger.At, bus.ChangeDays); !e.At.Before(due.Due) {
		return trigger, bus.E(bus.CodeWrongState, bus.Defect{Field: "trigger", Problem: bus.Text{ZH: "已超过期限，不再延期", EN: "it was due; there is no more time to ask for"}, Allowed: "before it is due"})
	}
	return trigger, nil
}

// meet marks the triggers of the entry as met by what is submitted now.
func (f *filing) meet() error {
	for trigger := range f.tx.TriggersOf(f.id) {
		if trigger.Met != nil {
			continue
		}
		at := f.at
		trigger.Met, trigger.Revision = &at, f.index
		if err := f.put(Triggers, versionKey(f.id, trigger.Number), trigger); err != nil {
			return err
		}
	}
	return nil
}
