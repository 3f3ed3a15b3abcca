package evaluation

import (
	"fmt"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// dayOf is a node on a day.
type dayOf struct {
	node bus.NodeID
	day  calendar.Date
}

// missing lists for each node the days of a window that it has not reported, of those
// since it joined.
func (m *Material) missing(w Window) map[bus.NodeID][]calendar.Date {
	reported := m.Rollups.reported()
	lacking := map[bus.NodeID][]calendar.Date{}
	for _, n := range m.Directory.Nodes {
		for _, day := range w.Days() {
			if !reported[dayOf{n.ID, day}] && n.Joined.Before(day.End()) {
				lacking[n.ID] = append(lacking[n.ID], day)
			}
		}
	}
	return lacking
}

func (x *Rollups) reported() map[dayOf]bool {
	reported := make(map[dayOf]bool, len(x.list))
	for i := range x.list {
		reported[dayOf{x.list[i].node, x.list[i].day}] = true
	}
	return reported
}

// exchanges works out what the nodes' evidence says of a window.
type exchanges struct {
	*Directory
	rollups  *Rollups
	window   Window
	reported map[dayOf]bool
	known    map[bus.ResourceID]Attributes
	arrivals map[bus.ResourceID]map[calendar.Date]bool // days on which events came in
	served   map[bus.ResourceID]Ref                    // first evidence that data flows
	ledger   ledger
	speakers speakers
	batched  bool              // there are rows of batches
	turns    map[string][]slot // of each update cycle
	up       map[bus.ResourceID][]upOn
	refs     map[dayOf]Ref
	emit     func(Fact)
}

// ExchangeFacts emits what counts by the evidence of the nodes (B1, B2, D1, D2, F2),
// and tells how the two sides agree. What nobody knows, because a node has not
// reported, is left out.
func (m *Material) ExchangeFacts(w Window, emit func(Fact)) Reconciliation {
	x := &exchanges{
		Directory: &m.Directory, rollups: &m.Rollups, window: w, reported: m.Rollups.reported(), known: map[bus.ResourceID]Attributes{},
		arrivals: map[bus.ResourceID]map[calendar.Date]bool{}, served: map[bus.ResourceID]Ref{}, ledger: ledger{}, turns: map[string][]slot{},
		up: map[bus.ResourceID][]upOn{}, refs: map[dayOf]Ref{}, speakers: m.speakers(), emit: emit,
	}
	for i := range m.Rollups.list {
		x.take(i)
	}
	reconciliation := x.ledger.reconcile()
	x.batches(reconciliation)
	x.attached()
	for id := range m.Directory.Versions {
		x.resource(id)
	}
	x.chains()
	return reconciliation
}

// take adds the rows of the ith rollup.
func (x *exchanges) take(i int) {
	p := &x.rollups.list[i]
	ref, inside := RollupRef(p.node, p.day), x.window.Has(p.day.Start())
	x.rollups.each(p, func(r *row) {
		switch {
		case !x.speakers.heed(p, r):
		case r.Mode == ModePublish:
			if r.events > 0 {
				x.arrived(r.Resource, p.day, ref)
			}
		case r.Mode == ModeHeartbeat:
			x.beats(r, i, p.day, ref)
		case inside:
			x.exchanged(r, p.day, ref)
		}
	})
}

// speakers are, by what rows are about, the nodes that serve the departments whose side
// they are of; "" where any node's word counts. A department that has moved was served by
// another before: nobody knows here until when.
type speakers []bus.NodeID

func (m *Material) speakers() speakers {
	moved := map[bus.USCC]bool{}
	for _, d := range m.Directory.Departments {
		moved[d.ID] = d.Epoch > 0
	}
	list := make(speakers, len(m.Rollups.abouts))
	for i := range m.Rollups.abouts {
		about := &m.Rollups.abouts[i]
		side := about.Consumer
		if about.Side == ProviderSide {
			side = about.Provider
		}
		if !moved[side] {
			list[i] = m.Directory.Homes[side]
		}
	}
	return list
}

// heed reports whether a row counts: a node has nothing to say of the side of a
// department that it does not serve, or it could make up calls that went well.
func (s speakers) heed(p *packed, r *row) bool { return s[r.at] == "" || s[r.at] == p.node }

// exchanged adds a row of calls or batches of a day in the window.
func (x *exchanges) exchanged(r *row, day calendar.Date, ref Ref) {
	if r.Side == ProviderSide && r.Mode == ModeInterface && r.Outcome == Succeeded {
		x.serves(r.Resource, ref)
	}
	if x.bothReported(r, day) {
		x.ledger.add(r)
	}
	switch r.Mode {
	case ModeInterface:
		x.calls(r, day, ref)
	case ModeBatch:
		x.batched = true
	}
}

func (x *exchanges) bothReported(r *row, day calendar.Date) bool {
	return x.reported[dayOf{x.Homes[r.Consumer], day}] && x.reported[dayOf{x.Homes[r.Provider], day}]
}

func (x *exchanges) arrived(id bus.ResourceID, day calendar.Date, ref Ref) {
	if x.arrivals[id] == nil {
		x.arrivals[id] = map[calendar.Date]bool{}
	}
	x.arrivals[id][day] = true
	if x.window.Has(day.Start()) {
		x.serves(id, ref)
	}
}

// serves keeps the first reference, whatever the order of rollups.
func (x *exchanges) serves(id bus.ResourceID, ref Ref) {
	if have, ok := x.served[id]; !ok || ref < have {
		x.served[id] = ref
	}
}

// calls counts queries (D1, F2): as the consumer's node has them, for its word is not
// the provider's own; on a day that it has not reported, as the provider's has them.
func (x *exchanges) calls(row *row, day calendar.Date, ref Ref) {
	if row.Side == ProviderSide && x.reported[dayOf{x.Homes[row.Consumer], day}] {
		return
	}
	f := Fact{At: day.Start(), N: row.count, Ref: ref, Attributes: x.attributes(row)}
	if row.Outcome == Succeeded || row.Outcome == Failed {
		x.count(f, bus.CountCallsCharged, row.Provider)
	}
	if row.Outcome == Succeeded {
		x.count(f, bus.CountCallsSucceeded, row.Provider)
	}
	if row.Side == ConsumerSide {
		x.count(f, bus.CountUsesAll, row.Consumer)
		if row.Within {
			x.count(f, bus.CountUsesWithin, row.Consumer)
		}
	}
}

func (x *exchanges) count(f Fact, count bus.Count, department bus.USCC) {
	f.Count, f.Department = count, department
	x.emit(f)
}

// attributes are those of a row, with its resource's at the end of the window.
func (x *exchanges) attributes(row *row) Attributes {
	a, ok := x.known[row.Resource]
	if !ok {
		a = Attributes{Resource: row.Resource}
		if version, _ := x.version(row.Resource, lastOf(x.window.To)); version != nil {
			a.Sharing, a.Cycle = version.Resource.Sharing.Type, version.Resource.UpdateCycle
		}
		x.known[row.Resource] = a
	}
	a.Mode, a.Purpose = row.Mode, row.Purpose
	return a
}

// batches counts batches (D2), where both nodes have reported: attempted, and
// reconciled. Where the two sides differ over the window, the batches of the days on
// which they differ are not reconciled.
func (x *exchanges) batches(r Reconciliation) {
	if !x.batched {
		return
	}
	differing := map[pair]ledgerByDay{}
	for _, d := range r.Differences {
		if d.Mode == ModeBatch {
			differing[pair{d.Mode, d.Resource, d.Provider, d.Consumer, d.Subscription}] = ledgerByDay{}
		}
	}
	if len(differing) > 0 {
		x.each(func(row *row, day calendar.Date, _ Ref) {
			if days, ok := differing[pairOf(row.About)]; ok {
				days.add(row, day)
			}
		})
	}
	x.each(func(row *row, day calendar.Date, ref Ref) {
		if row.Side != ProviderSide || row.Outcome != Succeeded && row.Outcome != Failed {
			return
		}
		f := Fact{At: day.Start(), N: row.count, Ref: ref, Attributes: x.attributes(row)}
		x.count(f, bus.CountBatchesAttempted, row.Provider)
		days, differs := differing[pairOf(row.About)]
		if row.Outcome == Succeeded && (!differs || days[day].provider == days[day].consumer) {
			x.count(f, bus.CountBatchesReconciled, row.Provider)
		}
	})
}

// ledgerByDay has the events that each side has on record, day by day.
type ledgerByDay map[calendar.Date]struct{ provider, consumer int64 }

func (l ledgerByDay) add(row *row, day calendar.Date) {
	events := l[day]
	switch {
	case row.Outcome != Succeeded:
	case row.Side == ProviderSide:
		events.provider += row.events
	default:
		events.consumer += row.events
	}
	l[day] = events
}

// each gives the rows of batches on the days of the window that both nodes have
// reported.
func (x *exchanges) each(do func(*row, calendar.Date, Ref)) {
	for i := range x.rollups.list {
		p := &x.rollups.list[i]
		if !x.window.Has(p.day.Start()) {
			continue
		}
		ref := RollupRef(p.node, p.day)
		x.rollups.each(p, func(r *row) {
			if r.Mode == ModeBatch && x.speakers.heed(p, r) && x.bothReported(r, p.day) {
				do(r, p.day, ref)
			}
		})
	}
}

// attached adds the entries of which a probe found the provider's service there: at the
// end of the window, or at some time in it. What a probe finds now says nothing of a
// window that was over before.
func (x *exchanges) attached() {
	for _, a := range x.Attachments {
		there := a.State == bus.Attached && a.Since.Before(x.window.To) || x.window.Has(a.Heartbeat)
		if _, ok := x.served[a.Resource]; there && !ok {
			x.served[a.Resource] = Ref("attachment/" + string(a.Resource))
		}
	}
}

// resource counts whether data flows of an entry that can be shared, or its service is
// there (B1), and whether it comes as often as its update cycle says (B2).
func (x *exchanges) resource(id bus.ResourceID) {
	end := lastOf(x.window.To)
	version, ok := x.version(id, end)
	if !ok || version.Resource.Sharing.Type == bus.NotShared {
		return
	}
	res := &version.Resource
	owner := x.owner(id, end)
	f := Fact{At: end, N: 1, Ref: Ref(fmt.Sprintf("resource/%s/%d", id, res.Version)), Attributes: Attributes{Resource: id, Sharing: res.Sharing.Type, Cycle: res.UpdateCycle}}
	ref, served := x.served[id]
	if served || x.whole(owner, calendar.DateOf(x.window.From), calendar.DateOf(end)) {
		x.count(f, bus.CountResourcesOffered, owner)
	}
	if served {
		bound := f
		bound.Ref = ref
		x.count(bound, bus.CountResourcesBound, owner)
	}
	if res.UpdateCycle == bus.CycleRealtime {
		if res.Heartbeats() {
			x.minutes(id, f)
		}
		return
	}
	if !slices.Contains(res.Modes, ModeBatch) && !slices.Contains(res.Modes, "file") {
		return // its data does not come through the bus before it is asked for
	}
	turns, ok := x.turns[res.UpdateCycle]
	if !ok {
		turns = slots(res.UpdateCycle, x.window)
		x.turns[res.UpdateCycle] = turns
	}
	for _, s := range turns {
		x.slot(id, s, f)
	}
}

// slot counts one turn of an update cycle, for the owner at its end. It is left out
// where the entry was not in force for all of it, and where the node of the owner has
// not reported on a day on which data may have come.
func (x *exchanges) slot(id bus.ResourceID, s slot, f Fact) {
	f.At = lastOf(s.last.End())
	owner := x.owner(id, f.At)
	if f.N = Turn; !x.inForce(id, s.first.Start(), f.At) {
		return
	}
	for day := s.first; day <= s.last; day++ {
		if x.arrivals[id][day] {
			f.Ref = RollupRef(x.Homes[owner], day)
			x.count(f, bus.CountRefreshesDue, owner)
			x.count(f, bus.CountRefreshesMet, owner)
			return
		}
	}
	if x.whole(owner, s.first, s.last) {
		x.count(f, bus.CountRefreshesDue, owner)
	}
}

// whole reports whether the node of a department has reported all of these days.
func (x *exchanges) whole(department bus.USCC, first, last calendar.Date) bool {
	home := x.Homes[department]
	for day := first; day <= last; day++ {
		if !x.reported[dayOf{home, day}] {
			return false
		}
	}
	return true
}

// chains finds nodes whose rollups contradict each other about one log: it became
// shorter. It is the authority of the node's division that answers for it.
func (x *exchanges) chains() {
	authorities := map[bus.NodeID]bus.USCC{}
	for _, n := range x.Nodes {
		for _, d := range x.Divisions {
			if d.Code == n.Division {
				authorities[n.ID] = d.Authority
			}
		}
	}
	before := map[bus.NodeID]*packed{}
	for i := range x.rollups.list { // by node and day
		p := &x.rollups.list[i]
		if last := before[p.node]; last != nil && x.window.Has(p.day.Start()) && p.to > 0 && p.to < last.to && authorities[p.node] != "" {
			x.count(Fact{At: p.day.Start(), N: 1, Ref: RollupRef(p.node, p.day)}, bus.CountChainsBroken, authorities[p.node])
		}
		if p.to > 0 {
			before[p.node] = p
		}
	}
}

// closed is the part of a window whose days are closed at now.
func closed(w Window, now time.Time) Window {
	for w.To.After(w.From) && Closes(calendar.DateOf(lastOf(w.To))).After(now) {
		w.To = calendar.DateOf(lastOf(w.To)).Start()
	}
	return w
}
