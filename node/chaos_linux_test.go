package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/tcpproxy"
)

// TestChaos has five processes share events while they are killed, paused, cut off
// from each other, slowed down, and their disks fill up, one or two of these at a
// time. Half way a grant is revoked and a policy begins to hold what is for one
// department. In the end, of the events that were acknowledged to their publishers,
// each is acknowledged by a subscriber, held, denied, a dead letter, or not what the
// subscription is for; none was processed twice, the order of each partition key was
// kept, both sides have the same on record, and the evidence of all nodes verifies.
// Queries meanwhile count once, however often they are repeated for want of an answer.
//
// GXBUS_CHAOS says for how long, GXBUS_CHAOS_SEED repeats the faults.
func TestChaos(t *testing.T) {
	if os.Getenv("GXBUS_CHAOS") == "" {
		t.Skip("SKIPPED: make test-chaos runs it")
	}
	long, err := time.ParseDuration(os.Getenv("GXBUS_CHAOS"))
	must(t, err)
	seed := number(t, "GXBUS_CHAOS_SEED", int(time.Now().UnixNano()%1_000_000))
	t.Logf("%v of faults, GXBUS_CHAOS_SEED=%d", long, seed)
	c := newChaos(t, rand.New(rand.NewPCG(uint64(seed), 0)))
	c.begin()
	c.storm(long / 2)
	c.drain()
	c.govern()
	c.storm(long / 2)
	c.end()
	c.account()
}

const (
	chaosResource = bus.ResourceID("enterprise-registration")
	holdingLayer  = bus.LayerID("division/440000")
)

// chaos is a fleet under load.
type chaos struct {
	*fleet.Fleet
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	choice *rand.Rand
	links  *tcpproxy.Network
	hosts  map[bus.NodeID]string // of the peer addresses
	disks  map[bus.NodeID]*shrinking
	faults map[string]int // how often each was made

	bearers    map[bus.USCC]client.NewCredential
	publishers []*partition
	halt       context.CancelFunc // of the publishers
	publishing sync.WaitGroup
	consuming  sync.WaitGroup

	pulled   []*consumer  // all that is published reaches them
	matching *consumer    // has filters for the first partition only
	revoked  *consumer    // loses its grant half way
	held     *consumer    // what is for it is held from half way on
	hook     *hook        // is called, and does not take some events
	inquirer *inquirer    // asks the provider's service
	layer    bus.Revision // that holds
}

// partition publishes events with a partition key of its own, batch after batch.
type partition struct {
	key string
	api *client.Client

	mu       sync.Mutex
	receipts []client.Receipt // in the order of publishing
}

// run publishes until ctx ends. What was not acknowledged is published again, the
// same, until it is.
func (p *partition) run(ctx, forever context.Context) {
	system := sample.SystemOf(sample.ShenzhenMarket)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		batch := make([]cloudevent.Event, 5)
		for i := range batch {
			batch[i] = sample.Event(system, n+i)
			batch[i].SetID(fmt.Sprintf("%s-%06d", p.key, n+i))
			batch[i].SetExtension("partitionkey", p.key)
		}
		n += len(batch)
		for {
			receipts, err := p.api.Publish(forever, chaosResource, batch...)
			if err == nil {
				p.mu.Lock()
				p.receipts = append(p.receipts, receipts...)
				p.mu.Unlock()
				break
			}
			if !pause(forever, 50*time.Millisecond) {
				return
			}
		}
	}
}

func (p *partition) acknowledged() []client.Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.receipts[:len(p.receipts):len(p.receipts)]
}

// acknowledged are the events that were acknowledged to their publishers, in the order
// of their sequence numbers.
func (c *chaos) acknowledged() []client.Receipt {
	var all []client.Receipt
	for _, p := range c.publishers {
		all = append(all, p.acknowledged()...)
	}
	slices.SortFunc(all, func(a, b client.Receipt) int { return int(a.Sequence) - int(b.Sequence) })
	return all
}

// newChaos starts the fleet, with a link between any two nodes that can be cut and a
// disk for some of them that can shrink.
func newChaos(t *testing.T, choice *rand.Rand) *chaos {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c := &chaos{
		t: t, ctx: ctx, cancel: cancel, choice: choice, links: tcpproxy.New(), hosts: map[bus.NodeID]string{},
		disks: map[bus.NodeID]*shrinking{}, faults: map[string]int{}, bearers: map[bus.USCC]client.NewCredential{},
	}
	t.Cleanup(func() { must(t, c.links.Close()) })
	var err error
	c.Fleet, err = fleet.New(buildProgram(t), t.TempDir(), fleet.Province()...)
	must(t, err)
	for i, n := range c.Nodes() {
		n.Settings = []string{fmt.Sprint("GXBUS_DISK_RESERVE=", chaosReserve), "GXBUS_WEBHOOK_NETWORKS=127.0.0.0/8", "GXBUS_LOOPBACK_BINDINGS=true"}
		c.hosts[n.ID()] = fmt.Sprintf("127.0.43.%d", i+1)
		n.Peer, err = fleet.FreeAddress(c.hosts[n.ID()])
		must(t, err)
		n.Told, err = c.links.Listen(fmt.Sprintf("127.0.44.%d:0", i+1), n.Peer)
		must(t, err)
	}
	for _, id := range []bus.NodeID{"shenzhen", "tianhe"} { // the provider's and a consumer's
		c.onShrinking(c.Node(id))
	}
	t.Cleanup(func() { must(t, c.Stop()) })
	must(t, c.Start(ctx))
	return c
}

// begin makes everybody who shares, and lets them.
func (c *chaos) begin() {
	c.t.Helper()
	admin, err := c.SignIn(c.ctx, c.Nodes()[0], "sysadmin")
	must(c.t, err)
	for _, d := range sample.Departments() {
		_, err := admin.Departments().Put(c.ctx, d)
		must(c.t, err)
		c.bearers[d.ID], err = admin.Systems().Put(c.ctx, sample.SystemOf(d))
		must(c.t, err)
	}
	must(c.t, c.Publish(c.ctx, sample.EnterpriseRegistration()))
	c.pulled = []*consumer{
		c.subscribe("chaos-tianhe", "tianhe", sample.TianheServices), c.subscribe("chaos-guangzhou", "guangzhou", sample.GuangzhouHealth),
		c.subscribe("chaos-nanshan", "nanshan", sample.NanshanTax),
	}
	c.matching = c.subscribe("chaos-matching", "guangzhou", sample.GuangzhouHealth, bus.Filter{Exact: map[string]string{"partitionkey": "k0"}})
	c.revoked = c.subscribe("chaos-revoked", "tianhe", sample.TianheHousing)
	c.held = c.subscribe("chaos-held", "guangdong", sample.ProvinceCivil)
	c.hook = c.called("chaos-hook", "nanshan", sample.NanshanTax)
	for _, x := range append([]*consumer{c.matching, c.revoked, c.held}, c.pulled...) {
		c.consuming.Go(func() { x.consume(c.ctx) })
	}
	c.inquirer = c.asks("guangzhou", sample.GuangzhouHealth)
	load, halt := context.WithCancel(c.ctx)
	c.halt = halt
	for i := range 2 {
		p := &partition{key: fmt.Sprint("k", i), api: c.speaks("shenzhen", sample.ShenzhenMarket)}
		c.publishers = append(c.publishers, p)
		c.publishing.Go(func() { p.run(load, c.ctx) })
	}
	c.publishing.Go(func() { c.inquirer.run(load, c.ctx) })
}

// speaks is a department's system at a node: it does not wait long for what hangs.
func (c *chaos) speaks(at bus.NodeID, of bus.Department) *client.Client {
	c.t.Helper()
	api, err := client.New(client.Config{Server: c.Node(at).API, CAFile: c.Node(at).CA(), Token: c.bearers[of.ID].Bearer, Attempts: 1, Timeout: 5 * time.Second})
	must(c.t, err)
	c.t.Cleanup(api.Close)
	return api
}

// subscribe makes a subscription under a grant of its own.
func (c *chaos) subscribe(id bus.SubscriptionID, at bus.NodeID, by bus.Department, filters ...bus.Filter) *consumer {
	c.t.Helper()
	security, err := c.SignIn(c.ctx, c.Nodes()[0], "secadmin")
	must(c.t, err)
	_, err = security.Grants().Put(c.ctx, sample.Grant(bus.GrantID(id), sample.EnterpriseRegistration(), by))
	must(c.t, err)
	api := c.speaks(at, by)
	c.until("subscription "+string(id), func(ctx context.Context) error {
		_, err := api.Subscriptions().Put(ctx, bus.Subscription{ID: id, Resource: chaosResource, Grant: bus.GrantID(id), Purpose: bus.PurposeVerification, Filters: filters})
		if client.IsCode(err, bus.CodeExists) {
			return nil
		}
		return err
	})
	return &consumer{api: api, subscription: id, done: map[string]bool{}}
}

// until waits for what takes as long as it takes: it gives up after a minute in which
// nothing changed.
func (c *chaos) until(what string, do func(context.Context) error) {
	c.t.Helper()
	last, since := "", time.Now()
	for {
		err := do(c.ctx)
		if err == nil {
			return
		}
		if now := err.Error(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > time.Minute || !pause(c.ctx, 50*time.Millisecond) {
			c.t.Fatalf("waited for %s: %v", what, err)
		}
	}
}

// holding keeps from the department of the subscription that is held what is for it.
func holding(department bus.USCC) bus.Layer {
	return bus.Layer{ID: holdingLayer, Modules: map[string]string{
		"incident.rego": `package gxbus.division.d440000

hold contains {"code": "incident", "zh": "暂存", "en": "held"} if {
	input.action in {"forward", "deliver"}
	input.consumer.department == "` + string(department) + `"
}
`,
		"incident_test.rego": `package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

test_held if count(province.hold) == 1 with input as {"action": "forward", "consumer": {"department": "` + string(department) + `"}}
`,
	}}
}

// govern ends a grant and has a layer hold, and waits until every node knows.
func (c *chaos) govern() {
	c.t.Helper()
	var security *client.Client
	c.until("the security administrator to sign in", func(ctx context.Context) (err error) {
		security, err = c.SignIn(ctx, c.Nodes()[0], "secadmin")
		return err
	})
	c.until("the grant to be revoked", func(ctx context.Context) error {
		g, err := security.Grants().Read(ctx, "chaos-revoked")
		if err == nil && g.Revoked != "" {
			return nil
		}
		_, err = security.Grants().Revoke(ctx, "chaos-revoked", "样例")
		return err
	})
	c.waitLayer(holdingLayer, 0)
	layer, err := c.Enact(c.ctx, holding(sample.ProvinceCivil.ID))
	must(c.t, err)
	c.layer = layer.Revision
	c.waitLayer(holdingLayer, c.layer)
}

// waitLayer waits until every node decides by a revision of a layer; 0: without it.
func (c *chaos) waitLayer(id bus.LayerID, revision bus.Revision) {
	c.t.Helper()
	c.until("every node to decide by the layer", func(ctx context.Context) error {
		admin, err := c.SignIn(ctx, c.Nodes()[0], "sysadmin")
		if err != nil {
			return err
		}
		status, err := admin.Status(ctx, false)
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			var runs bus.Revision
			for _, l := range m.Layers {
				if l.ID == id {
					runs = l.Revision
				}
			}
			if runs != revision || !m.Reachable {
				return fmt.Errorf("%s runs revision %d, not %d", m.ID, runs, revision)
			}
		}
		return nil
	})
}

// drain waits until all that was published so far has come to those who get it.
func (c *chaos) drain() {
	c.t.Helper()
	total := len(c.acknowledged())
	for _, x := range append([]*consumer{c.revoked, c.held}, c.pulled...) {
		c.until("events to come to "+string(x.subscription), func(context.Context) error { return x.reached(total) })
	}
	c.t.Logf("half way: %d events acknowledged to their publishers", total)
}

// reached is an error while fewer than n events were processed.
func (c *consumer) reached(n int) error {
	if have := c.count.Load(); have < int64(n) {
		return fmt.Errorf("%d of %d", have, n)
	}
	return nil
}
