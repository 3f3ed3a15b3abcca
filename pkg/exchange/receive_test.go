package exchange_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// batchOf makes a batch as Shenzhen's node would send it.
func batchOf(sequences ...uint64) exchange.Batch {
	b := exchange.Batch{Heading: exchange.Heading{Subscription: sub, From: shenzhen}, DecisionID: "d"}
	for _, n := range sequences {
		data, err := event.Marshal(sample(int(n)))
		if err != nil {
			panic(err)
		}
		b.Events = append(b.Events, exchange.Delivery{Sequence: n, Event: data})
		b.Last = max(b.Last, n)
	}
	return b
}

func TestRefusedBatchLeavesOneLeafAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		name  string
		from  bus.NodeID
		at    bus.NodeID
		spoil func(*exchange.Batch)
		code  bus.Code
	}{
		{"from a node that does not serve the provider", guangzhou, guangzhou, func(b *exchange.Batch) { b.From = guangzhou }, bus.CodeWrongNode},
		{"under another node's name", guangzhou, guangzhou, func(*exchange.Batch) {}, bus.CodeWrongNode},
		{"that names another sender", shenzhen, guangzhou, func(b *exchange.Batch) { b.From = guangzhou }, bus.CodeWrongNode},
		{"for a consumer served elsewhere", shenzhen, shenzhen, func(*exchange.Batch) {}, bus.CodeWrongNode},
		{"out of order", shenzhen, guangzhou, func(b *exchange.Batch) { slices.Reverse(b.Events) }, bus.CodeInvalid},
		{"with a number twice", shenzhen, guangzhou, func(b *exchange.Batch) { b.Events[1].Sequence = b.Events[0].Sequence }, bus.CodeInvalid},
		{"with number 0", shenzhen, guangzhou, func(b *exchange.Batch) { b.Events[0].Sequence = 0 }, bus.CodeInvalid},
		{"beyond its end", shenzhen, guangzhou, func(b *exchange.Batch) { b.Last = 4 }, bus.CodeInvalid},
		{"with what is no event", shenzhen, guangzhou, func(b *exchange.Batch) { b.Events[1].Event = json.RawMessage(`{"id":"1"}`) }, bus.CodeMalformedEvent},
		{"with what is no JSON", shenzhen, guangzhou, func(b *exchange.Batch) { b.Events[1].Event = json.RawMessage(`{`) }, bus.CodeMalformedJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := fake(t)
			w.subscribe(sub, puller)
			w.settled(sub, 0)
			batch := batchOf(4, 5, 6)
			tt.spoil(&batch)
			at := w.nodes[tt.at]
			before := at.contents()
			wantCode(t, at.Receive(t.Context(), tt.from, batch), tt.code)
			records := at.records()
			if len(records) != 1 || records[0].Kind != audit.KindRefused || records[0].Code != tt.code || records[0].Principal.Node != tt.from || records[0].Subscription != sub {
				t.Errorf("%+v", records)
			}
			if at.contents() != before {
				t.Error("the refused batch changed something")
			}
			at.verify()
		})
	}
}

func TestSubscriptionNotHereYetIsTriedAgainLater(t *testing.T) {
	w, _ := fake(t)
	wantCode(t, w.consumer().Receive(t.Context(), shenzhen, batchOf(1)), bus.CodeUnavailable)
	w.subscribe(sub, puller)
	must(t, w.consumer().Receive(t.Context(), shenzhen, batchOf(1)))
}

func TestBatchSentAgainOrOverlappingAddsOnlyWhatIsNew(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	for i, tt := range []struct {
		batch       exchange.Batch
		inbox       []uint64
		first, last uint64 // of the new leaf; 0: none
	}{
		{batchOf(2, 3), []uint64{2, 3}, 2, 3},
		{batchOf(2, 3), []uint64{2, 3}, 0, 0},
		{batchOf(1, 2), []uint64{2, 3}, 0, 0},
		{batchOf(2, 3, 4, 6), []uint64{2, 3, 4, 6}, 4, 6},
		{batchOf(), []uint64{2, 3, 4, 6}, 0, 0},
	} {
		leaves := len(w.consumer().records())
		must(t, w.consumer().Receive(t.Context(), shenzhen, tt.batch))
		if got := w.consumer().inbox(sub); !slices.Equal(got, tt.inbox) {
			t.Errorf("%d: inbox %v, want %v", i, got, tt.inbox)
		}
		added := w.consumer().records()[leaves:]
		if (tt.first == 0) != (len(added) == 0) || len(added) > 0 && (added[0].First != tt.first || added[0].Last != tt.last || added[0].Events != 2 && i == 3) {
			t.Errorf("%d: leaves %+v", i, added)
		}
	}
}

func TestAcknowledgedEventsSentAgainStayAway(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	must(t, w.consumer().Receive(t.Context(), shenzhen, batchOf(1, 2)))
	_, last, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	must(t, err)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, last))
	w.consumer().reopen()
	must(t, w.consumer().Receive(t.Context(), shenzhen, batchOf(1, 2)))
	if got := w.consumer().inbox(sub); len(got) > 0 {
		t.Errorf("inbox %v", got)
	}
}
