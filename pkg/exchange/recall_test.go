package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// The provider's node dies between the other node's answer and its own leaf, and may not
// forward any more when it starts: what had arrived is on record as forwarded, not as
// withheld. While the other node cannot be asked, nothing is on record.
func TestWhatArrivedBeforeADenialIsOnRecordAsForwarded(t *testing.T) {
	w, d := fake(t)
	w.subscribe(sub, puller)
	w.loseAnswer(1, 10)
	d.follow(only(policy.ActionForward, always(refuse("grant-revoked"))))
	asked := make(chan struct{}, 100)
	w.line.hook(func(context.Context, exchange.Batch) error {
		asked <- struct{}{}
		return errLine
	}, nil)
	w.provider().open()
	for range 3 {
		within(t, "the other node to be asked", asked)
	}
	if ended := w.provider().records(audit.KindForwarded, audit.KindWithheld); len(ended) > 0 || w.provider().cursor(sub) != 1 {
		t.Fatalf("on record before the other node was asked: %+v", ended)
	}
	w.line.hook(nil, nil)
	w.settled(sub, 10)
	w.publish(11, 12)
	w.settled(sub, 12)
	ended, received := w.provider().records(audit.KindForwarded, audit.KindWithheld), w.consumer().records(audit.KindReceived)
	var told []string
	for _, r := range ended {
		told = append(told, fmt.Sprint(r.Kind, " ", r.First, "-", r.Last, " ", r.Events))
	}
	if want := []string{"forwarded 1-10 10", "withheld 11-12 2"}; !slices.Equal(told, want) {
		t.Fatalf("on record: %v, want %v", told, want)
	}
	if ended[0].Digest != received[0].Digest || ended[0].DecisionID != received[0].DecisionID {
		t.Errorf("forwarded %+v\nreceived %+v", ended[0], received[0])
	}
	w.provider().verify()
	w.consumer().verify()
}

// recalled gives the batch of ten events that is still on its way when they are denied
// and withheld.
func (w *world) recalled(d *decider) exchange.Batch {
	w.tb.Helper()
	sent := make(chan exchange.Batch, 1)
	w.line.hook(func(ctx context.Context, b exchange.Batch) error {
		sent <- b
		<-ctx.Done()
		return ctx.Err()
	}, nil)
	w.publish(1, 10)
	late := <-sent
	w.provider().close()
	d.follow(only(policy.ActionForward, always(refuse("grant-revoked"))))
	w.line.hook(nil, nil)
	w.provider().open()
	w.settled(sub, 10)
	return late
}

// takesWhatLeavesLater demands that nothing of a recalled batch has arrived, and that what
// is published after it does.
func (w *world) takesWhatLeavesLater(d *decider) {
	w.tb.Helper()
	if waiting := w.consumer().inbox(sub); len(waiting) > 0 {
		w.tb.Errorf("%v arrived after they were withheld", waiting)
	}
	d.follow(nil)
	w.publish(11, 12)
	if got := ids(w.received(2)); !slices.Equal(got, numbers(11, 12)) {
		w.tb.Errorf("got %v", got)
	}
}

// A batch that is still on its way when its events are denied does not arrive after they
// are on record as withheld. What leaves later on another decision does.
func TestABatchThatWasRecalledIsNotTaken(t *testing.T) {
	w, d := fake(t)
	w.subscribe(sub, puller)
	late := w.recalled(d)
	wantCode(t, w.consumer().Receive(t.Context(), shenzhen, late), bus.CodeUnavailable)
	w.takesWhatLeavesLater(d)
}

// A department is abandoned, and what its node had noted goes: a batch that was recalled
// there is not taken either when it comes back, however long it was on its way.
func TestABatchThatWasRecalledIsNotTakenAfterAnAbandonment(t *testing.T) {
	w, d := movable(t)
	w.subscribe(sub, puller)
	late := w.recalled(d)
	w.write(sysadmin, command.DepartmentMove, 0, command.Move{Department: services, To: zhuhai, Abandon: true})
	eventually(t, "the third node serves it", func() error { return w.nodes[zhuhai].holds(services, "kept") })
	eventually(t, "the directory has that", func() error {
		if d, home := w.department(services); home != zhuhai || d.Move != nil {
			return fmt.Errorf("at %s, %+v", home, d.Move)
		}
		return nil
	})
	wantCode(t, w.nodes[zhuhai].Receive(t.Context(), shenzhen, late), bus.CodeWrongNode)
	w.move(services, guangzhou)
	w.moved(services, zhuhai, guangzhou)
	wantCode(t, w.consumer().Receive(t.Context(), shenzhen, late), bus.CodeWrongNode)
	w.takesWhatLeavesLater(d)
}

// The subscription is replayed while nobody knows whether a batch had arrived: that is
// found out before it begins anew.
func TestWhatArrivedBeforeAReplayIsOnRecord(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.loseAnswer(1, 10)
	w.step(bus.SubscriptionReplay, bus.StartBeginning)
	w.line.hook(nil, nil)
	w.provider().open()
	eventually(t, "both runs to be on record", func() error {
		forwarded, received := w.provider().records(audit.KindForwarded), w.consumer().records(audit.KindReceived)
		if len(forwarded) != 2 || len(received) != 2 {
			return fmt.Errorf("forwarded %d times, received %d", len(forwarded), len(received))
		}
		for i := range forwarded {
			if forwarded[i].Events != 10 || forwarded[i].Digest != received[i].Digest || forwarded[i].DecisionID != received[i].DecisionID {
				t.Errorf("run %d: forwarded %+v\nreceived %+v", i, forwarded[i], received[i])
			}
		}
		return nil
	})
	if got := ids(w.received(10)); !slices.Equal(got, numbers(1, 10)) {
		t.Errorf("got %v", got)
	}
}

// Only the provider's node takes batches back.
func TestNobodyElseRecallsABatch(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 2)
	w.received(2)
	for _, from := range []bus.NodeID{guangzhou, "nowhere"} {
		_, err := w.consumer().Recall(t.Context(), from, exchange.Recall{Heading: exchange.Heading{Subscription: sub, From: from, Attempt: 1 << 62}})
		wantCode(t, err, bus.CodeWrongNode)
	}
	if refused := w.consumer().records(audit.KindRefused); len(refused) != 2 {
		t.Errorf("%d refusals on record", len(refused))
	}
	w.publish(3, 4)
	w.settled(sub, 4)
	if got := w.consumer().inbox(sub); len(got) != 4 {
		t.Errorf("%v wait", got)
	}
}
