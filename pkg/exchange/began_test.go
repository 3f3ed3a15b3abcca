package exchange_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// midnight is 24:00 in Shanghai of the day on which a world begins.
var midnight = time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC)

// begins lists when the exchanges of records began, each once, in minutes since
// midnight; all of them have to say so.
func begins(t *testing.T, records []audit.Record) (minutes []int) {
	t.Helper()
	for _, r := range records {
		if r.Began.IsZero() {
			t.Errorf("%s does not say when it began", r.Kind)
		}
		minutes = append(minutes, int(r.Began.Sub(midnight)/time.Minute))
	}
	return slices.Compact(minutes)
}

// A query is asked at 23:59 and comes to the provider's node at 00:01: both have on record
// that it began at 23:59, whatever became of it. Tried again under its id it is the same
// until 01:00, and then begins anew.
func TestAQueryAcrossMidnightBeganAtOneTimeForBothNodes(t *testing.T) {
	w, d := fake(t)
	w.clock.advance(midnight.Add(-time.Minute).Sub(w.clock.now()))
	d.follow(func(in policy.Input) bus.Decision {
		if in.Stage == policy.StageProvider {
			w.clock.advance(2 * time.Minute) // its way
		}
		return allow(in)
	})
	want := []int{-1}
	for i, pause := range []time.Duration{0, 10 * time.Minute, 40 * time.Minute, 15 * time.Minute, 20 * time.Minute} {
		w.clock.advance(pause)
		now := int(w.clock.now().Sub(midnight) / time.Minute)
		if i == 3 {
			want = append(want, now)
		}
		if (now >= 60) != (i >= 3) {
			t.Fatalf("try %d is %d minutes after midnight", i, now)
		}
		w.bound = answering(200, `[]`)
		if i == 0 {
			w.bound = func(context.Context, binding.Call) (*binding.Answer, error) { return nil, errors.New("it is down") }
		}
		if _, _, err := w.ask(puller, "r-1", inquiry(`{"q":1}`)); (err != nil) != (i == 0) {
			t.Fatal(err)
		}
		w.consumer().reopen() // it is on the disk
	}
	for _, n := range []*node{w.consumer(), w.provider()} {
		records := n.records()
		if got := begins(t, records); !slices.Equal(got, want) || len(records) != 5*3 {
			t.Errorf("%s has %d leaves that say %v, want %v", n.id, len(records), got, want)
		}
	}
}

// A batch is decided on at 23:59 and the line is down until 00:29, or 01:29: the nodes say
// the same of when it began, and one that begins anew is decided on anew.
func TestABatchAcrossMidnightBeganAtOneTimeForBothNodes(t *testing.T) {
	for _, c := range []struct {
		down  int // attempts, half an hour each
		began []int
	}{{0, []int{-1}}, {1, []int{-1}}, {3, []int{-1, 89}}} {
		w, _ := fake(t)
		w.clock.advance(midnight.Add(-time.Minute).Sub(w.clock.now()))
		attempts := 0
		w.line.hook(func(context.Context, exchange.Batch) error {
			if attempts++; attempts <= c.down {
				w.clock.advance(30 * time.Minute)
				return errLine
			}
			return nil
		}, nil)
		w.subscribe(sub, puller)
		w.publish(1, 1)
		w.received(1)
		w.settled(sub, 1)
		decisions := slices.DeleteFunc(w.provider().records(audit.KindDecision), func(r audit.Record) bool { return r.Subscription == "" })
		if got := begins(t, decisions); !slices.Equal(got, c.began) || len(decisions) != len(c.began) {
			t.Errorf("down %d times: %d decisions, of %v, want %v", c.down, len(decisions), got, c.began)
		}
		last := c.began[len(c.began)-1:]
		for _, records := range [][]audit.Record{w.provider().records(audit.KindForwarded), w.consumer().records(audit.KindReceived)} {
			if got := begins(t, records); !slices.Equal(got, last) || records[0].DecisionID != decisions[len(decisions)-1].DecisionID {
				t.Errorf("down %d times: %s at %v, want %v", c.down, records[0].Kind, got, last)
			}
		}
	}
}
