package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
)

// queryMatrix is who may do what with the service that a resource is bound to.
func queryMatrix(known [7]int) map[string]route {
	looking, asking := [7]int{401, 200, 403, 403, 200, 200, 200}, [7]int{401, 200, 200, 403, 403, 403, 403}
	binds := [7]int{401, 204, 403, 403, 403, 403, 403}
	at := func(path string) func(*world, int) request {
		return func(w *world, _ int) request {
			w.bind(registration)
			return request{path: "/api/v1/resources/" + string(registration) + path}
		}
	}
	passing := func(w *world, cell int) request {
		r := at("/proxy/firms?uscc=x")(w, cell)
		r.header = map[string]string{"Gxbus-Grant": "grant-1", "Gxbus-Purpose": "verification", "Gxbus-Matter": "m", "Gxbus-Case": "c"}
		return r
	}
	return map[string]route{
		"GET /api/v1/bindings":               {known, nil},
		"GET /api/v1/resources/{id}/binding": {looking, at("/binding")},
		"PUT /api/v1/resources/{id}/binding": {[7]int{401, 200, 403, 403, 403, 403, 403}, func(w *world, _ int) request {
			return request{path: "/api/v1/resources/" + string(registration) + "/binding", body: text(asJSON(w.t, binding.Binding{HTTP: &binding.HTTP{URL: "https://10.0.0.1/firms"}}))}
		}},
		"DELETE /api/v1/resources/{id}/binding":    {binds, at("/binding")},
		"GET /api/v1/resources/{id}/binding/probe": {binds, at("/binding/probe")},
		"POST /api/v1/resources/{id}/query": {asking, func(w *world, cell int) request {
			r := at("/query")(w, cell)
			r.body = text(`{"grant":"grant-1","purpose":"verification","matter":"m","case":"c","parameters":{"uscc":"x"}}`)
			r.header = map[string]string{"Idempotency-Key": fmt.Sprint("query-", cell)}
			return r
		}},
		"GET /api/v1/resources/{id}/proxy/{path}":    {asking, passing},
		"POST /api/v1/resources/{id}/proxy/{path}":   {asking, passing},
		"PUT /api/v1/resources/{id}/proxy/{path}":    {asking, passing},
		"PATCH /api/v1/resources/{id}/proxy/{path}":  {asking, passing},
		"DELETE /api/v1/resources/{id}/proxy/{path}": {asking, passing},
	}
}

// bind binds a resource to a service, for one test.
func (w *world) bind(resource bus.ResourceID) {
	w.t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		fmt.Fprint(answer, `[{"enterprise_name":"样例"}]`)
	}))
	w.t.Cleanup(service.Close)
	_, err := w.First.Client(w.bearers[provider]).PutBinding(context.Background(), binding.Binding{
		Resource: resource, HTTP: &binding.HTTP{URL: service.URL, Allow: []binding.Route{{Methods: binding.Methods, Path: "/firms"}}},
	})
	check(w.t, err)
}
