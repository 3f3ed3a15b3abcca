package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// refusal is a request that must be refused, and how.
type refusal struct {
	name    string
	request func() request // made anew for each language
	status  int
	code    bus.Code
	field   string // of one of the defects
	allowed string // part of what that defect allows
	dark    bool   // nobody is known, so there is no leaf
}

func TestBadInputIsRefusedInBothLanguagesRecordedAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.bearers["forged"] = w.bearers[provider][:len(w.bearers[provider])-2] + "AA"
	w.bearers["garbage"] = "gxs_\"'><script>"
	w.bearers["expired"] = "gxa_" + strings.Repeat("A", 52)
	before := w.nouns()
	var rows []refusal
	rows = append(rows, jsonRefusals(t)...)
	rows = append(rows, preconditionRefusals(t)...)
	rows = append(rows, eventRefusals()...)
	rows = append(rows, credentialRefusals(t)...)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w.t = t
			known := len(w.leaves())
			for _, lang := range []bus.Lang{bus.English, bus.Chinese} {
				r := row.request()
				r.header = with(r.header, "Accept-Language", string(lang))
				refusedAs(t, w.ask(r), row, lang)
			}
			want := 2
			if row.dark {
				want = 0
			}
			if got := w.leaves()[known:]; len(got) != want {
				t.Errorf("%d leaves for two refusals, want %d: %+v", len(got), want, got)
			} else {
				for _, leaf := range got {
					if leaf.Code != row.code || leaf.Principal == (bus.Principal{}) {
						t.Errorf("leaf tells %s of %v, want %s", leaf.Code, leaf.Principal, row.code)
					}
				}
			}
		})
	}
	w.t = t
	if after := w.nouns(); after != before {
		t.Errorf("the directory changed:\n%s\nbefore:\n%s", after, before)
	}
	receipts, err := w.First.Client(w.bearers[provider]).Publish(context.Background(), "enterprise-registration", sample.Event(sample.SystemOf(sample.ShenzhenMarket), 1))
	check(t, err)
	if receipts[0].Sequence != 1 {
		t.Errorf("the first good event is number %d: a refused one was kept", receipts[0].Sequence)
	}
}

func refusedAs(t *testing.T, got reply, row refusal, lang bus.Lang) {
	t.Helper()
	p := got.problem
	if got.status != row.status || p.Status != row.status || p.Code != row.code {
		t.Fatalf("answered %d %s, want %d %s\n%s", got.status, p.Code, row.status, row.code, got.body)
	}
	if want := row.code.Text().In(lang); p.Title != want {
		t.Errorf("title in %s is %q, want %q", lang, p.Title, want)
	}
	if p.Type != "urn:gxbus:problem:"+string(row.code) || p.RequestID == "" {
		t.Errorf("type %q, request id %q", p.Type, p.RequestID)
	}
	found := row.field == ""
	for _, d := range p.Defects {
		if d.Problem.ZH == "" || d.Problem.EN == "" {
			t.Errorf("defect of %s is told in one language only: %+v", d.Field, d.Problem)
		}
		if !strings.Contains(p.Detail, d.Problem.In(lang)) {
			t.Errorf("detail %q does not tell %q", p.Detail, d.Problem.In(lang))
		}
		if d.Field == row.field && strings.Contains(d.Allowed, row.allowed) {
			found = true
		}
	}
	if !found {
		t.Errorf("no defect of %q that allows %q: %+v", row.field, row.allowed, p.Defects)
	}
}

func with(header map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for n, v := range header {
		all[n] = v
	}
	return all
}

const (
	newDepartment = "/api/v1/departments/114400000069401674"
	newDraft      = "/api/v1/drafts/fresh"
	events        = "/api/v1/resources/enterprise-registration/events"
)

// put is a creation by the system administrator.
func put(path, body string) func() request {
	return func() request {
		return request{method: http.MethodPut, path: path, who: sysadmin, header: map[string]string{create: "*"}, body: text(body)}
	}
}

func jsonRefusals(t *testing.T) []refusal {
	t.Helper()
	good := `{"name":"省数据局","division":"440000"}`
	resource := func(mutate func(*bus.Resource)) string {
		r := sample.EnterpriseRegistration()
		r.ID, r.Codes = "fresh", []bus.ResourceCode{"3010010001/000777"}
		mutate(&r)
		return asJSON(t, sample.Content(r))
	}
	bad := func(name, body string, code bus.Code, field, allowed string) refusal {
		return refusal{name: name, request: put(newDepartment, body), status: 400, code: code, field: field, allowed: allowed}
	}
	typed := func(name, media, encoding string, field string) refusal {
		return refusal{name: name, status: 415, code: bus.CodeUnsupported, field: field, request: func() request {
			r := put(newDepartment, good)()
			r.header["Content-Type"], r.header["Content-Encoding"] = media, encoding
			return r
		}}
	}
	return []refusal{
		{name: "wrong USCC check digit", request: put("/api/v1/departments/114400000069401675", good), status: 400, code: bus.CodeInvalid, field: "id", allowed: "GB 32100"},
		bad("unknown division", `{"name":"省数据局","division":"990000"}`, bus.CodeInvalid, "division", ""),
		bad("required fields, all at once", `{}`, bus.CodeInvalid, "division", ""),
		{name: "resource code breaks the pattern", request: put(newDraft, resource(func(r *bus.Resource) { r.Codes[0] = "4010010001-1" })),
			status: 400, code: bus.CodeInvalid, field: "codes[0]", allowed: `^[1-3]\d{2}\d{3}`},
		{name: "S13 look-alike letters in a code", request: put(newDraft, resource(func(r *bus.Resource) { r.Codes[0] = "301001000１/000777" })),
			status: 400, code: bus.CodeInvalid, field: "codes[0]"},
		{name: "S13 look-alike letters in a path", request: put("/api/v1/drafts/fr%D0%B5sh", resource(func(*bus.Resource) {})), status: 400, code: bus.CodeInvalid, field: "id", allowed: "A-Za-z"},
		{name: "S50 line break in a path", request: put("/api/v1/drafts/a%0d%0ab%1b%5b31m", resource(func(*bus.Resource) {})), status: 400, code: bus.CodeInvalid, field: "id"},
		{name: "S45 dots in a path", request: put("/api/v1/drafts/%2e%2e%2fnode.key", resource(func(*bus.Resource) {})), status: 400, code: bus.CodeInvalid, field: "id"},
		{name: "endless path", request: put("/api/v1/drafts/"+strings.Repeat("a", 70<<10), "{}"), status: 400, code: bus.CodeInvalid, field: "id"},
		{name: "id in the body differs from the path", request: put("/api/v1/drafts/other", resource(func(*bus.Resource) {})), status: 400, code: bus.CodeInvalid, field: "id", allowed: "other"},
		{name: "art. 3 a secrecy mark", request: put(newDraft, resource(func(r *bus.Resource) { r.Secrecy = "秘密" })), status: 400, code: bus.CodeSecret, field: "secrecy"},
		{name: "art. 14 a departmental rule as the ground", status: 400, code: bus.CodeInvalid, field: "sharing.basis.kind", allowed: "law, administrative-regulation, state-council-decision",
			request: put(newDraft, resource(func(r *bus.Resource) {
				r.Sharing = bus.Sharing{Type: bus.NotShared, Basis: &bus.Basis{Kind: "departmental-rule"}}
			}))},
		{name: "S28 the state of a draft", status: 400, code: bus.CodeInvalid, field: "state", allowed: "clearance", request: put(newDraft, `{"resource":{"id":"fresh"},"state":"published"}`)},
		{name: "an import over the cap", status: 413, code: bus.CodeTooLarge, field: "body", allowed: "524288 bytes", request: func() request {
			return request{method: http.MethodPost, path: "/api/v1/drafts/import", who: sysadmin, body: text(`{"drafts":[` + strings.Repeat(" ", 512<<10) + `]}`)}
		}},
		{name: "an import of nothing", status: 400, code: bus.CodeInvalid, field: "drafts", request: func() request {
			return request{method: http.MethodPost, path: "/api/v1/drafts/import", who: sysadmin, body: text(`{"drafts":[],"dry_run":true}`)}
		}},
		{name: "drafts in no such state", status: 400, code: bus.CodeInvalid, field: "state", allowed: "in-review", request: func() request {
			return request{method: http.MethodGet, path: "/api/v1/drafts?state=published", who: sysadmin}
		}},
		{name: "a day that is none", status: 400, code: bus.CodeInvalid, field: "start", request: func() request {
			return request{method: http.MethodGet, path: "/api/v1/calendar/due?start=2026-02-30&days=1", who: sysadmin}
		}},
		bad("unknown field", `{"name":"省数据局","division":"440000","approved":true}`, bus.CodeInvalid, "approved", "division"),
		{name: "a filter dialect that nobody knows", status: 400, code: bus.CodeInvalid, field: "filters[0].regex", allowed: "all, any, exact, not, prefix, sql, suffix", request: put("/api/v1/subscriptions/fresh",
			`{"resource":"enterprise-registration","purpose":"verification","filters":[{"regex":{"type":"."}}]}`)},
		{name: "one inside another", status: 400, code: bus.CodeInvalid, field: "filters[0].all[1].not.regex", allowed: "prefix", request: put("/api/v1/subscriptions/fresh",
			`{"resource":"enterprise-registration","purpose":"verification","filters":[{"all":[{"exact":{"type":"a"}},{"not":{"regex":{"type":"."}}}]}]}`)},
		bad("S11 duplicate key", `{"name":"省数据局","division":"440000","name":"他局"}`, bus.CodeMalformedJSON, "name", ""),
		bad("S11 key in another case", `{"Name":"省数据局","division":"440000"}`, bus.CodeInvalid, "Name", "name"),
		bad("S10 depth bomb", `{"name":`+strings.Repeat("[", 100_000), bus.CodeMalformedJSON, "", ""),
		bad("S10 huge exponent", `{"name":"省数据局","division":"440000","revision":1e999999}`, bus.CodeMalformedJSON, "revision", ""),
		bad("S12 trailing bytes", good+`{}`, bus.CodeMalformedJSON, "", ""),
		bad("S12 byte order mark", "\ufeff"+good, bus.CodeMalformedJSON, "", ""),
		bad("S12 NUL in a string", `{"name":"省\u0000局","division":"440000"}`, bus.CodeMalformedJSON, "name", ""),
		bad("S12 invalid UTF-8", "{\"name\":\"\xff\xfe\",\"division\":\"440000\"}", bus.CodeMalformedJSON, "", "UTF-8"),
		bad("wrong type", `{"name":7,"division":"440000"}`, bus.CodeInvalid, "name", "a string"),
		bad("empty body", ``, bus.CodeMalformedJSON, "body", ""),
		typed("S48 JSON sent as text", "text/plain", "", "Content-Type"),
		typed("S48 JSON sent as a form", "application/x-www-form-urlencoded", "", "Content-Type"),
		typed("no content type", "", "", "Content-Type"),
		typed("S09 compressed body", "application/json", "gzip", "Content-Encoding"),
		{name: "S06 declared body over the cap", request: put(newDepartment, `{"name":"`+strings.Repeat("a", 1<<20)+`"}`), status: 413, code: bus.CodeTooLarge, field: "body", allowed: "1048576 bytes"},
		{name: "S06 chunked body over the cap", status: 413, code: bus.CodeTooLarge, field: "body", allowed: "1048576 bytes", request: func() request {
			r := put(newDepartment, "")()
			r.body = io.LimitReader(endless{}, 2<<20) // of a length that nobody knows before
			return r
		}},
		{name: "query out of range", status: 400, code: bus.CodeInvalid, field: "limit", allowed: "1–1000", request: func() request {
			return request{method: "GET", path: "/api/v1/subscriptions/sub-1/events?limit=1001", who: consumer}
		}},
		{name: "S54 a case of any length", status: 400, code: bus.CodeInvalid, field: "case", allowed: "512 bytes", request: func() request {
			return request{method: "POST", path: "/api/v1/resources/enterprise-registration/query", who: consumer, body: text(`{"case":"` + strings.Repeat("1", 513) + `"}`)}
		}},
		{name: "S50 a matter that speaks to the terminal", status: 400, code: bus.CodeInvalid, field: "matter", allowed: "text", request: func() request {
			return request{method: "GET", path: "/api/v1/resources/enterprise-registration/proxy/x", who: consumer, header: map[string]string{client.HeaderMatter: "%1b%5B31m"}}
		}},
		{name: "query that is no number", status: 400, code: bus.CodeInvalid, field: "limit", allowed: "1–1000", request: func() request {
			return request{method: "GET", path: "/api/v1/subscriptions/sub-1/events?limit=all", who: consumer}
		}},
		{name: "S36 a policy layer of another kind", status: 400, code: bus.CodeInvalid, field: "kind", allowed: "division", request: func() request {
			return request{method: "PUT", path: "/api/v1/policies/base/x/draft", who: secadmin, header: map[string]string{create: "*"}, body: text(`{"modules":{}}`)}
		}},
		{name: "S36 rego in a layer's name", status: 400, code: bus.CodeInvalid, field: "of", request: func() request {
			return request{method: "PUT", path: "/api/v1/policies/division/440000%5D%3B%20allow%20:=%20true/draft", who: secadmin, header: map[string]string{create: "*"}, body: text(`{"modules":{}}`)}
		}},
		{name: "S57 profiles", status: 404, code: bus.CodeNotFound, field: "path", request: func() request {
			return request{method: "GET", path: "/debug/pprof/heap", who: sysadmin}
		}},
		{name: "S57 metrics on the public listener", status: 404, code: bus.CodeNotFound, field: "path", dark: true, request: func() request {
			return request{method: "GET", path: "/metrics"}
		}},
		{name: "S28 PATCH", status: 404, code: bus.CodeNotFound, field: "path", request: func() request {
			return request{method: "PATCH", path: "/api/v1/resources/enterprise-registration", who: provider, body: text(`{"provider":"x"}`)}
		}},
	}
}

func preconditionRefusals(t *testing.T) []refusal {
	t.Helper()
	known := "/api/v1/departments/" + string(sample.ShenzhenMarket.ID)
	body := asJSON(t, sample.ShenzhenMarket)
	row := func(name string, status int, code bus.Code, field string, header map[string]string) refusal {
		return refusal{name: name, status: status, code: code, field: field, request: func() request {
			return request{method: "PUT", path: known, who: sysadmin, header: header, body: text(body)}
		}}
	}
	owner := sample.EnterpriseRegistration()
	owner.Provider = sample.TianheServices.ID
	return []refusal{
		row("no If-Match", 400, bus.CodeInvalid, "If-Match", nil),
		row("If-Match that is no revision", 400, bus.CodeInvalid, "If-Match", map[string]string{change: "*"}),
		row("If-Match and If-None-Match", 400, bus.CodeInvalid, "If-Match", map[string]string{change: `"1"`, create: "*"}),
		row("stale If-Match", 412, bus.CodeRevision, "department", map[string]string{change: `"1"`}),
		row("created twice", 409, bus.CodeExists, "department", map[string]string{create: "*"}),
		{name: "department in use is deleted", status: 412, code: bus.CodeRevision, field: "department", request: func() request {
			return request{method: "DELETE", path: known, who: sysadmin, header: map[string]string{change: `"1"`}}
		}},
		{name: "changed where nothing is", status: 404, code: bus.CodeNotFound, field: "department", request: func() request {
			return request{method: "PUT", path: newDepartment, who: sysadmin, header: map[string]string{change: `"7"`}, body: text(`{"name":"省数据局","division":"440000"}`)}
		}},
		{name: "S28 the provider of a resource is changed", status: 400, code: bus.CodeInvalid, field: "provider", allowed: string(sample.ShenzhenMarket.ID), request: func() request {
			return request{method: "PUT", path: "/api/v1/drafts/enterprise-registration", who: sysadmin, header: map[string]string{create: "*"}, body: text(asJSON(t, sample.Content(owner)))}
		}},
		{name: "S28 a subscription for another department", status: 400, code: bus.CodeInvalid, field: "consumer", allowed: string(sample.GuangzhouHealth.ID), request: func() request {
			s := bus.Subscription{ID: "sub-2", Resource: owner.ID, Consumer: sample.TianheServices.ID, Purpose: bus.PurposeReference}
			return request{method: "PUT", path: "/api/v1/subscriptions/sub-2", who: stranger, header: map[string]string{create: "*"}, body: text(asJSON(t, s))}
		}},
		{name: "acknowledged beyond what was handed out", status: 400, code: bus.CodeInvalid, field: "last", allowed: "at most 0", request: func() request {
			return request{method: "POST", path: "/api/v1/subscriptions/sub-1/ack", who: consumer, body: text(`{"last":5}`)}
		}},
	}
}

func eventRefusals() []refusal {
	source := sample.SystemOf(sample.ShenzhenMarket).Source()
	event := func(source, more string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"bad-1","source":%q,"type":"t"%s}`, source, more)
	}
	publish := func(path, who, media, body string) func() request {
		return func() request {
			return request{method: "POST", path: path, who: who, header: map[string]string{"Content-Type": media}, body: text(body)}
		}
	}
	const structured, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
	row := func(name, body string, status int, code bus.Code, field, allowed string) refusal {
		return refusal{name: name, request: publish(events, provider, structured, body), status: status, code: code, field: field, allowed: allowed}
	}
	big := `,"data":"` + strings.Repeat("a", 1<<20) + `"`
	return []refusal{
		row("S01 source of another system", event(sample.SystemOf(sample.TianheServices).Source(), ""), 403, bus.CodeSourceMismatch, "[0].source", source),
		row("S01 source that begins like ours", event(source+"x", ""), 403, bus.CodeSourceMismatch, "[0].source", source),
		row("S01 source that climbs out", event(source+"/../other", ""), 400, bus.CodeMalformedEvent, "source", "no dot segments"),
		row("event that is no JSON", `{"specversion":`, 400, bus.CodeMalformedJSON, "", ""),
		row("S11 event with a duplicate key", event(source, `,"id":"bad-2"`), 400, bus.CodeMalformedJSON, "id", ""),
		row("S11 event with data and data_base64", event(source, `,"data":1,"data_base64":"AA=="`), 400, bus.CodeMalformedEvent, "data_base64", ""),
		row("S10 event depth bomb", event(source, `,"data":`+strings.Repeat("[", 100_000)), 400, bus.CodeMalformedJSON, "", ""),
		row("S12 event with bytes after it", event(source, "")+"x", 400, bus.CodeMalformedJSON, "", ""),
		row("event without a type", `{"specversion":"1.0","id":"1","source":"`+source+`"}`, 400, bus.CodeMalformedEvent, "type", ""),
		row("S06 event over 1 MiB", event(source, big), 413, bus.CodeTooLarge, "", "1048576 bytes"),
		{name: "S06 request over 8 MiB, declared", request: publish(events, provider, batch, "["+strings.Repeat(" ", 8<<20)+"]"), status: 413, code: bus.CodeTooLarge, field: "body", allowed: "8388608 bytes"},
		{name: "S06 request over 8 MiB, chunked", status: 413, code: bus.CodeTooLarge, field: "body", allowed: "8388608 bytes", request: func() request {
			r := publish(events, provider, batch, "")()
			r.body = io.LimitReader(endless{}, 9<<20)
			return r
		}},
		{name: "empty batch", request: publish(events, provider, batch, "[]"), status: 400, code: bus.CodeMalformedEvent},
		{name: "unknown resource", request: publish("/api/v1/resources/no-such/events", provider, structured, event(source, "")), status: 404, code: bus.CodeNotFound, field: "resource"},
		{name: "no media type of an event", request: publish(events, provider, "text/html", "<p>"), status: 415, code: bus.CodeUnsupported, field: "Content-Type"},
		{name: "S09 compressed event", status: 415, code: bus.CodeUnsupported, field: "Content-Encoding", request: func() request {
			r := publish(events, provider, structured, event(source, ""))()
			r.header["Content-Encoding"] = "gzip, gzip"
			return r
		}},
		{name: "S03 header differs from the body", status: 400, code: bus.CodeMalformedEvent, field: "ce-source", request: func() request {
			r := publish(events, provider, structured, event(source, ""))()
			r.header["ce-source"] = source + "/other"
			return r
		}},
		{name: "published by an administrator", request: publish(events, sysadmin, structured, event(source, "")), status: 403, code: bus.CodeForbidden, allowed: ""},
	}
}

func credentialRefusals(t *testing.T) []refusal {
	t.Helper()
	row := func(name, who string, header map[string]string) refusal {
		return refusal{name: name, status: 401, code: bus.CodeUnauthenticated, field: "Authorization", dark: true, request: func() request {
			return request{method: "GET", path: "/api/v1/status", who: who, header: header}
		}}
	}
	return []refusal{
		row("no credential", nobody, nil),
		row("forged credential", "forged", nil),
		row("garbage for a credential", "garbage", nil),
		row("unknown session", "expired", nil),
		row("another scheme", nobody, map[string]string{"Authorization": "Basic c3lzYWRtaW46eA=="}),
		row("S05 forged identity headers", nobody, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "sysadmin", "X-Remote-User": "sysadmin", "X-Forwarded-Client-Cert": "By=spiffe://x/node/guangdong",
			"Gxbus-Principal": "account:sysadmin",
		}),
		{name: "S24 a join token of nobody", status: 400, code: bus.CodeInvalid, field: "token", dark: true, request: func() request {
			return request{method: "POST", path: "/api/v1/join", body: text(`{"token":"gxj_AAAA","csr":"","node":"x","division":"440100","peer_address":"a:1","api_address":"a:2","evidence_key":""}`)}
		}},
		{name: "a large body of nobody is not read", status: 401, code: bus.CodeUnauthenticated, field: "Authorization", dark: true, request: func() request {
			return request{method: "POST", path: events, body: io.LimitReader(endless{}, 64<<10)}
		}},
	}
}

// endless is a body of spaces.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
