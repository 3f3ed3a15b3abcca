package evaluation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// What a node keeps of rollups gives the report that they give themselves, whichever
// processor reads which; one that cannot be read is not passed over.
func TestRollupsReadFromTheirJSONGiveTheSameReport(t *testing.T) {
	var rollups []evaluation.Rollup
	for d := range 20 {
		text := fmt.Sprintf("2026-03-%02d", d+1)
		var th, gz []audit.Record
		for i := range d % 5 {
			id := fmt.Sprint("q", d, "-", i)
			th = append(th, call(evaluation.ConsumerSide, id, text+" 09:00", nil)...)
			gz = append(gz, call(evaluation.ProviderSide, id, text+" 09:00", nil)...)
		}
		rollups = append(rollups, rollup(t, "th", text, th...), rollup(t, "gz", text, gz...))
	}
	w := evaluation.Window{From: day("2026-03-01"), To: day("2026-03-21")}
	want := evaluate(t, provincial(rollups...), w)
	stored := make([][]byte, len(rollups))
	for i, r := range slices.Backward(rollups) {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		stored[len(rollups)-1-i] = data
	}
	m := provincial()
	if err := m.Rollups.Read(stored); err != nil {
		t.Fatal(err)
	}
	got := evaluate(t, m, w)
	if got.Digest() != want.Digest() || got.Reconciliation.Matched != 40 { // 0+1+2+3+4 calls, four times
		t.Errorf("%d calls match, the report is another: %v", got.Reconciliation.Matched, got.Digest() != want.Digest())
	}
	stored[7] = stored[7][:len(stored[7])/2]
	if err := m.Rollups.Read(stored); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("half a rollup: %v", err)
	}
}

// A node cannot take away from what others count, nor say it in a form that nobody reads.
func TestARollupThatCountsLessThanNothingIsRefused(t *testing.T) {
	honest := rollup(t, "gz", "2026-03-02", call(evaluation.ProviderSide, "q", "2026-03-02 09:00", nil)...)
	for name, change := range map[string]func(*evaluation.Rollup){
		"":                      func(*evaluation.Rollup) {},
		"rollup.rows[0]":        func(r *evaluation.Rollup) { r.Rows[0].Count = -1 },
		"rollup.rows[0] events": func(r *evaluation.Rollup) { r.Rows[0].Events = -1 },
		"rollup.format":         func(r *evaluation.Rollup) { r.Format = "gxbus-rollup/2" },
	} {
		r := honest
		r.Rows = slices.Clone(honest.Rows)
		change(&r)
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{r.Check(), second(evaluation.DecodeRollup(data))} {
			if field, _, _ := strings.Cut(name, " "); name == "" && err != nil || name != "" && (bus.CodeOf(err) != bus.CodeInvalid || !strings.Contains(err.Error(), field)) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }
