package exchange_test

import (
	"fmt"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// standing asks both nodes about an event on its way to a subscription.
func (w *world) standing(id bus.SubscriptionID, sequence uint64) bus.Delivery {
	w.tb.Helper()
	at := exchange.Occurrence{Resource: firms, Sequence: sequence}
	_, all, err := w.provider().Standings(at, "")
	must(w.tb, err)
	for _, d := range all {
		if d.Subscription != id {
			continue
		}
		if exchange.Elsewhere(d) {
			var leaves []audit.Leaf
			must(w.tb, w.consumer().store.View(func(tx *bbolt.Tx) (err error) {
				leaves, err = w.consumer().log.About(tx, firms, sequence)
				return err
			}))
			d = exchange.Follow(d, leaves)
		}
		return d
	}
	w.tb.Fatalf("event %d is not for %s", sequence, id)
	return bus.Delivery{}
}

func (w *world) stands(id bus.SubscriptionID, sequence uint64, want bus.DeliveryState) bus.Delivery {
	w.tb.Helper()
	d := w.standing(id, sequence)
	if d.State != want {
		w.tb.Errorf("event %d to %s is %+v, want %s", sequence, id, d, want)
	}
	return d
}

// A provider that cannot ask the consumer's node is told by its receipt that it denied,
// which layer, and why. The receipts of a subscription go when it does.
func TestAReceiptTellsWhyItWasDenied(t *testing.T) {
	w, d := fake(t)
	for _, n := range w.nodes {
		n.tells = true
		n.reopen()
	}
	revision := w.subscribe(sub, puller)
	w.publish(1, 3)
	w.received(3)
	d.follow(only(policy.ActionDeliver, always(refuse("purpose-not-met"))))
	w.publish(4, 5)
	eventually(t, "all wait", func() error { return count(w.consumer().inbox(sub), 5) })
	_, _, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	wantCode(t, err, bus.CodeDenied)
	decision := w.consumer().records(audit.KindWithheld)[0].DecisionID
	eventually(t, "the receipt", func() error {
		told, err := w.provider().ByReceipt(bus.Delivery{Subscription: sub, Node: guangzhou, State: bus.DeliveryForwarded}, 5)
		must(t, err)
		if told.State != bus.DeliveryDenied {
			return fmt.Errorf("it is %+v", told)
		}
		if len(told.Reasons) != 1 || told.Reasons[0].Layer != bus.BaseLayer || told.Reasons[0].Code != "purpose-not-met" || told.DecisionID != decision {
			t.Errorf("told %+v, decision %s", told, decision)
		}
		return nil
	})
	if w.consumer().rows("told") != 2 || w.provider().rows("receipts") != 1 { // and up to which leaf
		t.Errorf("%d rows are told, %d kept", w.consumer().rows("told"), w.provider().rows("receipts"))
	}
	w.write(puller, command.SubscriptionDelete, revision, command.Key{ID: string(sub)})
	eventually(t, "they are gone", func() error {
		if told, kept := w.consumer().rows("told"), w.provider().rows("receipts"); told != 1 || kept != 0 {
			return fmt.Errorf("%d are told, %d kept", told, kept)
		}
		return nil
	})
}

func count(numbers []uint64, want int) error {
	if len(numbers) != want {
		return fmt.Errorf("%d, want %d", len(numbers), want)
	}
	return nil
}

func TestAProviderIsToldWhatHasBecomeOfAnEvent(t *testing.T) {
	w, d := fake(t)
	w.sinks.follow(poison(2))
	w.subscribe(sub, puller)
	w.request("odd", func(s *bus.Subscription) { s.Filters = []bus.Filter{{SQL: "id IN ('1','3')"}} })
	w.subscribe("denied", stranger)
	d.follow(func(in policy.Input) bus.Decision {
		if in.Consumer.Department == archive {
			return refuse("no-grant")
		}
		return allow(in)
	})
	w.publish(1, 3)
	w.settled(sub, 3)
	w.settled("odd", 3)
	w.settled("denied", 3)
	w.stands(sub, 1, bus.DeliveryReceived)
	w.stands("odd", 1, bus.DeliveryReceived)
	w.stands("odd", 2, bus.DeliveryUnmatched) // though it lies between two that were forwarded
	if got := w.stands("denied", 2, bus.DeliveryDenied); len(got.Reasons) != 1 || got.Reasons[0].Code != "no-grant" {
		t.Errorf("why: %+v", got)
	}
	w.put(func(s *bus.Sink) { s.MaxAttempts = 1 })
	w.sinks.has(t, []int{1, 3})
	w.stands(sub, 1, bus.DeliveryAcknowledged)
	w.stands(sub, 2, bus.DeliveryDead) // though what was acknowledged lies around it
	must(t, w.consumer().Discard(t.Context(), puller, sub, 2))
	w.stands(sub, 2, bus.DeliveryDiscarded)

	d.follow(only(policy.ActionForward, always(refuse(policy.CodeTimeout))))
	w.publish(4, 4)
	eventually(t, "it is held", func() error {
		if got := w.standing(sub, 4); got.State != bus.DeliveryHeld {
			return errLine
		}
		return nil
	})
}
