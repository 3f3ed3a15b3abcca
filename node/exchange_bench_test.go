package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// BenchmarkHttpPublish measures batches of 100 events of 1 KiB published to a node's
// process over HTTP by 8 publishers, to a resource that nobody subscribes to; ratio
// is to bbolt alone, given the same bytes in as many, equally grouped commits.
func BenchmarkHttpPublish(b *testing.B) {
	const batches, size = 300, 100
	x := newCrossing(b, fleet.Spec{ID: "shenzhen", Division: "440300", Voter: true})
	for b.Loop() {
		bodies := x.prepare(batches, size)
		ours := perSecond(batches*size, func() { must(b, inParallel(8, batches, func(n int) error { return x.post(x.resource.ID, bodies[n]) })) })
		raw := rawCommits(b, bodies, size)
		b.ReportMetric(ours, "events/s")
		b.ReportMetric(raw, "baseline")
		b.ReportMetric(ours/raw, "ratio")
	}
}

// rawCommits puts the events of each body into bbolt, in the transactions that a node
// would group them into, and gives how many a second.
func rawCommits(b *testing.B, bodies [][]byte, size int) float64 {
	b.Helper()
	store, err := exchange.OpenStore(filepath.Join(b.TempDir(), "raw.db"), func(err error) { b.Error(err) })
	must(b, err)
	defer func() { must(b, store.Close()) }()
	return perSecond(len(bodies)*size, func() {
		must(b, inParallel(8, len(bodies), func(n int) error {
			share := len(bodies[n]) / size
			return store.Commit(context.Background(), func(tx *bbolt.Tx) error {
				events := tx.Bucket([]byte("events"))
				for i := range size {
					number, err := events.NextSequence()
					if err != nil {
						return err
					}
					if err := events.Put(fmt.Appendf(nil, "%016d", number), bodies[n][i*share:][:share]); err != nil {
						return err
					}
				}
				return nil
			})
		}))
	})
}

// BenchmarkCrossNodeExchange measures events of 1 KiB from publishing at one node's
// process, through filter, policy, masks, forwarding and inbox, to the acknowledged
// pull at another's; ratio is to the events that a node is to carry a second.
func BenchmarkCrossNodeExchange(b *testing.B) {
	const batches, size, wanted = 200, 100, 8000
	x := newCrossing(b, pair()...)
	x.subscribe("bench", sample.GuangzhouHealth)
	for b.Loop() {
		bodies := x.prepare(batches, size)
		got := perSecond(batches*size, func() {
			failed := make(chan error, 1)
			go func() {
				failed <- inParallel(4, batches, func(n int) error { return x.post(x.resource.ID, bodies[n]) })
			}()
			must(b, x.receive("bench", batches*size, nil))
			must(b, <-failed)
		})
		b.ReportMetric(got, "events/s")
		b.ReportMetric(wanted, "baseline")
		b.ReportMetric(got/wanted, "ratio")
	}
}

// BenchmarkCrossNodeLatency publishes 4,000 events a second, whether or not those
// before were answered, and measures from when each was meant to be published to when
// a pull that waits has brought it.
func BenchmarkCrossNodeLatency(b *testing.B) {
	const every, size, ticks, limit = 10 * time.Millisecond, 40, 1000, 250
	x := newCrossing(b, pair()...)
	x.subscribe("bench", sample.GuangzhouHealth)
	for b.Loop() {
		first := x.made
		bodies := x.prepare(ticks, size)
		start := time.Now().Add(100 * time.Millisecond)
		var publishing sync.WaitGroup
		go func() {
			for n, body := range bodies {
				pause(x.ctx, time.Until(start.Add(time.Duration(n)*every)))
				publishing.Go(func() {
					if err := x.post(x.resource.ID, body); err != nil {
						b.Error(err)
					}
				})
			}
		}()
		var took []time.Duration
		must(b, x.receive("bench", ticks*size, func(e cloudevent.Event) {
			var n int
			_, err := fmt.Sscanf(e.ID(), "bench-%d", &n)
			must(b, err)
			took = append(took, time.Since(start.Add(time.Duration((n-first)/size)*every)))
		}))
		publishing.Wait()
		slices.Sort(took)
		p99 := float64(took[len(took)*99/100]) / float64(time.Millisecond)
		b.ReportMetric(p99, "ms")
		b.ReportMetric(limit, "baseline")
		b.ReportMetric(p99/limit, "ratio")
	}
}

// BenchmarkCrossNodeSubscribers measures what each of 50 subscribers of a resource on
// five nodes adds to an event; ratio is to what the event costs with the first alone.
func BenchmarkCrossNodeSubscribers(b *testing.B) {
	const batches, size, subscribers = 20, 100, 50
	at := []bus.Department{sample.GuangzhouHealth, sample.ProvinceCivil, sample.ShenzhenMarket, sample.TianheServices, sample.NanshanTax, sample.ProvinceData, sample.TianheHousing}
	x := newCrossing(b, fleet.Province()...)
	subscribed := 0
	measure := func(count int) time.Duration {
		for ; subscribed < count; subscribed++ {
			x.subscribe(subscriber(subscribed), at[subscribed%len(at)])
		}
		bodies := x.prepare(batches, size)
		began := time.Now()
		failed := make(chan error, count+1)
		go func() {
			failed <- inParallel(4, batches, func(n int) error { return x.post(x.resource.ID, bodies[n]) })
		}()
		for n := range count {
			go func() { failed <- x.receive(subscriber(n), batches*size, nil) }()
		}
		for range count + 1 {
			must(b, <-failed)
		}
		return time.Since(began) / (batches * size)
	}
	for b.Loop() {
		subscribed = 0
		one := measure(1)
		each := (measure(subscribers) - one) / (subscribers - 1)
		b.ReportMetric(float64(each)/float64(time.Microsecond), "µs")
		b.ReportMetric(float64(one)/float64(time.Microsecond), "baseline")
		b.ReportMetric(float64(each)/float64(one), "ratio")
	}
}

func subscriber(n int) bus.SubscriptionID { return bus.SubscriptionID(fmt.Sprint("bench-", n)) }

// pair is two nodes that know each other.
func pair() []fleet.Spec {
	return []fleet.Spec{{ID: "shenzhen", Division: "440300", Voter: true}, {ID: "guangzhou", Division: "440100"}}
}

// crossing is a fleet of processes with a provider at one and consumers at others.
type crossing struct {
	b           testing.TB
	ctx         context.Context
	fleet       *fleet.Fleet
	security    *client.Client
	credentials map[bus.USCC]client.NewCredential
	resource    bus.Resource
	web         *http.Client
	consumers   map[bus.SubscriptionID]*client.Client
	made        int // events so far
}

func newCrossing(b testing.TB, specs ...fleet.Spec) *crossing {
	b.Helper()
	return crossingWith(b, specs, func(*fleet.Node) []string { return nil })
}

// crossingWith starts one whose nodes are given more settings, as variables.
func crossingWith(b testing.TB, specs []fleet.Spec, settings func(*fleet.Node) []string) *crossing {
	b.Helper()
	x := &crossing{b: b, ctx: context.Background(), credentials: map[bus.USCC]client.NewCredential{}, resource: sample.EnterpriseRegistration(), consumers: map[bus.SubscriptionID]*client.Client{}}
	f, err := fleet.New(buildProgram(b), b.TempDir(), specs...)
	must(b, err)
	x.fleet = f
	for _, n := range f.Nodes() {
		n.Settings = append([]string{"GXBUS_LOOPBACK_BINDINGS=true", "GXBUS_SYSTEM_RATE=1000000", "GXBUS_SYSTEM_EVENT_RATE=1000000"}, settings(n)...)
	}
	b.Cleanup(func() { must(b, f.Stop()) })
	must(b, f.Start(x.ctx))
	admin, err := f.SignIn(x.ctx, f.Nodes()[0], "sysadmin")
	must(b, err)
	for _, d := range sample.Departments() {
		_, err := admin.Departments().Put(x.ctx, d)
		must(b, err)
		x.credentials[d.ID], err = admin.Systems().Put(x.ctx, sample.SystemOf(d))
		must(b, err)
	}
	must(b, f.Publish(x.ctx, x.resource))
	x.security, err = f.SignIn(x.ctx, f.Nodes()[0], "secadmin")
	must(b, err)
	pem, err := os.ReadFile(f.Nodes()[0].CA())
	must(b, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	x.web = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64}}
	b.Cleanup(x.web.CloseIdleConnections)
	return x
}

// system speaks for a department at the node of its division.
func (x *crossing) system(d bus.Department) *client.Client {
	x.b.Helper()
	for _, n := range x.fleet.Nodes() {
		if n.Spec.Division == d.Division {
			c, err := n.System(x.credentials[d.ID])
			must(x.b, err)
			return c
		}
	}
	x.b.Fatalf("no node serves %s", d.Division)
	return nil
}

// grant lets a department have the resource.
func (x *crossing) grant(d bus.Department) bus.GrantID {
	x.b.Helper()
	id := bus.GrantID("bench-" + strings.ToLower(string(d.ID)))
	if _, err := x.security.Grants().Read(x.ctx, id); err == nil {
		return id
	}
	_, err := x.security.Grants().Put(x.ctx, sample.Grant(id, x.resource, d))
	must(x.b, err)
	return id
}

// subscribe has a department receive every event of the sample's kind.
func (x *crossing) subscribe(id bus.SubscriptionID, d bus.Department) {
	x.b.Helper()
	if x.consumers[id] != nil {
		return
	}
	c, g := x.system(d), x.grant(d)
	s := bus.Subscription{ID: id, Resource: x.resource.ID, Grant: g, Purpose: bus.PurposeVerification, Filters: []bus.Filter{{Prefix: map[string]string{"type": "cn.gov.sample."}}}}
	must(x.b, fleet.Until(x.ctx, "the grant to be known", func(context.Context) error {
		_, err := c.Subscriptions().Put(x.ctx, s)
		return err
	}))
	x.consumers[id] = c
}

// prepare makes bodies of so many events of about 1 KiB each.
func (x *crossing) prepare(batches, size int) [][]byte {
	x.b.Helper()
	template, system := sample.Event(sample.SystemOf(sample.ShenzhenMarket), 1), sample.SystemOf(sample.ShenzhenMarket)
	bodies := make([][]byte, batches)
	for n := range bodies {
		events := make([]cloudevent.Event, size)
		for i := range events {
			e := template.Clone()
			e.SetSource(system.Source())
			e.SetID(fmt.Sprintf("bench-%09d", x.made))
			e.SetExtension("padding", strings.Repeat("x", 400))
			events[i], x.made = e, x.made+1
		}
		var err error
		bodies[n], err = json.Marshal(events)
		must(x.b, err)
	}
	return bodies
}

// post publishes a batch as any HTTP client would: again, where the node says that it
// could not decide in time.
func (x *crossing) post(to bus.ResourceID, body []byte) error {
	return fleet.Until(x.ctx, "events to be taken", func(context.Context) error { return x.postOnce(to, body) })
}

func (x *crossing) postOnce(to bus.ResourceID, body []byte) error {
	q, err := http.NewRequestWithContext(x.ctx, http.MethodPost, "https://"+x.fleet.Node("shenzhen").API+"/api/v1/resources/"+string(to)+"/events", bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/cloudevents-batch+json")
	q.Header.Set("Authorization", "Bearer "+x.credentials[sample.ShenzhenMarket.ID].Bearer)
	resp, err := x.web.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s %s", resp.Status, answer)
	}
	return err
}

// receive pulls and acknowledges until so many events have come.
func (x *crossing) receive(id bus.SubscriptionID, count int, each func(cloudevent.Event)) error {
	c := x.consumers[id]
	for count > 0 {
		events, last, err := c.Await(x.ctx, id, 1000, 10*time.Second)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return errors.New("nothing came for ten seconds")
		}
		for _, e := range events {
			if each != nil {
				each(e)
			}
		}
		if err := c.Ack(x.ctx, id, last); err != nil {
			return err
		}
		count -= len(events)
	}
	return nil
}

// inParallel does so many things, some at once, and returns the first error.
func inParallel(workers, count int, do func(n int) error) error {
	var work errgroup.Group
	work.SetLimit(workers)
	for n := range count {
		work.Go(func() error { return do(n) })
	}
	return work.Wait()
}

func perSecond(count int, do func()) float64 {
	began := time.Now()
	do()
	return float64(count) / time.Since(began).Seconds()
}
