package exchange_test

import (
	"testing"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// A withdrawn resource is not in the directory: whatever waits of it, at either
// node, goes nowhere, and nothing new is taken in.
func TestNothingIsSharedOfAWithdrawnResource(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 2)
	w.received(2) // handed out, not acknowledged: the inbox keeps them
	var revision bus.Revision
	must(t, w.directory.View(func(tx *state.Tx) error {
		r, _ := tx.Resource(firms)
		revision = r.Revision
		return nil
	}))
	asked := w.write(publisher, command.ResourceWithdraw, revision, command.Withdrawal{Resource: firms, Reason: "示例"})
	w.write(reviewer, command.DraftReview, 0, command.Review{Drafts: []bus.DraftRef{{ID: firms, Revision: asked}}, Approve: true})

	if events, _, err := w.consumer().Pull(t.Context(), puller, sub, 10); bus.CodeOf(err) != bus.CodeNotFound || len(events) > 0 {
		t.Errorf("pulled %d events: %v", len(events), err)
	}
	if _, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(3)}); bus.CodeOf(err) != bus.CodeNotFound {
		t.Errorf("published: %v", err)
	}
	batches := len(w.line.batches())
	late := exchange.Batch{Heading: exchange.Heading{From: shenzhen, Subscription: sub}}
	if batches > 0 {
		late = w.line.batches()[batches-1]
	}
	if err := w.consumer().Receive(t.Context(), shenzhen, late); err == nil {
		t.Error("a batch that was on its way is taken in")
	}
	if again := bus.CodeOf(w.provider().Subscribe(t.Context(), puller, "", bus.Subscription{
		ID: "sub-9", Resource: firms, Consumer: services, System: puller.System, Grant: grant, Purpose: bus.PurposeReference,
	})); again != bus.CodeNotFound && again != bus.CodeInvalid {
		t.Errorf("subscribed: %q", again)
	}
}
