package evaluation_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/policies"
)

// Whatever is handed in as a scheme is refused with a code, or a scheme that can be used.
func FuzzReadScheme(f *testing.F) {
	shipped, err := policies.FS.ReadFile("evaluation/default.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	f.Add([]byte("&a [*a]"))
	f.Add([]byte("name: x\nindicators: [{id: A1, weight: 100, where: {cycle: [realtime]}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := evaluation.ReadScheme(data)
		if err != nil {
			refusedWithACode(t, err)
			return
		}
		if again, err := json.Marshal(s); err != nil {
			t.Error(err)
		} else if _, err := evaluation.ReadScheme(again); err != nil {
			t.Errorf("its own JSON is refused: %v\n%s", err, again)
		}
		m := provincial(rollup(t, "gz", "2026-03-02"), rollup(t, "th", "2026-03-02"))
		if _, err := m.Evaluate(evaluation.Order{ID: "x", Window: oneDay, Scheme: evaluation.SchemeUsed{Scheme: s}, At: oneDay.To.Add(24 * time.Hour), Node: "gz"}); err != nil {
			t.Error(err)
		}
	})
}

func refusedWithACode(t *testing.T, err error) {
	t.Helper()
	if bus.CodeOf(err) == bus.CodeInternal {
		t.Errorf("refused without a code: %v", err)
	}
}

// Whatever is handed in as a report is refused, or found out.
func FuzzReport(f *testing.F) {
	honest, err := evaluate(f, provincial(rollup(f, "gz", "2026-03-02", beats("2026-03-02", 0, 3, allUp)...), rollup(f, "th", "2026-03-02")), oneDay).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(honest)
	f.Add([]byte(`{"format":"gxbus-evaluation/1","departments":[{}],"divisions":[{"figures":[{}]}],"scheme":{"indicators":[{}]}}`))
	_, key, err := audit.GenerateKey("gxbus/gd/gz")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := evaluation.DecodeReport(data)
		if err != nil {
			refusedWithACode(t, err)
			return
		}
		evaluation.Restate(r, r)
		m := provincial(rollup(t, "gz", "2026-03-02"), rollup(t, "th", "2026-03-02"))
		found, err := m.Check(r, []evaluation.Report{r}, key)
		if err != nil {
			refusedWithACode(t, err)
		} else if found.Verified {
			t.Error("nobody signed it, and it is verified")
		}
	})
}

// Whatever is handed in as the directory's material is refused, or evaluated.
func FuzzMaterial(f *testing.F) {
	m := provincial()
	m.Directory.Versions = published(realtime)
	m.Directory.Applications = application(answered("2026-03-02 10:00"))
	honest, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(honest)
	f.Add([]byte(`{"format":"gxbus-evaluation-material/1","directory":{"divisions":[{"code":"1","parent":"1"}],"departments":[{"division":"1"}],"versions":{"r":[{}]},"grants":[{"consent":{}}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := evaluation.DecodeMaterial(data)
		if err != nil {
			refusedWithACode(t, err)
			return
		}
		m.Rollups.Add(rollup(t, "gz", "2026-03-02", beats("2026-03-02", 0, 3, allUp)...), rollup(t, "th", "2026-03-02"))
		scheme := evaluation.DefaultScheme()
		r, err := m.Evaluate(evaluation.Order{ID: "x", Window: oneDay, Scheme: evaluation.SchemeUsed{Scheme: scheme}, At: oneDay.To.Add(24 * time.Hour), Node: "gz"})
		if err != nil {
			refusedWithACode(t, err)
			return
		}
		for _, s := range r.Departments {
			for _, x := range scheme.Indicators {
				if _, err := m.Explain(scheme, oneDay, s.Department, x.ID); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// Whatever stands in a log, its rollups can be read again, no hour has more than sixty
// minutes, and what is derived twice is the same.
func FuzzEvidence(f *testing.F) {
	var lines []string
	add := func(records ...audit.Record) {
		lines = nil
		for _, r := range records {
			line, err := json.Marshal(r)
			if err != nil {
				f.Fatal(err)
			}
			lines = append(lines, string(line))
		}
		f.Add(strings.Join(lines, "\n"))
	}
	add(call(evaluation.ProviderSide, "q", "2026-03-02 09:00", nil)...)
	add(begun("2026-03-02 23:59:59", "2026-03-03 00:00:01", call(evaluation.ConsumerSide, "q", "2026-03-02 09:00", nil)...)...)
	add(beats("2026-03-02", 0, 2, allUp)...)
	add(batch(audit.KindDecision, "d1", 1, 10, "2026-03-02 09:00"), batch(audit.KindForwarded, "d1", 1, 10, "2026-03-02 09:01"), batch(audit.KindReceived, "d1", 1, 10, "2026-03-02 09:01"))
	days := oneDay.Days()
	f.Fuzz(func(t *testing.T, text string) {
		var records []audit.Record
		for line := range strings.Lines(text) {
			var r audit.Record
			if json.Unmarshal([]byte(line), &r) == nil && len(r.Check()) == 0 { // what a log takes
				records = append(records, r)
			}
		}
		log := leaves(records...)
		first, err := evaluation.Derive("gz", log, days)
		if err != nil {
			t.Fatal(err)
		}
		again, err := evaluation.Derive("gz", log, days)
		if err != nil || first[0].Digest() != again[0].Digest() {
			t.Errorf("derived again it is another: %v", err)
		}
		data, err := json.Marshal(first[0])
		if err != nil {
			t.Fatal(err)
		}
		if read, err := evaluation.DecodeRollup(data); err != nil || read.Digest() != first[0].Digest() {
			t.Errorf("it cannot be read again: %v\n%s", err, data)
		}
		exchanges, err := evaluation.Exchanges(log, days...)
		if err != nil {
			t.Fatal(err)
		}
		if found := evaluation.Deviations(first[0], exchanges); len(found) > 0 {
			t.Errorf("it deviates from its own evidence: %v", found)
		}
		for _, x := range exchanges {
			if calendar.DateOf(x.At) != days[0] || x.Mode == evaluation.ModeHeartbeat && (x.Events < 0 || x.Events > 60) {
				t.Errorf("%+v", x)
			}
		}
		evaluate(t, provincial(first[0], rollup(t, "th", "2026-03-02")), oneDay)
	})
}

// Whatever a node says in a rollup is refused, or evaluated: a figure is not negative, and
// B2 is met by no more than is due.
func FuzzRollup(f *testing.F) {
	for _, records := range [][]audit.Record{
		call(evaluation.ProviderSide, "q", "2026-03-02 09:00", nil), beats("2026-03-02", 0, 24, allUp),
		{batch(audit.KindDecision, "d1", 1, 10, "2026-03-02 09:00"), batch(audit.KindForwarded, "d1", 1, 10, "2026-03-02 09:01")},
	} {
		data, err := json.Marshal(rollup(f, "gz", "2026-03-02", records...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"format":"gxbus-rollup/1","node":"gz","day":"2026-03-02","rows":[{"side":"consumer","mode":"interface","resource":"r","provider":"` + string(market) + `","consumer":"` + string(housing) + `","outcome":"failed","count":-7,"sum":""}]}`))
	f.Add([]byte(`{"format":"gxbus-rollup/1","node":"gz","day":"2026-03-02","rows":[{"side":"provider","mode":"heartbeat","resource":"r","outcome":"succeeded","count":-1,"events":9223372036854775807},{"mode":"heartbeat","resource":"r","events":-9223372036854775808}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := evaluation.DecodeRollup(data)
		if err != nil {
			refusedWithACode(t, err)
			return
		}
		m := provincial(r, rollup(t, "th", "2026-03-02"))
		m.Directory.Versions = published(realtime)
		scheme := evaluation.DefaultScheme()
		report, err := m.Evaluate(evaluation.Order{ID: "x", Window: oneDay, Scheme: evaluation.SchemeUsed{Scheme: scheme}, At: oneDay.To.Add(24 * time.Hour), Node: "gz"})
		if err != nil {
			refusedWithACode(t, err)
			return
		}
		for _, s := range report.Departments {
			for _, x := range s.Figures {
				if x.Numerator < 0 || x.Denominator < 0 || x.Indicator == "B2" && x.Numerator > x.Denominator {
					t.Errorf("%s: %d/%d\n%s", x.Indicator, x.Numerator, x.Denominator, data)
				}
			}
		}
	})
}
