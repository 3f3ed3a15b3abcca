package exchange

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestWindows(t *testing.T) {
	for _, tt := range []struct {
		per            bus.Window
		at, begin, end string
	}{
		{bus.PerMinute, "2026-03-02T09:00:59.999999999Z", "2026-03-02T17:00:00+08:00", "2026-03-02T17:01:00+08:00"},
		{bus.PerHour, "2026-03-02T09:59:59Z", "2026-03-02T17:00:00+08:00", "2026-03-02T18:00:00+08:00"},
		{bus.PerDay, "2026-03-02T15:59:59Z", "2026-03-02T00:00:00+08:00", "2026-03-03T00:00:00+08:00"},
		{bus.PerDay, "2026-03-02T16:00:00Z", "2026-03-03T00:00:00+08:00", "2026-03-04T00:00:00+08:00"},
		{bus.PerDay, "2026-02-28T23:00:00+08:00", "2026-02-28T00:00:00+08:00", "2026-03-01T00:00:00+08:00"},
		{bus.PerDay, "2028-02-29T00:00:00-05:00", "2028-02-29T00:00:00+08:00", "2028-03-01T00:00:00+08:00"},
		{bus.PerDay, "2026-12-31T16:30:00Z", "2027-01-01T00:00:00+08:00", "2027-01-02T00:00:00+08:00"},
	} {
		begin, end := windowAt(tt.per, at(tt.at))
		if !begin.Equal(at(tt.begin)) || !end.Equal(at(tt.end)) {
			t.Errorf("%s at %s: %v – %v, want %s – %s", tt.per, tt.at, begin, end, tt.begin, tt.end)
		}
	}
	if begin, end := windowAt(bus.PerCase, at("2026-03-02T09:00:00Z")); !begin.IsZero() || !end.IsZero() {
		t.Errorf("a case has a window of time: %v – %v", begin, end)
	}
}

func TestMeterBeginsAnewWithEachWindow(t *testing.T) {
	noon := at("2026-03-02T12:00:00+08:00")
	had := meter{Begin: noon.Unix(), Count: 7}
	for _, tt := range []struct {
		name string
		now  time.Time
		want int
		end  time.Time
	}{
		{"the same window", noon.Add(59 * time.Minute), 7, noon.Add(time.Hour)},
		{"the next one", noon.Add(time.Hour), 0, noon.Add(2 * time.Hour)},
		{"a later one", noon.AddDate(0, 0, 3), 0, noon.AddDate(0, 0, 3).Add(time.Hour)},
		{"a clock set back a moment", noon.Add(-time.Second), 7, noon.Add(time.Hour)},
		{"a clock that had been wrong by far", noon.Add(-2 * time.Hour), 0, noon.Add(-time.Hour)},
	} {
		now, end := had.at(bus.PerHour, tt.now)
		if now.Count != tt.want || !end.Equal(tt.end) {
			t.Errorf("%s: %d until %v, want %d until %v", tt.name, now.Count, end, tt.want, tt.end)
		}
	}
	if now, end := (meter{Count: 7}).at(bus.PerCase, noon); now.Count != 7 || !end.IsZero() {
		t.Errorf("of a case: %d until %v", now.Count, end)
	}
}

func TestRoom(t *testing.T) {
	minute, day := bus.Limit{Limit: 10, Per: bus.PerMinute, Key: bus.KeySystem}, bus.Limit{Limit: 100, Per: bus.PerDay, Key: bus.KeyConsumer}
	perCase := bus.Limit{Limit: 3, Per: bus.PerCase, Key: bus.KeyGrant}
	soon, late := at("2026-03-02T12:01:00+08:00"), at("2026-03-03T00:00:00+08:00")
	for _, tt := range []struct {
		name    string
		want    int
		limits  []bus.Limit
		counted []int
		ends    []time.Time
		n       int
		reached *full
	}{
		{"no limit", 5, nil, nil, nil, 5, nil},
		{"nothing wanted", 0, []bus.Limit{minute}, []int{10}, []time.Time{soon}, 0, nil},
		{"room enough", 5, []bus.Limit{minute}, []int{5}, []time.Time{soon}, 5, nil},
		{"one too many", 6, []bus.Limit{minute}, []int{5}, []time.Time{soon}, 5, &full{minute, soon}},
		{"full", 6, []bus.Limit{minute}, []int{10}, []time.Time{soon}, 0, &full{minute, soon}},
		{"over, as the limit was lowered", 6, []bus.Limit{minute}, []int{12}, []time.Time{soon}, 0, &full{minute, soon}},
		{"the lower room of two", 50, []bus.Limit{day, minute}, []int{0, 0}, []time.Time{late, soon}, 10, &full{minute, soon}},
		{"two are full: the later end", 50, []bus.Limit{minute, day}, []int{10, 100}, []time.Time{soon, late}, 0, &full{day, late}},
		{"one that no waiting empties", 50, []bus.Limit{perCase, day}, []int{3, 100}, []time.Time{{}, late}, 0, &full{perCase, time.Time{}}},
		{"the same, the other way round", 50, []bus.Limit{day, perCase}, []int{100, 3}, []time.Time{late, {}}, 0, &full{perCase, time.Time{}}},
	} {
		meters := make([]meter, len(tt.counted))
		for i, n := range tt.counted {
			meters[i].Count = n
		}
		n, reached := room(tt.want, tt.limits, meters, tt.ends)
		if n != tt.n || (reached == nil) != (tt.reached == nil) || reached != nil && *reached != *tt.reached {
			t.Errorf("%s: %d, %+v; want %d, %+v", tt.name, n, reached, tt.n, tt.reached)
		}
	}
}
