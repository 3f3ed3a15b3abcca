package exchange_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// What waited, what was given up and where it was to go are forgotten with their
// subscription, at both nodes and on record; another subscription keeps what it has.
func TestWhatIsKeptOfASubscriptionGoesWithIt(t *testing.T) {
	w, _ := movable(t)
	w.sinks.follow(poison(3))
	revision := w.subscribe(sub, puller)
	w.subscribe("sub-2", puller)
	w.put(func(s *bus.Sink) { s.MaxAttempts = 1 })
	w.publish(1, 5)
	w.sinks.has(t, []int{1, 2, 4, 5})
	w.sinks.follow(poison(6))
	w.put(func(s *bus.Sink) { s.MaxAttempts = 50 })
	w.publish(6, 9)
	w.settled(sub, 9)
	w.settled("sub-2", 9)
	kept := func(n *node) (rows int) {
		for _, bucket := range []string{"cursors", "inbox", "marks", "sinks", "tries", "receipts"} {
			rows += n.rows(bucket)
		}
		return rows
	}
	eventually(t, "all has come", func() error {
		return errors.Join(count(w.consumer().inbox(sub), 4), count(w.consumer().inbox("sub-2"), 9))
	})

	// Not while a department moves: what moves is counted before and after.
	w.holdArrival(true)
	w.move(services, zhuhai)
	eventually(t, "all has been copied", func() error { return count(w.nodes[zhuhai].inbox(sub), 4) })
	w.write(puller, command.SubscriptionDelete, revision, command.Key{ID: string(sub)})
	before := kept(w.consumer())
	done, err := w.consumer().ForgetEnded(t.Context())
	if must(t, err); done || kept(w.consumer()) != before {
		t.Errorf("%d rows of %d are left while it moves", kept(w.consumer()), before)
	}
	w.holdArrival(false)
	w.moved(services, guangzhou, zhuhai)
	here := w.nodes[zhuhai]
	eventually(t, "it is forgotten", func() error {
		if w.provider().cursor(sub) != 0 || len(here.inbox(sub)) > 0 || here.rows("sinks") > 0 || here.rows("tries") > 0 || here.rows("marks") != 1 {
			return fmt.Errorf("the cursor is %d, %d wait, %d sinks", w.provider().cursor(sub), len(here.inbox(sub)), here.rows("sinks"))
		}
		return nil
	})
	if got := len(here.inbox("sub-2")); got != 9 || w.provider().cursor("sub-2") != 10 {
		t.Errorf("of the other %d wait", got)
	}
	discarded := here.records(audit.KindDiscarded)
	if len(discarded) != 1 || discarded[0].Subscription != sub || discarded[0].Events != 5 {
		t.Errorf("on record: %+v", discarded)
	}
	for _, department := range []bus.USCC{market, services} { // each sees it in its operational record
		told, _, _, err := here.Exchanges(t.Context(), exchange.Search{Mode: bus.ModeSubscribe, Search: audit.Search{After: -1, Limit: 100}}, func(d bus.USCC) bool { return d == department })
		must(t, err)
		if !slices.ContainsFunc(told, func(r bus.ExchangeRecord) bool {
			return r.Status == bus.ExchangeDiscarded && r.Subscription == sub && r.Resource == firms && r.Events == 5
		}) {
			t.Errorf("%s is told of %+v", department, told)
		}
	}
	here.hides("never leaves")
}
