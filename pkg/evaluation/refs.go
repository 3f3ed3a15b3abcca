package evaluation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// refs collects references, each once.
type refs struct {
	all  map[Ref]struct{}
	last Ref // facts of one rollup come together, with one reference
}

func (r *refs) add(ref Ref) {
	if ref == r.last || ref == "" {
		return
	}
	if r.all == nil {
		r.all = map[Ref]struct{}{}
	}
	r.all[ref], r.last = struct{}{}, ref
}

// list gives the references in order, the rollups of a node on days that follow
// each other as one.
func (r *refs) list() []Ref {
	var list []Ref
	days := map[bus.NodeID][]calendar.Date{}
	for ref := range r.all {
		if node, from, _, ok := ref.Rollup(); ok {
			days[node] = append(days[node], from)
			continue
		}
		list = append(list, ref)
	}
	slices.Sort(list)
	for _, node := range slices.Sorted(maps.Keys(days)) {
		list = append(list, runs(node, days[node])...)
	}
	return list
}

func runs(node bus.NodeID, days []calendar.Date) []Ref {
	slices.Sort(days)
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
