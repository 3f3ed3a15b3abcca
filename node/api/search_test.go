package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (w *world) search(who, query string) client.ResourcePage {
	w.t.Helper()
	got := w.ask(request{method: "GET", path: "/api/v1/resources?" + query, who: who})
	if got.status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", query, got.status, got.body)
	}
	var page client.ResourcePage
	check(w.t, json.Unmarshal([]byte(got.body), &page))
	return page
}

func found(p client.ResourcePage) (ids []string) {
	for _, f := range p.Items {
		ids = append(ids, string(f.ID))
	}
	return ids
}

func TestResourcesAreFound(t *testing.T) {
	w := newWorld(t)
	var more []bus.Resource
	for i := range 30 {
		r := spareResource(i)
		r.Name, r.Format = fmt.Sprintf("道路照明设施%d号", i), [...]string{"file", "stream"}[i%2]
		more = append(more, r)
	}
	w.Publish(more...)
	c := w.First.Client(w.bearers[stranger])
	ctx := context.Background()

	page := w.search(stranger, "q="+url.QueryEscape("照明 设施")+"&format=file&facets=format,division&limit=10&sort=id")
	if page.Total != 15 || len(page.Items) != 10 || page.Next == "" || !page.Complete || page.Indexed != page.Entries || page.Indexed != 31 {
		t.Errorf("%d of %d, %+v", len(page.Items), page.Total, page)
	}
	if f := page.Facets["format"].Values; len(f) != 2 || f[0].Count != 15 || f[1].Count != 15 {
		t.Errorf("formats %+v", f)
	}
	if f := page.Facets["division"].Values; len(f) != 2 || f[0].Name != "广东省" || f[1] != (client.FacetValue{Value: "440300", Name: "深圳市", Count: 15}) {
		t.Errorf("divisions %+v", f)
	}
	if h := page.Items[0].Highlights; len(h) == 0 || h[0].Field != "name" || !slices.Contains(h[0].Parts, client.Part{Text: "照明设施", Hit: true}) {
		t.Errorf("highlights %+v", h)
	}
	next, err := c.Search(ctx, client.ResourceQuery{Words: "照明 设施", Formats: []string{"file"}, Sort: "id", Cursor: page.Next})
	check(t, err)
	if all := append(found(page), found(next)...); len(next.Items) != 5 || len(slices.Compact(all)) != 15 {
		t.Errorf("the next page: %v", found(next))
	}
	all, err := c.Resources().List(ctx)
	check(t, err)
	if len(all) != 31 || !slices.IsSortedFunc(all, func(a, b bus.Resource) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
		t.Errorf("%d are listed", len(all))
	}
	if ids := found(w.search(consumer, "provider="+string(sample.ShenzhenMarket.ID)+"&sharing=conditional&level=city&sort=name&limit=1")); !slices.Equal(ids, []string{"enterprise-registration"}) {
		t.Errorf("filtered: %v", ids)
	}

	t.Run("every defect at once", func(t *testing.T) {
		w.t = t
		got := w.ask(request{method: "GET", path: "/api/v1/resources?q=%2a&sort=x&facets=y&cursor=z", who: stranger})
		var fields []string
		for _, d := range got.problem.Defects {
			fields = append(fields, d.Field)
		}
		slices.Sort(fields)
		if got.status != http.StatusBadRequest || !slices.Equal(fields, []string{"facets", "q", "sort"}) {
			t.Errorf("%d %s", got.status, got.body)
		}
		for _, query := range []string{"limit=0", "limit=1001", "cursor=AAAA", "cursor=" + page.Next, "q=" + strings.Repeat("a", 2000)} {
			if got := w.ask(request{method: "GET", path: "/api/v1/resources?" + query, who: stranger}); got.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", query, got.status, got.body)
			}
		}
	})
	t.Run("drafts for those who see them", func(t *testing.T) {
		w.t = t
		draft := spareResource(99)
		draft.Name = "尚未发布的渡口"
		_, err := w.First.Client(w.bearers[operator]).Drafts().Put(ctx, bus.Draft{Resource: draft})
		check(t, err)
		for who, want := range map[string]int{operator: 1, provider: 1, reviewer: 1, sysadmin: 1, auditor: 1, consumer: 0, stranger: 0} {
			page := w.search(who, "q="+url.QueryEscape("渡口")+"&state=draft&min-index="+fmt.Sprint(w.applied()))
			if page.Total != want || len(page.Items) != want || want == 1 && page.Items[0].State != bus.StateDraft {
				t.Errorf("%s finds %+v", who, page)
			}
			if hidden := w.search(who, "q="+url.QueryEscape("渡口")); hidden.Total != 0 {
				t.Errorf("%s finds it among the published: %+v", who, hidden)
			}
		}
	})
}

// applied is the directory index that the node has reached.
func (w *world) applied() bus.Revision {
	w.t.Helper()
	status, err := w.First.Client(w.bearers[sysadmin]).Status(context.Background(), false)
	check(w.t, err)
	return status.AppliedIndex
}

// hiding is a layer of Shenzhen that shows enterprise registrations to Tianhe alone.
func hiding() bus.Layer {
	rule := `package gxbus.division.d440300

deny contains {"code": "not-for-you", "zh": "不对外", "en": "not for you"} if {
	input.action == "discover"
	input.resource.id == "enterprise-registration"
	not trusted
}

trusted if input.consumer.department == "` + string(sample.TianheServices.ID) + `"
`
	test := `package gxbus.division.d440300_test

import data.gxbus.division.d440300 as layer

test_it_hides if count(layer.deny) == 1 with input as {"action": "discover", "resource": {"id": "enterprise-registration"}}
`
	return bus.Layer{ID: "division/440300", Modules: map[string]string{"hide.rego": rule, "hide_test.rego": test}}
}

// What a policy hides from somebody is not there for him: on no way that he asks
// does he learn that it is.
func TestWhatPolicyHidesIsAbsentInEveryFace(t *testing.T) {
	w := newWorld(t)
	w.Publish(spareResource(1))
	_, err := w.First.Client(w.bearers[sysadmin]).Libraries().Put(context.Background(), bus.Library{ID: "registers", Kind: bus.LibraryTheme, Name: "登记", Prefix: "202"})
	check(t, err)
	counted := func(who string) int {
		t.Helper()
		l, err := w.First.Client(w.bearers[who]).Libraries().Read(context.Background(), "registers")
		check(t, err)
		return l.Resources
	}
	_, before := w.changes(sysadmin, "wait=0")
	w.Enact(hiding())
	second := sample.EnterpriseRegistration()
	second.Abstract = "又一版"
	w.Publish(second)

	version := bus.Subscription{Resource: registration, Purpose: bus.PurposeVerification}
	ask := func(who, id string) map[string]reply {
		at := "/api/v1/resources/" + id
		version.Resource = bus.ResourceID(id)
		event := text(`{"specversion":"1.0","id":"x","source":"/systems/x","type":"t","data":{}}`)
		return map[string]reply{
			"show":     w.ask(request{method: "GET", path: at, who: who}),
			"versions": w.ask(request{method: "GET", path: at + "/versions", who: who}),
			"version":  w.ask(request{method: "GET", path: at + "/versions/1", who: who}),
			"access":   w.ask(request{method: "GET", path: at + "/access?department=" + string(departmentOf(who)), who: who}),
			"withdraw": w.ask(request{
				method: "POST", path: at + "/withdraw", who: who, body: text(`{"reason":"x"}`), header: map[string]string{change: `"1"`},
			}),
			"trigger": w.ask(request{method: "POST", path: at + "/triggers", who: who, body: text(`{"kind":"duties","at":"2026-01-05T00:00:00Z","description":"x"}`)}),
			"subscribe": w.ask(request{
				method: "PUT", path: "/api/v1/subscriptions/hidden", who: who, body: text(asJSON(t, version)), header: map[string]string{create: "*"},
			}),
			"publish": w.ask(request{
				method: "POST", path: at + "/events", who: who, body: event, header: map[string]string{"Content-Type": "application/cloudevents+json"},
			}),
		}
	}
	for _, who := range []string{stranger, auditor, reviewer} {
		hidden, absent := ask(who, string(registration)), ask(who, "no-such-resource")
		for face, got := range hidden {
			want := absent[face]
			if got.status != want.status || strings.ReplaceAll(bare(got), string(registration), "ID") != strings.ReplaceAll(bare(want), "no-such-resource", "ID") {
				t.Errorf("%s, %s: %d %s\nwhere there is none: %d %s", who, face, got.status, bare(got), want.status, bare(want))
			}
			if slices.Contains([]string{"show", "versions", "version", "access"}, face) && got.status != http.StatusNotFound {
				t.Errorf("%s, %s: %d %s", who, face, got.status, got.body)
			}
		}
		if hidden["show"].problem.DecisionID != "" {
			t.Errorf("%s is told of a decision", who)
		}
		w.decidedOn(hidden["show"])
		page := w.search(who, "facets=division,provider,state")
		if ids := found(page); !slices.Equal(ids, []string{"spare-1"}) || page.Total != 1 || page.Facets["division"].Values[0].Count != 1 {
			t.Errorf("%s lists %v of %d, counts %+v", who, ids, page.Total, page.Facets)
		}
		if page := w.search(who, "q="+url.QueryEscape("企业登记")); page.Total != 1 {
			t.Errorf("%s finds %v", who, found(page))
		}
		if n := counted(who); n != 0 {
			t.Errorf("%s is told that a library has %d", who, n)
		}
		events, _ := w.changes(who, "kind=resource&wait=0&from="+before.header.Get("Gxbus-Index"))
		if len(events) != 0 {
			t.Errorf("%s is told of %+v", who, events)
		}
	}
	for _, who := range []string{provider, operator, consumer} {
		if n := counted(who); n != 1 {
			t.Errorf("%s is told that a library has %d", who, n)
		}
		page := w.search(who, "facets=division")
		if ids := found(page); len(ids) != 2 || page.Facets["division"].Values[0].Count != 2 {
			t.Errorf("%s lists %v, counts %+v", who, ids, page.Facets)
		}
		if got := w.ask(request{method: "GET", path: "/api/v1/resources/enterprise-registration", who: who}); got.status != http.StatusOK {
			t.Errorf("%s: %d", who, got.status)
		}
		if events, _ := w.changes(who, "kind=resource&wait=0&from="+before.header.Get("Gxbus-Index")); len(events) != 1 {
			t.Errorf("%s is told of %+v", who, events)
		}
	}

	w.Enact(bus.Layer{ID: "division/440300"})
	if page := w.search(stranger, ""); page.Total != 2 {
		t.Errorf("once the layer is gone: %v", found(page))
	}
}

// departmentOf is whose access somebody asks for.
func departmentOf(who string) bus.USCC {
	return map[string]bus.USCC{stranger: sample.GuangzhouHealth.ID, auditor: sample.GuangzhouHealth.ID, reviewer: sample.ProvinceData.ID}[who]
}

// bare is a refusal without what differs from request to request.
func bare(r reply) string {
	p := r.problem
	p.RequestID = ""
	return fmt.Sprintf("%+v", p)
}

// decidedOn wants one leaf of a refused request: the decision to hide.
func (w *world) decidedOn(r reply) {
	w.t.Helper()
	var leaves []audit.Record
	for _, leaf := range w.leaves() {
		if leaf.Request == r.problem.RequestID {
			leaves = append(leaves, leaf)
		}
	}
	if len(leaves) != 1 || leaves[0].Kind != audit.KindDecision || leaves[0].Decision.Action != "discover" || leaves[0].Decision.Allow || leaves[0].Resource != registration {
		w.t.Errorf("on record: %+v", leaves)
	}
}

func TestAccessIsExplained(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	explain := func(who string, q client.AccessQuery) bus.Access {
		t.Helper()
		a, err := w.First.Client(w.bearers[who]).Resources().Access(ctx, registration, q)
		check(t, err)
		return a
	}
	a := explain(consumer, client.AccessQuery{})
	if a.Department != sample.TianheServices.ID || len(a.Uses) != len(bus.Purposes()) {
		t.Fatalf("%+v", a)
	}
	for _, u := range a.Uses {
		if !u.Allowed || u.Action != "subscribe" || u.Grant != "grant-1" || u.Until.IsZero() || len(u.Items) != len(sample.EnterpriseRegistration().Items) || len(u.Masks) == 0 || len(u.Missing) != 0 {
			t.Errorf("%+v", u)
		}
	}
	mask := a.Uses[0].Masks["phone"]
	if mask != (bus.Mask{Method: bus.MaskKeep, Head: 3, Tail: 4}) {
		t.Errorf("phones are masked %+v", mask)
	}

	for who, q := range map[string]client.AccessQuery{stranger: {Purposes: []bus.Purpose{bus.PurposeReference}}, auditor: {
		Department: sample.GuangzhouHealth.ID, Purposes: []bus.Purpose{bus.PurposeReference},
	}} {
		a := explain(who, q)
		if len(a.Uses) != 1 || a.Uses[0].Allowed || a.Uses[0].Items != nil {
			t.Fatalf("%s: %+v", who, a)
		}
		var codes []string
		for _, m := range a.Uses[0].Missing {
			codes = append(codes, m.Code)
			if m.Layer != bus.BaseLayer || m.Message.ZH == "" || m.Message.EN == "" || m.Next.ZH == "" || m.Next.EN == "" {
				t.Errorf("%+v", m)
			}
		}
		if !slices.Contains(codes, "grant-missing") {
			t.Errorf("%s lacks %v", who, codes)
		}
	}
	if a := explain(provider, client.AccessQuery{}); !a.Uses[0].Allowed || a.Uses[0].Grant != "" || a.Uses[0].Masks != nil {
		t.Errorf("its own: %+v", a)
	}
	got := w.ask(request{method: "GET", path: "/api/v1/resources/enterprise-registration/access?purpose=fun", who: consumer})
	if got.status != http.StatusBadRequest || got.problem.Defects[0].Field != "purpose" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := w.ask(request{method: "GET", path: "/api/v1/resources/enterprise-registration/access", who: auditor}); got.status != http.StatusBadRequest {
		t.Errorf("an administrator names no department: %d", got.status)
	}

	told := 0
	for _, leaf := range w.leaves() {
		if leaf.Kind == audit.KindExplained {
			told++
			if leaf.Resource != registration || leaf.Consumer == "" || leaf.Detail == "" {
				t.Errorf("%+v", leaf)
			}
		}
	}
	if told != 4 {
		t.Errorf("%d leaves of four explanations", told)
	}

	t.Run("hidden from the department that is asked about", func(t *testing.T) {
		w.Enact(bus.Layer{ID: "division/440300", Modules: map[string]string{
			"hide.rego":      strings.ReplaceAll(hiding().Modules["hide.rego"], "not trusted", "input.consumer.department"),
			"hide_test.rego": strings.ReplaceAll(hiding().Modules["hide_test.rego"], `"action"`, `"consumer": {"department": "X"}, "action"`),
		}})
		a := explain(auditor, client.AccessQuery{Department: sample.GuangzhouHealth.ID})
		if len(a.Uses) != 0 || len(a.Missing) != 1 || a.Missing[0].Code != "not-for-you" {
			t.Errorf("%+v", a)
		}
	})
}

// An explanation says what doing it then gives.
func TestAnExplanationIsWhatHappens(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for who, grant := range map[string]bus.GrantID{consumer: "grant-1", stranger: "", provider: ""} {
		c := w.First.Client(w.bearers[who])
		for _, purpose := range bus.Purposes() {
			a, err := c.Resources().Access(ctx, registration, client.AccessQuery{Purposes: []bus.Purpose{purpose}})
			check(t, err)
			_, err = c.Subscriptions().Put(ctx, bus.Subscription{ID: bus.SubscriptionID(who + "-" + string(purpose)), Resource: registration, Grant: grant, Purpose: purpose})
			if a.Uses[0].Allowed != (err == nil) {
				t.Errorf("%s for %s: explained as %v, then %v", who, purpose, a.Uses[0].Allowed, err)
			}
		}
	}
}
