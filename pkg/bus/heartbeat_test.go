package bus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

func minutes(parts ...any) string {
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		b.WriteString(strings.Repeat(parts[i].(string), parts[i+1].(int)))
	}
	return b.String()
}

// What the minutes of 09:00 to 10:59 are after probes, worked out by hand: a letter a
// minute, "+" a probe that was answered, "x" one that was not.
func TestPulse(t *testing.T) {
	nine := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	type probe struct {
		second   int // since nine
		answered bool
	}
	const gap = 5 * time.Minute
	for _, c := range []struct {
		name      string
		probes    []probe
		nine, ten string // the hours' minutes; "" for an hour of which nothing is known
	}{
		{"one answer is its minute", []probe{{90, true}}, minutes("-", 1, "1", 1, "-", 58), ""},
		{"between two answers it was up", []probe{{0, true}, {3*60 + 59, true}}, minutes("1", 4, "-", 56), ""},
		{"five minutes apart are near enough", []probe{{0, true}, {5*60 + 30, true}}, minutes("1", 6, "-", 54), ""},
		{"six are not: of the five between nobody knows", []probe{{0, true}, {6 * 60, true}}, minutes("1", 1, "-", 5, "1", 1, "-", 53), ""},
		{"from its last answer to its next it was down", []probe{{0, true}, {2 * 60, false}, {4 * 60, true}}, minutes("1", 1, "0", 3, "1", 1, "-", 55), ""},
		{"one answer of two in a minute is up", []probe{{10, false}, {40, true}, {50, false}}, minutes("1", 1, "-", 59), ""},
		{"over the hour", []probe{{58 * 60, true}, {61 * 60, true}}, minutes("-", 58, "1", 2), minutes("1", 2, "-", 58)},
		{"a clock that was set back", []probe{{10 * 60, true}, {8 * 60, true}}, minutes("-", 8, "1", 1, "-", 1, "1", 1, "-", 49), ""},
	} {
		var p bus.Pulse
		for _, x := range c.probes {
			p.Beat(nine.Add(time.Duration(x.second)*time.Second), x.answered, gap)
		}
		got := map[time.Time]string{}
		for _, h := range p.Until(nine.Add(2 * time.Hour)) {
			if d := h.Check(); len(d) > 0 {
				t.Errorf("%s: %v", c.name, d)
			}
			got[h.Hour] = h.Minutes
		}
		if got[nine] != c.nine || got[nine.Add(time.Hour)] != c.ten {
			t.Errorf("%s:\n%s\n%s\nwant\n%s\n%s", c.name, got[nine], got[nine.Add(time.Hour)], c.nine, c.ten)
		}
	}
}

// An hour is handed out once it is over, and until it is forgotten.
func TestPulseHandsOutHoursThatAreOver(t *testing.T) {
	nine := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var p bus.Pulse
	p.Beat(nine.Add(59*time.Minute), true, time.Minute)
	p.Beat(nine.Add(60*time.Minute), true, time.Minute)
	if got := p.Until(nine.Add(59 * time.Minute)); len(got) != 0 {
		t.Errorf("before it is over: %v", got)
	}
	for range 2 {
		if got := p.Until(nine.Add(time.Hour)); len(got) != 1 || !got[0].Hour.Equal(nine) || got[0].Up() != 1 {
			t.Errorf("%v", got)
		}
	}
	if p.Forget(nine.Add(time.Hour), time.Minute) {
		t.Error("the hour that is under way was forgotten")
	}
	if got := p.Until(nine.Add(2 * time.Hour)); len(got) != 1 || !got[0].Hour.Equal(nine.Add(time.Hour)) {
		t.Errorf("%v", got)
	}
	if !p.Forget(nine.Add(2*time.Hour), time.Minute) {
		t.Error("something is left")
	}
	p.Beat(nine.Add(119*time.Minute), true, 5*time.Minute)
	if p.Forget(nine.Add(2*time.Hour), 5*time.Minute) {
		t.Error("the probe of a minute ago is forgotten: the next one goes on from it")
	}
}

func TestHeartbeatsOfOneHourAddUp(t *testing.T) {
	hour := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	a := bus.Heartbeat{Hour: hour, Minutes: minutes("1", 10, "0", 10, "-", 40)}
	b := bus.Heartbeat{Hour: hour, Minutes: minutes("0", 5, "-", 10, "1", 10, "-", 35)}
	want := minutes("1", 10, "0", 5, "1", 10, "-", 35)
	for _, got := range []string{a.With(b).Minutes, b.With(a).Minutes, a.With(b).With(a).With(b).Minutes} {
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	if up := a.With(b).Up(); up != 20 {
		t.Errorf("%d minutes", up)
	}
}

func TestHeartbeatCheck(t *testing.T) {
	hour := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for field, h := range map[string]bus.Heartbeat{
		"heartbeat.hour":    {Hour: hour.Add(time.Minute), Minutes: minutes("1", 60)},
		"heartbeat.minutes": {Hour: hour, Minutes: minutes("1", 59)},
	} {
		if d := h.Check(); len(d) != 1 || d[0].Field != field {
			t.Errorf("%s: %v", field, d)
		}
	}
	if d := (bus.Heartbeat{Minutes: minutes("x", 60)}).Check(); len(d) != 2 {
		t.Errorf("%v", d)
	}
}
