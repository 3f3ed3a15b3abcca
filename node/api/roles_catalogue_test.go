package api_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// departmental is what an operator of the provider and a reviewer of the data
// authority are answered, where that is not: 200 to a GET, 403 to all else.
var departmental = map[string][2]int{
	"POST /api/v1/sessions":                                         {401, 401},
	"GET /api/v1/resources/{id}/binding":                            {200, 403},
	"PUT /api/v1/resources/{id}/binding":                            {200, 403},
	"DELETE /api/v1/resources/{id}/binding":                         {204, 403},
	"GET /api/v1/resources/{id}/binding/probe":                      {204, 403},
	"GET /api/v1/resources/{id}/proxy/{path}":                       {403, 403},
	"POST /api/v1/resources/{id}/proxy/{path}":                      {403, 403},
	"PUT /api/v1/resources/{id}/proxy/{path}":                       {403, 403},
	"PATCH /api/v1/resources/{id}/proxy/{path}":                     {403, 403},
	"DELETE /api/v1/resources/{id}/proxy/{path}":                    {403, 403},
	"DELETE /api/v1/sessions":                                       {204, 204},
	"POST /api/v1/join":                                             {400, 400},
	"POST /api/v1/sessions/oidc":                                    {404, 404},
	"POST /api/v1/sessions/oidc/complete":                           {404, 404},
	"GET /api/v1/systems/{id}/credentials":                          {200, 404},
	"GET /api/v1/systems/{id}":                                      {200, 404},
	"GET /api/v1/accounts/{id}":                                     {404, 404},
	"PUT /api/v1/grants/{id}":                                       {403, 200},
	"POST /api/v1/grants/{id}/revoke":                               {403, 200},
	"POST /api/v1/grants/{id}/stop":                                 {403, 200},
	"PUT /api/v1/applications/{id}":                                 {200, 403},
	"DELETE /api/v1/applications/{id}":                              {404, 403},
	"POST /api/v1/applications/{id}/submit":                         {404, 403},
	"POST /api/v1/applications/{id}/consent":                        {403, 200},
	"GET /api/v1/subscriptions/{id}":                                {404, 404},
	"GET /api/v1/subscriptions/{id}/events":                         {404, 404},
	"GET /api/v1/subscriptions/{id}/stream":                         {404, 404},
	"POST /api/v1/subscriptions/{id}/ack":                           {404, 404},
	"GET /api/v1/doctor":                                            {403, 403},
	"GET /api/v1/departments/{id}/move":                             {403, 403},
	"GET /api/v1/audit/export":                                      {403, 403},
	"GET /api/v1/audit/segments":                                    {403, 403},
	"GET /api/v1/resources/{id}/access":                             {403, 403},
	"GET /api/v1/audit/proofs/{event}":                              {403, 403},
	"GET /api/v1/decisions/{id}":                                    {200, 404},
	"GET /api/v1/audit/watermarks/{mark}":                           {403, 403},
	"PUT /api/v1/drafts/{id}":                                       {200, 403},
	"DELETE /api/v1/drafts/{id}":                                    {204, 403},
	"POST /api/v1/drafts/submit":                                    {200, 403},
	"POST /api/v1/drafts/review":                                    {403, 200},
	"POST /api/v1/drafts/import":                                    {200, 403},
	"POST /api/v1/resources/{id}/withdraw":                          {200, 403},
	"POST /api/v1/resources/{id}/triggers":                          {200, 403},
	"POST /api/v1/claims/{entity}/{item}/decision":                  {403, 200},
	"POST /api/v1/resources/{id}/triggers/{number}/extension":       {200, 403},
	"POST /api/v1/resources/{id}/triggers/{number}/consent":         {403, 200},
	"GET /api/v1/policies/{kind}/{of}/draft":                        {404, 404},
	"GET /api/v1/policies/{kind}/{of}/revisions":                    {403, 403},
	"GET /api/v1/policies/{kind}/{of}/revisions/{revision}":         {403, 403},
	"POST /api/v1/corrections/{id}/steps":                           {200, 403},
	"POST /api/v1/disputes/{id}/steps":                              {200, 403},
	"POST /api/v1/disputes/{id}/decision":                           {403, 200},
	"POST /api/v1/resources/{id}/binding/probe":                     {204, 403},
	"PUT /api/v1/subscriptions/{id}/sink":                           {404, 404},
	"GET /api/v1/subscriptions/{id}/sink":                           {404, 404},
	"DELETE /api/v1/subscriptions/{id}/sink":                        {404, 404},
	"GET /api/v1/subscriptions/{id}/dead-letters":                   {404, 404},
	"POST /api/v1/subscriptions/{id}/dead-letters/{number}/redrive": {404, 404},
	"GET /api/v1/subscriptions/{id}/dead-letters/{number}":          {404, 404},
	"DELETE /api/v1/subscriptions/{id}/dead-letters/{number}":       {404, 404},
	"GET /api/v1/events/{event}/deliveries":                         {404, 404},
	"POST /api/v1/evaluation/reports":                               {403, 200},
	"GET /api/v1/evaluation/reports":                                {403, 200},
	"GET /api/v1/evaluation/reports/{id}":                           {404, 404},
	"GET /api/v1/evaluation/reports/{id}/export":                    {403, 404},
	"GET /api/v1/evaluation/reports/{id}/progress":                  {403, 404},
	"GET /api/v1/evaluation/material":                               {403, 403},
	"POST /api/v1/evaluation/reports/{id}/publish":                  {403, 404},
	"POST /api/v1/evaluation/schemes":                               {403, 200},
	"POST /api/v1/evaluation/schemes/preview":                       {403, 200},
	"POST /api/v1/evaluation/schemes/{version}/activate":            {403, 404},
}

func (r route) wanted(name string, cell int) int {
	if cell < len(r.want) {
		return r.want[cell]
	}
	if want, ok := departmental[name]; ok {
		return want[cell-len(r.want)]
	}
	if strings.HasPrefix(name, "GET ") {
		return 200
	}
	return 403
}

// catalogueMatrix is who may do what with the catalogue.
func catalogueMatrix(known [7]int, plain func(string) func(*world, int) request) map[string]route {
	compiling := [7]int{401, 200, 403, 403, 200, 403, 403}
	ofTheirs := [7]int{401, 200, 404, 404, 200, 403, 403} // another's looks absent
	seen := [7]int{401, 200, 404, 404, 200, 200, 200}
	reviewing := [7]int{401, 403, 403, 403, 403, 403, 403}
	system := [7]int{401, 403, 403, 403, 200, 403, 403}
	security := [7]int{401, 403, 403, 403, 403, 200, 403}
	return map[string]route{
		"PUT /api/v1/divisions/{id}": {system, func(w *world, _ int) request {
			d, err := w.First.Client(w.bearers[sysadmin]).Divisions().Read(context.Background(), "440300")
			check(w.t, err)
			return changing("/api/v1/divisions/440300", d.Revision, d)
		}},
		"PUT /api/v1/accounts/{id}": {security, func(_ *world, cell int) request {
			name := fmt.Sprint("spare-", cell)
			return creating("/api/v1/accounts/"+name, bus.Account{Role: bus.RoleOperator, Department: sample.GuangzhouHealth.ID})
		}},
		"POST /api/v1/accounts/{id}/password": {security, plain("/api/v1/accounts/spare-5/password")},
		"GET /api/v1/drafts":                  {known, nil},
		"GET /api/v1/drafts/{id}": {seen, func(w *world, cell int) request {
			return request{path: "/api/v1/drafts/" + string(w.draft(100+cell).ID)}
		}},
		"PUT /api/v1/drafts/{id}": {compiling, func(_ *world, cell int) request {
			r := spareResource(cell)
			return creating("/api/v1/drafts/"+string(r.ID), sample.Content(r))
		}},
		"DELETE /api/v1/drafts/{id}": {[7]int{401, 204, 404, 404, 204, 403, 403}, func(w *world, cell int) request {
			d := w.draft(120 + cell)
			return deleting("/api/v1/drafts/"+string(d.ID), d.Revision)
		}},
		"POST /api/v1/drafts/submit": {ofTheirs, func(w *world, cell int) request {
			return request{body: text(asJSON(w.t, client.DraftSubmission{Drafts: w.draft(140 + cell).ref()}))}
		}},
		"POST /api/v1/drafts/review": {reviewing, func(w *world, cell int) request {
			return request{body: text(asJSON(w.t, client.DraftReview{Drafts: w.submitted(160 + cell).ref(), Approve: true}))}
		}},
		"POST /api/v1/drafts/import": {[7]int{401, 200, 200, 200, 200, 403, 403}, func(w *world, cell int) request { // each row for itself
			return request{body: text(asJSON(w.t, client.DraftImport{Drafts: []bus.DraftContent{sample.Content(spareResource(180 + cell))}}))}
		}},
		"GET /api/v1/resources/{id}/versions":                 {known, plain("/api/v1/resources/enterprise-registration/versions")},
		"GET /api/v1/resources/{id}/versions/{number}/schema": {known, plain("/api/v1/resources/enterprise-registration/versions/1/schema")},
		"GET /api/v1/resources/{id}/versions/{number}":        {known, plain("/api/v1/resources/enterprise-registration/versions/1")},
		"POST /api/v1/resources/{id}/withdraw": {compiling, func(w *world, cell int) request {
			r := w.published(spareResource(200 + cell))
			return changing("/api/v1/resources/"+string(r.ID)+"/withdraw", r.Revision, client.WithdrawalRequest{Reason: "样例"})
		}},
		"GET /api/v1/triggers": {known, nil},
		"GET /api/v1/resources/{id}/triggers/{number}": {seen, func(w *world, _ int) request {
			w.trigger()
			return request{path: "/api/v1/resources/enterprise-registration/triggers/1"}
		}},
		"POST /api/v1/resources/{id}/triggers": {compiling, func(w *world, _ int) request {
			return request{path: "/api/v1/resources/enterprise-registration/triggers", body: text(asJSON(w.t, w.cause()))}
		}},
		"POST /api/v1/resources/{id}/triggers/{number}/extension": {ofTheirs, func(w *world, _ int) request {
			t := w.trigger()
			return changing(fmt.Sprint("/api/v1/resources/enterprise-registration/triggers/", t.Number, "/extension"), t.Revision, client.ExtensionRequest{Days: 5, Reason: "样例"})
		}},
		"POST /api/v1/resources/{id}/triggers/{number}/consent": {reviewing, func(w *world, _ int) request {
			t, err := w.First.Client(w.bearers[provider]).Triggers().Extend(context.Background(), w.trigger(), client.ExtensionRequest{Days: 5, Reason: "样例"})
			check(w.t, err)
			return changing(fmt.Sprint("/api/v1/resources/enterprise-registration/triggers/", t.Number, "/consent"), t.Revision, client.Consent{Approve: true})
		}},
		"GET /api/v1/claims": {known, nil},
		"GET /api/v1/claims/{entity}/{item}": {[7]int{401, 200, 404, 404, 200, 200, 200}, func(w *world, _ int) request {
			w.published(claiming(spareResource(220)))
			return request{path: "/api/v1/claims/firm/uscc"}
		}},
		"POST /api/v1/claims/{entity}/{item}/decision": {reviewing, func(w *world, cell int) request {
			w.published(claiming(spareResource(220)))
			w.submit(claiming(spareResource(230 + cell)))
			c, err := w.First.Client(w.bearers[sysadmin]).Claims().Read(context.Background(), "firm/uscc")
			check(w.t, err)
			return changing("/api/v1/claims/firm/uscc/decision", c.Revision, client.ClaimVerdict{Resource: spareResource(230 + cell).ID, Reason: "样例"})
		}},
		"GET /api/v1/libraries":      {known, nil},
		"GET /api/v1/libraries/{id}": {known, plain("/api/v1/libraries/population")},
		"PUT /api/v1/libraries/{id}": {system, func(*world, int) request {
			return creating("/api/v1/libraries/spare", bus.Library{Kind: bus.LibraryTheme, Name: "样例", Prefix: "299"})
		}},
		"DELETE /api/v1/libraries/{id}": {[7]int{401, 403, 403, 403, 204, 403, 403}, func(w *world, cell int) request {
			l := bus.Library{ID: bus.LibraryID(fmt.Sprint("gone-", cell)), Kind: bus.LibraryTheme, Name: "样例", Prefix: fmt.Sprint(280 + cell)}
			l, err := w.First.Client(w.bearers[sysadmin]).Libraries().Put(context.Background(), l)
			check(w.t, err)
			return deleting("/api/v1/libraries/"+string(l.ID), l.Revision)
		}},
		"GET /api/v1/calendar":     {known, nil},
		"GET /api/v1/calendar/due": {known, plain("/api/v1/calendar/due?start=2025-09-26&days=10")},
		"PUT /api/v1/calendar": {system, func(*world, int) request {
			return request{body: text(`{"days":[{"date":"2027-10-01","name":"国庆节","kind":"off"}]}`)}
		}},
	}
}

func changing(path string, r bus.Revision, v any) request {
	q := creating(path, v)
	q.header = map[string]string{change: fmt.Sprintf(`"%d"`, r)}
	return q
}

func claiming(r bus.Resource) bus.Resource {
	r.Entity, r.Items[0].Source = "firm", true
	return r
}

type draft struct{ bus.Draft }

func (d draft) ref() []bus.DraftRef { return []bus.DraftRef{{ID: d.ID, Revision: d.Revision}} }

// draft makes a draft of the provider.
func (w *world) draft(n int) draft {
	w.t.Helper()
	content := sample.Content(spareResource(n))
	d, err := w.First.Client(w.bearers[provider]).Drafts().Put(context.Background(), bus.Draft{Resource: content.Resource, Clearance: content.Clearance})
	check(w.t, err)
	return draft{d}
}

func (w *world) submitted(n int) draft {
	w.t.Helper()
	return w.submit(spareResource(n))
}

func (w *world) submit(r bus.Resource) draft {
	w.t.Helper()
	rows, err := w.First.Client(w.bearers[provider]).ImportDrafts(context.Background(), client.DraftImport{Drafts: []bus.DraftContent{sample.Content(r)}, Submit: true})
	check(w.t, err)
	return draft{bus.Draft{ID: rows[0].ID, Revision: rows[0].Revision}}
}

// published publishes a resource, if that has not been done.
func (w *world) published(r bus.Resource) bus.Resource {
	w.t.Helper()
	have, err := w.First.Client(w.bearers[sysadmin]).Resources().Read(context.Background(), r.ID)
	if err == nil {
		return have
	}
	w.Publish(r)
	have, err = w.First.Client(w.bearers[sysadmin]).Resources().Read(context.Background(), r.ID)
	check(w.t, err)
	return have
}

func (w *world) cause() client.TriggerRecord {
	return client.TriggerRecord{Kind: bus.TriggerLaw, At: w.clock.Now().Add(-time.Hour), Description: "样例"}
}

func (w *world) trigger() bus.Trigger {
	w.t.Helper()
	t, err := w.First.Client(w.bearers[provider]).Triggers().Record(context.Background(), registration, w.cause())
	check(w.t, err)
	return t
}
