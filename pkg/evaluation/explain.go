package evaluation

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Explain lists what is behind a figure of a department: cases of the workflow with
// their deadlines, or what the rollups count, a line a rollup. What was missed comes
// first.
func (m *Material) Explain(scheme bus.Scheme, w Window, department bus.USCC, indicator string) ([]Case, error) {
	x, ok := scheme.Indicator(indicator)
	if !ok {
		var ids []string
		for _, i := range scheme.Indicators {
			ids = append(ids, i.ID)
		}
		return nil, bus.E(bus.CodeNotFound, bus.Defect{Field: "indicator", Problem: bus.Text{ZH: "没有指标 " + indicator, EN: "no indicator " + indicator}, Allowed: fmt.Sprint(ids)})
	}
	cases := []Case{}
	if x.Denominator.Source() == bus.SourceDirectory && x.Numerator.Source() == bus.SourceDirectory {
		for _, c := range m.Directory.Cases(w) {
			if c.Due == x.Denominator && c.Department == department && c.chosen(x.Where) {
				cases = append(cases, c)
			}
		}
	} else {
		if err := m.settle(); err != nil {
			return nil, err
		}
		lines := map[Ref]*Case{}
		m.ExchangeFacts(w, func(f Fact) {
			if f.Department != department || !w.Has(f.At) || f.Count != x.Denominator && f.Count != x.Numerator || !f.chosen(x.Where) {
				return
			}
			ref := f.Ref
			if f.Resource != "" {
				ref += Ref(" resource/" + string(f.Resource))
			}
			line := lines[ref]
			if line == nil {
				line = &Case{Ref: ref, Due: x.Denominator, Met: x.Numerator, Department: department, At: f.At, Attributes: f.Attributes}
				lines[ref] = line
			}
			if f.Count == x.Denominator {
				line.N += f.N
			} else {
				line.MetN += f.N
			}
		})
		for _, line := range lines {
			line.Text = bus.Text{ZH: fmt.Sprintf("%d 次中 %d 次符合", line.N, line.MetN), EN: fmt.Sprintf("%d of %d", line.MetN, line.N)}
			if x.Denominator == bus.CountRefreshesDue {
				line.Text = refreshed(*line)
			}
			cases = append(cases, *line)
		}
	}
	slices.SortFunc(cases, func(a, b Case) int {
		met := func(c Case) int {
			if c.MetN >= c.N {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(met(a), met(b)), a.At.Compare(b.At), cmp.Compare(a.Ref, b.Ref))
	})
	return cases, nil
}
