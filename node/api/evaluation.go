package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/due"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
)

// Evaluator makes the sharing-performance evaluation.
type Evaluator interface {
	Evaluate(ctx context.Context, o evaluation.Order, keep bool) (evaluation.Report, error)
	Preview(ctx context.Context, scheme bus.Scheme, w evaluation.Window) (evaluation.Effect, error)
	Evaluations() ([]evaluation.Report, error)
	Material(ctx context.Context, w evaluation.Window) (*evaluation.Material, error)
	EvaluationProgress(id string) (client.EvaluationProgress, bool)
}

// addEvaluation registers the evaluation. Whole reports are for auditors and for
// reviewers of data authorities; a department sees what it is itself measured by.
func (a *API) addEvaluation(h huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/evaluation" + path, Summary: summary, Tags: []string{"evaluation"},
			Responses: map[string]*huma.Response{"200": {Description: "JSON; docs/evaluation.md says of which schema", Content: map[string]*huma.MediaType{jsonType: {}}}},
		}
	}
	run := describes[client.EvaluationOrder](a, h, op("run-evaluation", http.MethodPost, "/reports", "Make a report, sign it and keep it"))
	handle(a, h, run, func(ctx context.Context, p bus.Principal, in *Sent[client.EvaluationOrder]) (*huma.StreamResponse, error) {
		order, err := in.decode()
		if err != nil {
			return nil, err
		}
		defects := bus.CheckID("id", order.ID)
		if order.Restates != "" && !(order.From.IsZero() && order.To.IsZero()) {
			defects = append(defects, bus.Defect{Field: "from", Problem: bus.Text{ZH: "更正报告的周期与原报告相同，不另行指定", EN: "a restatement is about the window of what it restates"}})
		}
		if err := bus.Invalid(defects); err != nil {
			return nil, err
		}
		if err := a.evaluates(p); err != nil {
			return nil, err
		}
		r, err := a.Evaluator.Evaluate(ctx, evaluation.Order{ID: order.ID, Window: evaluation.Window{From: order.From, To: order.To}, Restates: order.Restates}, true)
		if err != nil {
			return nil, err
		}
		return a.evaluated(r), a.record(ctx, p, audit.KindAdministered, "", "evaluation.run "+order.ID+" "+r.Digest())
	})
	handle(a, h, op("list-evaluations", http.MethodGet, "/reports", "List the reports"), func(_ context.Context, p bus.Principal, _ *struct{}) (*huma.StreamResponse, error) {
		if err := a.evaluates(p); err != nil {
			return nil, err
		}
		items, err := a.evaluationHeads()
		return a.evaluated(list[client.EvaluationHead]{items}), err
	})
	type named struct {
		ID string `path:"id"`
	}
	handle(a, h, op("show-evaluation", http.MethodGet, "/reports/{id}", "Show a report"), func(_ context.Context, p bus.Principal, in *named) (*huma.StreamResponse, error) {
		r, err := a.evaluation(in.ID)
		if err != nil {
			return nil, err
		}
		return a.shown(p, r)
	})
	progress := evaluationOperation("evaluation-progress", http.MethodGet, "/reports/{id}/progress", "Tell how far a report has come", "That the node is making; 404 for any other.")
	handle(a, h, progress, func(_ context.Context, p bus.Principal, in *named) (*answer[client.EvaluationProgress], error) {
		if err := a.evaluates(p); err != nil {
			return nil, err
		}
		at, ok := a.Evaluator.EvaluationProgress(in.ID)
		if !ok {
			return nil, bus.NotFound("report", in.ID)
		}
		return &answer[client.EvaluationProgress]{Body: at}, nil
	})
	handle(a, h, op("live-evaluation", http.MethodGet, "/live", "Show how the present quarter stands"), func(ctx context.Context, p bus.Principal, _ *struct{}) (*huma.StreamResponse, error) {
		r, err := a.Evaluator.Evaluate(ctx, evaluation.Order{ID: "live", Window: quarterOf(a.Now())}, false)
		if err != nil {
			return nil, err
		}
		return a.shown(p, r)
	})
	a.addEvaluationCases(h, op)
	a.addEvaluationAlarms(h)
	a.addEvaluationExport(h)
	a.addSchemes(h)
	a.addPublication(h)
}

// evaluation finds a report that is kept here.
func (a *API) evaluation(id string) (evaluation.Report, error) {
	reports, err := a.Evaluator.Evaluations()
	if err != nil {
		return evaluation.Report{}, err
	}
	for _, r := range reports {
		if r.ID == id {
			return r, nil
		}
	}
	return evaluation.Report{}, bus.NotFound("report", id)
}

// evaluationHeads lists the reports that are kept here, and which of them are
// published as they are.
func (a *API) evaluationHeads() ([]client.EvaluationHead, error) {
	reports, err := a.Evaluator.Evaluations()
	if err != nil {
		return nil, err
	}
	items := []client.EvaluationHead{}
	err = a.Directory.View(func(tx *state.Tx) error {
		for _, r := range reports {
			head := client.EvaluationHead{
				ID: r.ID, From: r.Window.From, To: r.Window.To, At: r.At, Node: r.Node, Provisional: r.Provisional, Scheme: r.Scheme.Version, Digest: r.Digest(), Restates: r.Restates,
			}
			if published, ok := tx.PublishedReport(r.ID); ok && published.Digest == head.Digest {
				head.Published = &published.Published.At
			}
			items = append(items, head)
		}
		return nil
	})
	return items, err
}

type casesQuery struct {
	Department string `query:"department" doc:"unified social credit code; the caller's where absent"`
	Indicator  string `query:"indicator" required:"true" doc:"as C1"`
	From       string `query:"from" doc:"first day, as 2026-01-01; that of the present quarter where absent"`
	To         string `query:"to" doc:"day after the last"`
}

func (a *API) addEvaluationCases(h huma.API, op func(id, method, path, summary string) huma.Operation) {
	handle(a, h, op("explain-evaluation", http.MethodGet, "/cases", "List what is behind a figure"), func(ctx context.Context, p bus.Principal, in *casesQuery) (*huma.StreamResponse, error) {
		department := bus.USCC(in.Department)
		if department == "" {
			department = p.Department
		}
		if p.Department != department || department == "" {
			if err := a.evaluates(p); err != nil {
				return nil, err
			}
		}
		w, err := a.window(in.From, in.To)
		if err != nil {
			return nil, err
		}
		m, err := a.Evaluator.Material(ctx, w)
		if err != nil {
			return nil, err
		}
		var scheme evaluation.SchemeUsed
		if err := a.Directory.View(func(tx *state.Tx) error {
			scheme = evaluation.SchemeInForce(tx)
			return nil
		}); err != nil {
			return nil, err
		}
		cases, err := m.Explain(scheme.Scheme, w, department, in.Indicator)
		return a.evaluated(list[evaluation.Case]{cases}), err
	})
	handle(a, h, op("evaluation-material", http.MethodGet, "/material", "Export what the directory says that a report is made of"), func(_ context.Context, p bus.Principal, _ *struct{}) (*huma.StreamResponse, error) {
		if err := only(bus.RoleAuditor, p); err != nil {
			return nil, err
		}
		var m *evaluation.Material
		err := a.Directory.View(func(tx *state.Tx) error {
			m = evaluation.ReadDirectory(tx)
			return nil
		})
		return a.evaluated(m), err
	})
}

// addEvaluationExport registers reports as files for those who read them.
func (a *API) addEvaluationExport(h huma.API) {
	type exportQuery struct {
		ID     string `path:"id"`
		Format string `query:"format" enum:"json,xlsx,csv,html" default:"xlsx"`
		Lang   string `query:"lang" enum:"zh-CN,en" default:"zh-CN" doc:"of the words in it"`
	}
	op := evaluationOperation("export-evaluation", http.MethodGet, "/reports/{id}/export", "Export a report", "As a workbook, a page, CSV, or the signed JSON; for auditors and reviewers of a data authority.")
	content := map[string]*huma.MediaType{}
	for _, f := range export.Formats() {
		content[f.MediaType()] = &huma.MediaType{}
	}
	op.Responses = map[string]*huma.Response{"200": {Description: "the file", Content: content}}
	handle(a, h, op, func(_ context.Context, p bus.Principal, in *exportQuery) (*huma.StreamResponse, error) {
		if err := a.evaluates(p); err != nil {
			return nil, err
		}
		r, err := a.evaluation(in.ID)
		if err != nil {
			return nil, err
		}
		format := export.Format(in.Format)
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", format.MediaType())
			hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.%s"`, r.ID, format))
			_, w := humago.Unwrap(hc)
			err := http.NewResponseController(w).SetWriteDeadline(a.Now().Add(exportTimeout))
			if err = errors.Join(err, export.Write(hc.BodyWriter(), r, format, bus.Lang(in.Lang))); err != nil {
				a.Logger.Debug("evaluation export cut short", "error", err)
			}
		}}, nil
	})
}

// addEvaluationAlarms registers what is about to be missed: a department's own, and
// everybody's for who may see that.
func (a *API) addEvaluationAlarms(h huma.API) {
	type alarmsQuery struct {
		Within int `query:"within" minimum:"0" maximum:"30" default:"3" doc:"working days left at most"`
	}
	op := evaluationOperation("list-evaluation-alarms", http.MethodGet, "/alarms", "List what is about to be overdue", "With the indicators that it costs; what is overdue already first.")
	handle(a, h, op, func(_ context.Context, p bus.Principal, in *alarmsQuery) (*answer[list[evaluation.Alarm]], error) {
		refused := a.evaluates(p)
		if refused != nil && p.Department == "" {
			return nil, refused
		}
		out := &answer[list[evaluation.Alarm]]{}
		var err error
		out.Stamp, err = a.read(func(tx *state.Tx) error {
			tasks := due.Tasks(tx, a.Now())
			if refused != nil {
				tasks = slices.DeleteFunc(tasks, func(t bus.Task) bool { return t.Department != p.Department })
			}
			out.Body.Items = evaluation.Alarms(evaluation.SchemeInForce(tx).Scheme, tasks, in.Within)
			return nil
		})
		return out, err
	})
}

// window reads the days of a query; the present quarter where there are none.
func (a *API) window(from, to string) (evaluation.Window, error) {
	w := quarterOf(a.Now())
	for _, end := range []struct {
		field, text string
		at          *time.Time
	}{{"from", from, &w.From}, {"to", to, &w.To}} {
		if end.text == "" {
			continue
		}
		day, err := calendar.ParseDate(end.text)
		if err != nil {
			return w, bus.Invalid([]bus.Defect{{Field: end.field, Problem: bus.Text{ZH: "不是日期", EN: "not a day"}, Allowed: "2006-01-02"}})
		}
		*end.at = day.Start()
	}
	return w, bus.Invalid(w.Check())
}

// quarterOf is the quarter that a moment lies in.
func quarterOf(at time.Time) evaluation.Window {
	year, month, _ := at.In(calendar.Shanghai).Date()
	from := time.Date(year, (month-1)/3*3+1, 1, 0, 0, 0, 0, calendar.Shanghai)
	return evaluation.Window{From: from, To: from.AddDate(0, 3, 0)}
}

// evaluates refuses who may not see how all come out: auditors may, and reviewers of
// a data authority.
func (a *API) evaluates(p bus.Principal) error {
	if p.Role == bus.RoleAuditor {
		return nil
	}
	authority := false
	err := a.Directory.View(func(tx *state.Tx) error {
		for d := range tx.Divisions() {
			authority = authority || d.Authority != "" && d.Authority == p.Department
		}
		return nil
	})
	if err == nil && (!authority || p.Role != bus.RoleReviewer) {
		err = bus.E(bus.CodeForbidden, bus.Defect{Field: "by", Problem: bus.Text{ZH: "由数据主管部门审核人或审计管理员办理", EN: "reviewers of a data authority and auditors do"}})
	}
	return err
}

// shown gives a report whole to who may see it, and to a department its own part.
func (a *API) shown(p bus.Principal, r evaluation.Report) (*huma.StreamResponse, error) {
	err := a.evaluates(p)
	if err == nil {
		return a.evaluated(r), nil
	}
	if p.Department == "" {
		return nil, err
	}
	r.Departments = slices.DeleteFunc(slices.Clone(r.Departments), func(s evaluation.Standing) bool { return s.Department != p.Department })
	r.Divisions, r.Restatements, r.Signature = []evaluation.Standing{}, nil, "" // it is a part: what was signed is the whole
	r.Inputs = evaluation.Inputs{Directory: r.Inputs.Directory, DirectoryDigest: r.Inputs.DirectoryDigest}
	r.Reconciliation = evaluation.Reconciliation{Differences: []evaluation.Difference{}}
	return a.evaluated(r), nil
}

// evaluated answers with JSON as it was encoded by package evaluation's rules.
func (a *API) evaluated(v any) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", jsonType)
		_, w := humago.Unwrap(hc)
		err := http.NewResponseController(w).SetWriteDeadline(a.Now().Add(exportTimeout)) // it may have taken long to make
		encoder := json.NewEncoder(hc.BodyWriter())
		encoder.SetEscapeHTML(false)
		if err = errors.Join(err, encoder.Encode(v)); err != nil {
			a.Logger.Debug("evaluation answer cut short", "error", err)
		}
	}}
}
