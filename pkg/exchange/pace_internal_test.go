package exchange

import (
	"testing"
	"time"
)

// Each step is at a second, by somebody who may make a request every so many seconds.
func TestARateIsOfAnEndpoint(t *testing.T) {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	p := paces{sent: map[string]time.Time{}}
	var last place
	for i, step := range []struct {
		to            string
		second, every int
		after         time.Time // nothing before is known
		early         int
		givesBack     bool // its place of before, first
	}{
		{to: "a", second: 0, every: 30},
		{to: "a", second: 10, every: 30, early: 20}, // of another subscription
		{to: "b", second: 10, every: 30},
		{to: "a", second: 29, every: 30, early: 1},
		{to: "a", second: 30, every: 30},
		{to: "a", second: 40, every: 5},
		{to: "a", second: 41, every: 5, givesBack: true},
		{to: "c", second: 50, every: 60, after: at(20), early: 30},
		{to: "c", second: 80, every: 60, after: at(20)},
		{to: "c", second: 81, every: 60, early: 59},
	} {
		if step.givesBack {
			last.back()
		}
		got, early := p.take(step.to, time.Duration(step.every)*time.Second, step.after, at(step.second))
		if early != time.Duration(step.early)*time.Second {
			t.Errorf("step %d: early by %v, want %d s", i, early, step.early)
		}
		if early == 0 {
			last = got
		}
	}
	if _, _ = p.take("d", time.Second, time.Time{}, at(1000)); len(p.sent) != 1 {
		t.Errorf("of endpoints that are long free %v is kept", p.sent)
	}
}
