package policy

import (
	"testing"
	"time"
)

func TestRestsGrowUntilOneIsInTime(t *testing.T) {
	const deadline = time.Second
	now := time.Unix(0, 0)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	var s strain
	rest := func(length time.Duration) {
		t.Helper()
		if s.admits(at(length - 1)) {
			t.Fatalf("it is asked before %v are over", length)
		}
		now = at(length)
		if !s.admits(now) || s.admits(now) {
			t.Fatalf("after %v not one and only one tries it", length)
		}
	}
	miss := func() {
		began := now
		now = at(deadline)
		s.ended(false)
		s.missed(began, now, deadline)
	}
	free := func() bool { return s.admits(now) && !s.resting() }
	for range 2 {
		if !free() {
			t.Fatal("a layer that missed nothing is not asked at will")
		}
	}
	other := now // a round that began beside the first that missed
	miss()
	s.missed(other, at(0), deadline)
	for _, length := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 64, 64} {
		rest(length * deadline)
		miss()
	}
	rest(64 * deadline)
	s.ended(false) // its caller hung up
	if !s.resting() || !s.admits(now) {
		t.Error("a try that was given up does not let another in")
	}
	s.ended(true)
	for range 2 {
		if !free() {
			t.Error("it was in time, and is not asked as before")
		}
	}
	miss()
	rest(deadline)
	var base *strain
	if base.missed(now, now, deadline); !base.admits(now) || base.resting() {
		t.Error("base rests")
	}
}
