package evaluation

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Input is all that a computation needs.
type Input struct {
	Scheme      bus.Scheme
	Window      Window
	Departments []bus.Department               // every one that anything may count for
	Homes       map[bus.USCC]bus.NodeID        // the node whose evidence tells of each
	Divisions   []bus.Division                 // any order
	Missing     map[bus.NodeID][]calendar.Date // days of the window that a node has not reported
	Facts       iter.Seq[Fact]                 // in any order
}

// Compute gives the standings of all departments and divisions. The order of facts
// does not matter. A division's figures are those of the departments in it and
// below, added up as whole numbers.
func Compute(in Input) (departments, divisions []Standing) {
	t := newTally(in.Scheme)
	for f := range in.Facts {
		if in.Window.Has(f.At) {
			t.add(f)
		}
	}
	tree := newTree(in)
	for _, d := range in.Departments {
		division := tree.divisions[d.Division]
		s := Standing{Department: d.ID, Division: d.Division, Level: division.Level, Name: d.Name}
		sums := t.of(d.ID)
		var missing []bus.NodeID
		if home := in.Homes[d.ID]; len(in.Missing[home]) > 0 {
			missing = []bus.NodeID{home}
		}
		s.settle(in.Scheme, sums, missing)
		departments = append(departments, s)
		tree.add(d, sums, missing)
	}
	for _, code := range tree.order {
		d := tree.divisions[code]
		s := Standing{Division: code, Level: d.Level, Name: d.Name}
		s.settle(in.Scheme, tree.sums[code], slices.Sorted(maps.Keys(tree.missing[code])))
		divisions = append(divisions, s)
	}
	slices.SortFunc(departments, func(a, b Standing) int { return cmp.Compare(a.Department, b.Department) })
	rank(departments)
	rank(divisions)
	return departments, divisions
}

// sum is what one department has of one indicator or deduction.
type sum struct {
	ratio       Ratio
	numerator   refs
	denominator refs
}

// tally adds facts up by department and by what the scheme makes of them.
type tally struct {
	scheme bus.Scheme
	uses   map[bus.Count][]use
	sums   map[bus.USCC][]sum // indicators, then deductions
	places places
}

// use is a place in a scheme that takes a count.
type use struct {
	at          int // index in sums
	denominator bool
	where       map[string][]string
}

func newTally(s bus.Scheme) *tally {
	t := &tally{scheme: s, uses: map[bus.Count][]use{}, sums: map[bus.USCC][]sum{}, places: places{known: map[Ref]*place{}}}
	for i, x := range s.Indicators {
		t.uses[x.Numerator] = append(t.uses[x.Numerator], use{i, false, x.Where})
		t.uses[x.Denominator] = append(t.uses[x.Denominator], use{i, true, x.Where})
	}
	for i, x := range s.Deductions {
		t.uses[x.Count] = append(t.uses[x.Count], use{len(s.Indicators) + i, false, nil})
	}
	return t
}

// of returns the sums of a department.
func (t *tally) of(id bus.USCC) []sum {
	sums, ok := t.sums[id]
	if !ok {
		sums = make([]sum, len(t.scheme.Indicators)+len(t.scheme.Deductions))
		t.sums[id] = sums
	}
	return sums
}

func (t *tally) add(f Fact) {
	uses := t.uses[f.Count]
	if len(uses) == 0 {
		return
	}
	sums, at := t.of(f.Department), t.places.of(f.Ref)
	for _, u := range uses {
		if !f.chosen(u.where) {
			continue
		}
		s := &sums[u.at]
		if u.denominator {
			s.ratio.Denominator += f.N
			s.denominator.add(at)
		} else {
			s.ratio.Numerator += f.N
			s.numerator.add(at)
		}
	}
}

// settle fills in the figures of s, its deductions and its score.
func (s *Standing) settle(scheme bus.Scheme, sums []sum, missing []bus.NodeID) {
	lacks := false
	for i, x := range scheme.Indicators {
		f := Figure{Indicator: x.ID, State: Counted, Numerator: sums[i].ratio.Numerator, Denominator: sums[i].ratio.Denominator}
		told := x.Numerator.Source() == bus.SourceEvidence || x.Denominator.Source() == bus.SourceEvidence
		if told && len(missing) > 0 {
			f.Missing, lacks = missing, true
		}
		switch {
		case f.Denominator == 0 && f.Missing != nil:
			f.State = Missing
		case f.Denominator == 0:
			f.State = NotApplicable
		default:
			s.Weight += x.Weight
		}
		if s.Department != "" && (sums[i].ratio != Ratio{}) {
			f.Evidence = &Evidence{sums[i].numerator.list(), sums[i].denominator.list()}
		}
		s.Figures = append(s.Figures, f)
	}
	for i, x := range scheme.Deductions {
		got := sums[len(scheme.Indicators)+i]
		if got.ratio.Numerator == 0 {
			continue
		}
		d := Deducted{Deduction: x.ID, Times: got.ratio.Numerator, Points: got.ratio.Numerator * int64(x.Points)}
		if s.Department != "" {
			d.Evidence = got.numerator.list()
		}
		s.Deductions = append(s.Deductions, d)
	}
	if s.Department == "" { // one department's misconduct is not its division's
		s.Deductions = nil
	}
	s.score(scheme)
	switch {
	case s.Score == nil:
		s.Unranked = &bus.Text{ZH: "没有适用的指标", EN: "no indicator applies"}
	case s.Weight < scheme.RankedFrom:
		s.Unranked = &bus.Text{ZH: "适用指标的权重不足，仅列示不排名", EN: "the indicators that apply weigh too little to rank"}
	case lacks:
		s.Unranked = &bus.Text{ZH: "有节点缺报，暂不排名", EN: "not ranked while a node has not reported"}
	}
}
