package evaluation

import (
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// ModeHeartbeat is the mode of rows that say how long the services of realtime entries
// were there: Count is the hours on record, Events the minutes up in them.
const ModeHeartbeat = "heartbeat"

// heartbeat adds what was heard of a service in an hour. What is on record of one hour
// more than once, because the node was started anew in it, is one heartbeat.
func (d *deriver) heartbeat(leaf audit.Leaf) {
	r, h := leaf.Record, *leaf.Record.Heartbeat
	if len(h.Check()) > 0 || r.At.Before(h.Hour) { // no log takes the one, and of an hour to come nobody has heard anything
		return
	}
	name := fmt.Sprintf("heartbeat/%s/%s", r.Resource, h.Hour.UTC().Format("2006-01-02T15"))
	b, again := d.beats[name]
	if again {
		b.Heartbeat = b.With(h)
	} else {
		b = beat{h, len(d.all)}
		d.all = append(d.all, Exchange{
			Name: name, At: h.Hour, Leaf: leaf.Index,
			About: About{Side: ProviderSide, Mode: ModeHeartbeat, Resource: r.Resource, Provider: r.Provider, Outcome: Succeeded},
		})
	}
	d.all[b.at].Events = int64(b.Up())
	d.beats[name] = b
}

// beat is a heartbeat, and where it stands among the exchanges.
type beat struct {
	bus.Heartbeat
	at int
}

// Turn is what one turn of an update cycle weighs in what is counted as refreshes: as
// much as a day of a realtime entry, which has so many minutes.
const Turn = 24 * 60

// upOn is in how many minutes of a day the service of a realtime entry was there, and
// which rollup says so.
type upOn struct {
	minutes int32
	rollup  int32 // in the list
}

// beats adds a row of heartbeats. Of a day on which a department moved to another node
// two nodes have a part.
func (x *exchanges) beats(r *row, rollup int, day calendar.Date, ref Ref) {
	if !x.window.Has(day.Start()) || r.events <= 0 {
		return
	}
	x.serves(r.Resource, ref)
	days := x.up[r.Resource]
	if days == nil {
		days = make([]upOn, len(x.window.Days()))
		x.up[r.Resource] = days
	}
	at := &days[day-calendar.DateOf(x.window.From)]
	if at.minutes == 0 {
		at.rollup = int32(rollup)
	}
	at.minutes = int32(min(Turn, int64(at.minutes)+min(r.events, Turn)))
}

// minutes counts, day by day, how long the service of a realtime entry was there, for
// the owner at the day's end. Every minute of a day is expected of an entry that was in
// force for all of it, whatever the node says: one that is not bound to a service, or
// whose node was down, has no minute up. A day that the node of the owner has not
// reported is left out.
func (x *exchanges) minutes(id bus.ResourceID, f Fact) {
	from, up := calendar.DateOf(x.window.From), x.up[id]
	for day := from; !day.End().After(x.window.To); day++ {
		f.At = lastOf(day.End())
		owner := x.owner(id, f.At)
		if !x.whole(owner, day, day) || !x.inForce(id, day.Start(), f.At) {
			continue
		}
		f.N, f.Ref = Turn, x.ref(x.Homes[owner], day)
		met := int64(0)
		if up != nil && up[day-from].minutes > 0 {
			p := &x.rollups.list[up[day-from].rollup]
			met, f.Ref = int64(up[day-from].minutes), x.ref(p.node, p.day)
		}
		x.count(f, bus.CountRefreshesDue, owner)
		if f.N = met; met > 0 {
			x.count(f, bus.CountRefreshesMet, owner)
		}
	}
}

// inForce reports whether an entry was in force at two times.
func (x *exchanges) inForce(id bus.ResourceID, first, last time.Time) bool {
	_, began := x.version(id, first)
	_, lasted := x.version(id, last)
	return began && lasted
}

// ref names the rollup of a node and day, which many facts rest on.
func (x *exchanges) ref(node bus.NodeID, day calendar.Date) Ref {
	at := dayOf{node, day}
	ref, ok := x.refs[at]
	if !ok {
		ref = RollupRef(node, day)
		x.refs[at] = ref
	}
	return ref
}

// refreshed says in words what a line of refreshes counts.
func refreshed(c Case) bus.Text {
	if c.Cycle == bus.CycleRealtime {
		return bus.Text{
			ZH: fmt.Sprintf("应在线 %d 分钟，实际在线 %d 分钟", c.N, c.MetN), EN: fmt.Sprintf("up in %d of %d minutes", c.MetN, c.N),
		}
	}
	return bus.Text{
		ZH: fmt.Sprintf("到期 %d 个更新周期，其中 %d 个有数据到达（每个计 %d）", c.N/Turn, c.MetN/Turn, Turn),
		EN: fmt.Sprintf("data came in %d of %d turns, each weighs %d", c.MetN/Turn, c.N/Turn, Turn),
	}
}
