package export_test

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
)

// BenchmarkEvaluationWorkbook exports a province's quarter: 600 departments and 144
// divisions, 14 indicators, 10,000 resources that figures rest on.
func BenchmarkEvaluationWorkbook(b *testing.B) {
	const limit = 5 // seconds
	r := province(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := export.Write(io.Discard, r, export.XLSX, bus.Chinese); err != nil {
			b.Fatal(err)
		}
	}
	each := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(each.Seconds(), "s")
	b.ReportMetric(limit, "baseline")
	b.ReportMetric(each.Seconds()/limit, "ratio")
}

// province is a report as large as those of a province.
func province(tb testing.TB) evaluation.Report {
	r := sample(tb)
	in := evaluation.Input{Scheme: r.Scheme.Scheme, Window: r.Window, Divisions: []bus.Division{{Code: "440000", Name: "样例省", Level: bus.LevelProvince}}}
	for i := range 21 {
		city := bus.DivisionCode(fmt.Sprintf("44%02d00", i+1))
		in.Divisions = append(in.Divisions, bus.Division{Code: city, Name: fmt.Sprintf("样例市%02d", i+1), Level: bus.LevelCity, Parent: "440000"})
		for k := range 6 {
			if len(in.Divisions) < 144 {
				in.Divisions = append(in.Divisions, bus.Division{Code: city[:4] + bus.DivisionCode(fmt.Sprintf("%02d", k+1)), Name: fmt.Sprintf("样例县%02d%02d", i+1, k+1), Level: bus.LevelCounty, Parent: city})
			}
		}
	}
	var facts []evaluation.Fact
	for n := range 600 {
		d := bus.Department{ID: bus.USCC(fmt.Sprintf("1144000000%07dX", n)), Name: fmt.Sprintf("样例部门%03d", n), Division: in.Divisions[n%len(in.Divisions)].Code}
		in.Departments = append(in.Departments, d)
		for i, x := range r.Scheme.Indicators {
			if (n+i)%17 == 0 { // does not apply
				continue
			}
			for k := range 17 { // of 10,000 resources
				f := evaluation.Fact{Count: x.Denominator, At: r.Window.From, Department: d.ID, N: 1, Ref: evaluation.Ref(fmt.Sprintf("resource/r%d-%d/1", n, k))}
				facts = append(facts, f)
				if (n*7+i*5+k*11)%19 > n%9 {
					f.Count = x.Numerator
					facts = append(facts, f)
				}
			}
		}
		if n%40 == 0 {
			facts = append(facts, evaluation.Fact{Count: bus.CountStopsUnreasoned, At: r.Window.From, Department: d.ID, N: 1, Ref: "dispute/d1"})
		}
	}
	in.Facts = slices.Values(facts)
	r.Departments, r.Divisions = evaluation.Compute(in)
	for i := range 90 * 21 {
		r.Inputs.Rollups = append(r.Inputs.Rollups, evaluation.RollupUsed{Node: bus.NodeID(fmt.Sprintf("n%02d", i%21)), Day: fmt.Sprintf("2026-01-%02d", i/21%31+1), Digest: r.Scheme.Digest})
	}
	return r
}
