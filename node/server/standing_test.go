package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// taker takes under a grant for as long as it can, and keeps when each attempt that
// brought something began.
type taker struct {
	take func(context.Context) bool

	mu   sync.Mutex
	took []time.Time
}

func (c *taker) run(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		began := time.Now()
		if c.take(ctx) {
			c.mu.Lock()
			c.took = append(c.took, began)
			c.mu.Unlock()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// pulling takes what was forwarded.
func pulling(api *client.Client, id bus.SubscriptionID) func(context.Context) bool {
	return func(ctx context.Context) bool {
		events, last, err := api.Pull(ctx, id, 100)
		if err != nil || len(events) == 0 {
			return false
		}
		_ = api.Ack(ctx, id, last) // what is not acknowledged comes again
		return true
	}
}

// querying takes by query.
func querying(api *client.Client, resource bus.ResourceID, grant bus.GrantID) func(context.Context) bool {
	q := inquiry("list")
	q.Grant = grant
	return func(ctx context.Context) bool {
		answer, err := api.Query(ctx, resource, q)
		return err == nil && answer.Rows > 0
	}
}

// after counts the attempts that brought something and began after an instant.
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

// standing is how long after it is acknowledged that a grant does not stand any more
// something may still pass, at a node that is connected.
const standing = 2 * time.Second

func TestNothingPassesOnAnyNodeOnceAGrantIsEndedSuspendedOrExpired(t *testing.T) {
	s, _ := bound(t, nodetest.Options{})
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
		api := s.Nodes[at.node].Client(s.bearers[at.of.ID])
		_, err = api.Subscriptions().Put(ctx, bus.Subscription{ID: bus.SubscriptionID(name), Resource: s.resource.ID, Grant: g.ID, Purpose: bus.PurposeVerification})
		check(t, err)
		takers[name] = &taker{take: pulling(api, bus.SubscriptionID(name))}
		takers[name+" by query"] = &taker{take: querying(api, s.resource.ID, g.ID)}
	}
	for _, c := range takers {
		work.Go(func() { c.run(ctx) })
	}
	work.Go(func() { s.load(ctx) })
	nodetest.Eventually(t, "every department receives, by both ways", func() error {
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
	nodetest.Eventually(t, "the department whose grant stands goes on receiving", func() error {
		if takers["control"].after(last) < 5 || takers["control by query"].after(last) < 5 {
			return errors.New("not yet")
		}
		return nil
	})
	stop()
	work.Wait()
	for name, at := range over {
		for _, name := range []string{name, name + " by query"} {
			if n := takers[name].after(at.Add(standing)); n != 0 {
				t.Errorf("%s: %d times something came more than %v after it", name, n, standing)
			}
		}
	}
}

// load publishes without end.
func (s *story) load(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		_, _ = s.provider.Publish(ctx, s.resource.ID, sample.Event(s.system, n)) // one that fails is missed by nobody
	}
}
