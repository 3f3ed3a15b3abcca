package exchange_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// The note of the first exchange is in the commit of it: whatever ends the node
// before the directory knows, the node that comes after it tells.
func TestTheFirstExchangeEndsTheTermToDeliverThoughTheNodeIsCutOffBeforeItTells(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 3)
	w.received(3)
	w.settled(sub, 3)
	first := w.clock.now()
	w.provider().reopen()
	if g := w.granted(); g.Delivered != nil {
		t.Fatal("it was told though nobody heard")
	}
	w.clock.advance(time.Hour)
	w.mute.Store(false)
	w.provider().reopen()
	eventually(t, "the directory knows", func() error {
		if g := w.granted(); g.Delivered == nil {
			return errors.New("not yet")
		}
		return nil
	})
	g := w.granted()
	if !g.Delivered.Equal(first) {
		t.Errorf("delivered at %v, the first exchange was at %v", g.Delivered, first)
	}
	w.publish(4, 6)
	w.settled(sub, 6)
	w.provider().reopen()
	if again := w.granted(); again.Revision != g.Revision {
		t.Errorf("told again at %d, before at %d", again.Revision, g.Revision)
	}
}

func TestWhatIsWithheldIsNoDelivery(t *testing.T) {
	w, d := fake(t)
	w.mute.Store(false)
	w.subscribe(sub, puller)
	d.follow(only(policy.ActionForward, always(refuse("purpose-outside-grant"))))
	w.publish(1, 3)
	w.settled(sub, 3)
	w.provider().reopen()
	if g := w.granted(); g.Delivered != nil {
		t.Errorf("delivered at %v", g.Delivered)
	}
}

// Who is answered with data has been delivered to, and nobody else; it is told though
// the node is cut off before it tells.
func TestTheFirstAnswerEndsTheTermToDeliverToo(t *testing.T) {
	w, d := fake(t)
	w.mute.Store(false)
	w.bound = answering(200, `[]`)
	_, _, err := w.ask(puller, "", inquiry(`{}`))
	must(t, err)
	w.bound = answering(404, `{"title":"没有"}`)
	_, _, err = w.ask(puller, "", inquiry(`{}`))
	must(t, err)
	w.bound = answering(200, threeFirms)
	d.follow(only(policy.ActionQuery, always(refuse("purpose-outside-grant"))))
	_, _, err = w.ask(puller, "", inquiry(`{}`))
	wantCode(t, err, bus.CodeDenied)
	w.provider().reopen()
	if g := w.granted(); g.Delivered != nil {
		t.Fatalf("delivered at %v, without data", g.Delivered)
	}
	d.follow(nil)
	w.mute.Store(true)
	first := w.clock.now()
	_, _, err = w.ask(puller, "", inquiry(`{}`))
	must(t, err)
	w.clock.advance(time.Hour)
	w.mute.Store(false)
	w.provider().reopen()
	eventually(t, "the directory knows", func() error {
		if g := w.granted(); g.Delivered == nil || !g.Delivered.Equal(first) {
			return fmt.Errorf("delivered at %v, the first answer was at %v", g.Delivered, first)
		}
		return nil
	})
}

func (w *world) granted() (g bus.Grant) {
	w.tb.Helper()
	must(w.tb, w.directory.View(func(tx *state.Tx) error {
		g, _ = tx.Grant(grant)
		return nil
	}))
	return g
}
