package api_test

import (
	"context"
	"fmt"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
)

// policiesMatrix is who may do what with policy layers, of which division/440000 is
// in force. Each caller meets a draft that somebody else pushed.
func policiesMatrix(known [7]int, plain func(string) func(*world, int) request) map[string]route {
	security := [7]int{401, 403, 403, 403, 403, 200, 403}
	const province = "/api/v1/policies/division/440000"
	return map[string]route{
		"GET /api/v1/policies":             {known, nil},
		"GET /api/v1/policies/{kind}/{of}": {known, plain(province)},
		"GET /api/v1/policies/drafts":      {known, nil},
		"POST /api/v1/policies/check": {security, func(w *world, _ int) request {
			return request{body: text(asJSON(w.t, nodetest.SampleLayer(w.t, "440000")))}
		}},
		"PUT /api/v1/policies/{kind}/{of}/draft": {security, func(w *world, _ int) request {
			push := bus.LayerPush{Modules: nodetest.SampleLayer(w.t, "440100").Modules, Note: "样例"}
			return creating("/api/v1/policies/division/440100/draft", push)
		}},
		"GET /api/v1/policies/{kind}/{of}/draft": {[7]int{401, 404, 404, 404, 200, 200, 200}, func(w *world, _ int) request {
			w.pushed()
			return request{path: province + "/draft"}
		}},
		"DELETE /api/v1/policies/{kind}/{of}/draft": {[7]int{401, 403, 403, 403, 403, 204, 403}, func(w *world, _ int) request {
			return deleting(province+"/draft", w.pushed())
		}},
		"POST /api/v1/policies/{kind}/{of}/draft/activate": {security, func(w *world, _ int) request {
			r := deleting(province+"/draft/activate", w.pushed())
			r.body = text(`{"note":"样例"}`)
			return r
		}},
		"GET /api/v1/policies/{kind}/{of}/revisions": {[7]int{401, 403, 403, 403, 200, 200, 200}, plain(province + "/revisions")},
		"GET /api/v1/policies/{kind}/{of}/revisions/{revision}": {[7]int{401, 403, 403, 403, 200, 200, 200}, func(w *world, _ int) request {
			l, err := w.First.Client(w.bearers[sysadmin]).Policies().Read(context.Background(), "division/440000")
			check(w.t, err)
			return request{path: fmt.Sprint(province, "/revisions/", l.Revision)}
		}},
	}
}

// pushed is the revision of a draft of the province's layer, pushed by the second
// security administrator.
func (w *world) pushed() bus.Revision {
	w.t.Helper()
	ctx, second := context.Background(), w.Client(sample.Second).Policies()
	if d, err := second.Draft(ctx, "division/440000"); err == nil {
		return d.Revision
	}
	d, err := second.Push(ctx, "division/440000", 0, bus.LayerPush{Modules: nodetest.SampleLayer(w.t, "440000").Modules, Note: "样例"})
	check(w.t, err)
	return d.Revision
}
