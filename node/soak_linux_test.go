package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// TestSoak has two processes share events at half the rate that they can, with some
// queries beside, while events are kept for seconds only. Once they go as fast as they
// come, nothing else of a node grows either: memory, goroutines, descriptors, files. Of
// evidence, which is kept for years, each leaf takes its place and no more. In the end
// every event has come once, and is on record at both nodes.
//
// GXBUS_SOAK says for how long.
func TestSoak(t *testing.T) {
	if os.Getenv("GXBUS_SOAK") == "" {
		t.Skip("SKIPPED: make test-soak runs it")
	}
	long, err := time.ParseDuration(os.Getenv("GXBUS_SOAK"))
	must(t, err)
	s := newSoak(t)
	full := s.full()
	s.run(long, full/2)
	s.flat()
	s.account()
}

const (
	soakKept    = 12 * time.Second // that events are kept
	soakBatch   = 100              // events published at once
	soakFull    = 10 * time.Second // for which the full rate is measured
	soakSample  = 2 * time.Second
	soakQuery   = 250 * time.Millisecond
	soakWaiting = 20_000 // events on their way, beyond which none are published
	soakLeaf    = 3072   // bytes that a leaf of evidence takes in exchange.db at most, with its places in the indexes
)

// figure is what of a node has to stay as it is, give or take a share and some more.
type figure struct {
	name   string
	share  float64
	slack  float64
	leaves float64 // that it may grow with each leaf of evidence
}

const mebi = 1 << 20

var figures = []figure{
	{"anonymous memory", 0.15, 24 * mebi, 0},
	{"resident memory", 0.15, 24 * mebi, soakLeaf}, // with the pages of files that are read through a map
	{"goroutines", 0, 25, 0},
	{"descriptors", 0, 25, 0},
	{"exchange.db", 0.1, 8 * mebi, soakLeaf},
	{"live in exchange.db", 0.1, 8 * mebi, soakLeaf},
	{"directory.db", 0.1, 4 * mebi, 0},
	{"raft/log.db", 0.1, 4 * mebi, 0},
}

// leaves is the figure that others may grow with.
const leaves = "leaves"

// look is what was seen of a node at a time.
type look map[string]float64

// soak is two nodes under an even load.
type soak struct {
	*crossing
	t         *testing.T
	inquiring *inquiring
	metrics   map[*fleet.Node]string // addresses
	looks     map[*fleet.Node][]look

	come  []bool // by the number of an event
	count atomic.Int64
	again []string // events that came more than once
	asked int      // queries that were answered
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{t: t, metrics: map[*fleet.Node]string{}, looks: map[*fleet.Node][]look{}}
	s.crossing = crossingWith(t, pair(), func(n *fleet.Node) []string {
		address, err := fleet.FreeAddress("127.0.0.1")
		must(t, err)
		s.metrics[n] = address
		return []string{"GXBUS_METRICS_LISTEN=" + address, fmt.Sprint("GXBUS_RETENTION_DAYS=", soakKept.Hours()/24)}
	})
	s.subscribe("soak", sample.GuangzhouHealth)
	s.inquiring = newInquiring(s.crossing)
	return s
}

// full measures how many events a second the nodes carry.
func (s *soak) full() (rate float64) {
	s.t.Helper()
	const batches = 50
	for begun := time.Now(); time.Since(begun) < soakFull; {
		bodies := s.prepare(batches, soakBatch)
		s.expect()
		rate = max(rate, perSecond(batches*soakBatch, func() {
			failed := make(chan error, 1)
			go func() {
				failed <- inParallel(4, batches, func(n int) error { return s.post(s.resource.ID, bodies[n]) })
			}()
			must(s.t, s.receive("soak", batches*soakBatch, s.note))
			must(s.t, <-failed)
		}))
	}
	s.t.Logf("the nodes carry %.0f events a second", rate)
	return rate
}

// expect makes room for the events that were made.
func (s *soak) expect() { s.come = append(s.come, make([]bool, s.made-len(s.come))...) }

// note notes that an event came.
func (s *soak) note(e cloudevent.Event) {
	var n int
	if _, err := fmt.Sscanf(e.ID(), "bench-%d", &n); err != nil || n >= len(s.come) || s.come[n] {
		s.again = append(s.again, e.ID())
		return
	}
	s.come[n] = true
	s.count.Add(1)
}

// run keeps the load up for so long, and looks at the nodes meanwhile.
func (s *soak) run(long time.Duration, rate float64) {
	s.t.Helper()
	before := s.made
	s.come = slices.Grow(s.come, int(2*rate*long.Seconds()))
	s.come = s.come[:cap(s.come)]
	load, halt := context.WithTimeout(s.ctx, long)
	defer halt()
	var published atomic.Int64
	published.Store(s.count.Load())
	var beside sync.WaitGroup
	beside.Go(func() { s.publish(load, rate, &published) })
	beside.Go(func() { s.query(load) })
	beside.Go(func() { s.watch(load) })
	for load.Err() == nil || s.count.Load() < published.Load() {
		events, last, err := s.consumers["soak"].Await(s.ctx, "soak", 1000, 10*time.Second)
		must(s.t, err)
		for _, e := range events {
			s.note(e)
		}
		if len(events) == 0 {
			if load.Err() != nil {
				break // the account tells what is missing
			}
			continue
		}
		must(s.t, s.consumers["soak"].Ack(s.ctx, "soak", last))
	}
	beside.Wait()
	s.t.Logf("%d events in %v, %.0f a second were meant; %d queries", s.made-before, long, rate, s.asked)
}

// publish publishes at an even rate. Where the machine is too slow for it, fewer: then
// nothing piles up either.
func (s *soak) publish(ctx context.Context, rate float64, published *atomic.Int64) {
	tick := time.NewTicker(time.Duration(soakBatch / rate * float64(time.Second)))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if published.Load()-s.count.Load() > soakWaiting {
			continue
		}
		batch := s.prepare(1, soakBatch)[0]
		if err := s.patiently("a batch to be taken", func() error { return s.post(s.resource.ID, batch) }); err != nil {
			s.t.Error(err)
			return
		}
		published.Add(soakBatch)
	}
}

// patiently does what a machine with other work may be too slow for, at first.
func (s *soak) patiently(what string, do func() error) error {
	return fleet.Until(s.ctx, what, func(context.Context) error { return do() })
}

func (s *soak) query(ctx context.Context) {
	tick := time.NewTicker(soakQuery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := s.patiently("an answer", func() error { return s.inquiring.query(n) }); err != nil {
			s.t.Error(err)
			return
		}
		s.asked++
	}
}

func (s *soak) watch(ctx context.Context) {
	tick := time.NewTicker(soakSample)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for n, address := range s.metrics {
			l, err := lookAt(ctx, n, address)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.t.Error(err)
				return
			}
			s.looks[n] = append(s.looks[n], l)
		}
	}
}

// lookAt sees what a node takes.
func lookAt(ctx context.Context, n *fleet.Node, metrics string) (look, error) {
	shown, err := scrape(ctx, metrics)
	if err != nil {
		return nil, err
	}
	l := look{
		leaves: shown["gxbus_evidence_leaves"], "goroutines": shown["go_goroutines"],
		"exchange.db": shown["gxbus_exchange_file_bytes"], "live in exchange.db": shown["gxbus_exchange_live_bytes"],
	}
	for figure, field := range map[string]string{"resident memory": "VmRSS", "anonymous memory": "RssAnon"} {
		megabytes, err := statusMB(n.PID(), field)
		if err != nil {
			return nil, err
		}
		l[figure] = megabytes * mebi
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.PID()))
	if err != nil {
		return nil, err
	}
	l["descriptors"] = float64(len(open))
	for _, file := range []string{"directory.db", "raft/log.db"} {
		info, err := os.Stat(filepath.Join(n.Dir, file))
		if err != nil {
			return nil, err
		}
		l[file] = float64(info.Size())
	}
	return l, nil
}

// scrape reads the metrics of a node: name with labels → value.
func scrape(ctx context.Context, address string) (map[string]float64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	shown := map[string]float64{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			if shown[name], err = strconv.ParseFloat(value, 64); err != nil {
				return nil, err
			}
		}
	}
	return shown, lines.Err()
}

// flat demands of what was seen since events go as they come that the last third of it
// is as the third before.
func (s *soak) flat() {
	s.t.Helper()
	for n, looks := range s.looks {
		settled := looks[min(len(looks), int(3*soakKept/soakSample)):]
		third := len(settled) / 3
		if third < 5 {
			s.t.Fatalf("%s: seen %d times, too few to tell: run it for longer", n.ID(), len(looks))
		}
		middle, last := settled[third:2*third], settled[2*third:]
		more := median(last, leaves) - median(middle, leaves)
		s.t.Logf("%s: %.0f leaves of evidence in a third", n.ID(), more)
		for _, f := range figures {
			was, is := median(middle, f.name), median(last, f.name)
			allowed := was*(1+f.share) + f.slack + more*f.leaves
			s.t.Logf("%s: %s %.0f, then %.0f; allowed %.0f", n.ID(), f.name, was, is, allowed)
			if is > allowed {
				s.t.Errorf("%s: %s grows: %.0f, then %.0f", n.ID(), f.name, was, is)
			}
		}
	}
}

// median is the median of a figure.
func median(of []look, name string) float64 {
	values := make([]float64, len(of))
	for i, l := range of {
		values[i] = l[name]
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// account demands that every event came once, that both nodes say so, that events have
// gone, and that queries and evidence are whole.
func (s *soak) account() {
	s.t.Helper()
	made := float64(s.made)
	if int(s.count.Load()) != s.made || len(s.again) > 0 {
		s.t.Errorf("%d events came of %d; again, or unknown: %v", s.count.Load(), s.made, s.again[:min(len(s.again), 3)])
	}
	shown := map[bus.NodeID]map[string]float64{}
	for n, address := range s.metrics {
		m, err := scrape(s.ctx, address)
		must(s.t, err)
		shown[n.ID()] = m
	}
	told := func(at bus.NodeID, kind audit.Kind) float64 {
		return shown[at][fmt.Sprintf("gxbus_events_total{step=%q}", kind)]
	}
	for at, kinds := range map[bus.NodeID][]audit.Kind{
		"shenzhen": {audit.KindAccepted, audit.KindForwarded}, "guangzhou": {audit.KindReceived, audit.KindDelivered, audit.KindAcknowledged},
	} {
		for _, kind := range kinds {
			if got := told(at, kind); got != made {
				s.t.Errorf("%s has %.0f events on record as %s, of %.0f", at, got, kind, made)
			}
		}
		if got := shown[at][`gxbus_query_seconds_count{fault="",outcome="answered"}`]; got < float64(s.asked) {
			s.t.Errorf("%s has %.0f answers on record, of %d", at, got, s.asked)
		}
	}
	if gone := told("shenzhen", audit.KindAdministered); gone < made/2 {
		s.t.Errorf("%.0f events have gone of %.0f: nothing was tried", gone, made)
	}
	(&killing{Fleet: s.fleet}).verifyEvidence(s.t)
}
