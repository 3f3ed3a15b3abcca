package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/evidence"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// TestKill kills random nodes with SIGKILL under load, round after round, with
// an oracle of what was acknowledged: every acknowledged event arrives at every
// subscriber, in order, none again once its handing-out was acknowledged, and the
// evidence of all nodes verifies.
//
// GXBUS_KILL_ROUNDS sets the rounds, GXBUS_KILL_SEED repeats a run.
func TestKill(t *testing.T) {
	rounds, seed := number(t, "GXBUS_KILL_ROUNDS", 5), number(t, "GXBUS_KILL_SEED", int(time.Now().UnixNano()%1_000_000))
	t.Logf("%d rounds, GXBUS_KILL_SEED=%d", rounds, seed)
	k := newKilling(t)
	load, stopLoad := context.WithCancel(k.ctx)
	var publishing, consuming sync.WaitGroup
	publishing.Go(func() { k.publish(load) })
	for _, c := range k.consumers {
		consuming.Go(func() { c.consume(k.ctx) })
	}
	choice := rand.New(rand.NewPCG(uint64(seed), 0))
	for round := range rounds {
		k.round(t, round, choice)
	}
	stopLoad()
	publishing.Wait()
	for _, c := range k.consumers {
		k.until("every acknowledged event arrives at "+string(c.subscription), func(context.Context) error { return c.complete(&k.oracle) })
	}
	k.cancel()
	consuming.Wait()
	for _, c := range k.consumers {
		c.check(t, &k.oracle)
	}
	k.verifyEvidence(t)
	t.Logf("%d events acknowledged, %d kills", len(k.oracle.acknowledged()), rounds)
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number from 1", variable, text)
	}
	return n
}

// killing is a fleet under load.
type killing struct {
	*fleet.Fleet
	t         *testing.T
	ctx       context.Context
	cancel    context.CancelFunc
	oracle    oracle
	provider  publisher
	consumers []*consumer
	bearers   map[bus.USCC]client.NewCredential
}

type publisher interface {
	Publish(ctx context.Context, id bus.ResourceID, events ...cloudevent.Event) ([]client.Receipt, error)
}

type puller interface {
	Pull(ctx context.Context, id bus.SubscriptionID, limit int) ([]cloudevent.Event, uint64, error)
	Ack(ctx context.Context, id bus.SubscriptionID, last uint64) error
}

// oracle knows what was acknowledged to the publisher, in order.
type oracle struct {
	mu  sync.Mutex
	ids []string
}

func (o *oracle) acknowledge(receipts []client.Receipt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range receipts {
		o.ids = append(o.ids, r.ID)
	}
}

func (o *oracle) acknowledged() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ids[:len(o.ids):len(o.ids)]
}

// buildProgram builds the program as it is released, once for all tests: linking it takes
// longer than most of them.
func buildProgram(tb testing.TB) string {
	tb.Helper()
	built.once.Do(func() {
		dir := filepath.Join(os.TempDir(), fmt.Sprint("gxbus-test-", os.Getpid())) // TestMain removes it
		must(tb, os.Mkdir(dir, 0o700))
		build(tb, filepath.Join(dir, "gxbus"), ".")
		built.program = filepath.Join(dir, "gxbus")
	})
	if built.program == "" {
		tb.Fatal("it was not built, see the first test that wanted it")
	}
	return built.program
}

var built struct {
	once    sync.Once
	program string
}

func build(tb testing.TB, program, from string, flags ...string) {
	tb.Helper()
	cmd := exec.Command("go", slices.Concat([]string{"build", "-ldflags", "-s -w", "-o", program}, flags, []string{from})...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
}

func newKilling(t *testing.T, settings ...string) *killing {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	f, err := fleet.New(buildProgram(t), t.TempDir(), fleet.Province()...)
	must(t, err)
	t.Cleanup(func() { must(t, f.Stop()) })
	for _, n := range f.Nodes() {
		n.Settings = settings
	}
	must(t, f.Start(ctx))
	k := &killing{Fleet: f, t: t, ctx: ctx, cancel: cancel, bearers: map[bus.USCC]client.NewCredential{}}
	admin, err := f.SignIn(ctx, f.Nodes()[0], "sysadmin")
	must(t, err)
	bearers := k.bearers
	for _, d := range sample.Departments() {
		_, err := admin.Departments().Put(ctx, d)
		must(t, err)
		bearers[d.ID], err = admin.Systems().Put(ctx, sample.SystemOf(d))
		must(t, err)
	}
	resource := sample.EnterpriseRegistration()
	must(t, f.Publish(ctx, resource))
	k.provider, err = f.Node("shenzhen").System(bearers[sample.ShenzhenMarket.ID])
	must(t, err)
	security, err := f.SignIn(ctx, f.Nodes()[0], "secadmin")
	must(t, err)
	for _, c := range []struct {
		at bus.NodeID
		by bus.Department
	}{{"tianhe", sample.TianheServices}, {"guangzhou", sample.GuangzhouHealth}, {"nanshan", sample.NanshanTax}} {
		id := "kill-" + string(c.at)
		_, err := security.Grants().Put(ctx, sample.Grant(bus.GrantID(id), resource, c.by))
		must(t, err)
		api, err := f.Node(c.at).System(bearers[c.by.ID])
		must(t, err)
		_, err = api.Subscriptions().Put(ctx, bus.Subscription{
			ID: bus.SubscriptionID(id), Resource: resource.ID, Grant: bus.GrantID(id), Purpose: bus.PurposeVerification,
		})
		must(t, err)
		k.consumers = append(k.consumers, &consumer{api: api, subscription: bus.SubscriptionID(id), done: map[string]bool{}})
	}
	return k
}

func (k *killing) until(what string, do func(context.Context) error) {
	k.t.Helper()
	must(k.t, fleet.Until(k.ctx, what, do))
}

// publish publishes batch after batch. One whose acknowledgement did not come is
// published again, the same, until it does.
func (k *killing) publish(ctx context.Context) {
	system := sample.SystemOf(sample.ShenzhenMarket)
	for n := 0; ctx.Err() == nil; {
		batch := make([]cloudevent.Event, 20)
		for i := range batch {
			batch[i] = sample.Event(system, n+i)
		}
		for {
			receipts, err := k.provider.Publish(k.ctx, "enterprise-registration", batch...)
			if err == nil {
				k.oracle.acknowledge(receipts)
				break
			}
			if !pause(k.ctx, 20*time.Millisecond) {
				return
			}
		}
		n += len(batch)
	}
}

// flows waits until the load goes on.
func (k *killing) flows(round int) {
	k.t.Helper()
	before := len(k.oracle.acknowledged())
	k.until("load to flow", func(context.Context) error {
		if len(k.oracle.acknowledged()) < before+40 {
			return fmt.Errorf("round %d: nothing is acknowledged", round)
		}
		return nil
	})
}

// round kills a random node, lets the others go on for a moment, and starts it
// again.
func (k *killing) round(t *testing.T, round int, choice *rand.Rand) {
	t.Helper()
	k.flows(round)
	victim := k.Nodes()[choice.IntN(len(k.Nodes()))]
	must(t, victim.Kill())
	pause(k.ctx, time.Duration(choice.IntN(400))*time.Millisecond)
	must(t, victim.Start())
	api, err := victim.Client("")
	must(t, err)
	k.until("node "+string(victim.ID())+" to serve again", func(ctx context.Context) error {
		_, err := api.Version(ctx)
		return err
	})
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// consumer pulls and acknowledges for one subscription.
type consumer struct {
	api          puller
	subscription bus.SubscriptionID

	mu    sync.Mutex
	ids   []string        // in order of their acknowledged handing-out
	done  map[string]bool // the same, to look up
	twice []string        // handed out again after that
	count atomic.Int64
}

func (c *consumer) consume(ctx context.Context) {
	for ctx.Err() == nil {
		events, last, err := c.api.Pull(ctx, c.subscription, 500)
		if err != nil || len(events) == 0 {
			pause(ctx, 20*time.Millisecond)
			continue
		}
		c.note(events)
		// One whose answer was lost may have counted; it is cumulative, so it is
		// simply said again.
		for c.api.Ack(ctx, c.subscription, last) != nil && pause(ctx, 20*time.Millisecond) {
		}
		if ctx.Err() == nil {
			c.finish(events)
		}
	}
}

// note looks for events that had been acknowledged before they came again.
func (c *consumer) note(events []cloudevent.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		if c.done[e.ID()] {
			c.twice = append(c.twice, e.ID())
		}
	}
}

func (c *consumer) finish(events []cloudevent.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		if !c.done[e.ID()] {
			c.done[e.ID()] = true
			c.ids = append(c.ids, e.ID())
		}
	}
	c.count.Store(int64(len(c.ids)))
}

func (c *consumer) complete(o *oracle) error {
	if have, want := c.count.Load(), int64(len(o.acknowledged())); have < want {
		return fmt.Errorf("%d of %d", have, want)
	}
	return nil
}

// check compares what came with what was acknowledged.
func (c *consumer) check(t *testing.T, o *oracle) {
	t.Helper()
	want := o.acknowledged()
	if len(c.twice) > 0 {
		t.Errorf("%s: %d events came again after they were acknowledged, the first is %s", c.subscription, len(c.twice), c.twice[0])
	}
	if len(c.ids) != len(want) {
		t.Fatalf("%s: %d events came, %d were acknowledged", c.subscription, len(c.ids), len(want))
	}
	for i := range want {
		if c.ids[i] != want[i] {
			t.Fatalf("%s: event %d is %s, want %s", c.subscription, i, c.ids[i], want[i])
		}
	}
}

func (k *killing) verifyEvidence(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	for _, n := range k.Nodes() {
		auditor, err := k.SignIn(ctx, n, "auditor")
		must(t, err)
		report, err := evidence.VerifyNode(ctx, auditor)
		must(t, err)
		if !report.Verified || report.Leaves == 0 {
			t.Errorf("the evidence of node %s does not verify: %+v", n.ID(), report)
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
