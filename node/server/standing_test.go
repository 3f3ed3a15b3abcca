package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// taker takes under a grant for as long as it can, and keeps when it began to take
// what it got, or when it got that where it was brought.
type taker struct {
	mu   sync.Mutex
	took []time.Time
}

func (c *taker) got(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, at)
}

// after counts what was taken after an instant.
func (c *taker) after(at time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, began := range c.took {
		if began.After(at) {
			n++
		}
	}
	return n
}

// again does something over and over until the test is over.
func again(ctx context.Context, do func()) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// pulls takes what was forwarded.
func (c *taker) pulls(ctx context.Context, api *client.Client, id bus.SubscriptionID) {
	again(ctx, func() {
		began := time.Now()
		events, last, err := api.Pull(ctx, id, 100)
		if err != nil || len(events) == 0 {
			return
		}
		c.got(began)
		_ = api.Ack(ctx, id, last) // what is not acknowledged comes again
	})
}

// queries takes by query.
func (c *taker) queries(ctx context.Context, api *client.Client, resource bus.ResourceID, grant bus.GrantID) {
	q := inquiry("list")
	q.Grant = grant
	again(ctx, func() {
		began := time.Now()
		if answer, err := api.Query(ctx, resource, q); err == nil && answer.Rows > 0 {
			c.got(began)
		}
	})
}

// streams takes what comes over a stream, opened anew whenever it ends.
func (c *taker) streams(ctx context.Context, n *nodetest.Node, bearer string, id bus.SubscriptionID) {
	web, last := &http.Client{Transport: &http.Transport{TLSClientConfig: n.TLS()}}, ""
	defer web.CloseIdleConnections()
	again(ctx, func() {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+n.Config.APIListen+"/api/v1/subscriptions/"+string(id)+"/stream", nil)
		if err != nil {
			return
		}
		q.Header.Set("Authorization", "Bearer "+bearer)
		q.Header.Set("Last-Event-ID", last)
		resp, err := web.Do(q)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if number, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				last = number
			} else if strings.Contains(lines.Text(), `"specversion"`) {
				c.got(time.Now())
			}
		}
	})
}

// sink is an endpoint that events are brought to.
func (c *taker) sink(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			w.Header().Set("WebHook-Allowed-Origin", "*")
			return
		}
		c.got(time.Now())
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// standing is how long after it is acknowledged that a grant does not stand any more
// something may still pass, at a node that is connected.
const standing = 2 * time.Second

func TestNothingPassesOnAnyNodeOnceAGrantIsEndedSuspendedOrExpired(t *testing.T) {
	s, _ := bound(t, nodetest.Options{Config: func(c *server.Config) { c.WebhookNetworks = "127.0.0.0/8" }})
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() { stop(); work.Wait() })
	sharing := s.Nodes["shenzhen"].Client(s.AddAccount(bus.Account{Name: "sharing", Role: bus.RoleReviewer, Department: sample.ShenzhenMarket.ID}))
	expiry := time.Now().Add(20 * time.Second)
	takers := map[string]*taker{}
	for name, at := range map[string]struct {
		node bus.NodeID
		of   bus.Department
	}{
		"ended": {"tianhe", sample.TianheServices}, "suspended": {"guangzhou", sample.GuangzhouHealth},
		"expired": {"nanshan", sample.NanshanTax}, "control": {"guangdong", sample.ProvinceCivil},
	} {
		g := sample.Grant(bus.GrantID(name), s.resource, at.of)
		if name == "expired" {
			g.NotAfter = expiry
		}
		_, err := s.Client("secadmin").Grants().Put(ctx, g)
		check(t, err)
		n, bearer := s.Nodes[at.node], s.bearers[at.of.ID]
		api := n.Client(bearer)
		subscribe := func(way string) (*taker, bus.SubscriptionID) {
			id := bus.SubscriptionID(name + "-" + way)
			_, err = api.Subscriptions().Put(ctx, bus.Subscription{ID: id, Resource: s.resource.ID, Grant: g.ID, Purpose: bus.PurposeVerification})
			check(t, err)
			takers[string(id)] = &taker{}
			return takers[string(id)], id
		}
		pull, pulled := subscribe("pull")
		work.Go(func() { pull.pulls(ctx, api, pulled) })
		stream, streamed := subscribe("stream")
		work.Go(func() { stream.streams(ctx, n, bearer, streamed) })
		sink, brought := subscribe("webhook")
		_, err = api.Subscriptions().PutSink(ctx, brought, bus.Sink{URL: sink.sink(t), Batch: 10})
		check(t, err)
		query := &taker{}
		takers[name+"-query"] = query
		work.Go(func() { query.queries(ctx, api, s.resource.ID, g.ID) })
	}
	work.Go(func() { s.load(ctx) })
	nodetest.Eventually(t, "every department receives, in each way", func() error {
		for name, c := range takers {
			if c.after(time.Time{}) == 0 {
				return fmt.Errorf("%s has nothing", name)
			}
		}
		return nil
	})
	over := map[string]time.Time{"expired": expiry}
	_, err := s.Client("secadmin").Grants().Revoke(ctx, "ended", "样例")
	check(t, err)
	over["ended"] = time.Now()
	_, err = sharing.Grants().Stop(ctx, "suspended", client.GrantStop{Step: bus.GrantSuspend, Reason: "样例"})
	check(t, err)
	over["suspended"] = time.Now()
	last := slices.MaxFunc([]time.Time{over["ended"], over["suspended"], expiry}, time.Time.Compare).Add(2 * standing)
	ways := []string{"pull", "stream", "webhook", "query"}
	nodetest.Eventually(t, "the department whose grant stands goes on receiving", func() error {
		for _, way := range ways {
			if takers["control-"+way].after(last) < 5 {
				return fmt.Errorf("not yet by %s", way)
			}
		}
		return nil
	})
	stop()
	work.Wait()
	for name, at := range over {
		for _, way := range ways {
			if n := takers[name+"-"+way].after(at.Add(standing)); n != 0 {
				t.Errorf("%s, by %s: %d times something came more than %v after it", name, way, n, standing)
			}
		}
	}
}

// load publishes without end.
func (s *story) load(ctx context.Context) {
	n := 0
	again(ctx, func() {
		_, _ = s.provider.Publish(ctx, s.resource.ID, sample.Event(s.system, n)) // one that fails is missed by nobody
		n++
	})
}
