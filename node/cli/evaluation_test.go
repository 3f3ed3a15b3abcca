package cli_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func TestAnExportedWorkbookIsVerifiedToTheCell(t *testing.T) {
	secret, _, err := audit.GenerateKey("gxbus/c1/n1")
	must(t, err)
	signer, key, err := audit.OpenKey(secret)
	must(t, err)
	m := evaluation.Material{Format: evaluation.MaterialFormat, Cluster: "c1", Directory: evaluation.Directory{
		Nodes:       []bus.Node{{ID: "n1", EvidenceKey: key}},
		Divisions:   []bus.Division{{Code: "440000", Name: "广东省", Level: bus.LevelProvince}},
		Departments: []bus.Department{{ID: "11440000006939561H", Name: "样例部门", Division: "440000"}},
	}}
	material, err := json.Marshal(m)
	must(t, err)
	day, err := calendar.ParseDate("2026-01-01")
	must(t, err)
	scheme := evaluation.DefaultScheme()
	report, err := m.Evaluate(evaluation.Order{
		ID: "q1", Window: evaluation.Window{From: day.Start(), To: (day + 1).Start()}, At: (day + 3).Start(), Node: "n1",
		Scheme: evaluation.SchemeUsed{Digest: evaluation.SchemeDigest(scheme), Scheme: scheme},
	})
	must(t, err)
	report, err = report.Sign(signer)
	must(t, err)
	sh := newShell(t, map[string]http.HandlerFunc{"GET /evaluation/reports/q1": give(report)})
	evidence := t.TempDir()
	must(t, os.WriteFile(filepath.Join(evidence, evaluation.MaterialFile), material, 0o600))
	book := filepath.Join(t.TempDir(), "q1.xlsx")
	sh.ok("evaluation", "export", "q1", "-f", book)
	sh.ok("evaluation", "verify", book, "--evidence", evidence, "--key", key)
	replaceIn(t, book, "样例部门", "别的部门")
	if code, _, errs := sh.run("evaluation", "verify", book, "--evidence", evidence); code == 0 || !strings.Contains(errs, "!") {
		t.Errorf("an edited cell: exit %d, %s", code, errs)
	}
	if code, _, _ := sh.run("evaluation", "export", "q1", "--format", "pdf"); code != 2 {
		t.Errorf("an unknown format: exit %d", code)
	}
}

func TestAReportShowsWhomItSaysSomethingOf(t *testing.T) {
	nothing := []evaluation.Figure{{State: evaluation.NotApplicable}}
	report := evaluation.Report{
		Format: evaluation.ReportFormat, ID: "q1",
		Scheme: evaluation.SchemeUsed{Scheme: bus.Scheme{Indicators: []bus.Indicator{{ID: "A1"}}}},
		Departments: []evaluation.Standing{
			{Department: "11440000006939561H", Figures: []evaluation.Figure{{State: evaluation.Missing}}},
			{Department: "11440000999900054G", Figures: nothing},
		},
		Divisions: []evaluation.Standing{{Division: "440000", Figures: nothing}},
	}
	sh := newShell(t, map[string]http.HandlerFunc{"GET /evaluation/reports/q1": give(report)})
	_, out, told := sh.run("evaluation", "show", "q1")
	if !strings.Contains(out, "11440000006939561H") || strings.Contains(out, "11440000999900054G") || strings.Contains(out, "440000 ") || !strings.Contains(told, "2 more") {
		t.Errorf("%s\n%s", out, told)
	}
	if _, out, _ := sh.run("evaluation", "show", "q1", "-o", "csv"); strings.Count(out, "\n") != 4 {
		t.Errorf("%s", out)
	}
}

// replaceIn edits the cells of a workbook.
func replaceIn(t *testing.T, path, before, after string) {
	t.Helper()
	in, err := zip.OpenReader(path)
	must(t, err)
	defer in.Close()
	var edited bytes.Buffer
	out := zip.NewWriter(&edited)
	for _, part := range in.File {
		r, err := part.Open()
		must(t, err)
		data, err := io.ReadAll(r)
		must(t, err)
		w, err := out.Create(part.Name)
		must(t, err)
		_, err = w.Write(bytes.ReplaceAll(data, []byte(before), []byte(after)))
		must(t, err)
	}
	must(t, out.Close())
	must(t, os.WriteFile(path, edited.Bytes(), 0o600))
}
