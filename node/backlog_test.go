package main_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// A node is down while events are published, from the first to the last of them: what
// is for it waits at the provider's node, and arrives in order, each once, after it
// has started. What is for another node meanwhile is as fast as before.
//
// GXBUS_BACKLOG says how many events.
func TestBacklog(t *testing.T) {
	total := number(t, "GXBUS_BACKLOG", 2000)
	b := newBacklog(t)
	b.publish(warm)
	b.arrive(b.behind, 0, warm)
	before := b.publish(total) // as many: a machine that is too slow for the pace falls behind as far
	b.arrive(b.behind, warm, total)
	b.down.Stop()
	meanwhile := b.publish(total)
	b.down.Start()
	begun := time.Now()
	b.arrive(b.behind, warm+total, total)
	took := time.Since(begun)
	t.Logf("%d events for a node that was down, %d a second once it had started; to another node p99 %v before and %v meanwhile",
		total, int(float64(total)/took.Seconds()), before, meanwhile)
	// A dead node must not be waited for; two loaded processors may be.
	if meanwhile > 2*before+time.Second {
		t.Errorf("to another node p99 is %v while one is down, before %v", meanwhile, before)
	}
}

// backlog is a provider, a consumer whose node goes down, and one whose does not.
type backlog struct {
	t              *testing.T
	ctx            context.Context
	down           *nodetest.Node
	provider       *client.Client
	beside, behind puller
	published      int
}

const (
	warm         = 500 // events of which no times are taken: policies are compiled, grants become known to be used
	backlogBatch = 50
	backlogEvery = 50 * time.Millisecond // 1,000 events a second
)

func newBacklog(t *testing.T) *backlog {
	t.Helper()
	ctx := context.Background()
	all := fleet.Province()
	c := nodetest.Start(t, all[0], all[2], all[3])
	b := &backlog{t: t, ctx: ctx, down: c.Nodes["tianhe"]}
	admin, resource := c.Client("sysadmin"), sample.EnterpriseRegistration()
	clients := map[bus.USCC]*client.Client{}
	for at, d := range map[bus.NodeID]bus.Department{"shenzhen": sample.ShenzhenMarket, "tianhe": sample.TianheServices, "guangdong": sample.ProvinceCivil} {
		_, err := admin.Departments().Put(ctx, d)
		must(t, err)
		credential, err := admin.Systems().Put(ctx, sample.SystemOf(d))
		must(t, err)
		clients[d.ID] = c.Nodes[at].Client(credential.Bearer)
	}
	c.Publish(resource)
	b.provider, b.beside, b.behind = clients[sample.ShenzhenMarket.ID], clients[sample.ProvinceCivil.ID], clients[sample.TianheServices.ID]
	for _, d := range []bus.Department{sample.TianheServices, sample.ProvinceCivil} {
		id := "backlog-" + string(d.Division)
		_, err := c.Client("secadmin").Grants().Put(ctx, sample.Grant(bus.GrantID(id), resource, d))
		must(t, err)
		nodetest.Eventually(t, "subscription "+id, func() error {
			_, err := clients[d.ID].Subscriptions().Put(ctx, bus.Subscription{ID: bus.SubscriptionID(id), Resource: resource.ID, Grant: bus.GrantID(id), Purpose: bus.PurposeVerification})
			return err
		})
	}
	return b
}

// publish publishes events at an even pace, and returns in which time from when it was
// meant to be published 99 of 100 came to the consumer beside.
func (b *backlog) publish(count int) (p99 time.Duration) {
	b.t.Helper()
	from, begun := b.published, time.Now()
	b.published += count
	meant := func(n int) time.Time { return begun.Add(time.Duration((n-from)/backlogBatch) * backlogEvery) }
	failed := make(chan error, 1)
	go func() {
		failed <- func() error {
			for n := from; n < from+count; n += backlogBatch {
				pause(b.ctx, time.Until(meant(n)))
				batch := make([]cloudevent.Event, min(backlogBatch, from+count-n))
				for i := range batch {
					batch[i] = sample.Event(sample.SystemOf(sample.ShenzhenMarket), n+i)
				}
				if _, err := b.provider.Publish(b.ctx, "enterprise-registration", batch...); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	var took []time.Duration
	b.receive(b.beside, "backlog-440000", from, count, func(n int) { took = append(took, time.Since(meant(n))) })
	must(b.t, <-failed)
	slices.Sort(took)
	return took[len(took)*99/100].Round(time.Millisecond)
}

// arrive demands of the consumer behind the events that were published.
func (b *backlog) arrive(at puller, from, count int) {
	b.t.Helper()
	b.receive(at, "backlog-440106", from, count, func(int) {})
}

// receive pulls and acknowledges events, which have to come in order and once, and has
// each noted.
func (b *backlog) receive(at puller, id bus.SubscriptionID, from, count int, note func(n int)) {
	b.t.Helper()
	quiet := time.Now()
	for n := from; n < from+count; {
		events, last, err := at.Pull(b.ctx, id, 1000)
		if err != nil || len(events) == 0 {
			if time.Since(quiet) > time.Minute {
				b.t.Fatalf("%d of %d events came to %s: %v", n-from, count, id, err)
			}
			pause(b.ctx, 2*time.Millisecond)
			continue
		}
		for _, e := range events {
			if want := fmt.Sprintf("registration-%06d", n); e.ID() != want {
				b.t.Fatalf("%s: %s came, want %s", id, e.ID(), want)
			}
			note(n)
			n++
		}
		must(b.t, at.Ack(b.ctx, id, last))
		quiet = time.Now()
	}
}
