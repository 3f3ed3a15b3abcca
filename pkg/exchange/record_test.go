package exchange_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

func TestEachExchangeIsOnRecordWithItsTimesSizesAndFault(t *testing.T) {
	w, d := fake(t)
	w.subscribe(sub, puller)
	began := w.clock.now()
	w.publish(1, 2)
	w.settled(sub, 2)
	w.clock.advance(time.Minute)
	_, last, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	must(t, err)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, last))
	foreign := sample(9)
	foreign.SetSource("/systems/other")
	_, err = w.provider().Publish(t.Context(), publisher, "r-9", firms, append(run(8, 8), foreign))
	wantCode(t, err, bus.CodeSourceMismatch)
	d.follow(only(policy.ActionForward, always(refuse("not-for-you"))))
	w.publish(3, 3)
	w.settled(sub, 3)

	told := func(n *node, by bus.Principal, q exchange.Search) (lines []string) {
		t.Helper()
		var watched func(bus.USCC) bool
		must(t, w.directory.View(func(tx *directoryTx) (err error) {
			watched, err = exchange.Watched(tx, by)
			return err
		}))
		for q.After, q.Limit = -1, 1; ; { // a page each
			records, through, more, err := n.Exchanges(t.Context(), q, watched)
			must(t, err)
			for _, r := range records {
				if !q.Wants(r) { // the consumer's node may know
					continue
				}
				took := func(at time.Time) string {
					if at.IsZero() {
						return "-"
					}
					return at.Sub(began).String()
				}
				if r.Events > 0 && r.Bytes < 100*int64(r.Events) {
					t.Errorf("%d bytes of %d events", r.Bytes, r.Events)
				}
				lines = append(lines, fmt.Sprint(r.Mode, " ", r.Status, " ", r.Fault, " ", r.Events, " ", took(r.Accepted), " ", took(r.Forwarded), " ", took(r.Received), " ", took(r.Delivered), " ", took(r.Acknowledged)))
			}
			if q.After = through; !more {
				return lines
			}
		}
	}
	at := func(n *node, by bus.Principal, q exchange.Search, want ...string) {
		t.Helper()
		if got := told(n, by, q); !slices.Equal(got, want) {
			t.Errorf("%s is told at %s\n%q, want\n%q", by.Department, n.id, got, want)
		}
	}
	all := exchange.Search{}
	at(w.provider(), publisher, all, "publish accepted  2 0s - - - -", "subscribe forwarded  2 0s 0s - - -", "publish refused caller 0 - - - - -",
		"publish accepted  1 1m0s - - - -", "subscribe withheld policy 1 1m0s - - - -")
	at(w.provider(), stranger, all, told(w.provider(), publisher, all)...) // the data authority of the province
	at(w.provider(), puller, all, "subscribe forwarded  2 0s 0s - - -", "subscribe withheld policy 1 1m0s - - - -")
	at(w.provider(), publisher, exchange.Search{Fault: bus.FaultPolicy}, "subscribe withheld policy 1 1m0s - - - -")
	at(w.provider(), publisher, exchange.Search{Status: bus.ExchangeAccepted, Search: audit.Search{From: began.Add(time.Second)}}, "publish accepted  1 1m0s - - - -")
	at(w.consumer(), puller, all, "subscribe acknowledged  2 - - 0s 1m0s 1m0s")
	nobody := bus.Principal{System: "x", Department: "114400000000000000"}
	at(w.consumer(), nobody, all)
	wantCode(t, w.directory.View(func(tx *directoryTx) error {
		_, err := exchange.Watched(tx, sysadmin)
		return err
	}), bus.CodeForbidden)

	// A wait is told while it lasts, then what came of it.
	d.follow(only(policy.ActionForward, func(in policy.Input) bus.Decision {
		allowed := allow(in)
		allowed.Obligations.Limits = []bus.Limit{{Limit: 1, Per: bus.PerDay, Key: bus.KeyGrant}}
		return allowed
	}))
	w.publish(4, 5)
	waits := func() (n int) {
		for _, line := range told(w.provider(), publisher, exchange.Search{Status: bus.ExchangeHeld}) {
			if line[:14] == "subscribe held" {
				n++
			}
		}
		return n
	}
	eventually(t, "event 5 waits", func() error {
		if n := waits(); n != 1 {
			return fmt.Errorf("%d waits", n)
		}
		return nil
	})
	w.clock.advance(48 * time.Hour)
	w.settled(sub, 5)
	if n := waits(); n != 0 {
		t.Errorf("%d waits are told of what went", n)
	}
}

// Where the consumer's node is away the provider's tells by its receipt how far a batch has
// come, and when where that is known; asked itself, the consumer's node tells all of it.
func TestABatchIsFollowedAtTheConsumersNode(t *testing.T) {
	w, _ := fake(t)
	for _, n := range w.nodes {
		n.tells = true
		n.reopen()
	}
	w.subscribe(sub, puller)
	began := w.clock.now()
	w.publish(1, 2)
	w.settled(sub, 2)
	w.publish(3, 3)
	w.settled(sub, 3)
	w.clock.advance(time.Minute)
	_, last, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	must(t, err)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, last))
	everybody := func(bus.USCC) bool { return true }
	page := exchange.Search{Mode: bus.ModeSubscribe, Search: audit.Search{After: -1, Limit: 10}}
	var told []bus.ExchangeRecord
	eventually(t, "the receipt", func() error {
		told, _, _, err = w.provider().Exchanges(t.Context(), page, everybody)
		must(t, err)
		if len(told) != 2 || told[1].Status != bus.ExchangeAcknowledged {
			return fmt.Errorf("%+v", told)
		}
		return nil
	})
	soon := began.Add(time.Minute)
	if r := told[1]; !r.Received.Equal(began) || !r.Delivered.Equal(soon) || !r.Acknowledged.Equal(soon) || r.AsOf.IsZero() {
		t.Errorf("of the last batch the receipt tells %+v", r)
	}
	if r := told[0]; r.Status != bus.ExchangeAcknowledged || !r.Delivered.IsZero() || r.AsOf.IsZero() {
		t.Errorf("of the batch before, whose times it does not have, %+v", r)
	}
	batch, ok := exchange.BatchOf(told[0])
	passed, err := w.consumer().Passed([]exchange.BatchID{batch, {Resource: firms, Subscription: sub, Last: 99}}, everybody)
	must(t, err)
	if !ok || len(passed) != 1 || passed[0].Status != bus.ExchangeAcknowledged || !passed[0].Received.Equal(began) || !passed[0].Delivered.Equal(soon) || !passed[0].Acknowledged.Equal(soon) {
		t.Errorf("the consumer's node tells %+v", passed)
	}
	if passed, err = w.consumer().Passed([]exchange.BatchID{batch}, func(bus.USCC) bool { return false }); err != nil || len(passed) != 0 {
		t.Errorf("who may see nothing is told %+v, %v", passed, err)
	}
}
