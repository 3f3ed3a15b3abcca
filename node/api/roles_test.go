package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// route is a row of the matrix: what each caller is answered. What the accounts of
// departments are answered stands in departmental.
type route struct {
	//     nobody, provider, consumer, stranger, sysadmin, secadmin, auditor
	want [7]int
	make func(w *world, cell int) request // path from the pattern where empty
}

var columns = [9]string{nobody, provider, consumer, stranger, sysadmin, secadmin, auditor, operator, reviewer}

const registration = bus.ResourceID("enterprise-registration")

// matrix is who may do what (threats S29 and S30): each route of the OpenAPI
// document must have a row.
func matrix() map[string]route {
	everybody := [7]int{200, 200, 200, 200, 200, 200, 200}
	known := [7]int{401, 200, 200, 200, 200, 200, 200}
	plain := func(path string) func(*world, int) request {
		return func(*world, int) request { return request{path: path} }
	}
	market := "/" + string(sample.ShenzhenMarket.ID)
	rows := map[string]route{
		"GET /api/v1/version": {everybody, nil},
		"POST /api/v1/sessions": {[7]int{401, 401, 401, 401, 401, 401, 401}, func(_ *world, cell int) request {
			return request{body: text(fmt.Sprintf(`{"account":"somebody-%d","password":"wrong"}`, cell))}
		}},
		"POST /api/v1/sessions/oidc": {[7]int{404, 404, 404, 404, 404, 404, 404}, func(*world, int) request { // it has no provider
			return request{body: text(`{"redirect_url":"http://127.0.0.1:1/callback"}`)}
		}},
		"POST /api/v1/sessions/oidc/complete": {[7]int{404, 404, 404, 404, 404, 404, 404}, func(*world, int) request {
			return request{body: text(`{"flow":"","state":"","code":""}`)}
		}},
		"DELETE /api/v1/sessions":    {[7]int{401, 204, 204, 204, 204, 204, 204}, nil},
		"GET /api/v1/status":         {known, nil},
		"POST /api/v1/tokens":        {[7]int{401, 403, 403, 403, 200, 403, 403}, newToken},
		"POST /api/v1/join":          {[7]int{400, 400, 400, 400, 400, 400, 400}, func(*world, int) request { return request{body: text(`{"token":"gxj_x"}`)} }},
		"GET /api/v1/divisions":      {known, nil},
		"GET /api/v1/divisions/{id}": {known, plain("/api/v1/divisions/440106")},
		"GET /api/v1/nodes":          {known, nil},
		"GET /api/v1/nodes/{id}":     {known, plain("/api/v1/nodes/guangdong")},
		"POST /api/v1/nodes/{id}/{step}": {[7]int{401, 403, 403, 403, 200, 403, 403}, func(*world, int) request {
			return request{path: "/api/v1/nodes/guangdong/promote", body: text(`{}`)}
		}},
		"POST /api/v1/nodes/{id}/divisions": {[7]int{401, 403, 403, 403, 204, 403, 403}, func(*world, int) request {
			return request{path: "/api/v1/nodes/guangdong/divisions", body: text(`{"division":"440100"}`)}
		}},
		"POST /api/v1/leadership": {[7]int{401, 403, 403, 403, 204, 403, 403}, func(*world, int) request {
			return request{body: text(`{"to":"guangdong"}`)}
		}},
		"GET /api/v1/ca":               {known, nil},
		"POST /api/v1/ca/retire":       {[7]int{401, 403, 403, 403, 404, 403, 403}, func(*world, int) request { return request{body: text(`{}`)} }}, // none is being replaced
		"POST /api/v1/ca/rotate":       {[7]int{401, 403, 403, 403, 200, 403, 403}, func(*world, int) request { return request{body: text(`{}`)} }},
		"GET /api/v1/departments":      {known, nil},
		"GET /api/v1/departments/{id}": {known, plain("/api/v1/departments" + market)},
		"PUT /api/v1/departments/{id}": {[7]int{401, 403, 403, 403, 200, 403, 403}, func(_ *world, cell int) request {
			d := spare(cell)
			return creating("/api/v1/departments/"+string(d.ID), d)
		}},
		"DELETE /api/v1/departments/{id}": {[7]int{401, 403, 403, 403, 204, 403, 403}, func(w *world, cell int) request {
			d, err := w.First.Client(w.bearers[sysadmin]).Departments().Put(context.Background(), spare(20+cell))
			check(w.t, err)
			return deleting("/api/v1/departments/"+string(d.ID), d.Revision)
		}},
		"GET /api/v1/departments/{id}/move": {[7]int{401, 403, 403, 403, 200, 200, 200}, plain("/api/v1/departments" + market + "/move")},
		"POST /api/v1/departments/{id}/move": {[7]int{401, 403, 403, 403, 400, 403, 403}, func(*world, int) request { // the only node serves it already
			return request{path: "/api/v1/departments" + market + "/move", body: text(`{"to":"guangdong"}`)}
		}},
		"DELETE /api/v1/departments/{id}/move": {[7]int{401, 403, 403, 403, 400, 403, 403}, plain("/api/v1/departments" + market + "/move")},
		"GET /api/v1/systems":                  {known, nil},
		"GET /api/v1/systems/{id}":             {[7]int{401, 200, 404, 404, 200, 200, 200}, plain("/api/v1/systems/" + string(sample.SystemOf(sample.ShenzhenMarket).ID))},
		"PUT /api/v1/systems/{id}": {[7]int{401, 403, 403, 403, 200, 403, 403}, func(_ *world, cell int) request {
			s := bus.System{ID: bus.SystemID(fmt.Sprint("spare-", cell)), Name: "备用系统", Department: sample.ShenzhenMarket.ID}
			return creating("/api/v1/systems/"+string(s.ID), s)
		}},
		"GET /api/v1/systems/{id}/credentials": {
			[7]int{401, 200, 404, 404, 200, 200, 200}, plain("/api/v1/systems/" + string(sample.SystemOf(sample.ShenzhenMarket).ID) + "/credentials"),
		},
		"POST /api/v1/systems/{id}/credentials": {[7]int{401, 403, 403, 403, 200, 403, 403}, func(*world, int) request {
			return request{path: "/api/v1/systems/spare-4/credentials", body: text(`{"kind":"bearer"}`)}
		}},
		"DELETE /api/v1/systems/{id}/credentials/{credential}": {[7]int{401, 403, 403, 403, 204, 403, 403}, plain("/api/v1/systems/spare-4/credentials/first")},
		"GET /api/v1/resources":                                {known, nil},
		"GET /api/v1/resources/{id}":                           {known, plain("/api/v1/resources/enterprise-registration")},
		"GET /api/v1/resources/{id}/access": {
			[7]int{401, 403, 200, 403, 200, 200, 200},
			plain("/api/v1/resources/enterprise-registration/access?department=" + string(sample.TianheServices.ID)),
		},
		"POST /api/v1/resources/{id}/events": {[7]int{401, 202, 403, 403, 403, 403, 403}, func(w *world, cell int) request {
			own, ok := map[string]bus.Department{consumer: sample.TianheServices, stranger: sample.GuangzhouHealth}[columns[cell]]
			if !ok {
				own = sample.ShenzhenMarket
			}
			e := fmt.Sprintf(`{"specversion":"1.0","id":"matrix-1","source":%q,"type":"t","data":{"phone":"19900000000"}}`, sample.SystemOf(own).Source())
			return request{path: events, header: map[string]string{"Content-Type": "application/cloudevents+json"}, body: text(e)}
		}},
		"GET /api/v1/accounts":      {known, nil},
		"GET /api/v1/accounts/{id}": {[7]int{401, 404, 404, 404, 200, 200, 200}, plain("/api/v1/accounts/auditor")},
		"GET /api/v1/grants":        {known, nil},
		"GET /api/v1/grants/{id}":   {[7]int{401, 200, 200, 404, 200, 200, 200}, plain("/api/v1/grants/grant-1")},
		"PUT /api/v1/grants/{id}": {[7]int{401, 403, 403, 403, 403, 200, 403}, func(_ *world, cell int) request {
			g := sample.Grant(bus.GrantID(fmt.Sprint("spare-", cell)), sample.EnterpriseRegistration(), sample.TianheServices)
			return creating("/api/v1/grants/"+string(g.ID), g)
		}},
		"POST /api/v1/grants/confirm": {[7]int{401, 403, 403, 403, 403, 204, 403}, func(*world, int) request {
			return request{body: text(`{"grants":["grant-1"]}`)}
		}},
		"POST /api/v1/backup": {[7]int{401, 403, 403, 403, 200, 403, 403}, func(w *world, _ int) request {
			key, err := backup.NewKey()
			check(w.t, err)
			return request{body: text(fmt.Sprintf(`{"recovery_key":%q}`, key.Public()))}
		}},
		"GET /api/v1/doctor": {[7]int{401, 403, 403, 403, 200, 403, 200}, nil},
		"POST /api/v1/grants/{id}/revoke": {[7]int{401, 200, 403, 404, 403, 200, 403}, func(w *world, cell int) request {
			id := fmt.Sprint("revoked-", cell)
			_, err := w.First.Client(w.bearers[secadmin]).Grants().Put(context.Background(), sample.Grant(bus.GrantID(id), sample.EnterpriseRegistration(), sample.TianheServices))
			check(w.t, err)
			return request{path: "/api/v1/grants/" + id + "/revoke", body: text(`{"reason":"测试"}`)}
		}},
		"GET /api/v1/subscriptions":      {known, nil},
		"GET /api/v1/subscriptions/{id}": {[7]int{401, 404, 200, 404, 200, 200, 200}, plain("/api/v1/subscriptions/sub-1")},
		"PUT /api/v1/subscriptions/{id}": {[7]int{401, 200, 200, 403, 403, 403, 403}, func(_ *world, cell int) request {
			return creating(fmt.Sprint("/api/v1/subscriptions/spare-", cell), bus.Subscription{Resource: registration, Purpose: bus.PurposeAdministrativeBasis, Grant: map[bool]bus.GrantID{true: "grant-1"}[columns[cell] == consumer]})
		}},
		"DELETE /api/v1/subscriptions/{id}": {[7]int{401, 404, 204, 404, 403, 403, 403}, func(w *world, cell int) request {
			s, err := w.First.Client(w.bearers[consumer]).Subscriptions().Put(context.Background(), bus.Subscription{
				ID: bus.SubscriptionID(fmt.Sprint("deleted-", cell)), Resource: registration, Grant: "grant-1", Purpose: bus.PurposeAdministrativeBasis,
			})
			check(w.t, err)
			return deleting("/api/v1/subscriptions/"+string(s.ID), s.Revision)
		}},
		"GET /api/v1/subscriptions/{id}/events": {[7]int{401, 404, 200, 404, 404, 404, 404}, plain("/api/v1/subscriptions/sub-1/events")},
		"GET /api/v1/subscriptions/{id}/stream": {[7]int{401, 404, 400, 404, 404, 404, 404}, func(*world, int) request {
			return request{path: "/api/v1/subscriptions/sub-1/stream", header: map[string]string{"Last-Event-ID": "x"}} // else it goes on
		}},
		"PUT /api/v1/subscriptions/{id}/sink": {[7]int{401, 404, 400, 404, 404, 404, 404}, func(*world, int) request {
			return request{path: "/api/v1/subscriptions/sub-1/sink", body: text(`{"url":"https://127.0.0.1/"}`)} // S39
		}},
		"GET /api/v1/subscriptions/{id}/sink":                           {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/subscriptions/sub-1/sink")},
		"DELETE /api/v1/subscriptions/{id}/sink":                        {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/subscriptions/sub-1/sink")},
		"GET /api/v1/subscriptions/{id}/dead-letters":                   {[7]int{401, 404, 200, 404, 404, 404, 404}, plain("/api/v1/subscriptions/sub-1/dead-letters")},
		"GET /api/v1/subscriptions/{id}/dead-letters/{number}":          {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/subscriptions/sub-1/dead-letters/1")},
		"POST /api/v1/subscriptions/{id}/dead-letters/{number}/redrive": {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/subscriptions/sub-1/dead-letters/1/redrive")},
		"DELETE /api/v1/subscriptions/{id}/dead-letters/{number}":       {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/subscriptions/sub-1/dead-letters/1")},
		"GET /api/v1/events/{event}/deliveries":                         {[7]int{401, 404, 404, 404, 404, 404, 404}, plain("/api/v1/events/absent/deliveries")},
		"POST /api/v1/subscriptions/{id}/step": {[7]int{401, 404, 200, 404, 403, 403, 403}, func(*world, int) request {
			return request{path: "/api/v1/subscriptions/sub-1/step", body: text(`{"step":"resume"}`)}
		}},
		"POST /api/v1/subscriptions/{id}/ack": {[7]int{401, 404, 204, 404, 404, 404, 404}, func(*world, int) request {
			return request{path: "/api/v1/subscriptions/sub-1/ack", body: text(`{"last":0}`)}
		}},
		"GET /api/v1/changes":   {known, plain("/api/v1/changes?wait=0")},
		"GET /api/v1/decisions": {known, nil},
		"GET /api/v1/decisions/{id}": {[7]int{401, 200, 200, 404, 404, 200, 200}, func(w *world, _ int) request {
			return request{path: "/api/v1/decisions/" + w.subscribed()}
		}},
		"POST /api/v1/policies/replay": {[7]int{401, 403, 403, 403, 403, 200, 403}, func(w *world, _ int) request {
			return request{body: text(asJSON(w.t, client.ReplayRequest{Layer: nodetest.SampleLayer(w.t, "440100")}))}
		}},
		"GET /api/v1/audit/export":      {[7]int{401, 403, 403, 403, 403, 403, 200}, nil},
		"GET /api/v1/audit/checkpoints": {known, nil},
		"GET /api/v1/audit/segments":    {[7]int{401, 403, 403, 403, 403, 403, 200}, nil},
		"POST /api/v1/audit/segments/prune": {[7]int{401, 403, 403, 403, 403, 403, 400}, func(*world, int) request { // of today nothing goes
			return request{body: text(`{"before":"2099-01-01T00:00:00Z"}`)}
		}},
		"GET /api/v1/audit/trace":             {[7]int{401, 200, 200, 200, 403, 403, 200}, plain("/api/v1/audit/trace?grant=grant-1")},
		"GET /api/v1/audit/proofs/{event}":    {[7]int{401, 403, 403, 403, 403, 403, 200}, plain("/api/v1/audit/proofs/matrix-1")},
		"GET /api/v1/audit/watermarks/{mark}": {[7]int{401, 403, 403, 403, 403, 403, 404}, plain("/api/v1/audit/watermarks/absent")},
	}
	maps.Copy(rows, catalogueMatrix(known, plain))
	maps.Copy(rows, caseworkMatrix(known, plain))
	maps.Copy(rows, sharingMatrix(known))
	maps.Copy(rows, policiesMatrix(known, plain))
	maps.Copy(rows, queryMatrix(known))
	maps.Copy(rows, evaluationMatrix(known, plain))
	return rows
}

func newToken(_ *world, cell int) request {
	return request{body: text(fmt.Sprintf(`{"node":"spare-%d","division":"440100"}`, cell))}
}

func creating(path string, v any) request {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // nouns always encode
	}
	return request{path: path, header: map[string]string{create: "*"}, body: text(string(data))}
}

func deleting(path string, r bus.Revision) request {
	return request{path: path, header: map[string]string{change: fmt.Sprintf(`"%d"`, r)}}
}

func spare(n int) bus.Department {
	return bus.Department{ID: sample.USCC("440100", 100+n), Name: "备用部门", Division: "440100"}
}

func spareResource(n int) bus.Resource {
	r := sample.EnterpriseRegistration()
	r.ID, r.Codes = bus.ResourceID(fmt.Sprint("spare-", n)), []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3010010001/%06d", 500+n))}
	return r
}

// routes reads the routes of the API out of its OpenAPI document.
func (w *world) routes() map[string]map[string]any {
	w.t.Helper()
	got := w.ask(request{method: "GET", path: "/openapi.json"})
	var document struct {
		Paths map[string]map[string]map[string]any `json:"paths"`
	}
	check(w.t, json.Unmarshal([]byte(got.body), &document))
	all := map[string]map[string]any{}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			all[strings.ToUpper(method)+" "+path] = operation
		}
	}
	return all
}

func TestS29S30EveryRoleAgainstEveryRouteEachRefusalRecordedOnce(t *testing.T) {
	w := newWorld(t)
	w.Enact(nodetest.SampleLayer(t, "440000"))
	rows := matrix()
	routes := w.routes()
	for name := range rows {
		if routes[name] == nil {
			t.Errorf("%s is not in the OpenAPI document", name)
		}
	}
	order := make([]string, 0, len(routes))
	for name := range routes {
		order = append(order, name)
	}
	slices.SortFunc(order, func(a, b string) int { return strings.Compare(rank(a)+a, rank(b)+b) })
	refused := map[string]string{} // request id → what was asked by whom
	for _, name := range order {
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s has no row in the matrix: say who may use it", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			w.t = t
			for cell, who := range columns {
				if id := w.cell(name, row, cell, who); id != "" {
					refused[id] = fmt.Sprintf("%s by %q", name, who)
				}
			}
		})
	}
	w.t = t
	w.bearers[auditor] = w.SignIn(w.First, auditor) // the last of the routes ended its session
	told := map[string]int{}
	for _, leaf := range w.leaves() {
		told[leaf.Request]++
	}
	for id, what := range refused {
		if told[id] != 1 {
			t.Errorf("%s, refused: %d leaves, want 1", what, told[id])
		}
	}
	if len(refused) < len(routes) {
		t.Errorf("%d refusals of %d routes", len(refused), len(routes))
	}
}

// rank puts what ends sessions and layers last.
func rank(route string) string {
	switch {
	case strings.HasPrefix(route, "DELETE /api/v1/sessions"):
		return "3"
	case strings.HasPrefix(route, "DELETE"), strings.Contains(route, "trace"), strings.Contains(route, "proofs"), strings.Contains(route, "credentials"), strings.HasSuffix(route, "password"):
		return "2"
	}
	return "1"
}

// cell asks for a route as one of the columns. It returns the id of a request that was
// refused, which has to be on record.
func (w *world) cell(name string, row route, cell int, who string) (refused string) {
	w.t.Helper()
	method, path, _ := strings.Cut(name, " ")
	var r request
	if row.make != nil {
		r = row.make(w, cell)
	}
	r.method, r.who = method, who
	if r.path == "" {
		r.path = path
	}
	got := w.ask(r)
	if want := row.wanted(name, cell); got.status != want {
		w.t.Errorf("%q is answered %d, want %d: %s", who, got.status, want, got.body)
	}
	if got.status < 300 {
		w.stamped(method, r.path, got)
		return ""
	}
	if who == nobody {
		return ""
	}
	return got.problem.RequestID
}

// stamped demands that an answer tells the directory index it is of, and how old it
// may be. What a resource's service answers is not the directory's.
func (w *world) stamped(method, path string, got reply) {
	w.t.Helper()
	index, err := strconv.ParseUint(got.header.Get(client.HeaderIndex), 10, 64)
	_, noAge := strconv.ParseUint(got.header.Get(client.HeaderAge), 10, 64)
	if (err != nil || noAge != nil || index == 0) && !strings.Contains(path, "/proxy/") {
		w.t.Errorf("%s %s is of index %q, %q seconds old", method, path, got.header.Get(client.HeaderIndex), got.header.Get(client.HeaderAge))
	}
}

func TestWhatTheAPIShowsAndToWhom(t *testing.T) {
	w := newWorld(t)
	t.Run("S27 what is another's looks like what is not there", func(t *testing.T) { anothersLooksAbsent(w, t) })
	t.Run("a grant stays of its resource and consumer", func(t *testing.T) { grantStays(w, t) })
	t.Run("the API describes itself", func(t *testing.T) { describesItself(w, t) })
}

func anothersLooksAbsent(w *world, t *testing.T) {
	w.t = t
	theirs := spareResource(90)
	theirs.ID = "theirs"
	_, err := w.First.Client(w.bearers[provider]).Drafts().Put(context.Background(), bus.Draft{Resource: theirs})
	check(t, err)
	for _, c := range []struct{ method, there, absent, body string }{
		{"GET", "/api/v1/subscriptions/sub-1", "/api/v1/subscriptions/sub-9", ""},
		{"GET", "/api/v1/subscriptions/sub-1/events", "/api/v1/subscriptions/sub-9/events", ""},
		{"PUT", "/api/v1/subscriptions/sub-1/sink", "/api/v1/subscriptions/sub-9/sink", `{"url":"https://a.test/"}`},
		{"GET", "/api/v1/subscriptions/sub-1/dead-letters", "/api/v1/subscriptions/sub-9/dead-letters", ""},
		{"GET", "/api/v1/subscriptions/sub-1/stream", "/api/v1/subscriptions/sub-9/stream", ""},
		{"POST", "/api/v1/subscriptions/sub-1/step", "/api/v1/subscriptions/sub-9/step", `{"step":"pause"}`},
		{"POST", "/api/v1/subscriptions/sub-1/ack", "/api/v1/subscriptions/sub-9/ack", `{"last":1}`},
		{"GET", "/api/v1/grants/grant-1", "/api/v1/grants/grant-9", ""},
		{"POST", "/api/v1/grants/grant-1/revoke", "/api/v1/grants/grant-9/revoke", `{"reason":"r"}`},
		{"GET", "/api/v1/systems/" + string(sample.SystemOf(sample.ShenzhenMarket).ID), "/api/v1/systems/absent", ""},
		{"POST", "/api/v1/systems/" + string(sample.SystemOf(sample.ShenzhenMarket).ID) + "/credentials", "/api/v1/systems/absent/credentials", `{"kind":"bearer"}`},
		{"GET", "/api/v1/systems/" + string(sample.SystemOf(sample.ShenzhenMarket).ID) + "/credentials", "/api/v1/systems/absent/credentials", ""},
		{"DELETE", "/api/v1/systems/" + string(sample.SystemOf(sample.ShenzhenMarket).ID) + "/credentials/first", "/api/v1/systems/absent/credentials/first", ""},
		{"GET", "/api/v1/accounts/auditor", "/api/v1/accounts/absent", ""},
		{"GET", "/api/v1/drafts/theirs", "/api/v1/drafts/absent", ""},
		{"DELETE", "/api/v1/drafts/theirs", "/api/v1/drafts/absent", ""},
	} {
		t.Run(c.method+" "+c.there, func(t *testing.T) {
			w.t = t
			shape := func(path string) string {
				r := request{method: c.method, path: path, who: stranger}
				if c.method == "DELETE" {
					r.header = map[string]string{change: `"1"`}
				}
				if c.body != "" {
					r.body = text(c.body)
				}
				got := w.ask(r)
				p := got.problem
				body := strings.NewReplacer(p.RequestID, "", idOf(path), "ID").Replace(got.body)
				return fmt.Sprint(got.status, " ", body)
			}
			if there, absent := shape(c.there), shape(c.absent); there != absent {
				t.Errorf("another's: %s\nabsent:    %s", there, absent)
			}
		})
	}
	w.t = t
	list := w.ask(request{method: "GET", path: "/api/v1/subscriptions", who: stranger})
	if !strings.Contains(list.body, `"items":[]`) {
		t.Errorf("a stranger lists %s", list.body)
	}
}

func idOf(path string) string { return strings.Split(path, "/")[4] }

// A provider that could name another's grant in its own write would end it.
func grantStays(w *world, t *testing.T) {
	w.t = t
	ctx := context.Background()
	g, err := w.First.Client(w.bearers[secadmin]).Grants().Read(ctx, "grant-1")
	check(t, err)
	own := sample.EnterpriseRegistration()
	own.ID, own.Codes, own.Provider = "strangers", []bus.ResourceCode{"3010010001/000888"}, sample.GuangzhouHealth.ID
	thief := w.First.Client(w.bearers[stranger])
	w.Publish(own)
	taken := g
	taken.Resource = own.ID
	if _, err := thief.Grants().Put(ctx, taken); !client.IsCode(err, bus.CodeInvalid) && !client.IsCode(err, bus.CodeForbidden) {
		t.Errorf("a stranger took over grant-1: %v", err)
	}
	after, err := w.First.Client(w.bearers[secadmin]).Grants().Read(ctx, "grant-1")
	check(t, err)
	if after.Resource != g.Resource || after.Revision != g.Revision {
		t.Errorf("grant-1 is now %+v", after)
	}
}

func describesItself(w *world, t *testing.T) {
	w.t = t
	for name, operation := range w.routes() {
		responses, _ := operation["responses"].(map[string]any)
		if operation["summary"] == "" || operation["operationId"] == "" || len(responses) < 3 {
			t.Errorf("%s is not described: %v", name, operation)
		}
		problem, _ := responses["400"].(map[string]any)
		if content, _ := problem["content"].(map[string]any); content["application/problem+json"] == nil {
			t.Errorf("%s: the refusal 400 is not described as a problem: %v", name, problem)
		}
		method, path, _ := strings.Cut(name, " ")
		wantsBody := method == "PUT" || method == "PATCH" || method == "POST" && !strings.HasSuffix(path, "/password") && !strings.HasSuffix(path, "/redrive")
		body, _ := operation["requestBody"].(map[string]any)
		if wantsBody != (body != nil) {
			t.Errorf("%s: request body %v", name, body)
			continue
		}
		if content, _ := body["content"].(map[string]any); wantsBody && !strings.HasSuffix(path, "/events") {
			media, _ := content["application/json"].(map[string]any)
			if media["schema"] == nil {
				t.Errorf("%s: the body has no schema: %v", name, content)
			}
		}
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if got := w.ask(request{method: http.MethodGet, path: path}); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
