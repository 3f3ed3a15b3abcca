package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// take pulls and acknowledges until a subscription has come to an event, and returns all
// that it got.
func (w *world) take(by bus.Principal, id bus.SubscriptionID, last int) (got []int) {
	w.tb.Helper()
	ctx, stop := context.WithTimeout(w.tb.Context(), patience)
	defer stop()
	for len(got) == 0 || got[len(got)-1] < last {
		if err := w.consumer().Await(ctx, id, 0); err != nil {
			w.tb.Fatalf("%s got %d events, up to %d: %v", id, len(got), got[max(len(got)-1, 0)], err)
		}
		events, upTo, err := w.consumer().Pull(ctx, by, id, exchange.MaxPull)
		must(w.tb, err)
		got = append(got, ids(events)...)
		must(w.tb, w.consumer().Acknowledge(ctx, by, id, upTo))
	}
	return got
}

func TestAnInboxThatIsNeverEmptiedHoldsUpNobodyElse(t *testing.T) {
	const bound = 64 << 10
	w, _ := fake(t)
	w.consumer().inboxes, w.consumer().tells = bound, true
	w.consumer().reopen()
	w.provider().retry = time.Hour // whoever tries again is told to
	w.provider().reopen()
	w.subscribe(sub, puller)
	w.subscribe("sub-2", stranger)
	full := func() error {
		if d := w.standing(sub, 600); d.State != bus.DeliveryWaiting || d.Detail != "the consumer's inbox is full" {
			return fmt.Errorf("it stands at %+v", d)
		}
		return nil
	}
	for n := 1; n <= 600; n += 50 {
		w.publish(n, n+49)
		if got := w.take(stranger, "sub-2", n+49); !slices.Equal(got, numbers(n, n+49)) {
			t.Fatalf("sub-2 got %v", got)
		}
	}
	eventually(t, "the full inbox shows", full)
	now, err := w.consumer().Inboxes()
	must(t, err)
	if now.Bytes > bound || now.Bytes < bound/2 || len(now.Full) != 1 || now.Full[0].ID != sub || w.provider().Stopped() != 1 {
		t.Errorf("inboxes %+v, %d stopped", now, w.provider().Stopped())
	}
	if refused := w.consumer().records(audit.KindRefused); len(refused) > 0 {
		t.Errorf("on record as refused: %+v", refused[0])
	}
	w.consumer().verify()
	if got := w.take(puller, sub, 600); !slices.Equal(got, numbers(1, 600)) {
		t.Errorf("sub-1 got %v", got)
	}
	eventually(t, "nothing waits any more", func() error {
		now, err := w.consumer().Inboxes()
		if now.Bytes > 0 || len(now.Full) > 0 || w.provider().Stopped() > 0 {
			err = errors.Join(err, fmt.Errorf("%+v, %d stopped", now, w.provider().Stopped()))
		}
		return err
	})
	w.consumer().verify()
	w.provider().verify()
}

// However many never pull, there is room for who does.
func TestInboxesShareWhatRoomThereIs(t *testing.T) {
	const file = 512 << 10
	w, _ := fake(t)
	w.consumer().bytes = file
	w.consumer().reopen()
	w.provider().retry = time.Second
	w.provider().reopen()
	dead := []bus.SubscriptionID{"dead-1", "dead-2", "dead-3", "dead-4", "dead-5"}
	for _, id := range dead {
		w.subscribe(id, puller)
	}
	w.subscribe("sub-2", stranger)
	for n := 1; n <= 600; n += 50 {
		w.publish(n, n+49)
		if got := w.take(stranger, "sub-2", n+49); !slices.Equal(got, numbers(n, n+49)) {
			t.Fatalf("sub-2 got %v", got)
		}
	}
	eventually(t, "all that are never emptied are stopped", func() error {
		if n := w.provider().Stopped(); n != len(dead) {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	now, err := w.consumer().Inboxes()
	must(t, err)
	if now.Bytes > file/2 || now.Bytes < file/3 {
		t.Errorf("%d bytes wait", now.Bytes)
	}
	w.consumer().verify()
}

// A file in which the inboxes were not weighed is weighed when it is opened.
func TestInboxesOfAnEarlierFileAreWeighed(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 20)
	w.received(20)
	before, err := w.consumer().Inboxes()
	must(t, err)
	w.consumer().close()
	db, err := bbolt.Open(w.consumer().path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		all := tx.Bucket([]byte("inbox"))
		return errors.Join(all.SetSequence(0), all.Bucket([]byte(sub)).SetSequence(0))
	}))
	must(t, db.Close())
	w.consumer().open()
	if after, err := w.consumer().Inboxes(); err != nil || after.Bytes != before.Bytes || after.Bytes == 0 {
		t.Errorf("%d bytes wait, %d did: %v", after.Bytes, before.Bytes, err)
	}
	w.consumer().verify()
}

// Batches to a node that does not answer are few at once, and others go on.
func TestFewBatchesAreOnTheirWayToOneNode(t *testing.T) {
	const subscriptions, most = 24, 16
	w, _ := fake(t)
	var mu sync.Mutex
	under, peak := 0, 0
	release := make(chan struct{})
	w.line.hook(func(ctx context.Context, _ exchange.Batch) error {
		mu.Lock()
		under++
		peak = max(peak, under)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			under--
		}()
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil)
	w.write(sysadmin, command.SystemPut, 0, bus.System{ID: "sz-own", Department: market, Name: "示例系统", SecretHash: make([]byte, 32)})
	for i := range subscriptions {
		w.subscribe(bus.SubscriptionID(fmt.Sprintf("far-%d", i)), puller)
	}
	w.subscribe("near", bus.Principal{System: "sz-own", Department: market})
	w.publish(1, 1)
	eventually(t, "all are decided on", func() error {
		if n := len(w.provider().records(audit.KindDecision)); n < subscriptions+2 {
			return fmt.Errorf("%d decisions", n)
		}
		return nil
	})
	for n := 2; n <= 20; n++ { // to a consumer on the node itself
		w.publish(n, n)
		w.settled("near", uint64(n))
	}
	mu.Lock()
	if under != most {
		t.Errorf("%d batches are on their way", under)
	}
	mu.Unlock()
	close(release)
	for i := range subscriptions {
		w.settled(bus.SubscriptionID(fmt.Sprintf("far-%d", i)), 20)
	}
	if peak > most {
		t.Errorf("up to %d batches were on their way", peak)
	}
}
