package exchange

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// What a receipt tells of an event is what following all leaves says of it, or nothing.
func TestAReceiptTellsWhatTheLeavesSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := DeliveryReceipt{Subscription: "s", Node: "n", At: noon.Add(time.Hour)}
		var leaves []audit.Leaf
		at, received, delivered, acknowledged := noon, uint64(0), uint64(0), uint64(0)
		step := func(kind audit.Kind, first, last uint64) {
			at = at.Add(time.Second)
			record := audit.Record{Kind: kind, Subscription: "s", Resource: "r", First: first, Last: last, Events: 1, At: at}
			var reasons []bus.Reason
			if kind == audit.KindWithheld {
				reasons = []bus.Reason{{Layer: bus.BaseLayer, Code: fmt.Sprint("code-", len(leaves)), Message: bus.Text{ZH: "示例", EN: "sample"}}}
				record.DecisionID = fmt.Sprint("d-", len(leaves))
				leaves = append(leaves, audit.Leaf{Index: int64(len(leaves)), Record: decided(record, bus.Decision{ID: record.DecisionID, Reasons: reasons})})
			}
			leaves = append(leaves, audit.Leaf{Index: int64(len(leaves)), Record: record})
			r.add(record, reasons)
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch n := uint64(rapid.IntRange(1, 5).Draw(rt, "run")); rapid.IntRange(0, 6).Draw(rt, "step") {
			case 0, 1:
				step(audit.KindReceived, received+1, received+n)
				received += n
			case 2:
				if last := min(received, delivered+n); last > delivered {
					step(audit.KindDelivered, delivered+1, last)
					delivered = last
				}
			case 3:
				if delivered > acknowledged { // handed out again
					step(audit.KindDelivered, acknowledged+1, delivered)
				}
			case 4:
				if last := min(delivered, acknowledged+n); last > acknowledged {
					step(audit.KindAcknowledged, acknowledged+1, last)
					acknowledged = last
				}
			case 5:
				if received > delivered {
					step(rapid.SampledFrom([]audit.Kind{audit.KindWithheld, audit.KindExpired, audit.KindDeadLettered}).Draw(rt, "kind"), delivered+1, delivered+1)
					delivered++
				}
			case 6:
				if rapid.IntRange(0, 9).Draw(rt, "rare") == 0 {
					step(audit.KindReplayed, 1, max(received, 1))
					received, delivered, acknowledged = 0, 0, 0
				}
			}
		}
		for sequence := uint64(1); sequence <= 300; sequence++ {
			d := bus.Delivery{Subscription: "s", State: bus.DeliveryForwarded}
			told, ok := r.Follow(d, sequence)
			if !ok {
				if told.State != d.State {
					rt.Fatalf("event %d: nothing is told, and it is %s", sequence, told.State)
				}
				continue
			}
			var covering []audit.Leaf
			for _, leaf := range leaves {
				if leaf.Record.First <= sequence && sequence <= leaf.Record.Last {
					covering = append(covering, leaf)
				}
			}
			if want := Follow(d, covering); told.State != want.State || !told.AsOf.Equal(r.At) {
				rt.Fatalf("event %d is told to be %s as of %v; it is %s", sequence, told.State, told.AsOf, want.State)
			} else if whys(told) != whys(want) {
				rt.Fatalf("event %d is told to be denied by %s; it is by %s", sequence, whys(told), whys(want))
			}
		}
	})
}

// whys are the decision and the codes of a denial.
func whys(d bus.Delivery) string {
	if d.State != bus.DeliveryDenied {
		return ""
	}
	told := d.DecisionID
	for _, r := range d.Reasons {
		told += fmt.Sprint(" ", r.Layer, ":", r.Code)
	}
	return told
}

// A receipt stays small: of the oldest that ended otherwise it tells no more.
func TestAReceiptForgetsRatherThanGrows(t *testing.T) {
	r := DeliveryReceipt{Subscription: "s"}
	const events = 3 * receiptSteps
	for n := uint64(1); n <= events; n++ {
		r.add(audit.Record{Kind: audit.KindReceived, Subscription: "s", First: n, Last: n, Events: 1, At: noon}, nil)
		if n%2 == 0 {
			reasons := slices.Repeat([]bus.Reason{{Layer: bus.BaseLayer, Code: strings.Repeat("long", 50)}}, 9)
			r.add(audit.Record{Kind: audit.KindWithheld, Subscription: "s", First: n, Last: n, Events: 1, At: noon}, reasons)
		}
	}
	if len(r.Steps) != receiptSteps {
		t.Errorf("%d steps", len(r.Steps))
	}
	d := bus.Delivery{Subscription: "s", State: bus.DeliveryForwarded}
	if _, ok := r.Follow(d, 2); ok {
		t.Error("an event is told of whose end was forgotten")
	}
	for n, want := range map[uint64]bus.DeliveryState{events: bus.DeliveryDenied, events - 1: bus.DeliveryReceived} {
		if told, ok := r.Follow(d, n); !ok || told.State != want {
			t.Errorf("event %d: %s, %v", n, told.State, ok)
		}
	}
	signer, key := signing(t)
	signed, err := r.seal(signer)
	if err != nil || len(signed) > maxReceipt {
		t.Errorf("%d bytes, %v", len(signed), err)
	}
	again, err := openReceipt(signed, key)
	if err != nil || len(again.Steps) < receiptSteps/4 {
		t.Errorf("%d steps, %v", len(again.Steps), err)
	}
	told, ok := again.Follow(d, events)
	if !ok || told.State != bus.DeliveryDenied || len(told.Reasons) != maxWhys {
		t.Errorf("the newest is %+v, %v", told, ok)
	}
	if _, ok := again.Follow(d, again.From-2); ok {
		t.Error("an event is told of whose end had no room")
	}
}

func TestAReceiptIsTheNodesOwn(t *testing.T) {
	signer, key := signing(t)
	_, other := signing(t)
	r := DeliveryReceipt{Subscription: "s", Node: "n", At: noon}
	signed, err := r.seal(signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openReceipt(signed, key); err != nil {
		t.Error(err)
	}
	changed := []byte(signed)
	changed[len(receiptFormat)+5] ^= 1
	foreign, err := note.Sign(&note.Note{Text: "gxbus/c/n\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ signed, key string }{
		"changed": {string(changed), key}, "of another key": {signed, other}, "a checkpoint": {string(foreign), key}, "nothing": {"", key},
	} {
		if _, err := openReceipt(c.signed, c.key); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func signing(t *testing.T) (note.Signer, string) {
	t.Helper()
	secret, _, err := audit.GenerateKey("gxbus/c/n")
	if err != nil {
		t.Fatal(err)
	}
	signer, key, err := audit.OpenKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}
