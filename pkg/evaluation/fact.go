package evaluation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Window is a period of evaluation, [From, To).
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Has reports whether t lies in w.
func (w Window) Has(t time.Time) bool { return !t.Before(w.From) && t.Before(w.To) }

// Days returns the days in Shanghai that begin in w.
func (w Window) Days() []calendar.Date {
	var days []calendar.Date
	for d := calendar.DateOf(w.From); d.Start().Before(w.To); d++ {
		if !d.Start().Before(w.From) {
			days = append(days, d)
		}
	}
	return days
}

// Check returns every defect of w: it is made of whole days in Shanghai, for that
// is what nodes report by.
func (w Window) Check() []bus.Defect {
	var defects []bus.Defect
	for _, end := range []struct {
		field string
		at    time.Time
	}{{"from", w.From}, {"to", w.To}} {
		if !calendar.DateOf(end.at).Start().Equal(end.at) {
			defects = append(defects, bus.Defect{Field: end.field, Problem: bus.Text{ZH: "须为整日", EN: "not the begin of a day"}, Allowed: "00:00 in Shanghai"})
		}
	}
	if !w.To.After(w.From) {
		defects = append(defects, bus.Defect{Field: "to", Problem: bus.Text{ZH: "截止时间应晚于起始时间", EN: "must be after from"}})
	}
	if w.To.Sub(w.From) > 366*24*time.Hour+time.Hour {
		defects = append(defects, bus.Defect{Field: "to", Problem: bus.Text{ZH: "评价周期过长", EN: "the window is too long"}, Allowed: "a year"})
	}
	return defects
}

// Fact is something that counts: N of a count, for the department whose it was at
// At. A fact outside the window does not count.
type Fact struct {
	Count      bus.Count
	At         time.Time
	Department bus.USCC
	N          int64
	Ref        Ref
	Attributes
}

// Attributes are what a scheme can choose facts by.
type Attributes struct {
	Mode     string
	Sharing  bus.SharingType
	Cycle    string
	Purpose  bus.Purpose
	Resource bus.ResourceID
}

// value gives an attribute by the name that schemes know it by.
func (a Attributes) value(name string) string {
	switch name {
	case "mode":
		return a.Mode
	case "sharing":
		return string(a.Sharing)
	case "cycle":
		return a.Cycle
	case "purpose":
		return string(a.Purpose)
	case "resource":
		return string(a.Resource)
	}
	return ""
}

// chosen reports whether a has one of the values of each attribute in where.
func (a Attributes) chosen(where map[string][]string) bool {
	for name, values := range where {
		if !slices.Contains(values, a.value(name)) {
			return false
		}
	}
	return true
}

// Ref names what a figure rests on: "application/a1", "trigger/r1/3",
// "grant/g1", "correction/c1/2" (its second round), "resource/r1/4" (its fourth
// version), "attachment/r1", "dispute/d1", "rollup/guangzhou/2026-03-01", and for a run of days
// "rollup/guangzhou/2026-03-01..2026-03-31".
type Ref string

const rollupPrefix = "rollup/"

// RollupRef names the rollup of a node about a day.
func RollupRef(node bus.NodeID, day calendar.Date) Ref {
	return Ref(fmt.Sprintf("%s%s/%s", rollupPrefix, node, day))
}

// Rollup returns the node and the days of a reference to rollups.
func (r Ref) Rollup() (node bus.NodeID, from, to calendar.Date, ok bool) {
	rest, ok := strings.CutPrefix(string(r), rollupPrefix)
	if !ok {
		return "", 0, 0, false
	}
	name, days, ok := strings.Cut(rest, "/")
	first, last, run := strings.Cut(days, "..")
	if !run {
		last = first
	}
	from, errFrom := calendar.ParseDate(first)
	to, errTo := calendar.ParseDate(last)
	return bus.NodeID(name), from, to, ok && errFrom == nil && errTo == nil
}
