package evaluation_test

import (
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

const (
	health  bus.USCC = "11441300007188069T"
	welfare bus.USCC = "114420000073327379"
)

// guangdong is the material of the province as it is (GB/T 2260), with departments
// where a test wants them. Dongguan (441900) and Zhongshan (442000) have no counties:
// their towns, of which one each is here, hang directly off the city.
func guangdong(departments map[bus.USCC]bus.DivisionCode, homes map[bus.USCC]bus.NodeID, rollups ...evaluation.Rollup) *evaluation.Material {
	m := &evaluation.Material{Format: evaluation.MaterialFormat, Cluster: "gd", Directory: evaluation.Directory{
		Days: calendar.BuiltIn(), Homes: homes, Versions: map[bus.ResourceID][]bus.Version{},
		Divisions: append(bus.Guangdong(),
			bus.Division{Code: "441900003", Name: "东城街道", Level: bus.LevelTown, Parent: "441900"},
			bus.Division{Code: "442000001", Name: "石岐街道", Level: bus.LevelTown, Parent: "442000"},
			bus.Division{Code: "440106001", Name: "五山街道", Level: bus.LevelTown, Parent: "440106"},
		),
	}}
	m.Rollups.Add(rollups...)
	for id, division := range departments {
		m.Directory.Departments = append(m.Directory.Departments, bus.Department{ID: id, Name: "样例部门", Division: division})
	}
	for _, home := range homes {
		if !slices.ContainsFunc(m.Directory.Nodes, func(n bus.Node) bool { return n.ID == home }) {
			m.Directory.Nodes = append(m.Directory.Nodes, bus.Node{ID: home})
		}
	}
	return m
}

// calls is the evidence of the consumer's node of queries between two departments: so
// many were answered, and then so many failed.
func calls(name string, provider, consumer bus.USCC, answered, failed int) (records []audit.Record) {
	for i := range answered + failed {
		records = append(records, call(evaluation.ConsumerSide, name+string(rune('a'+i)), "2026-03-02 09:00", func(r *audit.Record) {
			if i >= answered {
				r.Status = 503
			}
		})...)
	}
	for i := range records {
		records[i].Provider, records[i].Consumer = provider, consumer
	}
	return records
}

func standing(t *testing.T, r evaluation.Report, who string) evaluation.Standing {
	t.Helper()
	for _, s := range slices.Concat(r.Departments, r.Divisions) {
		if string(s.Department) == who || s.Department == "" && string(s.Division) == who {
			return s
		}
	}
	t.Fatalf("%s has no standing", who)
	return evaluation.Standing{}
}

func checkFigures(t *testing.T, r evaluation.Report, want map[string]map[string][2]int64) {
	t.Helper()
	for who, figures := range want {
		for id, n := range figures {
			for _, f := range standing(t, r, who).Figures {
				if f.Indicator == id && (f.Numerator != n[0] || f.Denominator != n[1]) {
					t.Errorf("%s of %s: %d/%d, want %d/%d", id, who, f.Numerator, f.Denominator, n[0], n[1])
				}
			}
		}
	}
}

// tax has nothing that could be counted: it is listed with 14 figures that do not
// apply, without a score, and ranks nobody down. Of market D1 and of housing F2 apply
// alone, which weigh 9 and 4, less than the 50 that ranking wants: 7 of 9 are 77.78
// points, all of 4 are 100.
func TestADepartmentWithoutApplicableIndicatorsIsListedAndNotRanked(t *testing.T) {
	homes := map[bus.USCC]bus.NodeID{market: "gz", housing: "gz", tax: "gz"}
	m := guangdong(map[bus.USCC]bus.DivisionCode{market: "440100", housing: "440106", tax: "440106"}, homes,
		rollup(t, "gz", "2026-03-02", calls("q", market, housing, 7, 2)...))
	r := evaluate(t, m, oneDay)
	s := standing(t, r, string(tax))
	if len(s.Figures) != 14 || s.Score != nil || s.Band != nil || s.Rank != 0 || s.Weight != 0 || s.Unranked == nil || s.Unranked.EN != "no indicator applies" {
		t.Errorf("%+v", s)
	}
	for _, f := range s.Figures {
		if f.State != evaluation.NotApplicable || f.Numerator != 0 || f.Denominator != 0 {
			t.Errorf("%+v", f)
		}
	}
	for who, want := range map[bus.USCC]struct {
		points string
		weight int
	}{market: {"77.78", 9}, housing: {"100.00", 4}} {
		if s := standing(t, r, string(who)); s.Score.Points != want.points || s.Weight != want.weight || s.Rank != 0 || s.Unranked == nil {
			t.Errorf("%s: %s of weight %d, rank %d", who, s.Score.Points, s.Weight, s.Rank)
		}
	}
	checkFigures(t, r, map[string]map[string][2]int64{"440106": {"F2": {9, 9}, "D1": {0, 0}}, "440100": {"D1": {7, 9}, "F2": {9, 9}}})
}

// market is merged into tax: of the five calls of before two failed, and they stay
// market's; of the three of after none did, and they are tax's. Their county has all
// eight, once.
func TestACallToADepartmentThatWasMergedStaysItsOwn(t *testing.T) {
	homes := map[bus.USCC]bus.NodeID{market: "gz", housing: "gz", tax: "gz"}
	records := slices.Concat(calls("before", market, housing, 3, 2), calls("after", tax, housing, 3, 0))
	m := guangdong(map[bus.USCC]bus.DivisionCode{market: "440104", tax: "440104", housing: "440106"}, homes, rollup(t, "gz", "2026-03-02", records...))
	checkFigures(t, evaluate(t, m, oneDay), map[string]map[string][2]int64{
		string(market): {"D1": {3, 5}}, string(tax): {"D1": {3, 3}}, "440104": {"D1": {6, 8}}, "440106": {"F2": {8, 8}}, "440000": {"D1": {6, 8}, "F2": {8, 8}},
	})
}

// 越秀 (440104) has no node: its department is served by the city's. The city's
// evidence tells of it and of the city's own department; each counts for its own
// division, and the county is a county among counties. While the city's node has not
// reported, the county's department is missing as the city's is.
func TestATenantCountyIsToldOfByItsCitysNode(t *testing.T) {
	homes := map[bus.USCC]bus.NodeID{market: "gz", tax: "gz", housing: "th"}
	departments := map[bus.USCC]bus.DivisionCode{market: "440104", tax: "440100", housing: "440106"}
	own := rollup(t, "gz", "2026-03-02", calls("tenant", housing, market, 4, 1)...) // the tenant is the consumer
	th := rollup(t, "th", "2026-03-02", slices.Concat(calls("t", market, housing, 2, 1), calls("c", tax, housing, 6, 0))...)
	r := evaluate(t, guangdong(departments, homes, own, th), oneDay)
	checkFigures(t, r, map[string]map[string][2]int64{
		string(market): {"D1": {2, 3}, "F2": {5, 5}}, string(tax): {"D1": {6, 6}, "F2": {0, 0}}, "440104": {"D1": {2, 3}, "F2": {5, 5}},
		"440106": {"D1": {4, 5}, "F2": {9, 9}}, "440100": {"D1": {12, 14}, "F2": {14, 14}}, "440000": {"D1": {12, 14}},
	})
	if s := standing(t, r, "440104"); s.Level != bus.LevelCounty || standing(t, r, string(market)).Level != bus.LevelCounty {
		t.Errorf("%s is ranked as a %s", s.Division, s.Level)
	}
	r = evaluate(t, guangdong(departments, homes, th), oneDay)
	for who, state := range map[string]evaluation.State{string(market): evaluation.Missing, string(tax): evaluation.Missing, "440104": evaluation.Missing, "440100": evaluation.Counted} {
		if f := standing(t, r, who).Figures[13]; f.State != state || !slices.Equal(f.Missing, []bus.NodeID{"gz"}) { // the city has what 天河 says
			t.Errorf("F2 of %s while its node has not reported: %+v", who, f)
		}
	}
	if f := standing(t, r, string(housing)).Figures[13]; f.State != evaluation.Counted || f.Denominator != 9 {
		t.Errorf("F2 of who has reported: %+v", f)
	}
}

// A town's department uses data: its calls are the town's, and the county's and the
// city's above it; it is ranked among towns. What its city gives it about the town is
// a return flow (decree 809 art. 24): consented to on 02-12, due on 03-18, given then.
func TestATownLevelConsumerCountsForItsTownAndAllAbove(t *testing.T) {
	homes := map[bus.USCC]bus.NodeID{market: "gz", welfare: "gz"}
	departments := map[bus.USCC]bus.DivisionCode{market: "440100", welfare: "440106001"}
	records := calls("q", market, welfare, 3, 0)
	records[5].Case, records[4].Case = "", "" // the last one is for no case
	m := guangdong(departments, homes, rollup(t, "gz", "2026-03-02", records...))
	r := evaluate(t, m, oneDay)
	checkFigures(t, r, map[string]map[string][2]int64{
		string(welfare): {"F2": {2, 3}}, "440106001": {"F2": {2, 3}}, "440106": {"F2": {2, 3}}, "440100": {"F2": {2, 3}, "D1": {3, 3}}, "440000": {"F2": {2, 3}},
		"440104": {"F2": {0, 0}},
	})
	if s := standing(t, r, string(welfare)); s.Level != bus.LevelTown {
		t.Errorf("ranked as a %s", s.Level)
	}
	m = guangdong(departments, homes)
	m.Directory.Versions = published(func(v *bus.Version) { v.Resource.Provider = market })
	m.Directory.Grants = []bus.Grant{{ID: "g", Delivered: at("2026-03-18 23:00")}}
	m.Directory.Applications = application(func(a *bus.Application) {
		a.Content.Department, a.Content.Division, a.Complete = welfare, "440106001", complete("2026-02-11 10:00")
		answered("2026-02-12 10:00")(a)
	})
	checkFigures(t, evaluate(t, m, quarter), map[string]map[string][2]int64{
		string(market): {"F1": {1, 1}, "C2": {1, 1}}, "440100": {"F1": {1, 1}}, "440106001": {"F1": {0, 0}},
	})
}

// Dongguan's own department is called 4 times and answers 1, its town's 2 times and
// answers both: 3 of 6. Zhongshan's answers 1 of 1. The province has 4 of 7: the whole
// numbers added up, where the mean of the two percentages would be 75.
func TestACityWithoutCountiesIsTheParentOfItsTowns(t *testing.T) {
	for _, d := range bus.Guangdong() {
		if d.Parent == "441900" || d.Parent == "442000" {
			t.Fatalf("%s has county %s", d.Parent, d.Code)
		}
	}
	homes := map[bus.USCC]bus.NodeID{market: "dg", welfare: "dg", health: "zs", housing: "gz"}
	departments := map[bus.USCC]bus.DivisionCode{market: "441900", welfare: "441900003", health: "442000", housing: "440106"}
	records := slices.Concat(calls("city", market, housing, 1, 3), calls("town", welfare, housing, 2, 0), calls("zs", health, housing, 1, 0))
	r := evaluate(t, guangdong(departments, homes, rollup(t, "gz", "2026-03-02", records...), rollup(t, "dg", "2026-03-02"), rollup(t, "zs", "2026-03-02")), oneDay)
	checkFigures(t, r, map[string]map[string][2]int64{
		string(market): {"D1": {1, 4}}, string(welfare): {"D1": {2, 2}}, "441900003": {"D1": {2, 2}}, "441900": {"D1": {3, 6}}, "442000": {"D1": {1, 1}}, "442000001": {"D1": {0, 0}},
		"440000": {"D1": {4, 7}}, "440100": {"D1": {0, 0}, "F2": {7, 7}},
	})
	for code, level := range map[string]bus.Level{"441900": bus.LevelCity, "441900003": bus.LevelTown, "440000": bus.LevelProvince} {
		if s := standing(t, r, code); s.Level != level {
			t.Errorf("%s is a %s", code, s.Level)
		}
	}
}
