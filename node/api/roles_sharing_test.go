package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// sharingMatrix is who may do what with applications and grants. Nobody but
// accounts of departments has a part in it: what those are answered stands in
// departmental, and in TestS30.
func sharingMatrix(known [7]int) map[string]route {
	none := [7]int{401, 403, 403, 403, 403, 403, 403}
	step := func(verb string, prepare func(w *world, id bus.ApplicationID) bus.Application, body any) func(*world, int) request {
		return func(w *world, cell int) request {
			a := prepare(w, bus.ApplicationID(fmt.Sprint("step-", verb, "-", cell)))
			return changing("/api/v1/applications/"+string(a.ID)+"/"+verb, a.Revision, body)
		}
	}
	return map[string]route{
		"GET /api/v1/applications": {known, nil},
		"GET /api/v1/applications/{id}": {[7]int{401, 200, 200, 404, 200, 200, 200}, func(w *world, cell int) request {
			return request{path: "/api/v1/applications/" + string(w.filed(bus.ApplicationID(fmt.Sprint("read-", cell))).ID)}
		}},
		"PUT /api/v1/applications/{id}": {none, func(_ *world, cell int) request {
			return creating(fmt.Sprint("/api/v1/applications/put-", cell), content(sample.ShenzhenMarket))
		}},
		"DELETE /api/v1/applications/{id}": {none, func(w *world, cell int) request {
			a := w.written(bus.ApplicationID(fmt.Sprint("deleted-", cell)))
			return deleting("/api/v1/applications/"+string(a.ID), a.Revision)
		}},
		"POST /api/v1/applications/{id}/submit":    {none, step("submit", (*world).written, client.Empty{})},
		"POST /api/v1/applications/{id}/answer":    {none, step("answer", (*world).filed, client.ApplicationAnswer{Verdict: client.VerdictApprove})},
		"POST /api/v1/applications/{id}/withdraw":  {none, step("withdraw", (*world).filed, client.ApplicationWithdrawal{})},
		"POST /api/v1/applications/{id}/extension": {none, step("extension", (*world).filed, client.ExtensionRequest{Days: 5, Reason: "样例"})},
		"POST /api/v1/applications/{id}/consent":   {none, step("consent", (*world).extended, client.Consent{Approve: true})},
		"POST /api/v1/grants/{id}/stop": {[7]int{401, 403, 403, 404, 403, 403, 403}, func(w *world, cell int) request {
			id := fmt.Sprint("stopped-", cell)
			_, err := w.First.Client(w.bearers[secadmin]).Grants().Put(context.Background(), sample.Grant(bus.GrantID(id), sample.EnterpriseRegistration(), sample.TianheServices))
			check(w.t, err)
			return request{path: "/api/v1/grants/" + id + "/stop", body: text(`{"step":"suspend","reason":"测试"}`)}
		}},
	}
}

// content is a complete application of a department for the sample resource.
func content(d bus.Department) bus.ApplicationContent {
	return bus.ApplicationContent{
		Department: d.ID, Resource: registration, Version: 1, Basis: "样例条例第一条", Scenario: "样例事项", Items: []bus.ItemID{"uscc", "phone"},
		Division: "440000", Mode: "batch", Purposes: []bus.Purpose{bus.PurposeVerification}, Until: time.Now().AddDate(1, 0, 0).UTC(),
	}
}

func (w *world) as(account string) client.Applications {
	return w.First.Client(w.bearers[account]).Applications()
}

func (w *world) written(id bus.ApplicationID) bus.Application {
	w.t.Helper()
	a, err := w.as(applicant).Put(context.Background(), bus.Application{ID: id, Content: content(sample.TianheServices)})
	check(w.t, err)
	return a
}

func (w *world) filed(id bus.ApplicationID) bus.Application {
	w.t.Helper()
	a, err := w.as(applicant).Submit(context.Background(), w.written(id))
	check(w.t, err)
	return a
}

func (w *world) extended(id bus.ApplicationID) bus.Application {
	w.t.Helper()
	a, err := w.as(sharing).Extend(context.Background(), w.filed(id), client.ExtensionRequest{Days: 10, Reason: "样例"})
	check(w.t, err)
	return a
}

// S30: of the accounts of departments only the applicant's operator files, and only
// the provider's reviewer answers; nobody, of any role, approves their own.
func TestS30WhoFilesDoesNotAnswerAndNoAdministratorDoesEither(t *testing.T) {
	w := newWorld(t)
	accounts := []string{sysadmin, secadmin, auditor, operator, reviewer, applicant, sharing, provider, consumer}
	for _, c := range []struct {
		verb    string
		prepare func(*world, bus.ApplicationID) bus.Application
		body    any
		may     []string
	}{
		{"submit", (*world).written, client.Empty{}, []string{applicant}},
		{"answer", (*world).filed, client.ApplicationAnswer{Verdict: client.VerdictApprove}, []string{sharing}},
		{"extension", (*world).filed, client.ExtensionRequest{Days: 1, Reason: "样例"}, []string{sharing}},
		{"consent", (*world).extended, client.Consent{Approve: true}, []string{reviewer}},
		{"withdraw", (*world).filed, client.ApplicationWithdrawal{}, []string{applicant}},
	} {
		t.Run(c.verb, func(t *testing.T) {
			w.t = t
			for _, who := range accounts {
				a := c.prepare(w, bus.ApplicationID(c.verb+"-by-"+who))
				r := changing("/api/v1/applications/"+string(a.ID)+"/"+c.verb, a.Revision, c.body)
				r.method, r.who = "POST", who
				got := w.ask(r)
				if may := slices.Contains(c.may, who); may != (got.status == http.StatusOK) || !may && got.status != http.StatusForbidden && got.status != http.StatusNotFound {
					t.Errorf("%s by %s: %d %s", c.verb, who, got.status, got.body)
				}
			}
		})
	}
}

// S28: whose a thing is, which level it is of, and what was decided about it are
// not written like a name or a date.
func TestS28OwnerLevelAndApprovalStateAreNotWritten(t *testing.T) {
	w := newWorld(t)
	filed := w.filed("filed")
	g, err := w.First.Client(w.bearers[secadmin]).Grants().Read(context.Background(), "grant-1")
	check(t, err)
	d, err := w.First.Client(w.bearers[sysadmin]).Divisions().Read(context.Background(), "440300")
	check(t, err)
	revision := func(r bus.Revision) string { return fmt.Sprintf(`"%d"`, r) }
	spliced := func(v any, field, value string) string {
		return strings.TrimSuffix(asJSON(t, v), "}") + `,"` + field + `":` + value + "}"
	}
	without := g
	without.Shown = nil
	level := d
	level.Level = bus.LevelProvince
	for _, c := range []struct {
		name, who, path, body string
		match                 bus.Revision
	}{
		{"an application's state", applicant, "/api/v1/applications/filed", spliced(filed.Content, "state", `"approved"`), filed.Revision},
		{"an application's answer", applicant, "/api/v1/applications/new", spliced(filed.Content, "answer", `{"approved":true}`), 0},
		{"a draft's state", operator, "/api/v1/drafts/new", spliced(sample.Content(spareResource(1)), "state", `"published"`), 0},
		{"a draft's review", operator, "/api/v1/drafts/new", spliced(sample.Content(spareResource(1)), "review", `{"approved":true}`), 0},
		{"a division's level", sysadmin, "/api/v1/divisions/440300", asJSON(t, level), d.Revision},
		{"a system's department", sysadmin, "/api/v1/systems/" + string(sample.SystemOf(sample.ShenzhenMarket).ID),
			asJSON(t, bus.System{ID: sample.SystemOf(sample.ShenzhenMarket).ID, Name: "样例", Department: sample.TianheServices.ID}), 0},
		{"a grant's suspension", secadmin, "/api/v1/grants/grant-1", spliced(without, "suspended", `"x"`), g.Revision},
		{"a grant's end", secadmin, "/api/v1/grants/grant-1", spliced(without, "revoked", `"x"`), g.Revision},
		{"a grant's delivery", secadmin, "/api/v1/grants/grant-1", spliced(without, "delivered", `"2026-01-01T00:00:00Z"`), g.Revision},
		{"a grant's consent", secadmin, "/api/v1/grants/new", spliced(sample.Grant("new", sample.EnterpriseRegistration(), sample.TianheServices), "consent", `{}`), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			r := request{method: "PUT", path: c.path, who: c.who, body: text(c.body), header: map[string]string{create: "*"}}
			if strings.Contains(c.path, "/systems/") {
				s, err := w.First.Client(w.bearers[sysadmin]).Systems().Read(context.Background(), sample.SystemOf(sample.ShenzhenMarket).ID)
				check(t, err)
				c.match = s.Revision
			}
			if c.match != 0 {
				r.header = map[string]string{change: revision(c.match)}
			}
			if got := w.ask(r); got.status != http.StatusBadRequest {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

func TestAnApplicationFromItsDraftToTheFirstDay(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a, err := w.as(applicant).Put(ctx, bus.Application{ID: "story", Content: bus.ApplicationContent{Department: sample.TianheServices.ID}})
	check(t, err)
	if len(a.Shown.Missing) != 8 {
		t.Errorf("an empty draft lacks %+v", a.Shown.Missing)
	}
	_, err = w.as(applicant).Submit(ctx, a)
	if p := problem(t, err); p.Code != bus.CodeIncomplete || len(p.Defects) != 8 {
		t.Errorf("submitted empty: %v", err)
	}
	a.Content = content(sample.TianheServices)
	if a, err = w.as(applicant).Put(ctx, a); err != nil || len(a.Shown.Missing) != 0 {
		t.Fatalf("completed: %+v %v", a.Shown, err)
	}
	a, err = w.as(applicant).Submit(ctx, a)
	check(t, err)
	if a.Shown.Answer == nil || a.Shown.Provider != sample.ShenzhenMarket.ID || a.Shown.Authority != sample.ProvinceData.ID {
		t.Errorf("submitted: %+v", a.Shown)
	}
	waiting, err := w.as(sharing).List(ctx, client.ApplicationFilter{State: bus.ApplicationPending})
	if err != nil || len(waiting) != 1 || waiting[0].ID != "story" {
		t.Errorf("the provider finds %+v: %v", waiting, err)
	}
	a, err = w.as(sharing).Answer(ctx, a, client.ApplicationAnswer{Verdict: client.VerdictApprove, Terms: bus.Terms{Items: []bus.ItemID{"uscc"}}, Opinion: "电话与事项无关"})
	check(t, err)
	g, err := w.First.Client(w.bearers[consumer]).Grants().Read(ctx, a.Grant)
	check(t, err)
	if a.Shown.Delivery == nil || len(g.Items) != 1 || g.Shown.State != bus.GrantInForce || g.Shown.Delivery == nil || g.Consent.Range != "全省行政机关" {
		t.Errorf("approved: %+v\n%+v", a.Shown, g)
	}
	system := w.First.Client(w.bearers[consumer])
	wantDenied(t, w.queries(registration, a.Grant), "base:mode-outside-grant")
	_, err = system.Subscriptions().Put(ctx, bus.Subscription{ID: "story", Resource: registration, Grant: a.Grant, Purpose: bus.PurposeVerification})
	check(t, err)
	if g, err = system.Grants().Read(ctx, a.Grant); err != nil || g.Delivered != nil {
		t.Errorf("delivered before anything was: %+v, %v", g, err)
	}
	_, err = w.First.Client(w.bearers[provider]).Publish(ctx, registration, sample.Event(sample.SystemOf(sample.ShenzhenMarket), 0))
	check(t, err)
	w.delivered(a.Grant)
}

// What is consented to be asked for is not had as events; and the answer to the first
// query ends the term to deliver.
func TestAConsentToQueriesFromItsApplicationToTheFirstAnswer(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	r := spareResource(1)
	r.Modes, r.UpdateCycle = []string{"interface", "batch"}, "daily"
	w.Publish(r)
	w.bind(r.ID)
	a, err := sample.Apply(ctx, w.First.Client(w.bearers[applicant]), w.First.Client(w.bearers[sharing]), sample.Application("queries", r, sample.TianheServices))
	check(t, err)
	system := w.First.Client(w.bearers[consumer])
	_, err = system.Subscriptions().Put(ctx, bus.Subscription{ID: "queries", Resource: r.ID, Grant: a.Grant, Purpose: bus.PurposeVerification})
	wantDenied(t, err, "base:mode-outside-grant")
	if g, err := system.Grants().Read(ctx, a.Grant); err != nil || g.Delivered != nil || g.Shown.Delivery == nil {
		t.Errorf("before the first answer: %+v, %v", g, err)
	}
	check(t, w.queries(r.ID, a.Grant))
	w.delivered(a.Grant)
}

// queries asks a query under a grant.
func (w *world) queries(r bus.ResourceID, g bus.GrantID) error {
	_, err := w.First.Client(w.bearers[consumer]).Query(context.Background(), r, client.Query{Grant: g, Purpose: bus.PurposeVerification, Matter: "440106001000", Case: "办件-1"})
	return err
}

// delivered waits until the directory knows of the first exchange under a grant.
func (w *world) delivered(id bus.GrantID) {
	w.t.Helper()
	nodetest.Eventually(w.t, "the first exchange is told", func() error {
		g, err := w.First.Client(w.bearers[consumer]).Grants().Read(context.Background(), id)
		if err == nil && g.Delivered == nil {
			return errors.New("not yet")
		}
		return err
	})
}

func wantDenied(t *testing.T, err error, field string) {
	t.Helper()
	if p := problem(t, err); p.Code != bus.CodeDenied || !slices.ContainsFunc(p.Defects, func(d bus.Defect) bool { return d.Field == field }) {
		t.Errorf("want a denial by %s, got %v", field, err)
	}
}

func problem(t *testing.T, err error) *client.Problem {
	t.Helper()
	p, ok := errors.AsType[*client.Problem](err)
	if !ok {
		t.Fatalf("not a problem: %v", err)
	}
	return p
}
