package exchange_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

func (w *world) step(step bus.SubscriptionStep, from string) {
	w.tb.Helper()
	w.write(puller, command.SubscriptionStep, 0, command.SubscriptionStepped{Subscription: sub, Step: step, From: from})
}

func TestASubscriptionBeginsWhereItSays(t *testing.T) {
	w, _ := fake(t)
	w.publish(1, 3)
	w.clock.advance(time.Hour)
	then := w.clock.now().Format(time.RFC3339)
	w.publish(4, 6)
	w.clock.advance(time.Hour)
	w.request(sub, func(s *bus.Subscription) { s.Start = bus.StartBeginning })
	if got := ids(w.received(6)); !slices.Equal(got, numbers(1, 6)) {
		t.Errorf("from the beginning: %v", got)
	}
	w.request("sub-2", func(s *bus.Subscription) { s.Start = then })
	eventually(t, "it is forwarded from the time on", func() error {
		got, _, err := w.consumer().Pull(t.Context(), puller, "sub-2", 10)
		if err == nil && !slices.Equal(ids(got), numbers(4, 6)) {
			err = errLine
		}
		return err
	})
}

func TestAPausedSubscriptionGetsNothingAndGoesOnWhereItWas(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 3)
	w.received(3)
	w.step(bus.SubscriptionPause, "")
	w.publish(4, 6)
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	wantCode(t, err, bus.CodeWrongState)
	w.subscribe("sub-2", puller) // one that is not paused shows that forwarding has gone on
	w.publish(7, 7)
	w.settled("sub-2", 7)
	if at := w.provider().cursor(sub); at != 4 {
		t.Errorf("the cursor of the paused one is at %d", at)
	}
	w.step(bus.SubscriptionResume, "")
	if got := ids(w.received(7)); !slices.Equal(got, numbers(1, 7)) {
		t.Errorf("got %v", got)
	}
}

// A batch of the time before that is still on its way must not get in between.
func TestAReplayBeginsAnewAndWhatWasUnderWayIsPassedOver(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 5)
	w.received(5)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 2))
	old := w.line.batches()[0]
	w.step(bus.SubscriptionReplay, bus.StartBeginning)
	if got := ids(w.received(5)); !slices.Equal(got, numbers(1, 5)) {
		t.Errorf("replayed: %v", got)
	}
	must(t, w.consumer().Receive(t.Context(), shenzhen, old))
	w.publish(6, 6)
	if got := ids(w.received(6)); !slices.Equal(got, numbers(1, 6)) {
		t.Errorf("after a batch of before: %v", got)
	}
	gone := w.consumer().records(audit.KindReplayed)
	if len(gone) != 1 || gone[0].First != 3 || gone[0].Last != 5 || gone[0].Events != 3 {
		t.Errorf("on record as gone: %+v", gone)
	}
	w.provider().reopen() // the run is on the disk
	w.publish(7, 7)
	if got := ids(w.received(7)); !slices.Equal(got, numbers(1, 7)) {
		t.Errorf("after a restart: %v", got)
	}
}

func TestAwaitReturnsWhenSomethingComes(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	came := make(chan error, 1)
	go func() { came <- w.consumer().Await(context.Background(), sub, 1) }()
	w.publish(1, 1)
	w.received(1)
	select {
	case <-came:
		t.Fatal("it returned for an event that is not behind the number")
	default:
	}
	w.publish(2, 2)
	within(t, "Await", came)
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.consumer().Await(short, sub, 2); err == nil {
		t.Error("it waits for ever")
	}
	out, err := w.consumer().Next(t.Context(), puller, sub, 1, 10)
	must(t, err)
	if !slices.Equal(out.Numbers, []uint64{2}) || out.Last != 2 {
		t.Errorf("behind the first: %+v", out)
	}
}
