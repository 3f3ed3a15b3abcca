package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Whatever fails in between, an event that was acknowledged to its publisher
// reaches the subscriber once, in order, or is withheld or filtered on record; what
// is held goes on later; and a limit counts each event once, across restarts.
func TestAcknowledgedEventsArriveOnceInOrderOrAreWithheldOnRecord(t *testing.T) {
	first, _ := fake(t)
	first.subscribe(sub, puller)
	first.provider().close()
	first.consumer().close()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(first, rt)
		defer m.stop()
		rt.Repeat(map[string]func(*rapid.T){
			"publish":               m.publish,
			"publish again":         m.publishAgain,
			"publish a conflict":    m.publishConflict,
			"publish and crash":     m.publishAndCrash,
			"pull":                  m.pull,
			"acknowledge":           m.acknowledge,
			"acknowledge too much":  m.acknowledgeTooMuch,
			"crash a node":          m.crash,
			"change the line":       m.changeLine,
			"change the forwarding": func(rt *rapid.T) { m.change(rt, policy.ActionForward) },
			"change the delivery":   func(rt *rapid.T) { m.change(rt, policy.ActionDeliver) },
			"half a minute passes":  func(*rapid.T) { m.clock.advance(30 * time.Second) },
		})
		m.finish(rt)
	})
}

// machine is a world with what a perfect observer knows of it. Events are
// numbered as they are published, so that an event's id is its sequence number.
type machine struct {
	*world
	decider   *decider
	published int          // events acknowledged to the publisher
	odd       map[int]bool // those that cannot be masked
	pending   []int        // handed out by the last pull, not acknowledged, still in the inbox
	handed    int          // the largest number ever handed out
	taken     []int        // acknowledged by the subscriber, in that order
	rules     sync.Map     // policy.Action → the rule in force, "" for none

	upTo   int            // handed out under a limit, so far
	counts map[string]int // minute → how many first then
}

// What policies say: a code that denies, or an obligation.
const (
	final   = "grant-revoked" // a reason that drops
	holding = "hold"
	sieving = "rows"   // a third of the events is left out
	sparing = "limits" // perMinute
)

const perMinute = 7

var rules = []string{"", "", policy.CodeTimeout, final, holding, sieving, sieving, sparing, sparing}

// ruled is the decision by a rule.
func ruled(rule string, in policy.Input) bus.Decision {
	switch rule {
	case "":
		return allow(in)
	case holding:
		return later()
	case sieving:
		return with(bus.Obligations{Rows: []bus.RowCondition{{Item: "phone", Equals: []string{"13800138001", "13800138002"}}}})(in)
	case sparing:
		return with(limit(perMinute, bus.PerMinute, bus.KeyConsumer))(in)
	default:
		return refuse(rule)
	}
}

// grouped makes event number n, which tells n modulo 3.
func grouped(n int, version ...string) cloudevent.Event {
	e := sample(n, version...)
	data := strings.Replace(string(e.Data()), "13800138000", fmt.Sprint(13800138000+n%3), 1)
	if err := e.SetData("application/json", []byte(data)); err != nil {
		panic(err)
	}
	return e
}

// newMachine makes two new nodes over the directory of first.
func newMachine(first *world, rt *rapid.T) *machine {
	d := &decider{changed: make(chan struct{})}
	w := &world{
		tb: first.tb, decider: d, clock: first.clock, directory: first.directory,
		line: &line{ends: map[bus.NodeID]*exchange.Exchange{}}, nodes: map[bus.NodeID]*node{},
	}
	m := &machine{world: w, decider: d, odd: map[int]bool{}, counts: map[string]int{}}
	d.follow(func(in policy.Input) bus.Decision {
		rule, _ := m.rules.Load(in.Action)
		word, _ := rule.(string)
		return ruled(word, in)
	})
	for _, id := range []bus.NodeID{shenzhen, guangzhou} {
		w.nodes[id] = newNode(w, id)
		w.nodes[id].open()
	}
	m.settled(sub, 0) // the subscription begins with the first event
	return m
}

func (m *machine) stop() {
	m.provider().close()
	m.consumer().close()
}

// draw makes the next events; some of them cannot be masked.
func (m *machine) draw(rt *rapid.T) (events []cloudevent.Event) {
	count := rapid.IntRange(1, 40).Draw(rt, "count")
	for i := range count {
		n := m.published + 1 + i
		if m.odd[n] = rapid.IntRange(0, 9).Draw(rt, "odd") == 0; m.odd[n] {
			events = append(events, oddSample(n))
		} else {
			events = append(events, grouped(n))
		}
	}
	return events
}

func oddSample(n int) cloudevent.Event {
	e := sample(n)
	if err := e.SetData("text/plain", []byte("odd")); err != nil {
		panic(err)
	}
	return e
}

// accepted demands receipts for the next events.
func (m *machine) accepted(rt *rapid.T, receipts []exchange.Receipt, err error, count int) {
	if err != nil || len(receipts) != count {
		rt.Fatalf("%d receipts for %d events: %v", len(receipts), count, err)
	}
	for i, r := range receipts {
		if r.Sequence != uint64(m.published+1+i) {
			rt.Fatalf("event %d got number %d", m.published+1+i, r.Sequence)
		}
	}
	m.published += count
}

func (m *machine) publish(rt *rapid.T) {
	events := m.draw(rt)
	receipts, err := m.provider().Publish(context.Background(), publisher, "", firms, events)
	m.accepted(rt, receipts, err, len(events))
}

func (m *machine) publishAgain(rt *rapid.T) {
	if m.published == 0 {
		rt.Skip("nothing published")
	}
	n := rapid.IntRange(1, m.published).Draw(rt, "event")
	e := grouped(n)
	if m.odd[n] {
		e = oddSample(n)
	}
	receipts, err := m.provider().Publish(context.Background(), publisher, "", firms, []cloudevent.Event{e})
	if err != nil || !receipts[0].Duplicate || receipts[0].Sequence != uint64(n) {
		rt.Fatalf("event %d again: %+v, %v", n, receipts, err)
	}
}

func (m *machine) publishConflict(rt *rapid.T) {
	if m.published == 0 {
		rt.Skip("nothing published")
	}
	n := rapid.IntRange(1, m.published).Draw(rt, "event")
	events := []cloudevent.Event{grouped(m.published + 1), grouped(n, "another content")}
	if _, err := m.provider().Publish(context.Background(), publisher, "", firms, events); bus.CodeOf(err) != bus.CodeEventConflict {
		rt.Fatalf("event %d with another content: %v", n, err)
	}
}

// publishAndCrash closes the node under a publication. A publisher that got no
// answer sends the same again.
func (m *machine) publishAndCrash(rt *rapid.T) {
	events := m.draw(rt)
	x := m.provider().Exchange
	var receipts []exchange.Receipt
	var err error
	started, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		close(started)
		receipts, err = x.Publish(context.Background(), publisher, "", firms, events)
	}()
	<-started
	m.provider().close()
	<-done
	m.provider().open()
	if err != nil {
		receipts, err = m.provider().Publish(context.Background(), publisher, "", firms, events)
	}
	m.accepted(rt, receipts, err, len(events))
}

func (m *machine) pull(rt *rapid.T) {
	limit := rapid.IntRange(1, 60).Draw(rt, "limit")
	loaded, _ := m.rules.Load(policy.ActionDeliver)
	rule, _ := loaded.(string)
	before := m.consumer().inbox(sub)
	events, last, err := m.consumer().Pull(context.Background(), puller, sub, limit)
	got := ids(events)
	switch code := bus.CodeOf(err); rule {
	case final:
		if code != bus.CodeDenied && code != "" || len(got) > 0 {
			rt.Fatalf("%d events, %v", len(got), err)
		}
		m.pending = nil
		return
	case policy.CodeTimeout:
		if code != bus.CodeUndecided && code != "" || len(got) > 0 {
			rt.Fatalf("%d events, %v", len(got), err)
		}
		return
	case holding:
		if code != bus.CodeHeld && code != "" || len(got) > 0 {
			rt.Fatalf("%d events, %v", len(got), err)
		}
		return
	case sparing:
		m.spared(rt, limit, before, got, err)
	default:
		if err != nil {
			rt.Fatal(err)
		}
	}
	m.inHand(rt, rule, limit, got)
	if len(got) > 0 && uint64(got[len(got)-1]) > last {
		rt.Fatalf("pulled %v, to be acknowledged by %d", got, last)
	}
	for i, n := range got {
		if m.odd[n] || n > m.published || i > 0 && n <= got[i-1] || len(m.taken) > 0 && n <= m.taken[len(m.taken)-1] || rule == sieving && n%3 == 0 {
			rt.Fatalf("pulled %v after %v were taken", got, m.taken)
		}
	}
	if len(got) >= len(m.pending) {
		m.pending = got
	}
	m.handed = m.consumer().delivered(sub)
}

// inHand demands that what was handed out before comes first again, but for what
// the rule filters.
func (m *machine) inHand(rt *rapid.T, rule string, limit int, got []int) {
	if rule == sieving {
		left := m.consumer().inbox(sub)
		m.pending = slices.DeleteFunc(slices.Clone(m.pending), func(n int) bool { return n%3 == 0 && !slices.Contains(left, uint64(n)) })
		limit = 1 // the others may be after some that go
	}
	if rule == sparing {
		limit = 0 // see spared
	}
	if again := min(len(got), len(m.pending)); !slices.Equal(got[:again], m.pending[:again]) || again < min(limit, len(m.pending)) {
		rt.Fatalf("pulled %v, before %v", got, m.pending)
	}
}

// spared demands that a pull under a limit gave as many as it lets through in this
// minute: those that were counted before, and what room there is.
func (m *machine) spared(rt *rapid.T, limit int, before []uint64, got []int, err error) {
	minute := m.clock.now().Format("15:04")
	room, want := perMinute-m.counts[minute], 0
	for _, n := range before[:min(limit, len(before))] {
		if int(n) > m.upTo {
			if room == 0 {
				break
			}
			room--
		}
		want++
	}
	full := want == 0 && len(before) > 0
	more := len(before) < limit && room > 0 // some may have come since
	if full != (bus.CodeOf(err) == bus.CodeRateLimited) && !more || err != nil && bus.CodeOf(err) != bus.CodeRateLimited || len(got) < want || len(got) > want && !more {
		rt.Fatalf("pulled %d of %v, %v; %d counted this minute, up to %d; wanted %d", len(got), before, err, m.counts[minute], m.upTo, want)
	}
	for _, n := range got {
		if n > m.upTo {
			m.upTo = n
			m.counts[minute]++
		}
	}
	if m.counts[minute] > perMinute {
		rt.Fatalf("%d events were handed out in a minute", m.counts[minute])
	}
}

func (m *machine) acknowledge(rt *rapid.T) {
	if len(m.pending) == 0 {
		rt.Skip("nothing handed out")
	}
	count := rapid.IntRange(1, len(m.pending)).Draw(rt, "count")
	if err := m.consumer().Acknowledge(context.Background(), puller, sub, uint64(m.pending[count-1])); err != nil {
		rt.Fatal(err)
	}
	m.taken = append(m.taken, m.pending[:count]...)
	m.pending = m.pending[count:]
}

func (m *machine) acknowledgeTooMuch(rt *rapid.T) {
	err := m.consumer().Acknowledge(context.Background(), puller, sub, uint64(m.handed+rapid.IntRange(1, 50).Draw(rt, "beyond")))
	if bus.CodeOf(err) != bus.CodeInvalid {
		rt.Fatal(err)
	}
}

func (m *machine) crash(rt *rapid.T) {
	rapid.SampledFrom([]*node{m.provider(), m.consumer()}).Draw(rt, "node").reopen()
}

// changeLine has batches or answers lost, or a batch that arrives and whose
// answer hangs until the sender goes away.
func (m *machine) changeLine(rt *rapid.T) {
	lost := func(context.Context, exchange.Batch) error { return errLine }
	hung := func(ctx context.Context, _ exchange.Batch) error {
		<-ctx.Done()
		return ctx.Err()
	}
	switch rapid.SampledFrom([]string{"up", "up", "batches lost", "answers lost", "answers hang"}).Draw(rt, "line") {
	case "up":
		m.line.hook(nil, nil)
	case "batches lost":
		m.line.hook(lost, nil)
	case "answers lost":
		m.line.hook(nil, lost)
	case "answers hang":
		m.line.hook(nil, hung)
	}
}

func (m *machine) change(rt *rapid.T, action policy.Action) {
	m.rules.Store(action, rapid.SampledFrom(rules).Draw(rt, "rule"))
}

// finish lets everything through and looks at what became of each event.
func (m *machine) finish(rt *rapid.T) {
	m.line.hook(nil, nil)
	m.rules.Store(policy.ActionForward, "")
	m.rules.Store(policy.ActionDeliver, "")
	m.provider().reopen() // a hung answer never comes
	m.settled(sub, uint64(m.published))
	for len(m.consumer().inbox(sub)) > 0 {
		m.pull(rt)
		if len(m.pending) > 0 {
			m.acknowledge(rt)
		}
	}
	if !slices.IsSorted(m.taken) || len(slices.Compact(slices.Clone(m.taken))) != len(m.taken) {
		rt.Fatalf("taken %v", m.taken)
	}
	m.account(rt)
	m.provider().verify()
	m.consumer().verify()
}

// account holds the fate of every event against the evidence.
func (m *machine) account(rt *rapid.T) {
	withheldHere, withheldThere := m.covered(m.provider(), audit.KindWithheld), m.covered(m.consumer(), audit.KindWithheld)
	accepted, received := m.covered(m.provider(), audit.KindAccepted), m.covered(m.consumer(), audit.KindReceived)
	delivered, acknowledged := m.covered(m.consumer(), audit.KindDelivered), m.covered(m.consumer(), audit.KindAcknowledged)
	forwarded, decided := m.covered(m.provider(), audit.KindForwarded), m.covered(m.consumer(), audit.KindDecision)
	filteredHere, filteredThere := m.covered(m.provider(), audit.KindFiltered), m.covered(m.consumer(), audit.KindFiltered)
	taken := map[int]bool{}
	for _, n := range m.taken {
		taken[n] = true
	}
	if sent, got := m.events(m.provider(), audit.KindForwarded), m.events(m.consumer(), audit.KindReceived); sent != got {
		rt.Fatalf("%d events are on record as forwarded, and %d as received", sent, got)
	}
	for n := 1; n <= m.published; n++ {
		switch {
		case accepted[n] != 1:
			rt.Fatalf("event %d has %d leaves of its acceptance", n, accepted[n])
		case received[n] > 1 || acknowledged[n] > 1:
			rt.Fatalf("event %d was received %d and acknowledged %d times", n, received[n], acknowledged[n])
		case taken[n] && (received[n] == 0 || decided[n] == 0 || delivered[n] == 0 || acknowledged[n] == 0):
			rt.Fatalf("event %d was taken, but received %d, decided on %d, delivered %d, acknowledged %d times on record",
				n, received[n], decided[n], delivered[n], acknowledged[n])
		case taken[n] && (forwarded[n] != 1 || withheldHere[n]+filteredHere[n] > 0):
			rt.Fatalf("event %d was taken, and forwarded %d, withheld %d and filtered %d times", n, forwarded[n], withheldHere[n], filteredHere[n])
		case taken[n] && withheldThere[n]+filteredThere[n] > 0:
			rt.Fatalf("event %d was taken, and withheld or filtered", n)
		case !taken[n] && withheldHere[n]+withheldThere[n]+filteredHere[n]+filteredThere[n] == 0:
			rt.Fatalf("event %d was acknowledged to its publisher and is lost", n)
		case max(filteredHere[n], withheldThere[n], filteredThere[n]) > 1 || withheldHere[n] > 2: // alone, then with the batch it is in
			rt.Fatalf("event %d ended twice at one node", n)
		case filteredHere[n]+filteredThere[n] > 0 && n%3 != 0:
			rt.Fatalf("event %d was filtered", n)
		case m.odd[n] && taken[n]:
			rt.Fatalf("event %d cannot be masked and was handed out", n)
		}
	}
}

// events counts the events of a node's leaves of a kind.
func (m *machine) events(at *node, kind audit.Kind) (count int) {
	for _, r := range at.records(kind) {
		count += r.Events
	}
	return count
}

// covered counts, for each event, a node's leaves of a kind whose range has it.
func (m *machine) covered(at *node, kind audit.Kind) map[int]int {
	count := map[int]int{}
	for _, r := range at.records(kind) {
		for n := r.First; r.HasRange() && n <= r.Last; n++ {
			count[int(n)]++
		}
	}
	return count
}
