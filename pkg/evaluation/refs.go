package evaluation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// place is what a reference names: a rollup, or something else. A report has some ten
// thousand rollups and millions of facts that rest on them: each reference is read once.
type place struct {
	ref    Ref
	rollup bool
	node   bus.NodeID
	day    calendar.Date
}

// places reads references.
type places struct {
	known map[Ref]*place
	last  *place // facts of one rollup come together
}

func (p *places) of(ref Ref) *place {
	if p.last != nil && p.last.ref == ref {
		return p.last
	}
	at, ok := p.known[ref]
	if !ok {
		at = &place{ref: ref}
		at.node, at.day, _, at.rollup = ref.Rollup()
		p.known[ref] = at
	}
	p.last = at
	return at
}

// refs collects references, each once.
type refs struct {
	others map[Ref]struct{}
	days   map[bus.NodeID][]calendar.Date // of rollups; a day may be there twice
	last   *place
}

func (r *refs) add(at *place) {
	if at == r.last || at.ref == "" {
		return
	}
	r.last = at
	if at.rollup {
		if r.days == nil {
			r.days = map[bus.NodeID][]calendar.Date{}
		}
		r.days[at.node] = append(r.days[at.node], at.day)
		return
	}
	if r.others == nil {
		r.others = map[Ref]struct{}{}
	}
	r.others[at.ref] = struct{}{}
}

// list gives the references in order, the rollups of a node on days that follow
// each other as one.
func (r *refs) list() []Ref {
	list := slices.Sorted(maps.Keys(r.others))
	for _, node := range slices.Sorted(maps.Keys(r.days)) {
		list = append(list, runs(node, r.days[node])...)
	}
	return list
}

func runs(node bus.NodeID, days []calendar.Date) []Ref {
	slices.Sort(days)
	days = slices.Compact(days)
	var list []Ref
	for len(days) > 0 {
		n := 1
		for n < len(days) && days[n] == days[n-1]+1 {
			n++
		}
		ref := RollupRef(node, days[0])
		if n > 1 {
			ref += Ref(fmt.Sprintf("..%s", days[n-1]))
		}
		list, days = append(list, ref), days[n:]
	}
	return list
}

// tree adds departments up into the divisions that they are of.
type tree struct {
	divisions bus.Divisions
	order     []bus.DivisionCode // parents first
	sums      map[bus.DivisionCode][]sum
	missing   map[bus.DivisionCode]map[bus.NodeID]bool
}

func newTree(in Input) *tree {
	t := &tree{divisions: bus.Divisions{}, sums: map[bus.DivisionCode][]sum{}, missing: map[bus.DivisionCode]map[bus.NodeID]bool{}}
	for _, d := range in.Divisions {
		t.divisions[d.Code] = d
	}
	depth := map[bus.DivisionCode]int{}
	for code := range t.divisions {
		depth[code] = len(t.divisions.Chain(code))
		t.sums[code] = make([]sum, len(in.Scheme.Indicators)+len(in.Scheme.Deductions))
		t.missing[code] = map[bus.NodeID]bool{}
		t.order = append(t.order, code)
	}
	slices.SortFunc(t.order, func(a, b bus.DivisionCode) int { return cmp.Or(cmp.Compare(depth[a], depth[b]), cmp.Compare(a, b)) })
	return t
}

// add adds what a department has to its division and those above.
func (t *tree) add(d bus.Department, sums []sum, missing []bus.NodeID) {
	for _, code := range t.divisions.Chain(d.Division) {
		to := t.sums[code]
		for i := range sums {
			to[i].ratio.Numerator += sums[i].ratio.Numerator
			to[i].ratio.Denominator += sums[i].ratio.Denominator
		}
		for _, node := range missing {
			t.missing[code][node] = true
		}
	}
}
