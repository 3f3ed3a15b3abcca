package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// with is allow with more obligations.
func with(ob bus.Obligations) func(policy.Input) bus.Decision {
	return func(in policy.Input) bus.Decision {
		d := allow(in)
		d.Obligations.Masks, d.Obligations.Rows = ob.Masks, ob.Rows
		d.Obligations.Limits, d.Obligations.Watermark = ob.Limits, ob.Watermark
		return d
	}
}

// located makes event number n about a division.
func located(n int, division string) cloudevent.Event {
	e := sample(n)
	must := e.SetData("application/json", []byte(fmt.Sprintf(`{"name":"示例企业%d","legal_id":"440106199001011235","division":%q}`, n, division)))
	if must != nil {
		panic(must)
	}
	return e
}

func (w *world) publishAll(events ...cloudevent.Event) {
	w.tb.Helper()
	_, err := w.provider().Publish(w.tb.Context(), publisher, "", firms, events)
	must(w.tb, err)
}

// pullAll pulls and acknowledges until nothing waits.
func (w *world) pullAll() (got []cloudevent.Event) {
	w.tb.Helper()
	for {
		events, last, err := w.consumer().Pull(w.tb.Context(), puller, sub, 1000)
		must(w.tb, err)
		if len(events) == 0 {
			return got
		}
		must(w.tb, w.consumer().Acknowledge(w.tb.Context(), puller, sub, last))
		got = append(got, events...)
	}
}

var tianheOnly = bus.Obligations{Rows: []bus.RowCondition{{Item: "division", Within: []bus.DivisionCode{"440106"}}}}

func TestRowsAreFilteredAtTheProvidersNode(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionForward, with(tianheOnly)))
	w.subscribe(sub, puller)
	w.publishAll(located(1, "440105"), located(2, "440106"), located(3, "440300"), located(4, "440300"), located(5, "440106007"), sample(6))
	w.settled(sub, 6)
	if got := ids(w.received(2)); !slices.Equal(got, []int{2, 5}) {
		t.Errorf("got %v", got)
	}
	var left []string
	for _, r := range w.provider().records(audit.KindFiltered) {
		left = append(left, fmt.Sprint(r.First, "–", r.Last, ":", r.Events, ":", r.Rows))
		if r.DecisionID == "" || r.Subscription != sub {
			t.Errorf("%+v", r)
		}
	}
	if !slices.Equal(left, []string{"1–1:1:1", "3–4:2:2", "6–6:1:1"}) {
		t.Errorf("filtered on record: %v", left)
	}
	w.provider().verify()
}

func TestRowsAreFilteredAtTheConsumersNode(t *testing.T) {
	w, d := fake(t)
	rows := bus.Obligations{Rows: []bus.RowCondition{{Item: "name", Equals: []string{"示例企业2", "示例企业3"}}}}
	d.follow(only(policy.ActionDeliver, with(rows)))
	w.subscribe(sub, puller)
	w.publishAll(located(1, "440105"), located(2, "440106"), located(3, "440106"), located(4, "440106"))
	w.settled(sub, 4)
	if got := ids(w.pullAll()); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("got %v", got)
	}
	if left := w.consumer().inbox(sub); len(left) > 0 {
		t.Errorf("%v still wait", left)
	}
	if r := w.consumer().records(audit.KindFiltered); len(r) != 2 || r[0].First != 1 || r[1].First != 4 {
		t.Errorf("%+v", r)
	}
	w.consumer().verify()
}

// Both nodes decide by the same layer; the item of its condition does not leave.
func TestAConditionOnAnItemThatDoesNotLeaveHoldsAtBothNodes(t *testing.T) {
	w, d := fake(t)
	d.follow(with(tianheOnly))
	w.subscribe(sub, puller)
	forged := located(1, "440300")
	forged.SetExtension("gxbusapplied", "row:forged")
	w.publishAll(forged, located(2, "440106"))
	w.settled(sub, 2)
	got := w.pullAll()
	if !slices.Equal(ids(got), []int{2}) || strings.Contains(string(got[0].Data()), "division") {
		t.Errorf("got %v", got)
	}
}

// A publisher that says its data is masked already is not believed.
func TestWhatNodesTellEachOtherIsNotThePublishersToSay(t *testing.T) {
	for _, masks := range []map[bus.ItemID]bus.Mask{nil, {"name": {Method: bus.MaskVerify}}} {
		w, d := fake(t)
		verified := with(bus.Obligations{Masks: map[bus.ItemID]bus.Mask{"legal_id": {Method: bus.MaskVerify}}})
		d.follow(func(in policy.Input) bus.Decision {
			if in.Action == policy.ActionForward {
				return with(bus.Obligations{Masks: masks})(in)
			}
			return verified(in)
		})
		w.subscribe(sub, puller)
		e := sample(1)
		e.SetExtension("gxbusapplied", "legal_id=verify")
		e.SetExtension("gxbuswatermark", "forged")
		w.publishAll(e)
		w.settled(sub, 1)
		got := w.received(1)[0]
		if !strings.Contains(string(got.Data()), `"legal_id":true`) || got.Extensions()["gxbuswatermark"] != nil || got.Extensions()["gxbusapplied"] != nil {
			t.Errorf("got %v", got)
		}
	}
}

func TestPseudonymsAreStableUnderAGrantAndNotBetweenGrants(t *testing.T) {
	w, d := fake(t)
	d.follow(with(bus.Obligations{Masks: map[bus.ItemID]bus.Mask{"legal_id": {Method: bus.MaskPseudonym}}}))
	w.write(secadmin, command.GrantPut, 0, bus.Grant{
		Agreement: "示例协议",
		ID:        "grant-2", Resource: firms, Consumer: services, Purposes: []bus.Purpose{bus.PurposeReference},
		Items: []bus.ItemID{"legal_id"}, NotBefore: w.clock.at.AddDate(0, -1, 0), NotAfter: w.clock.at.AddDate(1, 0, 0),
	})
	w.subscribe(sub, puller)
	w.write(colleague, command.SubscriptionPut, 0, bus.Subscription{
		ID: "sub-2", Resource: firms, Consumer: services, System: colleague.System, Purpose: bus.PurposeReference, Grant: "grant-2",
	})
	w.publish(1, 1)
	w.settled(sub, 1)
	w.settled("sub-2", 1)
	w.provider().reopen()
	w.publish(2, 2)
	w.settled(sub, 2)
	w.settled("sub-2", 2)
	code := func(e cloudevent.Event) string {
		var data struct {
			ID string `json:"legal_id"`
		}
		must(t, json.Unmarshal(e.Data(), &data))
		if !strings.HasPrefix(data.ID, "p:") {
			t.Errorf("%s is no pseudonym", data.ID)
		}
		return data.ID
	}
	one := w.received(2)
	other, _, err := w.consumer().Pull(t.Context(), colleague, "sub-2", 2)
	must(t, err)
	if code(one[0]) != code(one[1]) || code(other[0]) != code(other[1]) {
		t.Error("one person has two pseudonyms under one grant")
	}
	if code(one[0]) == code(other[0]) {
		t.Error("two grants can be linked")
	}
}

func limit(n int, per bus.Window, key bus.LimitKey) bus.Obligations {
	return bus.Obligations{Limits: []bus.Limit{{Limit: n, Per: per, Key: key}}}
}

func TestForwardingWaitsForALimitAndLosesNothing(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionForward, with(limit(3, bus.PerMinute, bus.KeySystem))))
	w.subscribe(sub, puller)
	w.publish(1, 5)
	w.settled(sub, 3)
	w.publish(6, 8)
	d.awaitAsked(t, policy.ActionForward, 3)
	w.provider().reopen() // what was counted is on the disk
	d.awaitAsked(t, policy.ActionForward, 3)
	if at := w.provider().cursor(sub); at != 4 {
		t.Fatalf("the cursor went to %d", at)
	}
	held := w.provider().records(audit.KindHeld)
	if len(held) == 0 || held[0].First != 4 || held[0].Code != bus.CodeRateLimited || held[0].DecisionID == "" || !strings.Contains(held[0].Detail, "3 per minute") {
		t.Errorf("held on record: %+v", held)
	}
	w.clock.advance(time.Minute)
	w.settled(sub, 6)
	d.awaitAsked(t, policy.ActionForward, 3)
	if at := w.provider().cursor(sub); at != 7 {
		t.Fatalf("the cursor went to %d", at)
	}
	w.clock.advance(time.Minute)
	w.settled(sub, 8)
	if got := ids(w.pullAll()); !slices.Equal(got, numbers(1, 8)) {
		t.Errorf("got %v", got)
	}
	if len(w.provider().records(audit.KindWithheld)) > 0 {
		t.Error("something was dropped")
	}
	w.provider().verify()
}

// A batch that was counted and did not arrive is sent again at no further cost.
func TestABatchSentAgainCountsOnce(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionForward, with(limit(6, bus.PerDay, bus.KeyGrant))))
	w.line.hook(nil, func(context.Context, exchange.Batch) error { return errLine }) // answers are lost
	w.subscribe(sub, puller)
	w.publish(1, 4)
	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	d.awaitAsked(t, policy.ActionForward, 4)
	w.provider().reopen()
	d.awaitAsked(t, policy.ActionForward, 2)
	w.line.hook(nil, nil)
	w.settled(sub, 4)
	w.publish(5, 8)
	w.settled(sub, 6)
	d.awaitAsked(t, policy.ActionForward, 3)
	if at := w.provider().cursor(sub); at != 7 {
		t.Errorf("the cursor went to %d, of 6 a day", at)
	}
}

func TestSubscriptionsOfOneConsumerShareALimit(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionForward, with(limit(7, bus.PerHour, bus.KeyConsumer))))
	w.subscribe(sub, puller)
	w.subscribe("sub-2", colleague)
	w.publish(1, 10)
	total := func() int { return int(w.provider().cursor(sub) + w.provider().cursor("sub-2")) }
	eventually(t, "7 events went", func() error {
		if total() != 2+7 {
			return fmt.Errorf("cursors add up to %d", total())
		}
		return nil
	})
	d.awaitAsked(t, policy.ActionForward, 6)
	if total() != 2+7 {
		t.Errorf("cursors add up to %d", total())
	}
}

func TestPullingIsLimited(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionDeliver, with(limit(3, bus.PerDay, bus.KeyConsumer))))
	w.subscribe(sub, puller)
	w.publish(1, 5)
	w.settled(sub, 5)
	for range 3 { // the same again is free
		events, last, err := w.consumer().Pull(t.Context(), puller, sub, 10)
		must(t, err)
		if !slices.Equal(ids(events), numbers(1, 3)) || last != 3 {
			t.Fatalf("got %v up to %d", ids(events), last)
		}
		w.consumer().reopen()
	}
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 3))
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	e, ok := errors.AsType[*bus.Error](err)
	if !ok || e.Code != bus.CodeRateLimited || e.RetryAfter != 7*time.Hour || e.DecisionID == "" { // 17:00 in Shanghai
		t.Fatalf("%+v", err)
	}
	if held := w.consumer().records(audit.KindHeld); held[len(held)-1].First != 4 || held[len(held)-1].Last != 5 {
		t.Errorf("%+v", held)
	}
	w.clock.advance(7 * time.Hour)
	if got := ids(w.pullAll()); !slices.Equal(got, []int{4, 5}) {
		t.Errorf("got %v", got)
	}
	w.consumer().verify()
}

func TestSubscribingIsLimited(t *testing.T) {
	w, d := fake(t)
	d.follow(with(limit(1, bus.PerHour, bus.KeySystem)))
	s := bus.Subscription{ID: sub, Resource: firms, Consumer: services, System: puller.System, Grant: grant, Purpose: bus.PurposeReference}
	must(t, w.consumer().Subscribe(t.Context(), puller, "", s))
	wantCode(t, w.consumer().Subscribe(t.Context(), puller, "", s), bus.CodeRateLimited)
	w.clock.advance(time.Hour)
	must(t, w.consumer().Subscribe(t.Context(), puller, "", s))
	d.follow(with(limit(5, bus.PerCase, bus.KeySystem))) // a subscription is of no case
	err := w.consumer().Subscribe(t.Context(), puller, "", s)
	wantCode(t, err, bus.CodeRateLimited)
	if e, _ := errors.AsType[*bus.Error](err); e.RetryAfter != 0 {
		t.Errorf("told to come back in %v", e.RetryAfter)
	}
}

func later() bus.Decision {
	d := refuse("under-repair")
	d.Reasons[0].Hold = true
	return d
}

func TestWhatALayerHoldsWaitsInOrder(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionForward, always(later())))
	w.subscribe(sub, puller)
	w.publish(1, 5)
	d.awaitAsked(t, policy.ActionForward, 3)
	w.provider().reopen()
	w.publish(6, 8)
	d.awaitAsked(t, policy.ActionForward, 3)
	if at := w.provider().cursor(sub); at != 1 || len(w.line.batches()) > 0 {
		t.Fatalf("the cursor went to %d", at)
	}
	d.follow(only(policy.ActionDeliver, always(later())))
	w.settled(sub, 8)
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	wantCode(t, err, bus.CodeHeld)
	d.follow(nil)
	if got := ids(w.pullAll()); !slices.Equal(got, numbers(1, 8)) {
		t.Errorf("got %v", got)
	}
}

// Held by a layer or by a limit: once the grant is revoked it is denied for good.
func TestARevocationEndsWhatIsHeld(t *testing.T) {
	for name, holds := range map[string]func(policy.Input) bus.Decision{
		"by a layer": always(later()), "by a limit": with(limit(1, bus.PerDay, bus.KeyGrant)),
	} {
		t.Run(name, func(t *testing.T) {
			w, d := fake(t)
			for _, n := range w.nodes { // only the revocation can end the wait in time
				n.retry = time.Hour
				n.reopen()
			}
			d.follow(only(policy.ActionForward, func(in policy.Input) bus.Decision {
				if in.Grant.Revoked {
					return refuse("grant-revoked")
				}
				return holds(in)
			}))
			before := d.position()
			w.subscribe(sub, puller)
			w.publish(1, 5)
			d.awaitAskedSince(t, before, policy.ActionForward, 1)
			w.revoke()
			w.settled(sub, 5)
			withheld := w.provider().records(audit.KindWithheld)
			if last := withheld[len(withheld)-1]; last.Last != 5 || last.Code != bus.CodeDenied {
				t.Errorf("%+v", withheld)
			}
		})
	}
}

func TestAWatermarkTellsWhomItWentTo(t *testing.T) {
	w, d := fake(t)
	d.follow(with(bus.Obligations{Watermark: true}))
	w.subscribe(sub, puller)
	w.subscribe("sub-2", colleague)
	w.publish(1, 3)
	w.settled(sub, 3)
	w.settled("sub-2", 3)
	events := w.received(3)
	others, _, err := w.consumer().Pull(t.Context(), colleague, "sub-2", 3)
	must(t, err)
	mark, _ := events[0].Extensions()["gxbuswatermark"].(string)
	other, _ := others[0].Extensions()["gxbuswatermark"].(string)
	if len(mark) != 24 || mark == other {
		t.Fatalf("watermarks %q and %q", mark, other)
	}
	w.provider().reopen()
	leaf, first, err := w.provider().Watermark(mark)
	must(t, err)
	r := leaf.Record
	if r.Kind != audit.KindDecision || r.Grant != grant || r.Principal.System != puller.System || r.Watermark != mark || r.Decision.ID == "" ||
		first.Resource != firms || first.Sequence < r.First || first.Sequence > r.Last {
		t.Errorf("%+v, %+v", r, first)
	}
	leaf, _, err = w.provider().Watermark(other)
	must(t, err)
	if leaf.Record.Principal.System != colleague.System {
		t.Errorf("%+v", leaf.Record)
	}
	_, _, err = w.provider().Watermark(mark[:23] + "a")
	if mark[23] != 'a' {
		wantCode(t, err, bus.CodeNotFound)
	}
	_, _, err = w.consumer().Watermark(mark)
	wantCode(t, err, bus.CodeNotFound)
}

// A layer that marks only what is handed out has the consumer's node do it.
func TestTheConsumersNodeMarksWhatItHandsOut(t *testing.T) {
	w, d := fake(t)
	d.follow(only(policy.ActionDeliver, with(bus.Obligations{Watermark: true})))
	w.subscribe(sub, puller)
	w.publish(1, 1)
	mark := w.received(1)[0].Extensions()["gxbuswatermark"].(string)
	leaf, first, err := w.consumer().Watermark(mark)
	must(t, err)
	if leaf.Record.Decision.Action != string(policy.ActionDeliver) || leaf.Record.Principal != puller || first.Sequence != 1 {
		t.Errorf("%+v", leaf.Record)
	}
}

// Limits and pseudonyms are the department's: they go on where it has moved.
func TestTheLedgerMovesWithItsDepartment(t *testing.T) {
	w, d := movable(t)
	ob := limit(4, bus.PerDay, bus.KeyGrant)
	ob.Masks = map[bus.ItemID]bus.Mask{"legal_id": {Method: bus.MaskPseudonym}}
	d.follow(only(policy.ActionForward, with(ob)))
	w.subscribe(sub, puller)
	w.publish(1, 3)
	w.settled(sub, 3)
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	_, err := w.nodes[zhuhai].Publish(t.Context(), publisher, "", firms, run(4, 6))
	must(t, err)
	events := w.received(4)
	d.awaitAsked(t, policy.ActionForward, 3)
	if at := w.nodes[zhuhai].cursor(sub); at != 5 {
		t.Errorf("the cursor went to %d", at)
	}
	id := func(e cloudevent.Event) string { return string(e.Data())[strings.Index(string(e.Data()), "p:"):][:28] }
	if id(events[0]) != id(events[3]) {
		t.Errorf("%s became %s", events[0].Data(), events[3].Data())
	}
	if n := w.provider().rows("ledger"); n > 0 {
		t.Errorf("the old node keeps %d rows of the ledger", n)
	}
	w.sound()
}

// An event with as many attributes as there may be has no room for the bus's.
func TestAnEventWithoutRoomForItsMarkIsWithheldAlone(t *testing.T) {
	w, d := fake(t)
	d.follow(with(bus.Obligations{Watermark: true}))
	w.subscribe(sub, puller)
	crowded := sample(2)
	for i := range 64 {
		crowded.SetExtension(fmt.Sprintf("x%d", i), "1")
	}
	w.publishAll(sample(1), crowded, sample(3))
	w.settled(sub, 3)
	if got := ids(w.pullAll()); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("got %v", got)
	}
	if r := w.provider().records(audit.KindWithheld); len(r) != 1 || r[0].First != 2 {
		t.Errorf("%+v", r)
	}
}
