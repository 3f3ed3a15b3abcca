package evaluation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// pair is what the two sides of an exchange have in common: what is reconciled.
type pair struct {
	mode         string
	resource     bus.ResourceID
	provider     bus.USCC
	consumer     bus.USCC
	subscription bus.SubscriptionID
}

func pairOf(a *About) pair { return pair{a.Mode, a.Resource, a.Provider, a.Consumer, a.Subscription} }

func (p pair) compare(q pair) int {
	return cmp.Or(cmp.Compare(p.mode, q.mode), cmp.Compare(p.resource, q.resource), cmp.Compare(p.provider, q.provider),
		cmp.Compare(p.consumer, q.consumer), cmp.Compare(p.subscription, q.subscription))
}

// record is what one side has of a pair. Queries are compared one by one, by the
// sum of their names. Batches are compared by the events in them: one that is sent
// again may come to the other side in two.
type record struct {
	count, events int64
	names         identity
}

func (a record) equals(b record, mode string) bool {
	if mode == ModeBatch {
		return a.events == b.events
	}
	return a.count == b.count && a.names == b.names
}

// both are the two sides' records of a pair.
type both struct{ provider, consumer record }

// ledger is what both sides have on record over a window, where both have reported.
type ledger map[pair]*both

func (l ledger) add(r *row) {
	if r.Outcome != Succeeded || r.Mode == ModePublish {
		return
	}
	key := pairOf(r.About)
	entry := l[key]
	if entry == nil {
		entry = &both{}
		l[key] = entry
	}
	side := &entry.provider
	if r.Side == ConsumerSide {
		side = &entry.consumer
	}
	side.count, side.events, side.names = side.count+r.count, side.events+r.events, side.names.plus(r.names)
}

// reconcile compares the two sides.
func (l ledger) reconcile() Reconciliation {
	r := Reconciliation{Differences: []Difference{}}
	for _, key := range slices.SortedFunc(maps.Keys(l), pair.compare) {
		b := l[key]
		if b.provider.equals(b.consumer, key.mode) {
			r.Matched += b.provider.count
			continue
		}
		d := Difference{
			Resource: key.resource, Provider: key.provider, Consumer: key.consumer, Subscription: key.subscription, Mode: key.mode,
			ProviderCount: b.provider.count, ConsumerCount: b.consumer.count,
			Problem: bus.Text{ZH: "双方记录的交换次数或者内容不一致", EN: "the two sides have other exchanges on record"},
		}
		if key.mode == ModeBatch {
			d.ProviderCount, d.ConsumerCount = b.provider.events, b.consumer.events
			d.Problem = bus.Text{ZH: "双方记录的事件数不一致", EN: "the two sides have other numbers of events on record"}
		}
		r.Differences = append(r.Differences, d)
	}
	return r
}

// Evidenced is a node and what its evidence shows: all its exchanges about a window,
// and some about the days next to it.
type Evidenced struct {
	Node      bus.NodeID
	Exchanges []Exchange
}

// Name finds, in the evidence of the two sides' nodes, the exchanges behind a
// difference: those that one side has and the other lacks, or has on another day.
//
// Where days are given, exchanges on these are looked for.
func (d *Difference) Name(provider, consumer Evidenced, days ...calendar.Date) {
	key := pair{d.Mode, d.Resource, d.Provider, d.Consumer, d.Subscription}
	given, taken := of(provider, key, ProviderSide), of(consumer, key, ConsumerSide)
	d.Exchanges = append(lacking(on(given, days), provider.Node, taken, consumer.Node), lacking(on(taken, days), consumer.Node, given, provider.Node)...)
}

// on chooses the exchanges of days; all where none are given.
func on(exchanges []Exchange, days []calendar.Date) []Exchange {
	if len(days) == 0 {
		return exchanges
	}
	return slices.DeleteFunc(slices.Clone(exchanges), func(x Exchange) bool { return !slices.Contains(days, calendar.DateOf(x.At)) })
}

// of chooses the exchanges of a pair on one side that succeeded.
func of(e Evidenced, key pair, side Side) []Exchange {
	var list []Exchange
	for _, x := range e.Exchanges {
		if x.Side == side && x.Outcome == Succeeded && pairOf(&x.About) == key {
			list = append(list, x)
		}
	}
	return list
}

// lacking lists what one side has and the other does not, or on another day: both have on
// record when an exchange began. Of a batch that is a part that none of the other's
// overlaps with.
func lacking(has []Exchange, node bus.NodeID, other []Exchange, lacks bus.NodeID) []Unmatched {
	named := map[string][]Exchange{}
	for _, x := range other {
		named[x.Name] = append(named[x.Name], x)
	}
	var list []Unmatched
	for _, x := range has {
		day, same := calendar.DateOf(x.At), named[x.Name]
		there, then := len(same) > 0, len(on(same, []calendar.Date{day})) > 0
		if x.Mode == ModeBatch {
			same = overlapping(other, x)
			there, then = covers(same, x), covers(on(same, []calendar.Date{day}), x)
		}
		if then {
			continue
		}
		u := Unmatched{Exchange: x.Name, Has: node, Leaf: x.Leaf, Lacks: lacks}
		if there {
			i := slices.IndexFunc(same, func(o Exchange) bool { return calendar.DateOf(o.At) != day })
			u.OtherDay = calendar.DateOf(same[i].At).String()
		}
		list = append(list, u)
	}
	return list
}

// overlapping chooses the batches that have events of x.
func overlapping(batches []Exchange, x Exchange) []Exchange {
	return slices.DeleteFunc(slices.Clone(batches), func(b Exchange) bool { return b.Last < x.First || x.Last < b.First })
}

// covers reports whether batches together reach from the first to the last event of
// x.
func covers(batches []Exchange, x Exchange) bool {
	first, last := false, false
	for _, b := range batches {
		first = first || b.First <= x.First && x.First <= b.Last
		last = last || b.First <= x.Last && x.Last <= b.Last
	}
	return first && last
}

// Deviation is a row of a rollup that its node's evidence does not bear out.
type Deviation struct {
	About
	Claimed   int64    `json:"claimed"`
	Derived   int64    `json:"derived"`             // from the evidence
	Exchanges []string `json:"exchanges,omitempty"` // in the evidence and not counted, or the other way round, where they can be told
}

// Deviations compares a rollup with the exchanges of its day that the evidence of its
// node shows.
func Deviations(r Rollup, exchanges []Exchange) []Deviation {
	derived := map[About]Row{}
	for _, row := range Rows(exchanges) {
		derived[row.About] = row
	}
	var list []Deviation
	for _, row := range r.Rows {
		is := derived[row.About]
		delete(derived, row.About)
		if row.Count != is.Count || row.Events != is.Events || row.Sum != is.Sum {
			list = append(list, deviation(row, is, exchanges))
		}
	}
	for _, about := range slices.SortedFunc(maps.Keys(derived), About.compare) {
		list = append(list, deviation(Row{About: about}, derived[about], exchanges))
	}
	return list
}

// deviation names the exchange where there is one: the difference of the sums is
// then the digest of its name.
func deviation(claimed, derived Row, exchanges []Exchange) Deviation {
	d := Deviation{About: claimed.About, Claimed: claimed.Count, Derived: derived.Count}
	says, _ := readIdentity(claimed.Sum)
	is, _ := readIdentity(derived.Sum)
	for _, x := range exchanges {
		if name := identityOf(x.Name); is.minus(says) == name || says.minus(is) == name || claimed.Count == 0 && x.About == claimed.About {
			d.Exchanges = append(d.Exchanges, x.Name)
		}
	}
	return d
}

// String says what a rollup claims and its evidence does not bear out.
func (d Deviation) String() string {
	text := fmt.Sprintf("%s %s %s %s→%s %s: %d, by the evidence %d", d.Side, d.Mode, d.Resource, d.Provider, d.Consumer, d.Outcome, d.Claimed, d.Derived)
	for _, name := range d.Exchanges {
		text += ", " + name
	}
	return text
}
