package calendar_test

import (
	"encoding/csv"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"pgregory.net/rapid"
)

func day(t testing.TB, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTermsOfTheLaw(t *testing.T) {
	c := calendar.New(calendar.BuiltIn())
	for _, tc := range []struct {
		start     string
		days      int
		last      string
		estimated bool
	}{
		{"2025-09-26", 10, "2025-10-16", false}, // over National Day, with its working weekends
		{"2026-02-12", 10, "2026-03-04", false}, // over Spring Festival
		{"2026-02-12", 20, "2026-03-18", false},
		{"2025-12-31", 1, "2026-01-04", false}, // a Sunday that is worked
		{"2018-12-28", 1, "2018-12-29", false}, // announced with the year after
		{"2018-12-29", 1, "2019-01-02", false},
		{"2026-01-05", 0, "2026-01-05", false},
		{"2026-01-03", 0, "2026-01-04", false}, // an expiry on a holiday rolls forward
		{"2026-12-30", 1, "2026-12-31", false},
		{"2026-12-31", 1, "2027-01-01", true}, // not announced: a Friday like any other
		{"2026-12-25", 10, "2027-01-08", true},
		{"2015-12-30", 1, "2015-12-31", true},
	} {
		last, estimated := c.Due(day(t, tc.start), tc.days)
		if last.String() != tc.last || estimated != tc.estimated {
			t.Errorf("%s + %d: %s, estimated %v; want %s, %v", tc.start, tc.days, last, estimated, tc.last, tc.estimated)
		}
	}
}

func TestADeadlineIsMidnightInShanghai(t *testing.T) {
	c := calendar.New(calendar.BuiltIn())
	want := time.Date(2025, 10, 16, 16, 0, 0, 0, time.UTC) // 24:00 on the 16th
	for _, start := range []time.Time{
		time.Date(2025, 9, 25, 16, 0, 0, 0, time.UTC),         // 00:00 on the 26th in Shanghai
		time.Date(2025, 9, 26, 15, 59, 59, 999, time.UTC),     // the end of that day
		time.Date(2025, 9, 26, 0, 0, 0, 0, calendar.Shanghai), // another zone, the same day
	} {
		if d := c.Deadline(start, 10); !d.Due.Equal(want) || d.Estimated {
			t.Errorf("from %s: %+v, want %s", start, d, want)
		}
	}
	d := c.Deadline(time.Date(2025, 9, 26, 0, 0, 0, 0, calendar.Shanghai), 10)
	if d.At(want.Add(-1)).Overdue || !d.At(want).Overdue {
		t.Error("it is overdue from midnight on, and not before")
	}
}

func TestWhatAnAnnouncementChanges(t *testing.T) {
	var none calendar.Calendar
	if last, estimated := none.Due(day(t, "2026-02-12"), 10); last.String() != "2026-02-26" || !estimated {
		t.Errorf("without any: %s, %v", last, estimated)
	}
	days := calendar.BuiltIn()
	if !calendar.New(days).Announced(2026) || calendar.New(days).Announced(2027) || calendar.New(days).Announced(2015) {
		t.Error("which years are announced")
	}
	// The announcement of 2027 reaches back into 2026, and does not make 2028 known.
	days = append(days, calendar.Day{Date: "2026-12-31", Kind: calendar.KindOff}, calendar.Day{Date: "2027-10-01", Kind: calendar.KindOff})
	c := calendar.New(days)
	if last, estimated := c.Due(day(t, "2026-12-30"), 1); last.String() != "2027-01-01" || estimated {
		t.Errorf("announced: %s, %v", last, estimated)
	}
	days = append(days, calendar.Day{Date: "2026-12-31", Kind: calendar.KindNormal})
	if last, _ := calendar.New(days).Due(day(t, "2026-12-30"), 1); last.String() != "2026-12-31" {
		t.Errorf("taken back: %s", last)
	}
}

// An independent count: day by day through the file, in time.Time.
func slowDue(rows map[string]string, start time.Time, n int) (string, bool) {
	estimated := false
	for at := start.AddDate(0, 0, 1); ; at = at.AddDate(0, 0, 1) {
		name := at.Format(time.DateOnly)
		if at.Year() < 2016 || at.Year() > 2026 {
			estimated = true
		}
		working := at.Weekday() != time.Saturday && at.Weekday() != time.Sunday
		if kind, ok := rows[name]; ok {
			working = kind == "work"
		}
		if working {
			n--
		}
		if n <= 0 && working {
			return name, estimated
		}
	}
}

func TestDueAgainstASlowCount(t *testing.T) {
	file, err := os.ReadFile("holidays.csv")
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(string(file))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, r := range records[1:] {
		rows[r[0]] = r[2]
	}
	c := calendar.New(calendar.BuiltIn())
	first := time.Date(2015, 11, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		start := first.AddDate(0, 0, rapid.IntRange(0, 4300).Draw(rt, "day"))
		n := rapid.IntRange(1, 60).Draw(rt, "days")
		want, wantEstimated := slowDue(rows, start, n)
		got, estimated := c.Due(day(t, start.Format(time.DateOnly)), n)
		if got.String() != want || estimated != wantEstimated {
			rt.Fatalf("%s + %d: %s %v, want %s %v", start.Format(time.DateOnly), n, got, estimated, want, wantEstimated)
		}
	})
}

func TestDatesAroundTheEpochAndBack(t *testing.T) {
	for _, s := range []string{"1949-10-01", "1969-12-31", "1970-01-01", "2000-02-29", "2100-03-01"} {
		d := day(t, s)
		if d.String() != s || calendar.DateOf(d.Start()) != d || calendar.DateOf(d.End()) != d+1 || calendar.DateOf(d.End().Add(-1)) != d {
			t.Errorf("%s: %s, %s – %s", s, d, d.Start(), d.End())
		}
		working, _ := calendar.Calendar{}.Working(d)
		weekday := d.Start().Weekday()
		if working != (weekday != time.Saturday && weekday != time.Sunday) {
			t.Errorf("%s is a %s, working %v", s, weekday, working)
		}
	}
}

func TestBadCalendarFilesAreToldAtOnce(t *testing.T) {
	for name, tc := range map[string]struct{ file, fields string }{
		"nothing":        {"", "1"},
		"other columns":  {"date,type\n", "1"},
		"a short row":    {"date,name,type\n2026-01-01,元旦\n", "2"},
		"several wrongs": {"date,name,type\n2026-13-01,x,off\n2026-01-01,元旦,holiday\n2026-1-1,x,\n", "2.date 3.type 4.date 4.type"},
	} {
		_, err := calendar.Parse(strings.NewReader(tc.file))
		refusal, _ := err.(*bus.Error)
		if refusal == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var fields []string
		for _, d := range refusal.Defects {
			fields = append(fields, d.Field)
		}
		if got := strings.Join(fields, " "); got != tc.fields {
			t.Errorf("%s: %q, want %q", name, got, tc.fields)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("date,name,type\n2026-01-01,元旦,off\n")
	f.Add("date,name,type\r\n\"2026-01-01\",,work\r\n")
	f.Fuzz(func(t *testing.T, file string) {
		days, err := calendar.Parse(strings.NewReader(file))
		if err != nil {
			return
		}
		c := calendar.New(days)
		if last, _ := c.Due(0, 20); last < 20 {
			t.Errorf("20 working days end on day %d", last)
		}
	})
}

func TestWorkingDaysLeft(t *testing.T) {
	c := calendar.New(calendar.BuiltIn())
	due := day(t, "2025-10-16").End() // a Thursday; the holiday ended on the 8th, the 11th was worked
	for now, want := range map[string]int{
		"2025-09-26": 10, "2025-09-30": 7, "2025-10-05": 7, "2025-10-08": 7, "2025-10-09": 6, "2025-10-11": 4, "2025-10-12": 4, "2025-10-15": 1, "2025-10-16": 0, "2025-10-17": 0,
	} {
		if got := c.Left(day(t, now).Start().Add(9*time.Hour), due); got != want {
			t.Errorf("on %s: %d, want %d", now, got, want)
		}
	}
}

// As many as a deadline was made of are left on the day that it is made.
func TestWorkingDaysLeftIsTheTermOnItsFirstDay(t *testing.T) {
	c := calendar.New(calendar.BuiltIn())
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(1451577600, 1798732800).Draw(t, "start"), 0)
		days := rapid.IntRange(1, 40).Draw(t, "days")
		if got := c.Left(start, c.Deadline(start, days).Due); got != days {
			t.Fatalf("%d, want %d", got, days)
		}
	})
}
