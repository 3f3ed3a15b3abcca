package api_test

import (
	"context"
	"encoding/json"
	"fmt"
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
func evaluationMatrix(plain func(string) func(*world, int) request) map[string]route {
	all := [7]int{401, 403, 403, 403, 403, 403, 200}
	own := [7]int{401, 200, 200, 200, 403, 403, 200}
	return map[string]route{
		"POST /api/v1/evaluation/reports": {all, func(w *world, cell int) request {
			return request{body: text(asJSON(w.t, evaluationOrder(fmt.Sprint("matrix-", cell))))}
		}},
		"GET /api/v1/evaluation/reports":      {all, nil},
		"GET /api/v1/evaluation/reports/{id}": {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/evaluation/reports/absent")},
		"GET /api/v1/evaluation/live":         {own, nil},
		"GET /api/v1/evaluation/cases":        {own, plain("/api/v1/evaluation/cases?indicator=C1")},
		"GET /api/v1/evaluation/material":     {all, nil},
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
