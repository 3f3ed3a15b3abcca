package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// stored lists the numbers of the events that a node keeps of a resource.
func (n *node) stored() (numbers []int) {
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("events")).Bucket([]byte(firms)).ForEach(func(key, _ []byte) error {
			numbers = append(numbers, int(number(key)))
			return nil
		})
	}))
	return numbers
}

func TestEventsGoOnceTheyAreOldAndAllSubscriptionsArePastThem(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.subscribe("sub-2", colleague)
	w.line.hook(func(_ context.Context, b exchange.Batch) error {
		if b.Subscription == "sub-2" {
			return errLine
		}
		return nil
	}, nil)
	first, err := w.provider().Publish(t.Context(), publisher, "", firms, run(1, 10))
	must(t, err)
	w.settled(sub, 10)
	trim := func(want string) {
		t.Helper()
		must(t, w.provider().Trim(t.Context()))
		if got := fmt.Sprint(w.provider().stored()); got != want {
			t.Errorf("%s are kept, want %s", got, want)
		}
	}
	w.clock.advance(kept + time.Hour)
	trim("[1 2 3 4 5 6 7 8 9 10]") // a subscription has yet to get them
	w.line.hook(nil, nil)
	w.settled("sub-2", 10)
	w.publish(11, 12)
	w.settled(sub, 12)
	w.settled("sub-2", 12)
	trim("[11 12]")
	gone := w.provider().records(audit.KindAdministered)
	if last := gone[len(gone)-1]; last.First != 1 || last.Last != 10 || last.Events != 10 || last.Digest != w.provider().records(audit.KindAccepted)[0].Digest {
		t.Errorf("on record: %+v", last)
	}
	w.clock.advance(kept + time.Hour)
	trim("[12]") // the newest stays: the next is numbered after it

	// What has gone is still known.
	w.provider().reopen()
	again, err := w.provider().Publish(t.Context(), publisher, "", firms, append(run(3, 3), sample(13)))
	must(t, err)
	if !again[0].Duplicate || again[0].Digest != first[2].Digest || again[0].Sequence != 3 || again[1].Sequence != 13 {
		t.Errorf("again %+v, at first %+v", again, first[2])
	}
	w.settled(sub, 13)
	w.settled("sub-2", 13)
	refusal(t, w, bus.CodeEventConflict, func() error {
		_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(3, "other")})
		return err
	})
}

// A replay is promised what is kept when it is asked for, though it begins only later:
// here the subscription is paused.
func TestWhatAReplayIsToBringDoesNotGoBeforeItHasBegun(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 5)
	w.received(5)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 5))
	w.settled(sub, 5)
	w.step(bus.SubscriptionPause, "")
	w.step(bus.SubscriptionReplay, bus.StartBeginning)
	w.clock.advance(kept + time.Hour)
	must(t, w.provider().Trim(t.Context()))
	if got := len(w.provider().stored()); got != 5 {
		t.Errorf("%d of 5 are kept", got)
	}
	w.step(bus.SubscriptionResume, "")
	if got := ids(w.received(5)); !slices.Equal(got, numbers(1, 5)) {
		t.Errorf("replayed: %v", got)
	}
	w.settled(sub, 5) // they are received before the cursor moves
	must(t, w.provider().Trim(t.Context()))
	if got := fmt.Sprint(w.provider().stored()); got != "[5]" {
		t.Errorf("%s are kept once it has had them", got)
	}
}

func TestAFullLogTakesNothingAndDropsNothing(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	w.provider().close()
	w.provider().bytes = 400 << 10
	w.provider().open()
	taken := 0
	var err error
	for ; err == nil && taken < 10_000; taken += 20 {
		_, err = w.provider().Publish(t.Context(), publisher, "", firms, run(taken+1, taken+20))
	}
	taken -= 20
	if bus.CodeOf(err) != bus.CodeLogFull {
		t.Fatalf("after %d events: %v", taken, err)
	}
	if e, _ := errors.AsType[*bus.Error](err); e.Code.Kind() != bus.KindStorageFull {
		t.Errorf("of kind %v", e.Code.Kind())
	}
	must(t, w.provider().Trim(t.Context()))
	if kept := len(w.provider().stored()); kept != taken {
		t.Errorf("%d events are kept of %d", kept, taken)
	}
	w.line.hook(nil, nil)
	w.settled(sub, uint64(taken))
	w.clock.advance(time.Second)
	eventually(t, "there is room again, though the events are young", func() error {
		_, err := w.provider().Publish(t.Context(), publisher, "", firms, run(taken+1, taken+1))
		return err
	})
	if got := len(w.consumer().inbox(sub)); got < taken {
		t.Errorf("%d of %d arrived", got, taken)
	}
}
