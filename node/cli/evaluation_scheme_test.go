package cli_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func TestASchemeOfAFileIsPreviewedProposedAndActivated(t *testing.T) {
	points := func(exact string) *evaluation.Score { return &evaluation.Score{Exact: exact, Points: exact + ".00"} }
	effect := evaluation.Effect{
		Window: evaluation.Window{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600)), To: time.Date(2026, 4, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))},
		Ranked: 3, Would: 2, Shifts: []evaluation.Shift{{Department: uscc, Name: "样例部门", Was: evaluation.Outcomes{Score: points("58"), Rank: 1, Of: 3}, Would: evaluation.Outcomes{Score: points("37")}}},
	}
	version := bus.SchemeVersion{Version: 2, Scheme: evaluation.DefaultScheme(), Revision: 7}
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /evaluation/schemes/preview":    give(effect),
		"POST /evaluation/schemes":            give(version),
		"GET /evaluation/schemes/2":           give(version),
		"POST /evaluation/schemes/2/activate": give(version),
		"GET /evaluation/schemes":             give(client.SchemeList{InForce: 2, Items: []bus.SchemeVersion{{Scheme: evaluation.DefaultScheme()}, version}}),
	})
	yaml, _ := sh.ok("evaluation", "scheme", "show", "-o", "yaml")
	file := sh.file("scheme.yaml", yaml)
	sh.ok("evaluation", "scheme", "check", file)
	out, errs := sh.ok("evaluation", "scheme", "preview", file, "--from", "2026-01-01", "--to", "2026-03-31", "--lang", "en")
	contains(t, "preview", out, uscc, "58.00", "37.00", "1/3", "—")
	contains(t, "preview", errs, "2026-01-01 to 2026-03-31: 1 would change; 3 are ranked, 2 would be")
	var asked client.SchemePreview
	must(t, json.Unmarshal([]byte(sh.seen[0].body), &asked))
	if !asked.From.Equal(effect.Window.From) || !asked.To.Equal(effect.Window.To) || len(asked.Scheme.Indicators) != 14 {
		t.Errorf("asked about %v–%v", asked.From, asked.To)
	}
	sh.ok("evaluation", "scheme", "propose", file, "--note", "样例")
	contains(t, "propose", sh.seen[0].body, `"note":"样例"`)
	sh.ok("evaluation", "scheme", "activate", "2")
	if got := sh.seen[1].header.Get("If-Match"); got != `"7"` {
		t.Errorf("If-Match %s", got)
	}
	out, _ = sh.ok("evaluation", "scheme", "list", "--lang", "en")
	contains(t, "list", out, "true")
	if code, _, _ := sh.run("evaluation", "scheme", "activate", "two"); code != 2 {
		t.Errorf("a version in words: exit %d", code)
	}
}

func TestAReportIsPublishedAndRestated(t *testing.T) {
	published := bus.PublishedReport{ReportSeal: bus.ReportSeal{ID: "q1", Digest: "sha256:ab", Restates: "q0"}, Published: bus.SchemeAct{By: bus.Principal{Account: "reviewer"}}}
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /evaluation/reports/q1/publish": give(published),
		"GET /evaluation/published":           give(map[string]any{"items": []bus.PublishedReport{published}}),
		"POST /evaluation/reports":            refuse(bus.CodeNotFound, 404),
		"GET /evaluation/alarms": give(map[string]any{"items": []evaluation.Alarm{{
			Task:       bus.Task{Department: uscc, Title: bus.Text{ZH: "答复", EN: "answer"}, Deadline: &bus.Deadline{}, Left: &bus.Left{Days: 2}, Command: "gxbus application approve a1"},
			Indicators: []string{"C1"},
		}}}),
	})
	for _, line := range []string{"evaluation publish q1", "evaluation published"} {
		out, _ := sh.ok(strings.Fields(line)...)
		contains(t, line, out, "q1", "q0", "sha256:ab", "reviewer")
	}
	sh.run("evaluation", "run", "q1-r1", "--restates", "q1")
	if body := sh.seen[0].body; body != `{"id":"q1-r1","restates":"q1"}` {
		t.Errorf("asked for %s", body)
	}
	out, _ := sh.ok("evaluation", "alarms", "--within", "5", "--lang", "en")
	contains(t, "alarms", out, uscc, "C1", "answer", "2", "gxbus application approve a1")
	if got := sh.asked(0).Get("within"); got != "5" {
		t.Errorf("within %s", got)
	}
}

func TestAQuarterIsMadeUpByACommand(t *testing.T) {
	sh := newShell(t, nil)
	dir := filepath.Join(t.TempDir(), "quarter")
	out, _ := sh.ok("demo", "load", "--dir", dir, "--days", "2", "--scale", "0.001", "-o", "json")
	contains(t, "made", out, `"report"`, `"exchanges"`)
	found, _ := sh.ok("evaluation", "verify", filepath.Join(dir, "report.xlsx"), "--evidence", dir, "-o", "json")
	contains(t, "verified", found, `"verified": true`)
	if code, _, _ := sh.run("demo", "load"); code != 2 {
		t.Errorf("without a folder: exit %d", code)
	}
	if code, _, _ := sh.run("demo", "load", "--dir", dir); code == 0 {
		t.Error("a folder with something in it was written to")
	}
}
