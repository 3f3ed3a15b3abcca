package evaluation_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func ordered(id string) evaluation.Order {
	return evaluation.Order{ID: id, Window: quarter, Scheme: evaluation.UsedScheme(bus.SchemeVersion{Scheme: evaluation.DefaultScheme()}), At: quarter.To.Add(24 * time.Hour), Node: "gz"}
}

// unanswered is the material of an application to market that nobody answered in time.
func unanswered() *evaluation.Material {
	m := provincial()
	m.Directory.Applications = application(func(a *bus.Application) { a.Complete = complete("2026-02-12 10:00") })
	return m
}

// Of market apply A1 17/17 of weight 8, A3 1/1 of 6 and C1 0/1 of 10: 14 of 24 are
// 58.33 points. With C1 of 15 and A1 of 3 they are 9 of 24, 37.50. Its divisions come
// out as it does; housing has nothing that applies, before and after.
func TestAPreviewTellsWhoseScoreWouldChange(t *testing.T) {
	proposed := evaluation.DefaultScheme()
	proposed.Indicators[0].Weight, proposed.Indicators[5].Weight = 3, 15
	effect, err := unanswered().Preview(ordered("preview"), proposed)
	if err != nil {
		t.Fatal(err)
	}
	var who []string
	for _, s := range effect.Shifts {
		who = append(who, string(s.Department)+"@"+string(s.Division))
		if s.Was.Score.Points != "58.33" || s.Would.Score.Points != "37.50" {
			t.Errorf("%s: %s, would be %s", s.Name, s.Was.Score.Points, s.Would.Score.Points)
		}
	}
	if want := []string{string(market) + "@440104", "@440000", "@440100", "@440104"}; len(who) != 4 || who[0] != want[0] || who[1] != want[1] || who[2] != want[2] || who[3] != want[3] {
		t.Errorf("%v, want %v", who, want)
	}
	same, err := unanswered().Preview(ordered("preview"), evaluation.DefaultScheme())
	if err != nil || len(same.Shifts) != 0 {
		t.Errorf("the scheme in force shifts %+v: %v", same.Shifts, err)
	}
}

// It turns out later that the answer came in time: C1 of market was published as 0/1 and
// is 1/1, and so it is of the three divisions above. The published report stays.
func TestARestatementIsAReportOfItsOwnThatNamesWhatItRestates(t *testing.T) {
	published, err := unanswered().Evaluate(ordered("2026-q1"))
	if err != nil {
		t.Fatal(err)
	}
	before := published.Digest()
	m := unanswered()
	answered("2026-03-04 09:00")(&m.Directory.Applications[0])
	o := ordered("2026-q1-r1")
	o.Restates, o.Before = "2026-q1", []evaluation.Report{published}
	again, err := m.Evaluate(o)
	if err != nil {
		t.Fatal(err)
	}
	if again.Restates != "2026-q1" || len(again.Restatements) != 4 {
		t.Fatalf("%s: %+v", again.Restates, again.Restatements)
	}
	for _, r := range again.Restatements {
		if r.Report != "2026-q1" || r.Indicator != "C1" || r.Published != (evaluation.Ratio{Denominator: 1}) || r.Restated != (evaluation.Ratio{Numerator: 1, Denominator: 1}) {
			t.Errorf("%+v", r)
		}
	}
	if published.Digest() != before || again.Digest() == before {
		t.Error("the published report was written again")
	}
	for _, s := range again.Departments {
		if len(s.Earlier) > 0 {
			t.Errorf("a report about the same window is no earlier one: %+v", s.Earlier)
		}
	}
}
