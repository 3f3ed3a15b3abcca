package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// exportTimeout is how long an export may take. It keeps the pages that it reads
// from being used again, so that there has to be an end to a slow reader.
const exportTimeout = 30 * time.Minute

// addAudit registers what the auditor reads.
func (a *API) addAudit(h huma.API) {
	op := func(id, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: "/api/v1/audit" + path, Summary: summary, Tags: []string{"audit"}}
	}
	export := op("export-evidence", "/export", "Export this node's evidence log, or what of it was recorded within a time")
	export.Responses = map[string]*huma.Response{"200": {Description: "the log, verifiable offline", Content: map[string]*huma.MediaType{"application/x-ndjson": {}}}}
	type window struct {
		From time.Time `query:"from" doc:"only what was recorded from then on"`
		To   time.Time `query:"to" doc:"only what was recorded before then"`
	}
	handle(a, h, export, func(ctx context.Context, p bus.Principal, in *window) (*huma.StreamResponse, error) {
		if err := only(bus.RoleAuditor, p); err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/x-ndjson")
			_, w := humago.Unwrap(hc)
			err := http.NewResponseController(w).SetWriteDeadline(a.Now().Add(exportTimeout))
			if err == nil {
				err = a.Exchange.Export(hc.BodyWriter(), in.From, in.To)
			}
			if err != nil {
				a.Logger.Warn("evidence export cut short", "request", requestOf(ctx), "error", err)
				panic(http.ErrAbortHandler) // the status is sent; the connection must not end as if all were there
			}
		}}, nil
	})
	checkpoints := noun[bus.Checkpoint]{tag: "checkpoint", table: state.Checkpoints, list: (*state.Tx).Checkpoints}
	follow(a, checkpoints)
	handle(a, h, op("list-checkpoints", "/checkpoints", "List the newest evidence checkpoint of every node"), func(_ context.Context, _ bus.Principal, _ *struct{}) (*answer[list[bus.Checkpoint]], error) {
		return checkpoints.listed(a, bus.Principal{})
	})
	a.addSegments(h, op)
	a.addTrace(h, op("trace-evidence", "/trace", "Trace an event, a case, a grant, a matter or a department across the nodes"))
	type traced struct {
		Event string `path:"event"`
	}
	handle(a, h, op("prove-event", "/proofs/{event}", "Make a file that proves what is recorded of an event"), func(ctx context.Context, p bus.Principal, in *traced) (*answer[client.ProofFile], error) {
		if err := only(bus.RoleAuditor, p); err != nil {
			return nil, err
		}
		proof, err := a.Cluster.Prove(ctx, p, requestOf(ctx), in.Event)
		return &answer[client.ProofFile]{Body: proof}, err
	})
	type marked struct {
		Mark string `path:"mark"`
	}
	handle(a, h, op("resolve-watermark", "/watermarks/{mark}", "Tell what a watermark stands for"), func(ctx context.Context, p bus.Principal, in *marked) (*answer[client.Trace], error) {
		if err := only(bus.RoleAuditor, p); err != nil {
			return nil, err
		}
		trace, err := a.Cluster.Watermark(ctx, p, requestOf(ctx), in.Mark)
		return &answer[client.Trace]{Body: trace}, err
	})
}
