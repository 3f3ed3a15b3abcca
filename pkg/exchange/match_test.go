package exchange_test

import (
	"context"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// request is a subscription of the puller's, changed.
func (w *world) request(id bus.SubscriptionID, change func(*bus.Subscription)) bus.Subscription {
	s := bus.Subscription{ID: id, Resource: firms, Consumer: services, System: puller.System, Purpose: bus.PurposeReference, Grant: grant}
	if change != nil {
		change(&s)
	}
	w.write(puller, command.SubscriptionPut, 0, s)
	return s
}

func TestFiltersPassOverEventsOnRecordOnceAndAskNobodyOfThem(t *testing.T) {
	w, d := fake(t)
	lost := 0
	w.line.hook(nil, func(_ context.Context, _ exchange.Batch) error { // the first answer is lost
		if lost++; lost == 1 {
			return errLine
		}
		return nil
	})
	w.request(sub, func(s *bus.Subscription) { s.Filters = []bus.Filter{{Suffix: map[string]string{"id": "7"}}} })
	w.publish(1, 600)
	var want []int
	for n := 7; n <= 600; n += 10 {
		want = append(want, n)
	}
	if got := ids(w.received(len(want))); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	w.settled(sub, 600)
	passed, next := 0, uint64(1)
	for _, r := range w.provider().records(audit.KindUnmatched) {
		if r.First < next || r.Subscription != sub || r.Digest == "" {
			t.Errorf("after %d: %+v", next, r)
		}
		passed, next = passed+r.Events, r.Last+1
	}
	if passed != 600-len(want) {
		t.Errorf("%d events are on record as passed over, want %d", passed, 600-len(want))
	}
	if lost < 2 {
		t.Error("no batch was sent again")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, in := range d.asked {
		if in.Action == policy.ActionForward {
			return
		}
	}
	t.Error("nothing was decided on")
}

func TestNothingIsDecidedWhereNoEventMatches(t *testing.T) {
	w, d := fake(t)
	w.request(sub, func(s *bus.Subscription) { s.Filters = []bus.Filter{{SQL: "absent = 'x'"}} })
	w.publish(1, 20)
	w.settled(sub, 20)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, in := range d.asked {
		if in.Action == policy.ActionForward {
			t.Error("there was a decision to forward nothing")
		}
	}
	told := w.provider().records(audit.KindUnmatched)
	if len(told) == 0 || told[0].Detail == "" {
		t.Errorf("it is not on record that the expression failed: %+v", told)
	}
}

func TestABadFilterIsRefusedBeforeAnythingIsDecided(t *testing.T) {
	w, d := fake(t)
	err := w.consumer().Subscribe(t.Context(), puller, "", bus.Subscription{
		ID: sub, Resource: firms, Consumer: services, System: puller.System, Purpose: bus.PurposeReference, Filters: []bus.Filter{{SQL: "type ="}},
	})
	wantCode(t, err, bus.CodeInvalid)
	if len(d.asked) > 0 {
		t.Error("it was decided on")
	}
}
