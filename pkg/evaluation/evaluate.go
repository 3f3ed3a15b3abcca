package evaluation

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Material is all that a report is made of: who has it, and the same release, makes
// the same report.
type Material struct {
	Format      string           `json:"format"`
	Cluster     string           `json:"cluster"`
	Revision    bus.Revision     `json:"revision"` // of the directory when it was read
	Directory   Directory        `json:"directory"`
	Checkpoints []bus.Checkpoint `json:"checkpoints"`
	Rollups     Rollups          `json:"-"` // they come from the nodes, or from their evidence; a day may be there twice
}

// Order says which report to make.
type Order struct {
	ID     string
	Window Window
	Scheme SchemeUsed
	At     time.Time // when the material was read
	Node   bus.NodeID
	Before []Report // published ones, for the trend, and for what is to be restated; any order

	Restates string // id of the one in Before that this is a restatement of
}

// Evaluate makes a report, not yet signed. Where the window is not over it is
// provisional: it goes as far as the days that are closed, and tells what is known
// then.
func (m *Material) Evaluate(o Order) (Report, error) {
	if err := bus.Invalid(o.Window.Check()); err != nil {
		return Report{}, err
	}
	if err := m.settle(); err != nil {
		return Report{}, err
	}
	r := Report{
		Format: ReportFormat, ID: o.ID, Window: o.Window, At: o.At.UTC(), Cluster: m.Cluster, Node: o.Node, Scheme: o.Scheme,
		Inputs: Inputs{Directory: m.Revision, DirectoryDigest: digestOf(m.Directory), Rollups: []RollupUsed{}, Missing: []MissingNode{}, Checkpoints: m.Checkpoints},
	}
	window := closed(o.Window, o.At)
	r.Provisional = window != o.Window
	if !window.To.After(window.From) {
		window.To = window.From.Add(time.Nanosecond) // nothing is closed yet: what is published now, and no more
	}
	missing := m.missing(window)
	r.Inputs.Rollups = m.Rollups.used()
	for _, n := range m.Directory.Nodes {
		if len(missing[n.ID]) > 0 {
			r.Inputs.Missing = append(r.Inputs.Missing, MissingNode{n.ID, texts(missing[n.ID])})
		}
	}
	r.Departments, r.Divisions = Compute(Input{
		Scheme: o.Scheme.Scheme, Window: window, Departments: m.Directory.Departments, Homes: m.Directory.Homes, Divisions: m.Directory.Divisions, Missing: missing,
		Facts: m.facts(window, &r.Reconciliation),
	})
	r.compareWith(o.Before)
	if o.Restates != "" {
		r.Restates = o.Restates
		for _, b := range o.Before {
			if b.ID == o.Restates {
				r.Restatements = Restate(b, r)
			}
		}
	}
	return r, nil
}

// facts gives all that counts; the reconciliation is there once they are all read.
func (m *Material) facts(w Window, reconciliation *Reconciliation) iter.Seq[Fact] {
	return func(yield func(Fact) bool) {
		for f := range FactsOf(m.Directory.Cases(w)) {
			if !yield(f) {
				return
			}
		}
		going := true
		*reconciliation = m.ExchangeFacts(w, func(f Fact) { going = going && yield(f) })
	}
}

// settle puts the material in order.
func (m *Material) settle() error {
	slices.SortFunc(m.Directory.Nodes, func(a, b bus.Node) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(m.Checkpoints, func(a, b bus.Checkpoint) int { return cmp.Compare(a.Node, b.Node) })
	return m.Rollups.settle()
}

func texts(days []calendar.Date) []string {
	list := make([]string, len(days))
	for i, d := range days {
		list[i] = d.String()
	}
	return list
}

// who is a department or a division.
type who struct {
	department bus.USCC
	division   bus.DivisionCode
}

func (s Standing) who() who {
	if s.Department != "" { // wherever it is now
		return who{department: s.Department}
	}
	return who{division: s.Division}
}

// standings gives those of a report by whose they are.
func (r *Report) standings() map[who]*Standing {
	all := map[who]*Standing{}
	for _, list := range [][]Standing{r.Departments, r.Divisions} {
		for i := range list {
			all[list[i].who()] = &list[i]
		}
	}
	return all
}

// compareWith adds to each standing how it came out before.
func (r *Report) compareWith(before []Report) {
	before = slices.Clone(before)
	slices.SortFunc(before, func(a, b Report) int { return cmp.Or(b.Window.From.Compare(a.Window.From), cmp.Compare(a.ID, b.ID)) })
	mine := r.standings()
	for i := range before {
		if before[i].ID == r.ID || !before[i].Window.From.Before(r.Window.From) {
			continue
		}
		for who, s := range before[i].standings() {
			if now := mine[who]; now != nil {
				now.Earlier = append(now.Earlier, Earlier{Report: before[i].ID, Score: s.Score, Rank: s.Rank, Of: s.Of})
			}
		}
	}
}

// Restate lists what is otherwise in a report that was made again than in the
// published one: that one stays as it is.
func Restate(published, again Report) []Restatement {
	var list []Restatement
	now := again.standings()
	for _, group := range [][]Standing{published.Departments, published.Divisions} {
		for _, s := range group {
			other := now[s.who()]
			if other == nil {
				continue
			}
			for i, f := range s.Figures {
				was, is := Ratio{f.Numerator, f.Denominator}, Ratio{}
				if i < len(other.Figures) {
					is = Ratio{other.Figures[i].Numerator, other.Figures[i].Denominator}
				}
				if was != is {
					restated := Restatement{Report: published.ID, Department: s.Department, Indicator: f.Indicator, Published: was, Restated: is}
					if s.Department == "" {
						restated.Division = s.Division
					}
					list = append(list, restated)
				}
			}
		}
	}
	return list
}
