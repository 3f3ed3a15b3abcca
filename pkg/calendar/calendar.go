// Package calendar counts statutory working days (法定工作日) in China, as the law's
// terms run: the day of the event does not count, the last day ends at 24:00 in
// Shanghai, and a term that would end on a holiday ends on the next working day
// (civil code art. 201, 203).
//
// It is pure: a calendar is a value, made from the days that the State Council
// announced to differ from an ordinary week. Days are looked up by date, whichever
// announcement they came in: that of a year reaches into the one before. What
// falls into a year not yet announced is estimated from weekends, and said to be.
package calendar

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Shanghai is the zone of the law's days; it has had no summer time since 1991.
var Shanghai = time.FixedZone("UTC+8", 8*60*60)

// Date is a day of the calendar in Shanghai, as days since 1970-01-01.
type Date int

const secondsOfDay = 24 * 60 * 60

// DateOf returns the day in Shanghai on which t lies.
func DateOf(t time.Time) Date {
	_, offset := t.In(Shanghai).Zone()
	seconds := t.Unix() + int64(offset)
	day := seconds / secondsOfDay
	if seconds%secondsOfDay < 0 {
		day--
	}
	return Date(day)
}

// ParseDate reads a day as "2006-01-02".
func ParseDate(s string) (Date, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, Shanghai)
	return DateOf(t), err
}

// Start returns the instant at which d begins, 00:00 in Shanghai.
func (d Date) Start() time.Time {
	return time.Unix(int64(d)*secondsOfDay, 0).In(time.UTC).Add(-8 * time.Hour).In(Shanghai)
}

// End returns the instant at which d ends, 24:00 in Shanghai.
func (d Date) End() time.Time { return (d + 1).Start() }

// String returns d as "2006-01-02".
func (d Date) String() string { return d.Start().Format(time.DateOnly) }

// Year returns the year in which d lies.
func (d Date) Year() int { return d.Start().Year() }

// weekend reports whether d is a Saturday or a Sunday. 1970-01-01 was a Thursday.
func (d Date) weekend() bool {
	weekday := ((int(d)+4)%7 + 7) % 7
	return weekday == 0 || weekday == 6
}

// Kind says how an announced day differs from what the week would make of it.
type Kind string

// The kinds. KindNormal takes an earlier announcement back.
const (
	KindOff    Kind = "off"    // 放假
	KindWork   Kind = "work"   // 调休上班
	KindNormal Kind = "normal" // as the week has it
)

// Day is one announced day.
type Day struct {
	Date string `json:"date"` // "2006-01-02"
	Name string `json:"name"` // of the holiday that it belongs to
	Kind Kind   `json:"kind"`
}

// Check returns every defect of d; field leads to it.
func (d Day) Check(field string) []bus.Defect { return d.check(field+".date", field+".kind") }

// check is Check, where date and kind are called otherwise.
func (d Day) check(date, kind string) []bus.Defect {
	var defects []bus.Defect
	if at, err := ParseDate(d.Date); err != nil || at.String() != d.Date {
		defects = append(defects, bus.Defect{Field: date, Problem: bus.Text{ZH: "日期格式不正确", EN: "not a date"}, Allowed: "2026-01-31"})
	}
	switch d.Kind {
	case KindOff, KindWork, KindNormal:
	default:
		defects = append(defects, bus.Defect{Field: kind, Problem: bus.Text{ZH: "类型不正确", EN: "no such kind of day"}, Allowed: "off, work, normal"})
	}
	return defects
}

// Calendar knows the announced days. The zero value knows none, and estimates.
type Calendar struct {
	days      map[Date]Kind
	announced map[int]bool // years
}

// New makes a calendar of announced days; of two for one date the later in the
// list counts. Days must have passed Check.
func New(days []Day) Calendar {
	c := Calendar{map[Date]Kind{}, map[int]bool{}}
	for _, d := range days {
		at, err := ParseDate(d.Date)
		if err != nil {
			continue
		}
		c.days[at] = d.Kind
	}
	for at, kind := range c.days { // National Day is the last holiday of every announcement
		if start := at.Start(); kind == KindOff && start.Month() == time.October && start.Day() == 1 {
			c.announced[start.Year()] = true
		}
	}
	return c
}

// Announced reports whether the holidays of a year are known.
func (c Calendar) Announced(year int) bool { return c.announced[year] }

// Working reports whether d is a working day; estimated says that its year is not
// announced yet.
func (c Calendar) Working(d Date) (working, estimated bool) {
	estimated = !c.announced[d.Year()]
	switch c.days[d] {
	case KindOff:
		return false, estimated
	case KindWork:
		return true, estimated
	default:
		return !d.weekend(), estimated
	}
}

// maxTerm is the longest term in working days; the law has none near it.
const maxTerm = 10_000

// Due returns the last day of a term of n working days that an event on start
// sets running: start does not count. With n = 0 it is start, or the next working
// day. It is estimated if any day that was counted is.
func (c Calendar) Due(start Date, n int) (last Date, estimated bool) {
	last = start
	if n == 0 {
		last--
		n = 1
	}
	for left := min(n, maxTerm); left > 0; {
		last++
		working, unsure := c.Working(last)
		estimated = estimated || unsure
		if working {
			left--
		}
	}
	return last, estimated
}

// Deadline returns the instant at which a term of n working days ends that an
// event at start sets running.
func (c Calendar) Deadline(start time.Time, n int) bus.Deadline {
	last, estimated := c.Due(DateOf(start), n)
	return bus.Deadline{Due: last.End(), Estimated: estimated}
}

// Left returns how many working days lie after the day of now, that on which a
// deadline ends included: 0 on that day, and after it.
func (c Calendar) Left(now, due time.Time) int {
	left := 0
	last := DateOf(due.Add(-1))
	for day := DateOf(now) + 1; day <= last && left < maxTerm; day++ {
		if working, _ := c.Working(day); working {
			left++
		}
	}
	return left
}

// holidays.csv holds the announced days from 2016 to 2026: facts, after holiday-cn
// (github.com/NateScarlet/holiday-cn, MIT).
//
//go:embed holidays.csv
var embedded string

// BuiltIn returns the days that this release knows of, 2016 to 2026.
func BuiltIn() []Day {
	days, err := Parse(strings.NewReader(embedded))
	if err != nil {
		panic("embedded calendar: " + err.Error()) // a broken build, not input
	}
	return days
}

const maxDays = 10_000 // of one file: centuries

// Parse reads announced days from CSV with the columns date, name and type. All
// defects are told at once.
func Parse(r io.Reader) ([]Day, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = 3
	head, err := in.Read()
	if err != nil || strings.Join(head, ",") != "date,name,type" {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "1", Problem: bus.Text{ZH: "表头不正确", EN: "not the columns of a calendar"}, Allowed: "date,name,type"})
	}
	var days []Day
	var defects []bus.Defect
	for row := 2; ; row++ {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return days, bus.Invalid(defects)
		}
		if err != nil || len(days) >= maxDays {
			return nil, bus.E(bus.CodeInvalid, bus.Defect{
				Field: fmt.Sprint(row), Problem: bus.Text{ZH: "不是三列的 CSV，或行数过多", EN: "not a row of three columns, or one too many"}, Allowed: fmt.Sprint(maxDays, " rows"),
			})
		}
		day := Day{Date: record[0], Name: record[1], Kind: Kind(record[2])}
		defects = append(defects, day.check(fmt.Sprint(row, ".date"), fmt.Sprint(row, ".type"))...)
		days = append(days, day)
	}
}
