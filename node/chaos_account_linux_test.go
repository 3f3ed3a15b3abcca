package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// hook is the endpoint of a subscription. It takes events into account once it
// answered 2xx; one in a thousand it never takes.
type hook struct {
	*consumer
	client   *client.Client
	secret   []byte
	refusing atomic.Bool

	place map[string]int // of an event in ids
	from  int            // place of the first event of the newest request that was taken
	wrong []string
}

// called makes a subscription whose events are taken to a hook.
func (c *chaos) called(id bus.SubscriptionID, at bus.NodeID, by bus.Department) *hook {
	c.t.Helper()
	h := &hook{consumer: c.subscribe(id, at, by), client: c.speaks(at, by), secret: []byte("0123456789abcdef"), place: map[string]int{}}
	s := httptest.NewServer(h)
	c.t.Cleanup(s.Close)
	c.until("the sink to be active", func(ctx context.Context) error {
		state, err := h.client.Subscriptions().PutSink(ctx, id, bus.Sink{URL: s.URL, Secret: string(h.secret), Batch: 50, MaxAttempts: 2})
		if err == nil && !state.Active {
			err = errors.New(state.Why)
		}
		return err
	})
	return h
}

// poison tells the events that the hook does not take, ever.
func poison(id string) bool { return strings.HasSuffix(id, "999") }

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.Header().Set("WebHook-Allowed-Origin", r.Header.Get("WebHook-Request-Origin"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the node has left in the middle
	}
	if err := webhook.Verify(h.secret, r.Header, string(body), time.Now()); err != nil {
		h.fail(err.Error())
	}
	events, err := event.UnmarshalBatch(body)
	if err != nil || len(events) == 0 {
		h.fail(fmt.Sprint("a batch of ", len(events), ": ", err))
		return
	}
	if h.refusing.Load() {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	ids := make([]string, len(events))
	for i, e := range events {
		if ids[i] = e.ID(); poison(e.ID()) {
			http.Error(w, "not this", http.StatusInternalServerError)
			return
		}
	}
	h.take(ids)
}

func (h *hook) fail(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, why)
}

// take notes a request that is answered well. The node may not have heard that of the
// request before: then that comes again, from its first event on, and nothing older.
func (h *hook) take(ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, again := h.place[ids[0]]
	switch {
	case !again:
		first = len(h.ids)
	case first < h.from:
		h.twice = append(h.twice, ids[0])
	}
	for i, id := range ids {
		at, again := h.place[id]
		switch {
		case !again && first+i == len(h.ids):
			h.place[id] = len(h.ids)
			h.ids = append(h.ids, id)
		case !again || at != first+i:
			h.wrong = append(h.wrong, fmt.Sprint(id, " came out of order"))
			return
		}
	}
	h.from = first
	h.count.Store(int64(len(h.ids)))
}

// taken counts the events that were taken and are no dead letters: of one that is both,
// the node did not hear that it was taken.
func (h *hook) taken(letters []bus.DeadLetter) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.ids)
	for _, l := range letters {
		if _, both := h.place[l.ID]; both {
			n--
		}
	}
	return n
}

// end lets the load end, and waits until everything has come to
// where it ends.
func (c *chaos) end() {
	c.t.Helper()
	c.halt()
	c.publishing.Wait()
	all := c.acknowledged()
	total := len(all)
	for _, x := range c.pulled {
		c.until("events to come to "+string(x.subscription), func(context.Context) error { return x.reached(total) })
	}
	c.until("events to come to "+string(c.matching.subscription), func(context.Context) error {
		return c.matching.reached(len(c.publishers[0].acknowledged()))
	})
	c.until("events to come to the webhook, or to be dead letters", func(ctx context.Context) error {
		letters, err := c.hook.client.Subscriptions().DeadLetters(ctx, c.hook.subscription)
		if err != nil {
			return err
		}
		if taken := c.hook.taken(letters); taken < total-len(letters) {
			return fmt.Errorf("%d taken and %d dead letters of %d", taken, len(letters), total)
		}
		return nil
	})
	last := all[total-1]
	c.until("the last event to be denied to one and held for another", func(context.Context) error {
		states, err := c.states(last)
		waits := states[c.held.subscription] == bus.DeliveryHeld || states[c.held.subscription] == bus.DeliveryWaiting // behind one that is held
		if err == nil && (states[c.revoked.subscription] != bus.DeliveryDenied || !waits) {
			err = fmt.Errorf("event %s is %v", last.ID, states)
		}
		return err
	})
	before := c.held.count.Load()
	c.waitLayer(holdingLayer, c.layer)
	layer := holding(sample.ProvinceCivil.ID)
	layer.Modules = nil
	_, err := c.Enact(c.ctx, layer)
	must(c.t, err)
	c.until("what was held to come", func(context.Context) error { return c.held.reached(total) })
	c.t.Logf("%d events acknowledged to their publishers; faults: %v; %d were held until the end", total, c.faults, int64(total)-before)
	c.cancel()
	c.consuming.Wait()
}

// states asks the provider's node how far an event has come.
func (c *chaos) states(r client.Receipt) (map[bus.SubscriptionID]bus.DeliveryState, error) {
	found, err := c.publishers[0].api.Deliveries(context.Background(), r.ID, "")
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d events are called %s", len(found), r.ID)
	}
	states := map[bus.SubscriptionID]bus.DeliveryState{}
	for _, d := range found[0].Deliveries {
		if d.Silent {
			return nil, fmt.Errorf("%s is silent", d.Node)
		}
		states[d.Subscription] = d.State
	}
	return states, nil
}

// account compares what was published, what came, and what is on record of it.
func (c *chaos) account() {
	all := c.acknowledged()
	for i, r := range all {
		if r.Sequence != uint64(i+1) {
			c.t.Fatalf("event %s has number %d, want %d: one is missing, or was stored twice", r.ID, r.Sequence, i+1)
		}
	}
	matched := c.publishers[0].acknowledged()
	letters, err := c.hook.client.Subscriptions().DeadLetters(context.Background(), c.hook.subscription)
	must(c.t, err)
	books := c.books()
	for _, x := range append([]*consumer{c.held}, c.pulled...) {
		x.check(c.t, &oracle{ids: idsOf(all)})
		c.balances(books, x.subscription, len(x.ids), len(all), 0)
	}
	c.matching.check(c.t, &oracle{ids: idsOf(matched)})
	c.balances(books, c.matching.subscription, len(c.matching.ids), len(matched), 0)
	if unmatched := books[side{c.matching.subscription, true}][audit.KindUnmatched]; unmatched+len(matched) != len(all) {
		c.t.Errorf("%s: %d events are on record as unmatched, %d matched, of %d", c.matching.subscription, unmatched, len(matched), len(all))
	}
	c.ordered(c.revoked, all)
	denied := books[side{c.revoked.subscription, true}][audit.KindWithheld] + books[side{c.revoked.subscription, false}][audit.KindWithheld]
	c.balances(books, c.revoked.subscription, len(c.revoked.ids), len(all)-denied, books[side{c.revoked.subscription, false}][audit.KindWithheld])
	if denied == 0 {
		c.t.Error("nothing was denied after the grant was revoked")
	}
	c.ordered(c.hook.consumer, all)
	c.balances(books, c.hook.subscription, c.hook.taken(letters), len(all)-len(letters), len(letters))
	if dead := books[side{c.hook.subscription, false}][audit.KindDeadLettered]; dead != len(letters) || len(c.hook.wrong) > 0 {
		c.t.Errorf("%s: %d dead letters, %d on record; %v", c.hook.subscription, len(letters), dead, c.hook.wrong)
	}
	c.reconciles()
	c.accountQueries()
	c.sampled(all, letters)
	(&killing{Fleet: c.Fleet}).verifyEvidence(c.t)
	c.t.Logf("%d denied, %d dead letters", denied, len(letters))
}

func idsOf(receipts []client.Receipt) []string {
	ids := make([]string, len(receipts))
	for i, r := range receipts {
		ids[i] = r.ID
	}
	return ids
}

// ordered demands that a subscriber had events at most once and in order.
func (c *chaos) ordered(x *consumer, all []client.Receipt) {
	number := map[string]uint64{}
	for _, r := range all {
		number[r.ID] = r.Sequence
	}
	last := uint64(0)
	for _, id := range x.ids {
		if number[id] <= last {
			c.t.Fatalf("%s: event %s is number %d, and came after number %d", x.subscription, id, number[id], last)
		}
		last = number[id]
	}
	if len(x.twice) > 0 {
		c.t.Errorf("%s: %d events came again after they were acknowledged, the first is %s", x.subscription, len(x.twice), x.twice[0])
	}
}

// side is one of the two nodes of a subscription.
type side struct {
	of       bus.SubscriptionID
	provider bool
}

// books counts the events that each kind of step is on record with, of the evidence of
// all nodes.
func (c *chaos) books() map[side]map[audit.Kind]int {
	c.t.Helper()
	books := map[side]map[audit.Kind]int{}
	c.eachLeaf(func(n *fleet.Node, r audit.Record) {
		at := side{r.Subscription, n.ID() == "shenzhen"}
		if books[at] == nil {
			books[at] = map[audit.Kind]int{}
		}
		books[at][r.Kind] += r.Events
	})
	return books
}

// balances demands of the books that a subscriber acknowledged as many events as it
// processed, each once, that as many reached its node but for those that ended there,
// and that the provider's node has as many on record as having left.
func (c *chaos) balances(books map[side]map[audit.Kind]int, of bus.SubscriptionID, processed, acknowledged, endedThere int) {
	c.t.Helper()
	provider, own := books[side{of, true}], books[side{of, false}]
	if processed != acknowledged || own[audit.KindAcknowledged] != acknowledged ||
		own[audit.KindReceived] != acknowledged+endedThere || provider[audit.KindForwarded] != own[audit.KindReceived] {
		c.t.Errorf("%s: processed %d, want %d; on record: acknowledged %d, ended at the consumer's node %d, received %d, forwarded %d",
			of, processed, acknowledged, own[audit.KindAcknowledged], endedThere, own[audit.KindReceived], provider[audit.KindForwarded])
	}
}

// reconciles compares what the operational records of the two sides tell.
func (c *chaos) reconciles() {
	c.t.Helper()
	told := map[side]int{}
	for _, n := range c.Nodes() {
		auditor, err := c.SignIn(context.Background(), n, "auditor")
		must(c.t, err)
		for page, err := range auditor.Exchanges(context.Background(), client.ExchangeQuery{Resource: chaosResource, Here: true}) {
			must(c.t, err)
			for _, r := range page.Items {
				switch r.Status {
				case bus.ExchangeForwarded, bus.ExchangeReceived, bus.ExchangeDelivered, bus.ExchangeAcknowledged:
					told[side{r.Subscription, n.ID() == "shenzhen"}] += r.Events
				}
			}
		}
	}
	for at, n := range told {
		if at.of != "" && told[side{at.of, !at.provider}] != n {
			c.t.Errorf("%s: the two sides tell of %d and %d events", at.of, n, told[side{at.of, !at.provider}])
		}
	}
}

// sampled asks what has become of some events: it has to be what became of them.
func (c *chaos) sampled(all []client.Receipt, letters []bus.DeadLetter) {
	c.t.Helper()
	dead := map[string]bool{}
	for _, l := range letters {
		dead[l.ID] = true
	}
	for range 200 {
		r := all[rand.IntN(len(all))]
		states, err := c.states(r)
		must(c.t, err)
		want := map[bus.SubscriptionID]bus.DeliveryState{}
		for _, x := range append([]*consumer{c.held, c.matching, c.revoked, c.hook.consumer}, c.pulled...) {
			want[x.subscription] = bus.DeliveryAcknowledged
		}
		if !strings.HasPrefix(r.ID, c.publishers[0].key+"-") {
			want[c.matching.subscription] = bus.DeliveryUnmatched
		}
		if !c.revoked.done[r.ID] {
			want[c.revoked.subscription] = bus.DeliveryDenied
		}
		if dead[r.ID] {
			want[c.hook.subscription] = bus.DeliveryDead
		}
		if fmt.Sprint(states) != fmt.Sprint(want) {
			c.t.Errorf("event %s, number %d, is %v, want %v", r.ID, r.Sequence, states, want)
		}
	}
}
