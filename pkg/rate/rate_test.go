package rate_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/rate"
)

func TestARateIsOneSystemsOwn(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	rates := rate.New[bus.SystemID](func() time.Time { return now }, 10)
	let, told := 0, 0
	for range 1000 {
		wait, tell := rates.Take("flood", 1)
		if wait == 0 {
			let++
		} else if wait > 100*time.Millisecond {
			t.Fatalf("to wait %v for a tenth of a second's token", wait)
		}
		told += tell
	}
	if let != 20 || told != 1 {
		t.Errorf("let %d of 1000 at once, told of %d", let, told)
	}
	if wait, _ := rates.Take("other", 1); wait > 0 {
		t.Error("another waits too")
	}
	now = now.Add(time.Second)
	for let = 0; ; let++ {
		if wait, _ := rates.Take("flood", 1); wait > 0 {
			break
		}
	}
	if let != 10 {
		t.Errorf("let %d in the next second", let)
	}
	now = now.Add(time.Minute)
	if wait, tell := rates.Take("flood", 1); wait > 0 || tell != 980 {
		t.Errorf("later: wait %v, told of %d", wait, tell)
	}
	if _, tell := rates.Take("flood", 1); tell != 0 {
		t.Error("told twice")
	}
}

// A batch passes as a whole or not at all, and one that is larger than any bucket when
// that is full.
func TestARateCountsWhatABatchHolds(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	rates := rate.New[bus.SystemID](func() time.Time { return now }, 10)
	for _, step := range []struct {
		after time.Duration
		n     int
		wait  time.Duration
	}{
		{0, 15, 0},
		{0, 6, 100 * time.Millisecond}, // nothing of it was taken:
		{0, 5, 0},
		{time.Second, 11, 100 * time.Millisecond},
		{0, 50, time.Second}, // until the bucket is full
		{time.Second, 50, 0},
		{time.Second, 1, 2100 * time.Millisecond}, // 30 are owed, of which 10 are paid
		{2100 * time.Millisecond, 1, 0},
	} {
		now = now.Add(step.after)
		if wait, _ := rates.Take("batches", step.n); (wait - step.wait).Abs() > time.Millisecond {
			t.Errorf("%+v: to wait %v", step, wait)
		}
	}
}
