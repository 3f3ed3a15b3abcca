package evaluation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// Sixty minutes of a service that was there, and of one that was not.
var (
	allUp   = strings.Repeat("1", 60)
	allDown = strings.Repeat("0", 60)
)

// beats is the evidence of heartbeats of r: a leaf an hour from one hour of a day up to,
// not including, another, recorded a minute after each.
func beats(date string, from, to int, minutes string) []audit.Record {
	var records []audit.Record
	for hour := from; hour < to; hour++ {
		at := day(date).Add(time.Duration(hour) * time.Hour)
		records = append(records, audit.Record{
			Kind: audit.KindHeartbeat, At: at.Add(61 * time.Minute), Resource: "r", Provider: market, Principal: bus.Principal{Node: "gz"}, Detail: "heartbeat",
			Heartbeat: &bus.Heartbeat{Hour: at.UTC(), Minutes: minutes},
		})
	}
	return records
}

// realtime makes r an entry that is updated in real time and asked for over an interface.
func realtime(v *bus.Version) {
	v.Resource.UpdateCycle, v.Resource.Modes = bus.CycleRealtime, []string{"interface"}
}

// A day has 1,440 minutes. All of them are expected on 03-02 of an entry that was in
// force for the whole day; up are those that the node of its provider heard.
func TestB2Heartbeats(t *testing.T) {
	const text = "2026-03-02"
	quarterHour := strings.Repeat("1", 45) + strings.Repeat("0", 15) // 45 minutes up
	for _, c := range []struct {
		name   string
		change func(*bus.Version)
		leaves []audit.Record
		want   [2]int64
	}{
		{"there all day", nil, beats(text, 0, 24, allUp), [2]int64{1440, 1440}},
		{"fails from 09:00 to 10:15: 75 minutes less", nil, // 9 h + 45 min + 13 h
			slices.Concat(beats(text, 0, 9, allUp), beats(text, 9, 10, allDown), beats(text, 10, 11, quarterHour), beats(text, 11, 24, allUp)), [2]int64{9*60 + 45 + 13*60, 1440}},
		{"the node is down from 10:00 to 14:00 and records nothing: 240 minutes less", nil, slices.Concat(beats(text, 0, 10, allUp), beats(text, 14, 24, allUp)), [2]int64{1200, 1440}},
		{"the node is down all day, or the entry is not bound", nil, nil, [2]int64{0, 1440}},
		{"started anew at 10:20: two leaves about one hour", nil, slices.Concat(
			beats(text, 10, 11, strings.Repeat("1", 20)+strings.Repeat("-", 40)), beats(text, 10, 11, strings.Repeat("-", 22)+strings.Repeat("1", 38)),
		), [2]int64{58, 1440}},
		{"the same hour twice is one hour", nil, slices.Concat(beats(text, 10, 11, allUp), beats(text, 10, 11, allUp)), [2]int64{60, 1440}},
		{"of minutes that nobody asked nothing is up", nil, beats(text, 10, 12, strings.Repeat("-", 60)), [2]int64{0, 1440}},
		{"hours of the day before and after", nil, slices.Concat(beats("2026-03-01", 23, 24, allUp), beats(text, 0, 1, allUp), beats(text, 24, 25, allUp)), [2]int64{60, 1440}},
		{"put on record after the day's close, at 02:00", nil, slices.Concat(beats(text, 22, 23, allUp), late(beats(text, 23, 24, allUp))), [2]int64{60, 1440}},
		{"put on record before its hour began", nil, early(beats(text, 12, 13, allUp)), [2]int64{0, 1440}},
		{"published within the day: it was not in force for all of it", func(v *bus.Version) { v.Resource.Published = clock("2026-03-02 00:01") }, beats(text, 0, 24, allUp), [2]int64{}},
		{"published with the day", func(v *bus.Version) { v.Resource.Published = clock("2026-03-02 00:00") }, beats(text, 0, 24, allUp), [2]int64{1440, 1440}},
		{"withdrawn within the day", func(v *bus.Version) {
			v.Withdrawn = &bus.Withdrawal{Approved: bus.Review{At: clock("2026-03-02 12:00")}}
		}, beats(text, 0, 24, allUp), [2]int64{}},
		{"comes as events alone: nothing beats, nothing is expected", func(v *bus.Version) { v.Resource.Modes = []string{"batch"} }, nil, [2]int64{}},
		{"comes as events, and is asked for as well", func(v *bus.Version) { v.Resource.Modes = []string{"batch", "interface"} }, beats(text, 0, 1, allUp), [2]int64{60, 1440}},
		{"not shared", func(v *bus.Version) { v.Resource.Sharing = bus.Sharing{Type: bus.NotShared} }, beats(text, 0, 24, allUp), [2]int64{}},
		{"irregular", func(v *bus.Version) { v.Resource.UpdateCycle = "irregular" }, beats(text, 0, 24, allUp), [2]int64{}},
	} {
		m := provincial(rollup(t, "gz", text, c.leaves...), rollup(t, "th", text))
		m.Directory.Versions = published(func(v *bus.Version) {
			if realtime(v); c.change != nil {
				c.change(v)
			}
		})
		r := evaluate(t, m, oneDay)
		for _, who := range []bus.USCC{market, "440104", "440100"} {
			if f := figure(t, r, who, "B2"); f.Numerator != c.want[0] || f.Denominator != c.want[1] {
				t.Errorf("%s, %s: %d/%d, want %v", c.name, who, f.Numerator, f.Denominator, c.want)
			}
		}
		f := figure(t, r, market, "B2")
		if (f.State == evaluation.NotApplicable) != (c.want[1] == 0) {
			t.Errorf("%s: %s", c.name, f.State)
		}
		if ref := []evaluation.Ref{"rollup/gz/2026-03-02"}; c.want[0] > 0 && (!slices.Equal(f.Evidence.Numerator, ref) || !slices.Equal(f.Evidence.Denominator, ref)) {
			t.Errorf("%s rests on %+v", c.name, f.Evidence)
		}
		if len(r.Reconciliation.Differences) != 0 {
			t.Errorf("%s: a heartbeat has no other side: %+v", c.name, r.Reconciliation.Differences)
		}
	}
}

// late puts leaves on record at the close of 03-02, early three hours before.
func late(records []audit.Record) []audit.Record {
	for i := range records {
		records[i].At = clock("2026-03-03 02:00")
	}
	return records
}

func early(records []audit.Record) []audit.Record {
	for i := range records {
		records[i].At = records[i].Heartbeat.Hour.Add(-time.Minute)
	}
	return records
}

// What a node has not reported is not known: gz reported 03-02 with an hour up, and
// 03-03 not at all. Only the first day counts, and the figure says who is missing.
func TestB2HeartbeatsOfADayThatWasNotReportedAreLeftOut(t *testing.T) {
	two := evaluation.Window{From: day("2026-03-02"), To: day("2026-03-04")}
	m := provincial(rollup(t, "gz", "2026-03-02", beats("2026-03-02", 8, 9, allUp)...), rollup(t, "th", "2026-03-02"), rollup(t, "th", "2026-03-03"))
	m.Directory.Versions = published(realtime)
	f := figure(t, evaluate(t, m, two), market, "B2")
	if f.Numerator != 60 || f.Denominator != 1440 || len(f.Missing) != 1 || f.Missing[0] != "gz" {
		t.Errorf("%+v", f)
	}
	m = provincial(rollup(t, "th", "2026-03-02"))
	m.Directory.Versions = published(realtime)
	if f := figure(t, evaluate(t, m, oneDay), market, "B2"); f.State != evaluation.Missing || f.Denominator != 0 {
		t.Errorf("%+v", f)
	}
}

// In March a monthly entry has one turn, and a realtime one 31 days. Data of the
// monthly one came; the service of the other was down on one whole day and for 12 hours
// of another. (1 + 29.5 days) of 32: 1440 + 30×1440 − 720 = 43,920 of 46,080.
func TestB2TurnsAndMinutesAddUp(t *testing.T) {
	march := evaluation.Window{From: day("2026-03-01"), To: day("2026-04-01")}
	var rollups []evaluation.Rollup
	for d := calendar.DateOf(march.From); d < calendar.DateOf(march.To); d++ {
		var records []audit.Record
		switch d.String() {
		case "2026-03-10":
		case "2026-03-11":
			records = beats(d.String(), 0, 12, allUp)
		default:
			records = beats(d.String(), 0, 24, allUp)
		}
		if d.String() == "2026-03-20" {
			records = append(records, audit.Record{Kind: audit.KindAccepted, At: d.Start().Add(9 * time.Hour), Resource: "m", Provider: market, First: 1, Last: 5, Events: 5})
		}
		rollups = append(rollups, rollup(t, "gz", d.String(), records...), rollup(t, "th", d.String()))
	}
	m := provincial(rollups...)
	m.Directory.Versions = published(realtime)
	monthly := published(func(v *bus.Version) { v.Resource.ID, v.Resource.UpdateCycle = "m", "monthly" })["r"]
	m.Directory.Versions["m"] = monthly
	f := figure(t, evaluate(t, m, march), market, "B2")
	if f.Numerator != 43_920 || f.Denominator != 46_080 || f.Percent() != "95.31" { // 0.953125
		t.Errorf("%d/%d %s", f.Numerator, f.Denominator, f.Percent())
	}
	if want := []evaluation.Ref{"rollup/gz/2026-03-01..2026-03-31"}; !slices.Equal(f.Evidence.Denominator, want) {
		t.Errorf("rests on %v", f.Evidence.Denominator)
	}
	if want := []evaluation.Ref{"rollup/gz/2026-03-01..2026-03-09", "rollup/gz/2026-03-11..2026-03-31"}; !slices.Equal(f.Evidence.Numerator, want) {
		t.Errorf("met rests on %v", f.Evidence.Numerator)
	}

	cases, err := m.Explain(evaluation.DefaultScheme(), march, market, "B2")
	if err != nil || len(cases) != 32 {
		t.Fatalf("%d lines: %v", len(cases), err)
	}
	for i, want := range []string{
		"rollup/gz/2026-03-10 resource/r 0/1440 up in 0 of 1440 minutes", "rollup/gz/2026-03-11 resource/r 720/1440 up in 720 of 1440 minutes",
		"rollup/gz/2026-03-01 resource/r 1440/1440 up in 1440 of 1440 minutes",
	} { // what was missed first
		if got := fmt.Sprintf("%s %d/%d %s", cases[i].Ref, cases[i].MetN, cases[i].N, cases[i].Text.EN); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if turn := cases[30]; turn.Ref != "rollup/gz/2026-03-20 resource/m" || turn.Text.EN != "data came in 1 of 1 turns, each weighs 1440" { // it ended with 03-31
		t.Errorf("%+v", turn)
	}
}

// market is merged into tax with 03-03: the minutes of each day are whose the entry was
// at its end. market moves from gz to th at noon of 03-02: each node has twelve hours.
func TestB2HeartbeatsFollowTheirDepartment(t *testing.T) {
	two := evaluation.Window{From: day("2026-03-02"), To: day("2026-03-04")}
	m := provincial(
		rollup(t, "gz", "2026-03-02", beats("2026-03-02", 0, 12, allUp)...), rollup(t, "th", "2026-03-02", beats("2026-03-02", 12, 24, allUp)...),
		rollup(t, "gz", "2026-03-03"), rollup(t, "th", "2026-03-03", beats("2026-03-03", 0, 1, allUp)...),
	)
	m.Directory.Homes = map[bus.USCC]bus.NodeID{market: "th", housing: "th", tax: "th"}
	m.Directory.Departments[0].Epoch = 7
	m.Directory.Departments = append(m.Directory.Departments, bus.Department{ID: tax, Name: "样例合并部门", Division: "440100"})
	versions := published(realtime)
	merged := versions["r"][0]
	merged.Resource.Provider, merged.Resource.Version, merged.Resource.Published = tax, 2, clock("2026-03-03 00:00")
	versions["r"] = append(versions["r"], merged)
	m.Directory.Versions = versions
	r := evaluate(t, m, two)
	for who, want := range map[bus.USCC][2]int64{market: {1440, 1440}, tax: {60, 1440}, "440100": {1500, 2880}} {
		if f := figure(t, r, who, "B2"); f.Numerator != want[0] || f.Denominator != want[1] {
			t.Errorf("%s: %d/%d, want %v", who, f.Numerator, f.Denominator, want)
		}
	}
}

// That a service answered in one minute of the period is data behind the entry (B1).
func TestB1CountsAHeartbeat(t *testing.T) {
	for minutes, want := range map[string]int64{strings.Repeat("0", 59) + "1": 1, allDown: 0} {
		m := provincial(rollup(t, "gz", "2026-03-02", beats("2026-03-02", 9, 10, minutes)...), rollup(t, "th", "2026-03-02"))
		m.Directory.Versions = published(realtime)
		if f := figure(t, evaluate(t, m, oneDay), market, "B1"); f.Numerator != want || f.Denominator != 1 {
			t.Errorf("%s: %d/%d", minutes, f.Numerator, f.Denominator)
		}
	}
}

// A rollup that claims more minutes than the evidence has, or an hour that it does not
// have, is told from it.
func TestAnInventedHeartbeatIsFound(t *testing.T) {
	honest := beats("2026-03-02", 8, 10, allDown)
	invented := rollup(t, "gz", "2026-03-02", slices.Concat(honest, beats("2026-03-02", 10, 11, allUp))...)
	exchanges, err := evaluation.Exchanges(leaves(honest...), calendar.DateOf(oneDay.From))
	if err != nil {
		t.Fatal(err)
	}
	found := evaluation.Deviations(invented, exchanges)
	if len(found) != 1 || found[0].Claimed != 3 || found[0].Derived != 2 {
		t.Fatalf("%+v", found)
	}
	polished := rollup(t, "gz", "2026-03-02", honest...)
	polished.Rows[0].Events = 120
	if found := evaluation.Deviations(polished, exchanges); len(found) != 1 {
		t.Errorf("minutes that the evidence does not have: %+v", found)
	}
}

// drawn makes an hour's minutes of two numbers' bits.
func drawn(up, asked uint64) string {
	minutes := make([]byte, 60)
	for i := range minutes {
		minutes[i] = "-01"[(asked>>i&1)*(1+up>>i&1)]
	}
	return string(minutes)
}

// In any order, split by restarts within the hours, over two nodes, or replayed, the
// minutes up are the same: a minute is up where any leaf says so.
func TestNoOrderSplitOrReplayChangesAHeartbeat(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const text = "2026-03-02"
		var whole, parts []audit.Record // a leaf an hour; the same in two
		var up int64
		for hour := range rapid.IntRange(1, 24).Draw(rt, "hours") {
			minutes := drawn(rapid.Uint64().Draw(rt, "up"), rapid.Uint64().Draw(rt, "asked"))
			cut := rapid.IntRange(0, 60).Draw(rt, "restart")
			up += int64(strings.Count(minutes, "1"))
			whole = append(whole, beats(text, hour, hour+1, minutes)...)
			parts = append(parts, beats(text, hour, hour+1, minutes[:cut]+strings.Repeat("-", 60-cut))...)
			parts = append(parts, beats(text, hour, hour+1, strings.Repeat("-", cut)+minutes[cut:])...)
		}
		standings := func(rollups ...evaluation.Rollup) string {
			m := provincial(append(rollups, rollup(t, "th", text))...)
			m.Directory.Versions = published(realtime)
			r := evaluate(t, m, oneDay)
			if f := figure(t, r, market, "B2"); f.Numerator != up || f.Denominator != 1440 {
				rt.Fatalf("%d/%d, want %d/1440", f.Numerator, f.Denominator, up)
			}
			data, err := json.Marshal([]any{r.Departments, r.Divisions})
			if err != nil {
				rt.Fatal(err)
			}
			return string(data)
		}
		want := standings(rollup(t, "gz", text, whole...))
		shuffled := rapid.Permutation(slices.Concat(whole, parts, whole)).Draw(rt, "order")
		one := rollup(t, "gz", text, shuffled...)
		for name, got := range map[string]string{
			"in parts": standings(rollup(t, "gz", text, parts...)), "shuffled and recorded again": standings(one), "replayed": standings(one, one),
		} {
			if got != want {
				rt.Errorf("%s: %s\nwant %s", name, got, want)
			}
		}
		at := rapid.IntRange(0, len(whole)).Draw(rt, "move")
		m := provincial(rollup(t, "gz", text, whole[:at]...), rollup(t, "th", text, whole[at:]...))
		m.Directory.Departments[0].Epoch = 7
		m.Directory.Versions = published(realtime)
		if f := figure(t, evaluate(t, m, oneDay), market, "B2"); f.Numerator != up || f.Denominator != 1440 {
			rt.Errorf("over two nodes: %d/%d, want %d/1440", f.Numerator, f.Denominator, up)
		}
	})
}
