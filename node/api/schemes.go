package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func evaluationOperation(id, method, path, summary, description string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/evaluation" + path, Summary: summary, Description: description, Tags: []string{"evaluation"}}
}

// SchemePath names a version of the scheme.
type SchemePath struct {
	Version int `path:"version" minimum:"0" doc:"0: the one that ships with the release"`
}

// addSchemes registers the versions of the evaluation scheme. Everybody sees by what
// they are measured; the authority of the topmost division proposes and activates.
func (a *API) addSchemes(h huma.API) {
	op, at := evaluationOperation, "/schemes"
	handle(a, h, op("list-schemes", http.MethodGet, at, "List the versions of the evaluation scheme", "The one that ships with the release is version 0."),
		func(context.Context, bus.Principal, *struct{}) (*answer[client.SchemeList], error) {
			return a.schemes()
		})
	handle(a, h, op("show-scheme", http.MethodGet, at+"/{version}", "Show a version of the evaluation scheme", ""),
		func(_ context.Context, _ bus.Principal, in *SchemePath) (*answer[bus.SchemeVersion], error) {
			return a.scheme(in.Version)
		})
	propose := op("propose-scheme", http.MethodPost, at, "Propose a scheme", "As the next version, which is not in force; by an operator or a reviewer of the topmost division's data authority.")
	handle(a, h, describes[bus.SchemeProposal](a, h, propose), func(ctx context.Context, p bus.Principal, in *Sent[bus.SchemeProposal]) (*answer[bus.SchemeVersion], error) {
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		result, err := a.write(ctx, p, command.SchemePropose, 0, body, evaluation.SchemeDigest(body.Scheme)+": "+body.Note)
		if err != nil {
			return nil, err
		}
		return a.schemeAt(result.Revision)
	})
	type activate struct {
		SchemePath
		Expected
		Sent[client.SchemeActivation]
	}
	activated := op("activate-scheme", http.MethodPost, at+"/{version}/activate", "Put a version of the scheme in force",
		"By a reviewer of the topmost division's data authority other than who proposed it. If-Match names the version as it was looked at. Reports that were made stay as they are.")
	handle(a, h, describes[client.SchemeActivation](a, h, activated), func(ctx context.Context, p bus.Principal, in *activate) (*answer[bus.SchemeVersion], error) {
		expect, err := in.revision()
		if err != nil {
			return nil, err
		}
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		detail := fmt.Sprintf("version %d: %s", in.Version, body.Note)
		if _, err := a.write(ctx, p, command.SchemeActivate, expect, command.SchemeActivation{Version: in.Version, Note: body.Note}, detail); err != nil {
			return nil, err
		}
		return a.scheme(in.Version)
	})
	a.addSchemePreview(h)
}

// addSchemePreview registers the dry run of a scheme.
func (a *API) addSchemePreview(h huma.API) {
	op := evaluationOperation("preview-scheme", http.MethodPost, "/schemes/preview", "Tell what a scheme would have made of a period",
		"Of the last published one where no days are named, else of the quarter before the present one. Nothing is kept.")
	handle(a, h, describes[client.SchemePreview](a, h, op), func(ctx context.Context, p bus.Principal, in *Sent[client.SchemePreview]) (*answer[evaluation.Effect], error) {
		if err := a.evaluates(p); err != nil {
			return nil, err
		}
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		if err := bus.Invalid(body.Scheme.Check()); err != nil {
			return nil, err
		}
		w := evaluation.Window{From: body.From, To: body.To}
		out := &answer[evaluation.Effect]{}
		if out.Stamp, err = a.read(func(tx *state.Tx) error {
			if body.From.IsZero() && body.To.IsZero() {
				w = a.lastPeriod(tx)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		if err := bus.Invalid(w.Check()); err != nil {
			return nil, err
		}
		out.Body, err = a.Evaluator.Preview(ctx, body.Scheme, w)
		return out, err
	})
}

// lastPeriod is the window of the report that was published about the latest one, else
// the quarter before the present one.
func (a *API) lastPeriod(tx *state.Tx) evaluation.Window {
	present := quarterOf(a.Now())
	w := evaluation.Window{From: present.From.AddDate(0, -3, 0), To: present.From}
	var last bus.PublishedReport
	for r := range tx.PublishedReports() {
		if r.To.After(last.To) {
			last, w = r, evaluation.Window{From: r.From, To: r.To}
		}
	}
	return w
}

func (a *API) schemes() (*answer[client.SchemeList], error) {
	out := &answer[client.SchemeList]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		out.Body.InForce = evaluation.SchemeInForce(tx).Version
		out.Body.Items = []bus.SchemeVersion{shipped()}
		for v := range tx.SchemeVersions() {
			out.Body.Items = append(out.Body.Items, v)
		}
		return nil
	})
	return out, err
}

// shipped is the scheme that ships with the release, as version 0.
func shipped() bus.SchemeVersion { return bus.SchemeVersion{Scheme: evaluation.DefaultScheme()} }

func (a *API) scheme(version int) (*answer[bus.SchemeVersion], error) {
	return a.findScheme(fmt.Sprint(version), func(v bus.SchemeVersion) bool { return v.Version == version })
}

func (a *API) schemeAt(revision bus.Revision) (*answer[bus.SchemeVersion], error) {
	return a.findScheme(fmt.Sprint("@", revision), func(v bus.SchemeVersion) bool { return v.Revision == revision })
}

func (a *API) findScheme(name string, is func(bus.SchemeVersion) bool) (*answer[bus.SchemeVersion], error) {
	all, err := a.schemes()
	if err != nil {
		return nil, err
	}
	out := &answer[bus.SchemeVersion]{Stamp: all.Stamp}
	for _, v := range all.Body.Items {
		if is(v) {
			out.Body, out.ETag = v, etag(v.Revision)
			return out, nil
		}
	}
	return nil, bus.NotFound("scheme", name)
}

// addPublication registers the publication of reports, and what was published.
func (a *API) addPublication(h huma.API) {
	op := evaluationOperation
	handle(a, h, op("list-published-evaluations", http.MethodGet, "/published", "List the published reports", "Their digests and signatures: by them whoever has a report can tell whether it is the published one."),
		func(context.Context, bus.Principal, *struct{}) (*answer[list[bus.PublishedReport]], error) {
			out := &answer[list[bus.PublishedReport]]{}
			out.Body.Items = []bus.PublishedReport{}
			var err error
			out.Stamp, err = a.read(func(tx *state.Tx) error {
				for r := range tx.PublishedReports() {
					out.Body.Items = append(out.Body.Items, r)
				}
				return nil
			})
			return out, err
		})
	type publish struct {
		ID string `path:"id"`
		Sent[client.EvaluationPublication]
	}
	published := op("publish-evaluation", http.MethodPost, "/reports/{id}/publish", "Publish a report",
		"By a reviewer of the topmost division's data authority, at the node that keeps the report. It is never changed: what is found later is another report, which names this one.")
	handle(a, h, describes[client.EvaluationPublication](a, h, published), func(ctx context.Context, p bus.Principal, in *publish) (*answer[bus.PublishedReport], error) {
		if err := only(bus.RoleReviewer, p); err != nil {
			return nil, err
		}
		if err := a.evaluates(p); err != nil {
			return nil, err
		}
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		r, err := a.evaluation(in.ID)
		if err != nil {
			return nil, err
		}
		if r.Provisional {
			return nil, bus.E(bus.CodeWrongState, bus.Defect{
				Field: "id", Problem: bus.Text{ZH: "周期尚未结束的暂计报告不得公布", EN: "a provisional report is not published: its window was not over"}, Allowed: "a report of a window that is over",
			})
		}
		if _, err := a.write(ctx, p, command.ReportPublish, 0, command.Publication{Report: r.Seal(), Note: body.Note}, r.ID+" "+r.Digest()); err != nil {
			return nil, err
		}
		out := &answer[bus.PublishedReport]{}
		out.Stamp, err = a.read(func(tx *state.Tx) error {
			out.Body, _ = tx.PublishedReport(r.ID)
			return nil
		})
		out.ETag = etag(out.Body.Revision)
		return out, err
	})
}
