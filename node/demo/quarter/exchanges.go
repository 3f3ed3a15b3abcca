package quarter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// put adds records of a node.
func (d *day) put(node bus.NodeID, records ...audit.Record) {
	d.records[node] = append(d.records[node], records...)
}

// day makes up the exchanges of a day: so many calls, the batches that came, and the
// heartbeats of realtime services.
func (p *province) day(random *rand.Rand, date calendar.Date, n, calls int) day {
	d := day{records: map[bus.NodeID][]audit.Record{}}
	popular := rand.NewZipf(random, 1.1, 10, uint64(len(p.resources)-1)) // few have most of the calls
	for i := range calls {
		p.call(random, popular, &d, date, n, i)
	}
	for i := range p.resources {
		switch r := &p.resources[i]; {
		case r.cycle == bus.CycleRealtime:
			p.beat(random, &d, r, date, n)
		case r.batches && p.turns(random, *r, date):
			p.publish(random, &d, r, date, n)
		}
	}
	for node := range d.records {
		slices.SortStableFunc(d.records[node], func(a, b audit.Record) int { return a.At.Compare(b.At) })
	}
	return d
}

// instant is a moment of a day that leaves time for what follows from it.
func instant(random *rand.Rand, date calendar.Date) time.Time {
	return date.Start().Add(time.Duration(random.IntN(86_000_000)) * time.Millisecond).UTC()
}

// call is one query as both nodes have it on record.
func (p *province) call(random *rand.Rand, popular *rand.Zipf, d *day, date calendar.Date, n, i int) {
	r := p.resources[popular.Uint64()]
	owner, consumer := p.people[r.owner], p.people[r.consumers[random.IntN(len(r.consumers))]]
	if p.down(consumer.home, n) {
		consumer = p.people[r.owner] // nobody calls by way of a node that is down: another of the provider's own systems does
		if p.down(consumer.home, n) {
			return
		}
	}
	d.exchanges++
	at, id := instant(random, date), fmt.Sprintf("q%s-%07d", date, i)
	asked := audit.Record{
		Kind: audit.KindAsked, At: at, Began: at, Correlation: id, Request: id, Resource: r.id, Provider: owner.ID, Consumer: consumer.ID, Purpose: r.purpose, Matter: "样例事项", Case: "K" + id,
		Principal: bus.Principal{System: bus.SystemID("sample-" + string(consumer.ID)), Department: consumer.ID},
	}
	if random.IntN(100) >= consumer.ability.use {
		asked.Case = ""
	}
	if random.IntN(100) == 0 { // refused by policy before it leaves
		asked.Kind = audit.KindDecision
		asked.Decision = &bus.Decision{ID: id, Action: "query", At: at, Reasons: []bus.Reason{{Layer: bus.BaseLayer, Code: "grant.none", Message: bus.Text{ZH: "没有授权", EN: "no grant"}}}}
		d.put(consumer.home, asked)
		return
	}
	took := time.Duration(5+random.ExpFloat64()*60) * time.Millisecond
	answered := asked
	answered.Kind, answered.At, answered.Status, answered.Bytes = audit.KindAnswered, at.Add(took), 200, int64(200+random.IntN(4000))
	switch {
	case p.down(owner.home, n): // it never came there
		answered.Status, answered.Bytes, answered.Code = 0, 0, bus.CodePeerUnreachable
		d.put(consumer.home, asked, answered)
		return
	case random.IntN(100) >= owner.ability.calls:
		answered.Status, answered.Bytes = 503, 0
	case random.IntN(200) == 0:
		answered.Status, answered.Bytes = 400, 0
	}
	d.put(consumer.home, asked, answered)
	there := bus.Principal{Node: consumer.home, System: asked.Principal.System, Department: consumer.ID}
	arrived, gave := asked, answered
	arrived.Principal, gave.Principal = there, there
	arrived.At, gave.At = at.Add(took/8), at.Add(took*7/8)
	d.put(owner.home, arrived, gave)
}

// beat is a day of heartbeats of a realtime service, an hour each. One that fails does
// so for some minutes; a node that is down hears none.
func (p *province) beat(random *rand.Rand, d *day, r *resource, date calendar.Date, n int) {
	owner := p.people[r.owner]
	if p.down(owner.home, n) {
		return
	}
	for hour := range 24 {
		h := bus.Heartbeat{Hour: date.Start().Add(time.Duration(hour) * time.Hour).UTC(), Minutes: strings.Repeat("1", 60)}
		if random.IntN(100) >= owner.ability.calls {
			from := random.IntN(60)
			to := from + random.IntN(60-from) + 1
			h.Minutes = h.Minutes[:from] + strings.Repeat("0", to-from) + h.Minutes[to:]
		}
		d.put(owner.home, audit.Record{
			Kind: audit.KindHeartbeat, At: h.Hour.Add(time.Hour), Resource: r.id, Provider: owner.ID, Principal: bus.Principal{Node: owner.home}, Heartbeat: &h,
			Detail: fmt.Sprintf("%s %d/60", h.Hour.In(calendar.Shanghai).Format("2006-01-02 15:04"), h.Up()),
		})
	}
}

// turns reports whether data of a resource comes on a day: on the last of each turn of
// its cycle, unless its department lets it slip.
func (p *province) turns(random *rand.Rand, r resource, date calendar.Date) bool {
	start := date.Start()
	var due bool
	switch r.cycle {
	case "daily":
		due = true
	case "weekly":
		due = start.Weekday() == time.Friday
	case "monthly":
		due = start.Day() == 20
	case "quarterly":
		due = start.Day() == 20 && start.Month()%3 == 0
	default:
		due = random.IntN(60) == 0
	}
	return due && random.IntN(100) < p.people[r.owner].ability.terms+2
}

// publish is a batch of events that comes in at the provider's node and goes to the
// subscriber's. Of a hundred one is sent and not taken.
func (p *province) publish(random *rand.Rand, d *day, r *resource, date calendar.Date, n int) {
	owner, consumer := p.people[r.owner], p.people[r.consumers[0]]
	if p.down(owner.home, n) {
		return
	}
	events := uint64(1 + random.IntN(200))
	first := r.published + 1
	r.published += events
	at := instant(random, date)
	d.exchanges += 2
	came := audit.Record{
		Kind: audit.KindAccepted, At: at, Resource: r.id, Provider: owner.ID, Principal: bus.Principal{System: bus.SystemID("sample-" + string(owner.ID)), Department: owner.ID},
		First: first, Last: r.published, Events: int(events), Bytes: int64(events) * 1024,
	}
	id := fmt.Sprintf("b-%s-%d", r.id, first)
	decided := audit.Record{
		Kind: audit.KindDecision, At: at.Add(200 * time.Millisecond), Began: at.Add(200 * time.Millisecond), Resource: r.id, Subscription: bus.SubscriptionID("s-" + string(r.id)), Provider: owner.ID, Consumer: consumer.ID, Purpose: r.purpose,
		First: r.forwarded + 1, Last: r.published, Events: int(r.published - r.forwarded), Decision: &bus.Decision{ID: id, Action: "forward", At: at, Allow: true},
	}
	d.put(owner.home, came, decided)
	if p.down(consumer.home, n) || random.IntN(100) == 0 {
		return // it waits, and goes with the next
	}
	done := decided
	done.Decision, done.DecisionID = nil, id
	took := done
	took.Kind, took.At = audit.KindReceived, at.Add(400*time.Millisecond)
	done.Kind, done.At = audit.KindForwarded, at.Add(500*time.Millisecond)
	d.put(consumer.home, took)
	d.put(owner.home, done)
	r.forwarded = r.published
}
