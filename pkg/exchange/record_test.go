package exchange_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

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
			records, next, err := n.Exchanges(q, watched)
			must(t, err)
			for _, r := range records {
				took := func(at time.Time) string {
					if at.IsZero() {
						return "-"
					}
					return at.Sub(began).String()
				}
				if r.Events > 0 && r.Bytes < 100*int64(r.Events) {
					t.Errorf("%d bytes of %d events", r.Bytes, r.Events)
				}
				lines = append(lines, fmt.Sprint(r.Mode, " ", r.Status, " ", r.Fault, " ", r.Events, " ", took(r.Accepted), " ", took(r.Forwarded), " ", took(r.Received), " ", took(r.Delivered)))
			}
			if q.After = next; next < 0 {
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
	at(w.provider(), publisher, all, "publish accepted  2 0s - - -", "subscribe forwarded  2 0s 0s - -", "publish refused caller 0 - - - -",
		"publish accepted  1 1m0s - - -", "subscribe withheld policy 1 1m0s - - -")
	at(w.provider(), stranger, all, told(w.provider(), publisher, all)...) // the data authority of the province
	at(w.provider(), puller, all, "subscribe forwarded  2 0s 0s - -", "subscribe withheld policy 1 1m0s - - -")
	at(w.provider(), publisher, exchange.Search{Fault: bus.FaultPolicy}, "subscribe withheld policy 1 1m0s - - -")
	at(w.provider(), publisher, exchange.Search{Status: bus.ExchangeAccepted, Span: exchange.Span{From: began.Add(time.Second)}}, "publish accepted  1 1m0s - - -")
	at(w.consumer(), puller, all, "subscribe acknowledged  2 - - 0s 1m0s")
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
