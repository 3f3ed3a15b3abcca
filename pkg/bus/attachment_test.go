package bus_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestAnAttachmentIsWrittenWhenItChangesAndOnceAnHour(t *testing.T) {
	at := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	var a bus.Attachment
	written := 0
	ask := func(answered bool, after time.Duration) {
		at = at.Add(after)
		next, news := a.Next(answered, at)
		if news {
			written++
			a = next
		} else if next != a {
			t.Errorf("%+v is no news, and is not %+v", next, a)
		}
	}
	check := func(what string, state bus.AttachmentState, times int) {
		t.Helper()
		if a.State != state || written != times {
			t.Errorf("%s: %s, written %d times; want %s, %d", what, a.State, written, state, times)
		}
	}
	ask(true, 0)
	check("first", bus.Attached, 1)
	first := at
	for range 59 {
		ask(true, time.Minute)
	}
	check("within the hour", bus.Attached, 1)
	ask(true, time.Minute)
	check("after an hour", bus.Attached, 2)
	if !a.Heartbeat.Equal(at) || !a.Since.Equal(first) {
		t.Errorf("%+v", a)
	}
	ask(false, time.Minute)
	ask(false, time.Minute)
	check("fails", bus.Failing, 3)
	if a.Heartbeat.After(a.Since) || !a.Since.Equal(at.Add(-time.Minute)) {
		t.Errorf("%+v", a)
	}
	ask(true, time.Minute)
	check("is back", bus.Attached, 4)
}
