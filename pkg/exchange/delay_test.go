package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// stood lists how the batches of subscriptions stand as a node has them on record.
func (n *node) stood() (lines []string, records []bus.ExchangeRecord) {
	n.world.tb.Helper()
	q := exchange.Search{Mode: bus.ModeSubscribe, Search: audit.Search{After: -1, Limit: 100}}
	records, _, _, err := n.Exchanges(context.Background(), q, func(bus.USCC) bool { return true })
	must(n.world.tb, err)
	for _, r := range records {
		lines = append(lines, fmt.Sprint(r.First, "-", r.Last, " ", r.Status, " ", r.Fault))
	}
	return lines, records
}

// stands waits until they stand so.
func (n *node) stands(want ...string) (records []bus.ExchangeRecord) {
	n.world.tb.Helper()
	eventually(n.world.tb, fmt.Sprintf("the record of %s is %q", n.id, want), func() error {
		var lines []string
		if lines, records = n.stood(); !slices.Equal(lines, want) {
			return fmt.Errorf("it is %q", lines)
		}
		return nil
	})
	return records
}

// While a node cannot be reached the record says so, and since when; it is one leaf,
// however often it is tried, also across a restart. What goes in the end keeps that.
func TestANodeThatCannotBeReachedIsOnRecordOnce(t *testing.T) {
	w, _ := fake(t)
	var tried atomic.Int64
	down := func(context.Context, exchange.Batch) error {
		tried.Add(1)
		return bus.E(bus.CodePeerUnreachable)
	}
	often := func() {
		t.Helper()
		from := tried.Load()
		eventually(t, "it is tried often", func() error {
			if n := tried.Load() - from; n < 8 {
				return fmt.Errorf("%d times", n)
			}
			return nil
		})
	}
	once := func(want int) {
		t.Helper()
		if told := w.provider().records(audit.KindDelayed); len(told) != want {
			t.Fatalf("%d leaves of a delay, want %d", len(told), want)
		}
	}
	w.subscribe(sub, puller)
	w.line.hook(down, nil)
	began := w.clock.now()
	w.publish(1, 2)
	often()
	w.clock.advance(time.Minute)
	r := w.provider().stands("1-2 delayed network")[0]
	if r.Code != bus.CodePeerUnreachable || r.At.IsZero() || !r.Delayed.Equal(began.Truncate(time.Millisecond)) {
		t.Errorf("told of %+v", r)
	}
	w.provider().reopen()
	often()
	once(1)
	w.line.hook(nil, nil)
	w.settled(sub, 2)
	r = w.provider().stands("1-2 forwarded network")[0]
	if !r.Delayed.Equal(began.Truncate(time.Millisecond)) || r.Forwarded.IsZero() {
		t.Errorf("of what went after all is told %+v", r)
	}
	w.publish(3, 3)
	w.settled(sub, 3)
	w.line.hook(down, nil)
	w.publish(4, 4)
	w.provider().stands("1-2 forwarded network", "3-3 forwarded ", "4-4 delayed network")
	once(2)
}

// An endpoint that does not take events is on record once until it takes one, whatever
// number of events is given up meanwhile; each of those is on record, and what became of it.
func TestWhatASinkDoesNotTakeIsOnRecord(t *testing.T) {
	w, _ := fake(t)
	w.sinks.follow(func([]int) (webhook.Answer, error) { return webhook.Answer{Status: 500}, nil })
	w.subscribe(sub, puller)
	w.put(func(s *bus.Sink) { s.MaxAttempts = 3 })
	w.publish(1, 3)
	w.consumer().stands("1-3 delivered ", "1-1 dead-lettered caller", "2-2 dead-lettered caller", "3-3 dead-lettered caller")
	if told := w.consumer().records(audit.KindDelayed); len(told) != 1 || told[0].Code != bus.CodeEndpointRefused || told[0].First != 1 {
		t.Fatalf("of the delay is told %+v", told)
	}
	w.sinks.follow(nil)
	must(t, w.consumer().Redrive(t.Context(), puller, sub, 1))
	must(t, w.consumer().Discard(t.Context(), puller, sub, 2))
	w.consumer().stands("1-3 delivered ", "1-1 acknowledged ", "3-3 dead-lettered caller", "2-2 discarded ")

	w.sinks.follow(func([]int) (webhook.Answer, error) { return webhook.Answer{}, fmt.Errorf("no route") })
	w.publish(4, 4)
	eventually(t, "the endpoint is away", func() error {
		if n := len(w.consumer().records(audit.KindDelayed)); n != 2 {
			return fmt.Errorf("%d leaves", n)
		}
		return nil
	})
	if told := w.consumer().records(audit.KindDelayed)[1]; told.Code != bus.CodeEndpointUnreachable {
		t.Errorf("of an endpoint that is away is told %+v", told)
	}
}
