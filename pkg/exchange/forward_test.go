package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

func TestEventsArriveInOrderOnce(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 600) // more than two batches
	if got := ids(w.received(600)); !slices.Equal(got, numbers(1, 600)) {
		t.Errorf("got %v", got)
	}
}

func TestSubscriptionGetsWhatArrivesSinceItWasMade(t *testing.T) {
	w, _ := fake(t)
	w.publish(1, 3)
	w.clock.advance(time.Hour)
	w.subscribe(sub, puller)
	w.publish(4, 6)
	if got := ids(w.received(3)); !slices.Equal(got, numbers(4, 6)) {
		t.Errorf("got %v", got)
	}
}

// The provider's node may hear of a subscription after events that are for it.
func TestEventsBetweenASubscriptionAndItsForwarderAreForwarded(t *testing.T) {
	w, _ := fake(t)
	w.publish(1, 3)
	w.clock.advance(time.Hour)
	made := w.clock.now()
	w.clock.advance(time.Second)
	w.publish(4, 6)
	w.clock.advance(-time.Second) // the entry's time is that of the leader's clock when it was proposed
	if !w.clock.now().Equal(made) {
		t.Fatal("clock")
	}
	w.subscribe(sub, puller)
	if got := ids(w.received(3)); !slices.Equal(got, numbers(4, 6)) {
		t.Errorf("got %v", got)
	}
}

func TestDeniedBatchNeverLeavesAndIsWithheldOnRecord(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionForward, always(refuse("grant-revoked"))))
	w.subscribe(sub, puller)
	w.publish(1, 10)
	w.settled(sub, 10)
	if batches := w.line.batches(); len(batches) > 0 {
		t.Errorf("%d batches left", len(batches))
	}
	records := w.provider().records(audit.KindDecision, audit.KindWithheld)
	withheld, covered := 0, uint64(1)
	for _, r := range records {
		if r.Kind == audit.KindWithheld {
			if r.First != covered || r.Code != bus.CodeDenied || r.DecisionID == "" {
				t.Errorf("%+v", r)
			}
			withheld += r.Events
			covered = r.Last + 1
		}
	}
	if withheld != 10 || covered != 11 {
		t.Errorf("%d events withheld, up to %d", withheld, covered-1)
	}
	if len(w.consumer().records()) > 0 {
		t.Error("the consumer's node has heard of it")
	}
	w.provider().verify()
}

func TestDecisionIsOnDiskBeforeTheBatchLeaves(t *testing.T) {
	w, _ := fake(t)
	var sent atomic.Int32
	w.line.hook(func(_ context.Context, b exchange.Batch) error {
		sent.Add(1)
		for _, r := range w.provider().records(audit.KindDecision) {
			if r.DecisionID == b.DecisionID && r.Subscription == sub && r.Decision.Allow && r.First <= b.Events[0].Sequence && r.Last >= b.Last {
				return nil
			}
		}
		t.Errorf("a batch up to %d leaves without its decision %q on record", b.Last, b.DecisionID)
		return nil
	}, nil)
	w.subscribe(sub, puller)
	w.publish(1, 300)
	w.received(300)
	if sent.Load() == 0 {
		t.Error("no batch was seen")
	}
}

func TestPassingDenialHoldsAndLosesNothing(t *testing.T) {
	for _, code := range []string{
		policy.CodeTimeout, policy.CodeLayerUnavailable, policy.CodeError, policy.CodeUndefined, policy.CodeResultInvalid, "directory-stale",
	} {
		t.Run(code, func(t *testing.T) {
			w, d := fake(t)
			d.follow(only(policy.ActionForward, always(refuse(code))))
			w.subscribe(sub, puller)
			w.publish(1, 5)
			d.awaitAsked(t, policy.ActionForward, 3)
			if at := w.provider().cursor(sub); at != 1 {
				t.Errorf("the cursor went to %d", at)
			}
			if withheld := w.provider().records(audit.KindWithheld); len(withheld) > 0 || len(w.line.batches()) > 0 {
				t.Errorf("withheld %d, sent %d", len(withheld), len(w.line.batches()))
			}
			d.follow(nil)
			if got := ids(w.received(5)); !slices.Equal(got, numbers(1, 5)) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestStaleReplicaHoldsUntilItHearsTheLeader(t *testing.T) {
	w := newWorld(t, engine(t))
	w.directory.setAge(time.Hour)
	w.subscribe(sub, puller)
	w.publish(1, 3)
	eventually(t, "the batch is held", func() error {
		for _, r := range w.provider().records(audit.KindDecision) {
			if r.Subscription == sub && r.Decision.Reasons[0].Code == "directory-stale" {
				return nil
			}
		}
		return errLine
	})
	if withheld := w.provider().records(audit.KindWithheld); len(withheld) > 0 || len(w.line.batches()) > 0 {
		t.Errorf("withheld %d, sent %d", len(withheld), len(w.line.batches()))
	}
	w.directory.setAge(0)
	w.received(3)
	w.directory.setAge(time.Hour)
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 3)
	wantCode(t, err, bus.CodeUndecided)
	w.directory.setAge(0)
	if got := ids(w.received(3)); !slices.Equal(got, numbers(1, 3)) {
		t.Errorf("got %v", got)
	}
}

func TestPassingReasonBesideAFinalOneDropsAllTheSame(t *testing.T) {
	w, d := fake(t)
	both := refuse(policy.CodeTimeout)
	both.Reasons = append(both.Reasons, refuse("grant-revoked").Reasons...)
	d.follow(only(policy.ActionForward, always(both)))
	w.subscribe(sub, puller)
	w.publish(1, 1)
	w.settled(sub, 1)
}

func TestRetriesKeepOneDecisionOnRecord(t *testing.T) {
	w, d := fake(t)
	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	w.subscribe(sub, puller)
	w.publish(1, 5)
	d.awaitAsked(t, policy.ActionForward, 10)
	w.line.hook(nil, nil)
	w.received(5)
	w.settled(sub, 5)
	var onRecord []string
	for _, r := range w.provider().records(audit.KindDecision) {
		if r.Subscription == sub {
			onRecord = append(onRecord, r.DecisionID)
		}
	}
	forwarded := w.provider().records(audit.KindForwarded)
	if len(onRecord) != 1 || len(forwarded) != 1 || forwarded[0].DecisionID != onRecord[0] || w.line.batches()[0].DecisionID != onRecord[0] {
		t.Errorf("decisions %v on record, forwarded %+v", onRecord, forwarded)
	}
}

func TestObligationsAreAppliedBeforeABatchLeaves(t *testing.T) {
	w, d := fake(t)
	masked := bus.Decision{Allow: true, Obligations: bus.Obligations{
		Items: []bus.ItemID{"name", "legal_id"}, Masks: map[bus.ItemID]bus.Mask{"legal_id": {Method: bus.MaskKeep, Head: 6, Tail: 4}},
	}}
	d.follow(only(policy.ActionForward, always(masked)))
	w.subscribe(sub, puller)
	w.publish(1, 1)
	w.received(1)
	const want = `"data":{"name":"示例企业1[]","legal_id":"440306********1230"}`
	if sent := string(w.line.batches()[0].Events[0].Event); !strings.Contains(sent, want) {
		t.Errorf("sent %s", sent)
	}
}

func TestItemsOutsideTheResourceNeverLeave(t *testing.T) {
	w := newWorld(t, engine(t))
	w.subscribe(sub, puller)
	w.publish(1, 1)
	e := w.received(1)[0]
	for _, leak := range []string{"inner", "never leaves", "198512301230", "13800138000"} {
		if strings.Contains(string(e.Data()), leak) {
			t.Errorf("%q is in %s", leak, e.Data())
		}
	}
	if !strings.Contains(string(e.Data()), `"name":"示例企业1[]"`) {
		t.Errorf("%s", e.Data())
	}
}

func TestEventThatCannotBeMaskedIsWithheldAlone(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	odd := sample(2)
	must(t, odd.SetData("text/plain", []byte("440306198512301230")))
	_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(1), odd, sample(3)})
	must(t, err)
	if got := ids(w.received(2)); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("got %v", got)
	}
	w.settled(sub, 3)
	withheld := w.provider().records(audit.KindWithheld)
	if len(withheld) != 1 || withheld[0].First != 2 || withheld[0].Last != 2 || withheld[0].Events != 1 {
		t.Errorf("%+v", withheld)
	}
	forwarded := w.provider().records(audit.KindForwarded)
	if len(forwarded) != 1 || forwarded[0].Events != 2 {
		t.Errorf("%+v", forwarded)
	}
}

func TestBatchOfWhichNothingMayLeaveIsNotSent(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	odd := sample(1)
	must(t, odd.SetData("text/plain", []byte("x")))
	_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{odd})
	must(t, err)
	w.settled(sub, 1)
	if len(w.line.batches()) > 0 || len(w.provider().records(audit.KindForwarded)) > 0 {
		t.Error("something was sent")
	}
}

func TestDeadDestinationDelaysOnlyItsOwnSubscription(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.subscribe("sub-2", stranger)
	tried := make(chan struct{}, 1000)
	w.line.hook(func(_ context.Context, b exchange.Batch) error {
		if b.Subscription == sub {
			tried <- struct{}{}
			return errLine
		}
		return nil
	}, nil)
	w.publish(1, 50)
	w.settled("sub-2", 50)
	within(t, "a try", tried)
	within(t, "another try", tried)
	if at := w.provider().cursor(sub); at != 1 {
		t.Errorf("the dead one's cursor is at %d", at)
	}
	w.line.hook(nil, nil)
	if got := ids(w.received(50)); !slices.Equal(got, numbers(1, 50)) {
		t.Errorf("got %v", got)
	}
}

func TestPausedDestinationHoldsUpNobody(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.subscribe("sub-2", stranger)
	entered, release := make(chan struct{}, 100), make(chan struct{})
	w.line.hook(func(ctx context.Context, b exchange.Batch) error {
		if b.Subscription != sub {
			return nil
		}
		entered <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil)
	w.publish(1, 10)
	within(t, "the paused delivery", entered)
	w.publish(11, 20) // publishing goes on
	w.settled("sub-2", 20)
	close(release)
	w.received(20)
}

// The batch is on the disk there, but the provider's node dies before it knows.
func TestCrashBetweenDeliveryAndCursorDuplicatesNothing(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.loseAnswer(1, 10)
	w.line.hook(nil, nil)
	w.provider().open()
	if at := w.provider().cursor(sub); at != 1 {
		t.Fatalf("the cursor was at %d before the crash", at)
	}
	w.settled(sub, 10)
	w.publish(11, 12)
	if got := ids(w.received(12)); !slices.Equal(got, numbers(1, 12)) {
		t.Errorf("got %v", got)
	}
	events := 0
	for _, r := range w.consumer().records(audit.KindReceived) {
		events += r.Events
	}
	if events != 12 {
		t.Errorf("%d events received on record", events)
	}
	w.provider().verify()
	w.consumer().verify()
}

func TestCursorGoesOnWhereItWasAfterReopening(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 5)
	w.settled(sub, 5)
	w.provider().reopen()
	w.publish(6, 8)
	w.received(8)
	for _, b := range w.line.batches()[1:] {
		if b.Events[0].Sequence <= 5 {
			t.Errorf("sent again from %d", b.Events[0].Sequence)
		}
	}
}

func TestNoDeliveryBeginsAfterARevocation(t *testing.T) { // S37
	w := newWorld(t, engine(t))
	var revoked atomic.Bool
	entered, release := make(chan struct{}, 10), make(chan struct{})
	w.line.hook(func(ctx context.Context, b exchange.Batch) error {
		if revoked.Load() {
			t.Errorf("a delivery up to %d begins after the revocation", b.Last)
		}
		entered <- struct{}{}
		select { // the receiver is paused
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil)
	w.subscribe(sub, puller)
	w.publish(1, 1000)
	within(t, "the first delivery", entered)
	w.revoke()
	revoked.Store(true)
	close(release)
	w.settled(sub, 1000)
	if len(entered) > 0 {
		t.Errorf("%d more deliveries", len(entered))
	}
	begun := len(w.line.batches()[0].Events)
	withheld := 0
	for _, r := range w.provider().records(audit.KindWithheld) {
		withheld += r.Events
	}
	if begun+withheld != 1000 {
		t.Errorf("%d on the way before, %d withheld, of 1000", begun, withheld)
	}
	// What was on the way waits at the consumer's node, and stays there.
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	wantCode(t, err, bus.CodeDenied)
	if left := w.consumer().inbox(sub); len(left) > 0 {
		t.Errorf("%d events left in the inbox", len(left))
	}
	w.provider().verify()
	w.consumer().verify()
}

// revocation between the decision and the send: the commit that records the
// decision takes time, and the world changes meanwhile.
func TestRevocationDuringTheDecisionStopsTheBatch(t *testing.T) {
	w, d := fake(t)
	var revoked atomic.Bool
	d.follow(only(policy.ActionForward, func(in policy.Input) bus.Decision {
		if in.Grant.Revoked {
			return refuse("grant-revoked")
		}
		if !revoked.Swap(true) {
			w.revoke()
		}
		return allow(in)
	}))
	w.subscribe(sub, puller)
	w.publish(1, 1)
	w.settled(sub, 1)
	if len(w.line.batches()) > 0 {
		t.Error("the batch left on a decision that no longer stood")
	}
}

func TestChangedAttributeGetsAFreshDecision(t *testing.T) { // S38
	w, d := fake(t)
	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	w.subscribe(sub, puller)
	w.publish(1, 3)
	d.awaitAsked(t, policy.ActionForward, 3)
	d.follow(only(policy.ActionForward, func(in policy.Input) bus.Decision {
		if in.Resource.Items[0].Grade == 4 {
			return refuse("grade-too-high")
		}
		return allow(in)
	}))
	changed := resource()
	changed.Items[0].Grade = 4
	w.catalogue(publisher, changed)
	w.line.hook(nil, nil)
	w.settled(sub, 3)
	if len(w.line.batches()) > 0 {
		t.Error("the batch left on the decision of before")
	}
}

// After a start there is a moment without any layer but base: nothing passes then.
func TestWithoutItsLayersThePolicyEngineHolds(t *testing.T) {
	w := newWorld(t, engine(t))
	w.subscribe(sub, puller)
	text := "package gxbus.division.d440100\n\nitems := {\"name\"}\n"
	layer := bus.Layer{ID: bus.DivisionLayer("440100"), Modules: map[string]string{"a.rego": text}}
	layer.Revision = w.enact(layer)
	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	w.publish(1, 1)
	e := unloaded(t)
	w.decider = e
	w.provider().reopen()
	w.line.hook(nil, nil)
	eventually(t, "the batch is held", func() error {
		for _, r := range w.provider().records(audit.KindDecision) {
			if r.Subscription == sub && !r.Decision.Allow && r.Decision.Reasons[0].Code == policy.CodeLayerUnavailable {
				return nil
			}
		}
		return fmt.Errorf("%d batches sent", len(w.line.batches()))
	})
	if n := len(w.line.batches()); n > 0 {
		t.Fatalf("%d batches left without the layer", n)
	}
	e.Load([]bus.Layer{layer})
	if got := string(w.received(1)[0].Data()); got != `{"name":"示例企业1[]"}` {
		t.Errorf("got %s", got)
	}
}

// A held batch does not wait for its turn where the directory says something new.
func TestChangeOfTheDirectoryWakesAHeldBatch(t *testing.T) {
	w, d := fake(t)
	w.provider().retry = time.Hour
	w.provider().reopen()
	d.follow(only(policy.ActionForward, func(in policy.Input) bus.Decision {
		if in.Resource.Items[0].Grade != 2 {
			return refuse("directory-stale")
		}
		return allow(in)
	}))
	w.subscribe(sub, puller)
	w.publish(1, 1)
	eventually(t, "the batch is held", func() error {
		for _, r := range w.provider().records(audit.KindDecision) {
			if r.Subscription == sub {
				return nil
			}
		}
		return errLine
	})
	changed := resource()
	changed.Items[0].Grade = 2
	w.catalogue(publisher, changed)
	w.received(1)
}

func TestEndedSubscriptionIsForwardedNoMore(t *testing.T) {
	w, _ := fake(t)
	revision := w.subscribe(sub, puller)
	w.publish(1, 2)
	w.settled(sub, 2)
	w.write(puller, command.SubscriptionDelete, revision, command.Key{ID: string(sub)})
	w.subscribe("sub-2", stranger)
	w.publish(3, 4)
	w.settled("sub-2", 4)
	if at := w.provider().cursor(sub); at > 3 { // 0 once it is forgotten
		t.Errorf("the cursor went on to %d", at)
	}
}
