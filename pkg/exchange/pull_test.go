package exchange_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// waitingWorld has the sample events first to last in the consumer's inbox.
func waitingWorld(t *testing.T, events int) (*world, *decider) {
	t.Helper()
	w, d := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, events)
	w.settled(sub, uint64(events))
	return w, d
}

func TestPullGivesTheSameUntilAcknowledged(t *testing.T) {
	w, _ := waitingWorld(t, 10)
	for range 2 {
		events, last, err := w.consumer().Pull(t.Context(), puller, sub, 4)
		must(t, err)
		if !slices.Equal(ids(events), numbers(1, 4)) || last != 4 {
			t.Fatalf("got %v, %d", ids(events), last)
		}
	}
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 2)) // of a part
	w.consumer().reopen()
	events, last, err := w.consumer().Pull(t.Context(), puller, sub, 100)
	must(t, err)
	if !slices.Equal(ids(events), numbers(3, 10)) || last != 10 {
		t.Fatalf("got %v, %d", ids(events), last)
	}
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, last))
	events, last, err = w.consumer().Pull(t.Context(), puller, sub, 100)
	must(t, err)
	if len(events) > 0 || last != 0 {
		t.Errorf("got %v, %d from an empty inbox", ids(events), last)
	}
}

func TestAcknowledgementIsCumulativeAndRecordedOnce(t *testing.T) {
	w, _ := waitingWorld(t, 10)
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	must(t, err)
	for _, last := range []uint64{4, 4, 2, 0, 9} {
		must(t, w.consumer().Acknowledge(t.Context(), puller, sub, last))
	}
	var ranges [][3]uint64
	for _, r := range w.consumer().records(audit.KindAcknowledged) {
		ranges = append(ranges, [3]uint64{r.First, r.Last, uint64(r.Events)})
	}
	if want := [][3]uint64{{1, 4, 4}, {5, 9, 5}}; !slices.Equal(ranges, want) {
		t.Errorf("acknowledged %v, want %v", ranges, want)
	}
	if got := w.consumer().inbox(sub); !slices.Equal(got, []uint64{10}) {
		t.Errorf("inbox %v", got)
	}
}

// A subscription made late acknowledges nothing that was never for it.
func TestAcknowledgementCoversOnlyWhatWasInTheInbox(t *testing.T) {
	w, _ := fake(t)
	w.publish(1, 5)
	w.clock.advance(1)
	w.subscribe(sub, puller)
	w.publish(6, 8)
	w.received(3)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 8))
	if r := w.consumer().records(audit.KindAcknowledged)[0]; r.First != 6 || r.Last != 8 || r.Events != 3 {
		t.Errorf("%+v", r)
	}
}

func TestAcknowledgementBeyondWhatWasHandedOutIsRefused(t *testing.T) {
	w, _ := waitingWorld(t, 10)
	wantCode(t, w.consumer().Acknowledge(t.Context(), puller, sub, 1), bus.CodeInvalid)
	_, last, err := w.consumer().Pull(t.Context(), puller, sub, 3)
	must(t, err)
	before := w.consumer().contents()
	wantCode(t, w.consumer().Acknowledge(t.Context(), puller, sub, last+1), bus.CodeInvalid)
	if w.consumer().contents() != before {
		t.Error("the refused acknowledgement changed something")
	}
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, last))
}

func TestAnotherSystemsSubscriptionLooksAbsent(t *testing.T) { // S27
	w, _ := waitingWorld(t, 3)
	_, _, err := w.consumer().Pull(t.Context(), puller, "sub-9", 1)
	absent := shape(t, err, "sub-9")
	for _, by := range []bus.Principal{
		colleague, stranger, publisher, {}, {Department: services}, {System: puller.System, Department: archive},
		{Account: "auditor", Role: bus.RoleAuditor}, {Node: guangzhou},
	} {
		before := w.consumer().contents()
		_, _, err := w.consumer().Pull(t.Context(), by, sub, 1)
		if got := shape(t, err, string(sub)); got != absent {
			t.Errorf("%v pulls: %s, absent is %s", by, got, absent)
		}
		err = w.consumer().Acknowledge(t.Context(), by, sub, 1)
		if got := shape(t, err, string(sub)); got != absent {
			t.Errorf("%v acknowledges: %s, absent is %s", by, got, absent)
		}
		if w.consumer().contents() != before {
			t.Error("something changed")
		}
	}
}

// shape is an error with the one thing that the caller said itself taken out.
func shape(t *testing.T, err error, id string) string {
	t.Helper()
	e, ok := errors.AsType[*bus.Error](err)
	if !ok {
		t.Fatalf("%v is no bus.Error", err)
	}
	return strings.ReplaceAll(e.Error()+e.DecisionID, id, "ID")
}

func TestSubscriptionIsPulledAtTheConsumersNode(t *testing.T) {
	w, _ := waitingWorld(t, 1)
	_, _, err := w.provider().Pull(t.Context(), puller, sub, 1)
	wantCode(t, err, bus.CodeWrongNode)
}

func TestFinalDenialDropsAllThatWaits(t *testing.T) {
	w, d := waitingWorld(t, 1500) // more than one pull
	d.follow(only(policy.ActionDeliver, always(refuse("grant-revoked"))))
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 2)
	wantCode(t, err, bus.CodeDenied)
	if left := w.consumer().inbox(sub); len(left) > 0 {
		t.Errorf("%d events still wait", len(left))
	}
	next := uint64(1)
	for _, r := range w.consumer().records(audit.KindWithheld) {
		if r.First != next || r.DecisionID == "" || r.Principal != puller {
			t.Errorf("%+v", r)
		}
		next = r.Last + 1
	}
	if next != 1501 {
		t.Errorf("withheld on record up to %d", next-1)
	}
	d.follow(nil)
	events, _, err := w.consumer().Pull(t.Context(), puller, sub, 2)
	must(t, err)
	if len(events) > 0 {
		t.Errorf("dropped events came back: %v", ids(events))
	}
	w.publish(1501, 1502)
	if got := ids(w.received(2)); !slices.Equal(got, numbers(1501, 1502)) {
		t.Errorf("got %v", got)
	}
	w.consumer().verify()
}

func TestPassingDenialAtHandOutKeepsTheInbox(t *testing.T) {
	w, d := waitingWorld(t, 3)
	d.follow(only(policy.ActionDeliver, always(refuse(policy.CodeTimeout))))
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	wantCode(t, err, bus.CodeUndecided)
	d.follow(nil)
	if got := ids(w.received(3)); !slices.Equal(got, numbers(1, 3)) {
		t.Errorf("got %v", got)
	}
	kinds := w.consumer().records(audit.KindDecision)
	if len(kinds) != 2 || kinds[0].Decision.Allow || !kinds[1].Decision.Allow {
		t.Errorf("%+v", kinds)
	}
}

func TestLayerThatChangesWhileEventsWaitAppliesAtHandOut(t *testing.T) {
	e := engine(t)
	w := newWorld(t, e)
	w.subscribe(sub, puller)
	w.publish(1, 2)
	w.received(2)
	layer := bus.Layer{ID: bus.DivisionLayer("440106"), Modules: map[string]string{"a.rego": "package gxbus.division.d440106\n\nitems := {\"phone\"}\n"}}
	layer.Revision = w.enact(layer)
	events, _, err := w.consumer().Pull(t.Context(), puller, sub, 1)
	must(t, err) // not compiled yet: who pulls does not wait for it
	if got := string(events[0].Data()); !strings.Contains(got, "name") {
		t.Errorf("before it is compiled: got %s", got)
	}
	e.Load([]bus.Layer{layer})
	events, _, err = w.consumer().Pull(t.Context(), puller, sub, 1)
	must(t, err)
	if got := string(events[0].Data()); !strings.HasPrefix(got, `{"phone":"138`) || strings.Contains(got, "name") {
		t.Errorf("got %s", got)
	}
}

func TestRevocationDuringAPullHandsOutNothing(t *testing.T) {
	w, d := waitingWorld(t, 3)
	revoked := false
	d.follow(only(policy.ActionDeliver, func(in policy.Input) bus.Decision {
		if in.Grant.Revoked {
			return refuse("grant-revoked")
		}
		if !revoked {
			revoked = true
			w.revoke()
		}
		return allow(in)
	}))
	events, _, err := w.consumer().Pull(t.Context(), puller, sub, 3)
	wantCode(t, err, bus.CodeDenied)
	if len(events) > 0 {
		t.Errorf("%d events handed out on a decision that no longer stood", len(events))
	}
}

// Within one department data of any form passes, until a layer asks for a mask.
func TestEventThatCannotBeMaskedAtHandOutIsWithheldAlone(t *testing.T) {
	w, d := fake(t)
	w.subscribe(sub, publisher) // its own department's events
	odd := sample(2)
	must(t, odd.SetData("text/plain", []byte("440306198512301230")))
	_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(1), odd, sample(3)})
	must(t, err)
	w.settled(sub, 3)
	masked := bus.Decision{Allow: true, Obligations: bus.Obligations{Items: []bus.ItemID{"name"}, Masks: map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskNull}}}}
	d.follow(only(policy.ActionDeliver, always(masked)))
	events, last, err := w.provider().Pull(t.Context(), publisher, sub, 10)
	must(t, err)
	if !slices.Equal(ids(events), []int{1, 3}) || last != 3 || string(events[0].Data()) != `{"name":null}` {
		t.Errorf("got %v, %d", events, last)
	}
	withheld := w.provider().records(audit.KindWithheld)
	if len(withheld) != 1 || withheld[0].First != 2 || withheld[0].Last != 2 {
		t.Errorf("%+v", withheld)
	}
	if got := w.provider().inbox(sub); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("inbox %v", got)
	}
}

func TestPullIsBoundedInEventsAndBytes(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	for n := 1; n <= 12; n++ {
		big := sample(n)
		must(t, big.SetData("application/json", []byte(`{"name":"`+strings.Repeat("x", 1<<20)+`"}`)))
		_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{big})
		must(t, err)
	}
	w.settled(sub, 12)
	events, last, err := w.consumer().Pull(t.Context(), puller, sub, 0)
	must(t, err)
	if len(events) != 1 || last != 1 {
		t.Errorf("limit 0 gives %d events up to %d", len(events), last)
	}
	events, last, err = w.consumer().Pull(t.Context(), puller, sub, 1<<30)
	must(t, err)
	if len(events) == 0 || len(events) > 8 || last != uint64(len(events)) {
		t.Errorf("a pull gives %d events of 1 MiB, up to %d", len(events), last)
	}

	many, _ := waitingWorld(t, exchange.MaxPull+1)
	events, _, err = many.consumer().Pull(t.Context(), puller, sub, 1<<30)
	must(t, err)
	if len(events) != exchange.MaxPull {
		t.Errorf("a pull gives %d events", len(events))
	}
}

func TestSubscribingIsDecidedAndRecorded(t *testing.T) {
	s := bus.Subscription{ID: sub, Resource: firms, Consumer: services, System: puller.System, Grant: grant, Purpose: bus.PurposeReference, Basis: "示例办法第一条"}
	w := newWorld(t, engine(t))
	must(t, w.consumer().Subscribe(t.Context(), puller, "r", s))
	ungranted := s
	ungranted.Grant = ""
	wantCode(t, w.consumer().Subscribe(t.Context(), puller, "r", ungranted), bus.CodeDenied)
	absent := s
	absent.Resource = "absent"
	wantCode(t, w.consumer().Subscribe(t.Context(), puller, "r", absent), bus.CodeNotFound)
	wantCode(t, w.provider().Subscribe(t.Context(), puller, "r", s), bus.CodeWrongNode)
	decisions := w.consumer().records(audit.KindDecision)
	if len(decisions) != 2 || !decisions[0].Decision.Allow || decisions[1].Decision.Allow || decisions[0].Principal != puller || decisions[0].Basis != s.Basis {
		t.Errorf("%+v", decisions)
	}
}

func TestWhatASubscriptionRestsOnIsInItsDecisionsAndLeaves(t *testing.T) {
	w, d := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 3)
	w.received(3)
	for _, in := range d.asked {
		if in.Action != policy.ActionPublish && in.Basis != "示例办法第一条" {
			t.Errorf("%s decided on %+v", in.Action, in)
		}
	}
	for _, r := range append(w.provider().records(), w.consumer().records()...) {
		if r.Subscription != "" && r.Basis != "示例办法第一条" {
			t.Errorf("recorded %+v", r)
		}
	}
}

func TestEveryDeliveredEventIsCoveredByItsWholeWay(t *testing.T) {
	w := newWorld(t, engine(t))
	w.subscribe(sub, puller)
	w.publish(1, 300)
	w.received(300)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 300))
	w.settled(sub, 300)
	for n := 1; n <= 300; n++ {
		found, err := w.provider().Occurrences(strconv.Itoa(n))
		must(t, err)
		if len(found) != 1 {
			t.Fatalf("event %d is kept at %v", n, found)
		}
		for at, want := range map[*node][]audit.Kind{
			w.provider(): {audit.KindDecision, audit.KindAccepted, audit.KindDecision, audit.KindForwarded},
			w.consumer(): {audit.KindReceived, audit.KindDecision, audit.KindDelivered, audit.KindAcknowledged},
		} {
			if got := way(t, at, found[0]); !slices.Equal(got, want) {
				t.Fatalf("event %d at %s: %v, want %v", n, at.id, got, want)
			}
		}
	}
	w.provider().verify()
	w.consumer().verify()
}

// way lists the kinds of the leaves about an event, and demands that each rests
// on a decision on record.
func way(t *testing.T, n *node, at exchange.Occurrence) (kinds []audit.Kind) {
	t.Helper()
	steps, err := n.Steps(at)
	must(t, err)
	decisions := map[string]bool{}
	for _, r := range n.records(audit.KindDecision) {
		decisions[r.DecisionID] = true
	}
	for _, s := range steps {
		kinds = append(kinds, s.Record.Kind)
		switch s.Record.Kind {
		case audit.KindAccepted, audit.KindForwarded, audit.KindDelivered:
			if !decisions[s.Record.DecisionID] {
				t.Errorf("leaf %d rests on decision %q, which is not on record", s.Index, s.Record.DecisionID)
			}
		}
	}
	return kinds
}
