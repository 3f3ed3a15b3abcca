package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// evaluationMatrix is who may do what with the evaluation: a department sees what it
// is itself measured by.
func evaluationMatrix(known [7]int, plain func(string) func(*world, int) request) map[string]route {
	all := [7]int{401, 403, 403, 403, 403, 403, 200}
	own := [7]int{401, 200, 200, 200, 403, 403, 200}
	none := [7]int{401, 403, 403, 403, 403, 403, 403}
	return map[string]route{
		"POST /api/v1/evaluation/reports": {all, func(w *world, cell int) request {
			return request{body: text(asJSON(w.t, evaluationOrder(fmt.Sprint("matrix-", cell))))}
		}},
		"GET /api/v1/evaluation/reports":               {all, nil},
		"GET /api/v1/evaluation/reports/{id}":          {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/evaluation/reports/absent")},
		"GET /api/v1/evaluation/reports/{id}/export":   {[7]int{401, 403, 403, 403, 403, 403, 404}, plain("/api/v1/evaluation/reports/absent/export")},
		"GET /api/v1/evaluation/reports/{id}/progress": {[7]int{401, 403, 403, 403, 403, 403, 404}, plain("/api/v1/evaluation/reports/absent/progress")},
		"GET /api/v1/evaluation/live":                  {own, nil},
		"GET /api/v1/evaluation/cases":                 {own, plain("/api/v1/evaluation/cases?indicator=C1")},
		"GET /api/v1/evaluation/material":              {all, nil},
		"GET /api/v1/evaluation/published":             {known, nil},
		"GET /api/v1/evaluation/alarms":                {own, nil},
		"POST /api/v1/evaluation/reports/{id}/publish": {none, func(*world, int) request {
			return request{path: "/api/v1/evaluation/reports/absent/publish", body: text(`{}`)}
		}},
		"GET /api/v1/evaluation/schemes":           {known, nil},
		"GET /api/v1/evaluation/schemes/{version}": {known, plain("/api/v1/evaluation/schemes/0")},
		"POST /api/v1/evaluation/schemes": {none, func(w *world, _ int) request {
			return request{body: text(asJSON(w.t, bus.SchemeProposal{Scheme: evaluation.DefaultScheme(), Note: "样例"}))}
		}},
		"POST /api/v1/evaluation/schemes/preview": {all, func(w *world, _ int) request {
			order := evaluationOrder("")
			return request{body: text(asJSON(w.t, client.SchemePreview{Scheme: evaluation.DefaultScheme(), From: order.From, To: order.To}))}
		}},
		"POST /api/v1/evaluation/schemes/{version}/activate": {none, func(*world, int) request {
			return request{path: "/api/v1/evaluation/schemes/999/activate", header: map[string]string{change: `"1"`}, body: text(`{}`)}
		}},
	}
}

func evaluationOrder(id string) client.EvaluationOrder {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, calendar.Shanghai)
	return client.EvaluationOrder{ID: id, From: from, To: from.AddDate(0, 0, 1)}
}

// A report goes the whole way: made and signed at a node, kept, not made again under
// its id, and verified from the material and the evidence that the auditor exports.
func TestAReportIsMadeKeptAndVerifiedElsewhere(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	c := w.First.Client(w.bearers[auditor])
	data, err := c.EvaluationRun(ctx, evaluationOrder("first"))
	check(t, err)
	report, err := evaluation.DecodeReport(data)
	check(t, err)
	if _, err := c.EvaluationRun(ctx, evaluationOrder("first")); !client.IsCode(err, bus.CodeExists) {
		t.Errorf("made again: %v", err)
	}
	kept, err := c.Evaluation(ctx, "first")
	check(t, err)
	if again, err := evaluation.DecodeReport(kept); err != nil || again.Digest() != report.Digest() {
		t.Errorf("what is kept is another: %v", err)
	}
	material, err := c.EvaluationMaterial(ctx)
	check(t, err)
	nodes, err := c.Nodes(ctx)
	check(t, err)
	if err := report.Verify(nodes[0].EvidenceKey); err != nil {
		t.Error(err)
	}
	found, err := evaluation.VerifyFolder(report, fstest.MapFS{filepath.Base(evaluation.MaterialFile): {Data: material}})
	check(t, err)
	if found.Figures == 0 || found.First != nil {
		t.Errorf("%+v", found)
	}
	part, err := w.First.Client(w.bearers[provider]).EvaluationLive(ctx)
	check(t, err)
	var live evaluation.Report
	check(t, json.Unmarshal(part, &live))
	if len(live.Departments) != 1 || live.Departments[0].Department != sample.ShenzhenMarket.ID || !live.Provisional || strings.Contains(string(part), string(sample.TianheServices.ID)) {
		t.Errorf("a department sees %s", part)
	}
}

// A scheme is proposed by one reviewer of the authority, previewed, and activated by
// another; a report made by it is published for good, and restated by another report.
func TestASchemeAndAReportGoTheirWay(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	c := w.First.Client(w.bearers[reviewer])
	second := w.First.Client(w.AddAccount(bus.Account{Name: "second", Role: bus.RoleReviewer, Department: sample.ProvinceData.ID}))
	scheme := evaluation.DefaultScheme()
	scheme.Name, scheme.Indicators[0].Weight, scheme.Indicators[5].Weight = "样例方案二", 3, 15
	proposed, err := c.Schemes().Propose(ctx, bus.SchemeProposal{Scheme: scheme, Note: "样例"})
	check(t, err)
	if _, err := c.Schemes().Activate(ctx, proposed, "样例"); !client.IsCode(err, bus.CodeForbidden) {
		t.Errorf("their own: %v", err)
	}
	order := evaluationOrder("q")
	data, err := c.Schemes().Preview(ctx, client.SchemePreview{Scheme: scheme, From: order.From, To: order.To})
	check(t, err)
	var effect evaluation.Effect
	check(t, json.Unmarshal(data, &effect))
	if !effect.Window.From.Equal(order.From) || effect.Present != 0 {
		t.Errorf("%+v", effect)
	}
	data, err = c.Schemes().Preview(ctx, client.SchemePreview{Scheme: scheme}) // nothing is published: the quarter before
	check(t, err)
	check(t, json.Unmarshal(data, &effect))
	if w.clock.Now().Before(effect.Window.To) || effect.Window.To.Sub(effect.Window.From) < 80*24*time.Hour {
		t.Errorf("%+v", effect.Window)
	}
	_, err = second.Schemes().Activate(ctx, proposed, "样例")
	check(t, err)
	schemes, err := w.First.Client(w.bearers[provider]).Schemes().List(ctx)
	check(t, err)
	if schemes.InForce != 1 || len(schemes.Items) != 2 || schemes.Items[1].Activated == nil {
		t.Errorf("%+v", schemes)
	}
	data, err = c.EvaluationRun(ctx, order)
	check(t, err)
	first, err := evaluation.DecodeReport(data)
	check(t, err)
	if first.Scheme.Version != 1 || first.Scheme.Name != "样例方案二" {
		t.Errorf("made by %+v", first.Scheme)
	}
	if _, err := c.EvaluationRun(ctx, client.EvaluationOrder{ID: "q-r1", Restates: "q"}); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("what is not published is restated: %v", err)
	}
	published, err := c.EvaluationPublish(ctx, "q", "样例")
	check(t, err)
	if published.Digest != first.Digest() || published.Scheme != 1 {
		t.Errorf("%+v", published)
	}
	if _, err := second.EvaluationPublish(ctx, "q", "样例"); !client.IsCode(err, bus.CodeExists) {
		t.Errorf("again: %v", err)
	}
	data, err = second.EvaluationRun(ctx, client.EvaluationOrder{ID: "q-r1", Restates: "q"})
	check(t, err)
	again, err := evaluation.DecodeReport(data)
	check(t, err)
	if again.Restates != "q" || again.Window != first.Window || again.Scheme.Digest != first.Scheme.Digest {
		t.Errorf("%+v", again)
	}
	_, err = second.EvaluationPublish(ctx, "q-r1", "")
	check(t, err)
	file, err := c.EvaluationExport(ctx, "q-r1", "html", bus.Chinese)
	check(t, err)
	page, err := io.ReadAll(file)
	check(t, errors.Join(err, file.Close()))
	if !strings.Contains(string(page), "更正 q") || !strings.Contains(string(page), again.Digest()) {
		t.Errorf("the page of a restatement: %.300s", page)
	}
	heads, err := c.Evaluations(ctx)
	check(t, err)
	all, err := w.First.Client(w.bearers[stranger]).PublishedEvaluations(ctx)
	check(t, err)
	if len(heads) != 2 || heads[0].Published == nil || heads[1].Restates != "q" || len(all) != 2 || all[1].Restates != "q" {
		t.Errorf("%+v, %+v", heads, all)
	}
}
