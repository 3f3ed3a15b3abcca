package evaluation

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Shown gives what the evidence of a node shows of days: all exchanges, or those that
// are about a.
type Shown func(node bus.NodeID, a About, days []calendar.Date) ([]Exchange, error)

const (
	maxNamed     = 20 // differences whose exchanges are looked for
	maxNamedDays = 7  // of each, the first ones on which the two sides differ
)

// NameDifferences looks into the evidence of both sides' nodes for the exchanges behind
// each difference of a report: those that one side alone has, and where the two sides'
// evidence agrees, those that a rollup counts otherwise than the evidence of its own
// node. Evidence that is not to be had names nothing. What both have, and one of them on
// a day out of the window, is named with that day: they disagree about when it began.
func (m *Material) NameDifferences(r *Report, shown Shown) {
	heard := m.speakers()
	for i := range r.Reconciliation.Differences[:min(maxNamed, len(r.Reconciliation.Differences))] {
		d := &r.Reconciliation.Differences[i]
		days := m.differing(*d, r.Window, heard)
		if len(days) == 0 {
			continue
		}
		about := About{Mode: d.Mode, Resource: d.Resource, Provider: d.Provider, Consumer: d.Consumer, Subscription: d.Subscription}
		sides := map[Side]Evidenced{}
		for side, department := range map[Side]bus.USCC{ProviderSide: d.Provider, ConsumerSide: d.Consumer} {
			about.Side = side
			e := Evidenced{Node: m.Directory.Homes[department]}
			var err error
			if e.Exchanges, err = shown(e.Node, about, beside(days)); err == nil {
				sides[side] = e
			}
		}
		if len(sides) == 2 {
			d.Name(sides[ProviderSide], sides[ConsumerSide], days...)
			d.Exchanges = slices.DeleteFunc(d.Exchanges, func(u Unmatched) bool { // one that is on two days of the window is in both sums
				day, err := calendar.ParseDate(u.OtherDay)
				return err == nil && r.Window.Has(day.Start())
			})
		}
		if len(d.Exchanges) == 0 {
			for _, side := range slices.Sorted(maps.Keys(sides)) {
				d.Exchanges = append(d.Exchanges, m.miscounted(*d, side, sides[side], days)...)
			}
		}
		if len(d.Exchanges) > 0 && !slices.ContainsFunc(d.Exchanges, func(u Unmatched) bool { return u.OtherDay == "" }) {
			d.Problem = bus.Text{ZH: "双方均有记录，但起始日期不同：一方记入周期之内，另一方记入周期之外", EN: "both sides have it on record, and disagree about the day on which it began: one has it in the window, the other beside it"}
		}
	}
}

// beside adds to days those next to them.
func beside(days []calendar.Date) []calendar.Date {
	var all []calendar.Date
	for _, day := range days {
		all = append(all, day-1, day, day+1)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// differing lists the first days on which the two sides' rollups of a pair differ.
func (m *Material) differing(d Difference, w Window, heard speakers) []calendar.Date {
	byDay := map[calendar.Date]ledger{}
	key := pair{d.Mode, d.Resource, d.Provider, d.Consumer, d.Subscription}
	for i := range m.Rollups.list {
		p := &m.Rollups.list[i]
		if !w.Has(p.day.Start()) {
			continue
		}
		m.Rollups.each(p, func(r *row) {
			if pairOf(r.About) == key && heard.heed(p, r) {
				if byDay[p.day] == nil {
					byDay[p.day] = ledger{}
				}
				byDay[p.day].add(r)
			}
		})
	}
	var days []calendar.Date
	for _, day := range slices.Sorted(maps.Keys(byDay)) {
		if b := byDay[day][key]; b != nil && !b.provider.equals(b.consumer, d.Mode) && len(days) < maxNamedDays {
			days = append(days, day)
		}
	}
	return days
}

// miscounted names what the rollups of a node say otherwise than its evidence.
func (m *Material) miscounted(d Difference, side Side, e Evidenced, days []calendar.Date) (list []Unmatched) {
	leaves := map[string]int64{}
	for _, x := range e.Exchanges {
		leaves[x.Name] = x.Leaf
	}
	key := pair{d.Mode, d.Resource, d.Provider, d.Consumer, d.Subscription}
	for i := range m.Rollups.list {
		p := &m.Rollups.list[i]
		if p.node != e.Node || !slices.Contains(days, p.day) {
			continue
		}
		var r Rollup // what it says of the pair
		m.Rollups.each(p, func(x *row) {
			if x.Side == side && pairOf(x.About) == key {
				r.Rows = append(r.Rows, Row{About: *x.About, Count: x.count, Events: x.events, Sum: x.names.String()})
			}
		})
		var ofDay []Exchange
		for _, x := range e.Exchanges {
			if calendar.DateOf(x.At) == p.day && x.Side == side && pairOf(&x.About) == key {
				ofDay = append(ofDay, x)
			}
		}
		for _, deviation := range Deviations(r, ofDay) {
			for _, name := range deviation.Exchanges {
				list = append(list, Unmatched{Exchange: name, Has: e.Node, Leaf: leaves[name], Lacks: e.Node})
			}
		}
	}
	slices.SortFunc(list, func(a, b Unmatched) int { return cmp.Compare(a.Exchange, b.Exchange) })
	return slices.Compact(list)
}

// Matches reports whether x is about what a names: what is empty in a matches all.
func (a About) Matches(x Exchange) bool {
	return (a.Side == "" || a.Side == x.Side) && pairOf(&a) == pairOf(&x.About)
}
