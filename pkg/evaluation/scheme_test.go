package evaluation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/policies"
)

func TestTheDefaultSchemeIsThatOfTheLaw(t *testing.T) {
	weights := map[string]int{
		"A1": 8, "A2": 6, "A3": 6, "B1": 10, "B2": 10, "C1": 10, "C2": 8, "C3": 7, "D1": 9, "D2": 6, "E1": 7, "E2": 5, "F1": 4, "F2": 4,
	}
	s := evaluation.DefaultScheme()
	if len(s.Indicators) != len(weights) || s.Cap != 10 || s.RankedFrom != 50 {
		t.Errorf("%d indicators, cap %d, ranked from %d", len(s.Indicators), s.Cap, s.RankedFrom)
	}
	for _, x := range s.Indicators {
		if x.Weight != weights[x.ID] {
			t.Errorf("%s weighs %d", x.ID, x.Weight)
		}
	}
	points := map[bus.Count]int{
		bus.CountStopsUnreasoned: 3, bus.CountConditionsAdded: 3, bus.CountUsesBeyond: 5, bus.CountRecordsMissing: 2, bus.CountChainsBroken: 5,
	}
	for _, d := range s.Deductions {
		if d.Points != points[d.Count] {
			t.Errorf("%s takes off %d", d.ID, d.Points)
		}
	}
}

func TestASchemeIsReadStrictlyWithAllDefectsAtOnce(t *testing.T) {
	content, err := policies.FS.ReadFile("evaluation/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, change := range [][2]string{
		{"cap: 10 ", "cap: 101 "},
		{"ranked_from: 50", "ranked_from: 50\nsurprise: 1"},
		{"{id: A1, weight: 8,", "{id: a1, weight: 9,"},
		{"{id: A2,", "{id: A3,"},
		{"numerator: limits.grounded", "numerator: limits.ground"},
		{"denominator: calls.charged}", "denominator: calls.succeeded, where: {mood: [good], mode: [fax, batch], resource: []}}"},
		{"en: excellent", "en: ''"},
		{"from: 0,", "from: 70,"},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("%q is not in the scheme", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	_, err = evaluation.ReadScheme([]byte(text))
	refusal, ok := errors.AsType[*bus.Error](err)
	if !ok || refusal.Code != bus.CodeInvalid {
		t.Fatalf("%v", err)
	}
	var fields []string
	for _, d := range refusal.Defects {
		fields = append(fields, d.Field)
	}
	want := []string{
		"scheme", "cap", "indicators[0].id", "indicators[2].id", "indicators[2].numerator", "indicators[8].numerator",
		"indicators[8].where.mode", "indicators[8].where.mood", "indicators[8].where.resource",
		"indicators.weight", "bands[0].name.en", "bands[3].from", "bands[3].from",
	}
	if strings.Join(fields, " ") != strings.Join(want, " ") {
		t.Errorf("defects of\n%v, want\n%v", fields, want)
	}
	if en := refusal.Defects[0].Problem.EN; !strings.Contains(en, "surprise") || strings.Contains(en, "bus.") {
		t.Errorf("the unknown field is told as %q", en)
	}
}

func TestAnIndicatorCanBeAdded(t *testing.T) {
	content, err := policies.FS.ReadFile("evaluation/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(content), "{id: A1, weight: 8,", "{id: G1, weight: 3, name: {zh: 有条件共享答复及时率, en: timely answers of conditional ones}, "+
		"numerator: applications.met, denominator: applications.due, where: {sharing: [conditional]}}\n  - {id: A1, weight: 5,", 1)
	s, err := evaluation.ReadScheme([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if x, ok := s.Indicator("G1"); !ok || x.Where["sharing"][0] != "conditional" {
		t.Errorf("%+v", x)
	}
}
