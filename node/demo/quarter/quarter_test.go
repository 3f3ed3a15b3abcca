package quarter_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/node/demo/quarter"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/raced"
)

func made(t *testing.T, seed uint64, days int) (quarter.Made, evaluation.Report, string) {
	t.Helper()
	first, err := calendar.ParseDate("2026-01-01")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "quarter")
	m, err := quarter.Write(context.Background(), quarter.Options{Dir: dir, From: first, Days: days, Seed: seed, Scale: 0.002, Lang: bus.Chinese})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(m.Report)
	if err != nil {
		t.Fatal(err)
	}
	r, err := evaluation.DecodeReport(data)
	if err != nil {
		t.Fatal(err)
	}
	return m, r, dir
}

// What is made up has good, slow and failing departments, refusals, disputes,
// corrections and outages, a node that is silent, and a report that verifies.
func TestAQuarterIsMadeUpAndItsReportVerifies(t *testing.T) {
	m, r, dir := made(t, 1, 31)
	if m.Divisions != 147 || m.Exchanges < 500 || m.Leaves < int64(3*m.Exchanges) || m.Departments < 24 {
		t.Errorf("%+v", m)
	}
	found, err := evaluation.VerifyFolder(r, os.DirFS(dir))
	if err != nil || !found.Verified || found.Rollups != (m.Nodes-1)*31 {
		t.Errorf("%+v: %v", found, err)
	}
	if len(r.Reconciliation.Differences) != 0 || r.Reconciliation.Matched < 100 {
		t.Errorf("honest nodes differ: %+v", r.Reconciliation)
	}
	if len(r.Inputs.Missing) != 1 || string(r.Inputs.Missing[0].Node) != m.Silent {
		t.Errorf("missing: %+v", r.Inputs.Missing)
	}
	for _, id := range []string{"A1", "A2", "A3", "B1", "B2", "C1", "C2", "C3", "D1", "D2", "E1", "E2", "F2"} {
		if !slices.ContainsFunc(r.Departments, func(s evaluation.Standing) bool {
			return slices.ContainsFunc(s.Figures, func(f evaluation.Figure) bool { return f.Indicator == id && f.Denominator > 0 })
		}) {
			t.Errorf("nobody has anything of %s", id)
		}
	}
	var up, expected int64 // of entries that beat, in minutes; a turn of another weighs as much as a day of one
	for _, s := range r.Divisions[:1] {
		for _, f := range s.Figures {
			if f.Indicator == "B2" {
				up, expected = f.Numerator, f.Denominator
			}
		}
	}
	if up%evaluation.Turn == 0 || expected%evaluation.Turn != 0 || up >= expected {
		t.Errorf("no service was ever down for some minutes: %d of %d", up, expected)
	}
	for _, f := range []string{"report.xlsx", "report.csv", "report.html", evaluation.MaterialFile} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", f, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.log")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTheSameSeedGivesTheSameReport(t *testing.T) {
	raced.Later(t)
	_, first, _ := made(t, 7, 3)
	_, again, _ := made(t, 7, 3)
	_, other, _ := made(t, 8, 3)
	if first.Digest() != again.Digest() || first.Signature != again.Signature {
		t.Error("the same options give another report")
	}
	if first.Digest() == other.Digest() {
		t.Error("another seed gives the same report")
	}
}

func TestAFolderWithSomethingInItIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := quarter.Write(context.Background(), quarter.Options{Dir: dir, Days: 1, Scale: 0.01}); bus.CodeOf(err) != bus.CodeExists {
		t.Error(err)
	}
	if _, err := quarter.Write(context.Background(), quarter.Options{Dir: dir, Days: 0, Scale: 0}); bus.CodeOf(err) != bus.CodeInvalid {
		t.Error(err)
	}
}
