package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// However departments move, stop moving and nodes die on the way, an event that
// was acknowledged to its publisher is taken by the subscriber once, in order,
// and a repeat is answered as the first time.
func TestNothingIsLostRepeatedOrReorderedByMoves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMoves(t)
		defer m.stop()
		rt.Repeat(map[string]func(*rapid.T){
			"publish":            m.publish,
			"publish again":      m.publishAgain,
			"publish a conflict": m.publishConflict,
			"publish and crash":  m.publishAndCrash,
			"pull":               m.pull,
			"acknowledge":        m.acknowledge,
			"move the provider":  func(rt *rapid.T) { m.begin(rt, market) },
			"move the consumer":  func(rt *rapid.T) { m.begin(rt, services) },
			"abort":              m.abortOne,
			"let moves end":      func(*rapid.T) { m.letMovesEnd() },
			"crash a node":       m.crash,
			"change the line":    m.changeLine,
		})
		m.finish(rt)
	})
}

const pushed = bus.SubscriptionID("sub-2") // has a sink

// moves is a world of three nodes with what a perfect observer knows. An event's
// id is the number that it is to get.
type moves struct {
	*world
	published int
	pending   []int // handed out by the last pull, not acknowledged
	taken     []int // acknowledged by the subscriber
}

func newMoves(t *testing.T) *moves {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.subscribe(pushed, puller)
	m := &moves{world: w}
	_, err := w.consumer().PutSink(t.Context(), puller, "", pushed, bus.Sink{URL: "https://sink.test/in", Authorization: "Bearer canary", Batch: 40})
	must(t, err)
	w.provider().bind(secretBinding)
	w.sinks.follow(func([]int) (webhook.Answer, error) { // now and then a request fails
		if w.sinks.tried%11 == 0 {
			return webhook.Answer{Status: 503}, nil
		}
		return webhook.Answer{Status: 204}, nil
	})
	// Whoever tells that a department has come has all of it on the disk.
	w.arrival = func(n *node, d bus.USCC, epoch bus.Revision) error {
		x := w.line.end(n.id)
		if x == nil {
			return errLine // it is being opened
		}
		s, err := x.Survey(d)
		if err == nil && (s.State != "kept" || s.Epoch != epoch) {
			t.Errorf("%s tells of %s at %d, and has %+v", n.id, d, epoch, s)
		}
		return err
	}
	m.settled(sub, 0)
	return m
}

func (m *moves) stop() {
	for _, n := range m.nodes {
		n.close()
	}
}

func (m *moves) at(id bus.USCC) *node {
	_, home := m.department(id)
	return m.nodes[home]
}

// passing reports whether a step was refused because its department moves; it is
// then to be repeated, and must have done nothing.
func passing(err error) bool {
	code := bus.CodeOf(err)
	return code == bus.CodeMoving || code == bus.CodeWrongNode
}

func (m *moves) accepted(rt *rapid.T, receipts []exchange.Receipt, count int) {
	for i, r := range receipts {
		if r.Sequence != uint64(m.published+1+i) {
			rt.Fatalf("event %d got number %d", m.published+1+i, r.Sequence)
		}
	}
	if len(receipts) != count {
		rt.Fatalf("%d receipts for %d events", len(receipts), count)
	}
	m.published += count
}

func (m *moves) publish(rt *rapid.T) {
	events := run(m.published+1, m.published+rapid.IntRange(1, 40).Draw(rt, "count"))
	receipts, err := m.at(market).Publish(context.Background(), publisher, "", firms, events)
	switch {
	case passing(err):
	case err != nil:
		rt.Fatal(err)
	case receipts[0].Duplicate:
		rt.Fatalf("event %d was accepted before", m.published+1)
	default:
		m.accepted(rt, receipts, len(events))
	}
}

func (m *moves) publishAgain(rt *rapid.T) {
	if m.published == 0 {
		rt.Skip("nothing published")
	}
	n := rapid.IntRange(1, m.published).Draw(rt, "event")
	receipts, err := m.at(market).Publish(context.Background(), publisher, "", firms, []cloudevent.Event{sample(n)})
	if passing(err) {
		return
	}
	if err != nil || !receipts[0].Duplicate || receipts[0].Sequence != uint64(n) {
		rt.Fatalf("event %d again: %+v, %v", n, receipts, err)
	}
}

func (m *moves) publishConflict(rt *rapid.T) {
	if m.published == 0 {
		rt.Skip("nothing published")
	}
	n := rapid.IntRange(1, m.published).Draw(rt, "event")
	_, err := m.at(market).Publish(context.Background(), publisher, "", firms, []cloudevent.Event{sample(n, "another content")})
	if !passing(err) && bus.CodeOf(err) != bus.CodeEventConflict {
		rt.Fatalf("event %d with another content: %v", n, err)
	}
}

// publishAndCrash closes the node under a publication, which is repeated until
// somebody answers.
func (m *moves) publishAndCrash(rt *rapid.T) {
	events := run(m.published+1, m.published+rapid.IntRange(1, 40).Draw(rt, "count"))
	n := m.at(market)
	x := n.Exchange
	var receipts []exchange.Receipt
	var err error
	started, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		close(started)
		receipts, err = x.Publish(context.Background(), publisher, "", firms, events)
	}()
	<-started
	n.reopen()
	<-done
	if err != nil {
		m.letMovesEnd()
		receipts, err = m.at(market).Publish(context.Background(), publisher, "", firms, events)
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.accepted(rt, receipts, len(events))
}

func (m *moves) pull(rt *rapid.T) {
	limit := rapid.IntRange(1, 60).Draw(rt, "limit")
	events, last, err := m.at(services).Pull(context.Background(), puller, sub, limit)
	if passing(err) {
		return
	}
	got := ids(events)
	if err != nil || len(got) > 0 && uint64(got[len(got)-1]) != last {
		rt.Fatalf("pulled %v, to be acknowledged by %d: %v", got, last, err)
	}
	if want := numbers(len(m.taken)+1, len(m.taken)+len(got)); !slices.Equal(got, want) {
		rt.Fatalf("pulled %v after %d were taken", got, len(m.taken))
	}
	if len(got) < min(limit, len(m.pending)) {
		rt.Fatalf("pulled %v, before %v", got, m.pending)
	}
	if len(got) >= len(m.pending) {
		m.pending = got
	}
}

func (m *moves) acknowledge(rt *rapid.T) {
	if len(m.pending) == 0 {
		rt.Skip("nothing handed out")
	}
	count := rapid.IntRange(1, len(m.pending)).Draw(rt, "count")
	err := m.at(services).Acknowledge(context.Background(), puller, sub, uint64(m.pending[count-1]))
	if passing(err) {
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.taken = append(m.taken, m.pending[:count]...)
	m.pending = m.pending[count:]
}

// begin begins a move, unless one is under way or there already.
func (m *moves) begin(rt *rapid.T, id bus.USCC) {
	to := rapid.SampledFrom([]bus.NodeID{shenzhen, guangzhou, zhuhai}).Draw(rt, "to")
	_, err := m.propose(sysadmin, command.DepartmentMove, 0, command.Move{Department: id, To: to})
	if code := bus.CodeOf(err); err != nil && code != bus.CodeInUse && code != bus.CodeInvalid {
		rt.Fatal(err)
	}
}

func (m *moves) abortOne(rt *rapid.T) {
	id := rapid.SampledFrom([]bus.USCC{market, services}).Draw(rt, "department")
	if _, err := m.propose(sysadmin, command.DepartmentAbort, 0, command.Key{ID: string(id)}); err != nil && bus.CodeOf(err) != bus.CodeInvalid {
		rt.Fatal(err)
	}
}

func (m *moves) letMovesEnd() {
	m.line.onHandover(nil)
	m.holdArrival(false)
	eventually(m.tb, "no department moves", func() error {
		for _, id := range []bus.USCC{market, services} {
			d, home := m.department(id)
			if d.Move != nil {
				return fmt.Errorf("%s: %+v", id, d.Move)
			}
			if err := m.nodes[home].holds(id, "kept"); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *moves) crash(rt *rapid.T) {
	m.nodes[rapid.SampledFrom([]bus.NodeID{shenzhen, guangzhou, zhuhai}).Draw(rt, "node")].reopen()
}

func (m *moves) changeLine(rt *rapid.T) {
	lost := func(context.Context, exchange.Batch) error { return errLine }
	switch rapid.SampledFrom([]string{"up", "up", "batches lost", "answers lost", "no parcels", "nobody tells"}).Draw(rt, "line") {
	case "up":
		m.line.hook(nil, nil)
		m.line.onHandover(nil)
		m.holdArrival(false)
	case "batches lost":
		m.line.hook(lost, nil)
	case "answers lost":
		m.line.hook(nil, lost)
	case "no parcels":
		m.line.onHandover(func(ask exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
			if ask.At != nil {
				return exchange.Parcel{}, errLine
			}
			return p, nil
		})
	case "nobody tells":
		m.holdArrival(true)
	}
}

// finish lets everything through and looks at what became of each event.
func (m *moves) finish(rt *rapid.T) {
	m.line.hook(nil, nil)
	m.letMovesEnd()
	eventually(m.tb, "all events are taken", func() error {
		for {
			m.pull(rt)
			if len(m.pending) == 0 {
				break
			}
			m.acknowledge(rt)
		}
		if len(m.taken) < m.published {
			return fmt.Errorf("%d of %d", len(m.taken), m.published)
		}
		return nil
	})
	if !slices.Equal(m.taken, numbers(1, m.published)) {
		rt.Fatalf("taken %v", m.taken)
	}
	_, provider := m.department(market)
	m.settledAt(provider, sub, uint64(m.published)) // what was taken may not yet be on record as forwarded
	m.allPushed(rt)
	if got := m.nodes[provider].binding(); got != secretBinding {
		rt.Fatalf("the binding is %q", got)
	}
	m.sound()
	for _, kind := range []audit.Kind{audit.KindAccepted, audit.KindReceived, audit.KindAcknowledged, audit.KindForwarded} {
		count := map[uint64]int{}
		for _, n := range m.nodes {
			for _, r := range n.records(kind) {
				if r.Subscription == pushed {
					continue
				}
				for i := r.First; i <= r.Last; i++ {
					count[i]++
				}
			}
		}
		for i := 1; i <= m.published; i++ {
			if count[uint64(i)] != 1 {
				rt.Fatalf("event %d is %d times on record as %s", i, count[uint64(i)], kind)
			}
		}
	}
	m.nothingLeft(rt)
}

// allPushed demands that the sink has taken each event, in order. What was sent when
// a node died, or sealed, before it had the answer on record is sent again.
func (m *moves) allPushed(rt *rapid.T) {
	eventually(m.tb, "the sink has all", func() error {
		m.sinks.mu.Lock()
		defer m.sinks.mu.Unlock()
		newest := 0
		for _, n := range m.sinks.taken {
			if n > newest+1 {
				rt.Fatalf("%d came after %d: %v", n, newest, m.sinks.taken)
			}
			newest = max(newest, n)
		}
		if newest < m.published {
			return fmt.Errorf("%d of %d", newest, m.published)
		}
		return nil
	})
	if _, consumer := m.department(services); m.nodes[consumer].rows("sinks") != 1 {
		rt.Fatal("the sink is lost")
	}
}

// nothingLeft demands that only the nodes that serve a department keep its data.
func (m *moves) nothingLeft(rt *rapid.T) {
	_, provider := m.department(market)
	_, consumer := m.department(services)
	eventually(m.tb, "the others have deleted all", func() (err error) {
		defer func() {
			for id, n := range m.nodes {
				if s, surveyErr := n.Survey(services); err != nil {
					err = fmt.Errorf("%w; %s: %+v %v", err, id, s, surveyErr)
				}
			}
		}()
		for id, n := range m.nodes {
			if events, arrivals := n.rows("events"), n.rows("arrivals"); id != provider && events+arrivals > 0 {
				return fmt.Errorf("%s keeps %d events, %d arrivals", id, events, arrivals)
			}
			if marks := n.rows("marks"); id != consumer && marks > 0 {
				return fmt.Errorf("%s keeps %d marks", id, marks)
			}
			if bindings := n.rows("bindings"); id != provider && bindings > 0 {
				return fmt.Errorf("%s keeps a binding", id)
			}
			if sinks, tries := n.rows("sinks"), n.rows("tries"); id != consumer && sinks+tries > 0 {
				return fmt.Errorf("%s keeps %d sinks, %d attempts", id, sinks, tries)
			}
		}
		return nil
	})
	if events, arrivals := m.nodes[provider].rows("events"), m.nodes[provider].rows("arrivals"); events != m.published || arrivals != m.published {
		rt.Fatalf("%d events and %d arrivals of %d", events, arrivals, m.published)
	}
}
