package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// TestMoveUnderLoad moves a provider and a consumer from node to node while
// events flow, and kills the old node, the new one or both in the middle, with
// the oracle of TestKill. What the provider is bound to answers queries after each
// move, and the consumer's sink has every event in the end.
//
// GXBUS_MOVE_ROUNDS sets the rounds, GXBUS_MOVE_SEED repeats a run.
func TestMoveUnderLoad(t *testing.T) {
	rounds, seed := number(t, "GXBUS_MOVE_ROUNDS", 5), number(t, "GXBUS_MOVE_SEED", int(time.Now().UnixNano()%1_000_000))
	t.Logf("%d rounds, GXBUS_MOVE_SEED=%d", rounds, seed)
	k := newKilling(t, "GXBUS_WEBHOOK_NETWORKS=127.0.0.0/8", "GXBUS_LOOPBACK_BINDINGS=true")
	f := k.faces()
	k.roam()
	admin, err := k.SignIn(k.ctx, k.Node("guangdong"), "sysadmin")
	must(t, err)
	load, stopLoad := context.WithCancel(k.ctx)
	var publishing, consuming sync.WaitGroup
	publishing.Go(func() { k.publish(load) })
	for _, c := range k.consumers {
		consuming.Go(func() { c.consume(k.ctx) })
	}
	choice := rand.New(rand.NewPCG(uint64(seed), 0))
	k.flows(0) // a first event that is there before anything moves
	for round := range rounds {
		k.leg(t, admin, round, choice)
		f.query(round)
	}
	stopLoad()
	publishing.Wait()
	for _, c := range k.consumers {
		k.until("every acknowledged event arrives at "+string(c.subscription), func(context.Context) error { return c.complete(&k.oracle) })
	}
	f.check(t)
	k.cancel()
	consuming.Wait()
	for _, c := range k.consumers {
		c.check(t, &k.oracle)
	}
	k.repeatsAndConflicts(t)
	k.wholeWay(t)
	k.verifyEvidence(t)
	t.Logf("%d events acknowledged, %d moves", len(k.oracle.acknowledged()), rounds)
}

// roamer speaks for a system of a department that moves: to whichever node
// serves it now.
type roamer struct {
	nodes []*client.Client
	at    atomic.Int64
}

func (r *roamer) now() *client.Client { return r.nodes[int(r.at.Load())%len(r.nodes)] }

// turn goes on to the next node after an error that another may not give.
func (r *roamer) turn(err error) {
	if err != nil && !client.IsCode(err, bus.CodeMoving) {
		r.at.Add(1)
	}
}

func (r *roamer) Publish(ctx context.Context, id bus.ResourceID, events ...cloudevent.Event) ([]client.Receipt, error) {
	receipts, err := r.now().Publish(ctx, id, events...)
	r.turn(err)
	return receipts, err
}

func (r *roamer) Pull(ctx context.Context, id bus.SubscriptionID, limit int) ([]cloudevent.Event, uint64, error) {
	events, last, err := r.now().Pull(ctx, id, limit)
	r.turn(err)
	return events, last, err
}

func (r *roamer) Ack(ctx context.Context, id bus.SubscriptionID, last uint64) error {
	err := r.now().Ack(ctx, id, last)
	r.turn(err)
	return err
}

// roam lets the systems find their department wherever it is.
func (k *killing) roam() {
	roamerOf := func(d bus.Department) *roamer {
		r := &roamer{}
		for _, n := range k.Nodes() {
			c, err := client.New(client.Config{Server: n.API, CAFile: n.CA(), Token: k.bearers[d.ID].Bearer, Attempts: 2, Timeout: 10 * time.Second})
			must(k.t, err)
			k.t.Cleanup(c.Close)
			r.nodes = append(r.nodes, c)
		}
		return r
	}
	k.provider = roamerOf(sample.ShenzhenMarket)
	for i, d := range []bus.Department{sample.TianheServices, sample.GuangzhouHealth, sample.NanshanTax} {
		k.consumers[i].api = roamerOf(d)
	}
}

// leg moves one of two departments to a random node, kills nodes in the middle,
// and waits until the move has ended and events flow again. Some moves are
// aborted; whether that comes in time is a race that either side may win.
func (k *killing) leg(t *testing.T, admin *client.Client, round int, choice *rand.Rand) {
	t.Helper()
	id := []bus.USCC{sample.ShenzhenMarket.ID, sample.TianheServices.ID}[round%2]
	before, err := admin.Move(k.ctx, id)
	must(t, err)
	from := k.Node(before.Home)
	others := slices.DeleteFunc(slices.Clone(k.Nodes()), func(n *fleet.Node) bool { return n == from })
	to := others[choice.IntN(len(others))]
	var began client.DepartmentMove
	k.until("the move to begin", func(ctx context.Context) (err error) {
		began, err = admin.BeginMove(ctx, id, client.MoveRequest{To: to.ID()})
		return err
	})
	pause(k.ctx, time.Duration(choice.IntN(60))*time.Millisecond)
	victims := [][]*fleet.Node{{from}, {to}, {from, to}, {}}[choice.IntN(4)]
	victims = slices.DeleteFunc(slices.Clone(victims), func(n *fleet.Node) bool { return n.ID() == "guangdong" }) // where the administrator is
	for _, n := range victims {
		must(t, n.Kill())
	}
	abort := choice.IntN(4) == 0 && round > 0
	if abort {
		_, err = admin.AbortMove(k.ctx, id)
	}
	pause(k.ctx, time.Duration(choice.IntN(300))*time.Millisecond)
	for _, n := range victims {
		must(t, n.Start())
	}
	t.Logf("round %d: %s from %s to %s, %d killed, abort %t (%v)", round, id, from.ID(), to.ID(), len(victims), abort, err)
	k.until("the move to end", func(ctx context.Context) error {
		now, err := admin.Move(ctx, id)
		if err == nil && (now.Move != nil || !abort && began.Move != nil && now.Epoch != began.Move.Epoch || len(now.Silent) > 0) {
			err = fmt.Errorf("round %d: %+v", round, now)
		}
		return err
	})
	k.flows(round)
}

// repeatsAndConflicts publishes the first event again, where its department is
// now: it is answered with its first receipt, and with another content refused.
func (k *killing) repeatsAndConflicts(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	e := sample.Event(sample.SystemOf(sample.ShenzhenMarket), 0)
	must(t, fleet.Until(ctx, "a repeat to be answered", func(ctx context.Context) error {
		receipts, err := k.provider.Publish(ctx, "enterprise-registration", e)
		if err == nil && (!receipts[0].Duplicate || receipts[0].Sequence != 1) {
			t.Errorf("the first event again: %+v", receipts[0])
		}
		return err
	}))
	must(t, e.SetData("application/json", map[string]string{"enterprise_name": "另一内容"}))
	if _, err := k.provider.Publish(ctx, "enterprise-registration", e); !client.IsCode(err, bus.CodeEventConflict) {
		t.Errorf("the first event with another content: %v", err)
	}
}

// wholeWay demands that the first event's trace leads over all nodes that had it.
func (k *killing) wholeWay(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	auditor, err := k.SignIn(ctx, k.Node("guangdong"), "auditor")
	must(t, err)
	trace, err := auditor.AuditTrace(ctx, k.oracle.acknowledged()[0])
	must(t, err)
	seen := map[audit.Kind]int{}
	for _, step := range trace.Steps {
		var r audit.Record
		must(t, json.Unmarshal(step.Record, &r))
		seen[r.Kind]++
	}
	if seen[audit.KindAccepted] != 1 || seen[audit.KindReceived] != 4 || seen[audit.KindAcknowledged] != 4 || seen[audit.KindMovedOut] == 0 || seen[audit.KindMovedIn] == 0 {
		t.Errorf("the first event was recorded as %v, want it accepted once, received and acknowledged four times, and moved", seen)
	}
}
