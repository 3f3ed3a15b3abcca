package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/identity"
)

func jsonOf(body string, v any) error { return json.Unmarshal([]byte(body), v) }

var (
	ofConsumer = sample.SystemOf(sample.TianheServices).ID
	ofProvider = sample.SystemOf(sample.ShenzhenMarket).ID
)

func (w *world) status(who string) int {
	w.t.Helper()
	return w.ask(request{method: "GET", path: "/api/v1/status", who: who}).status
}

func TestACredentialIsRotatedWithoutAGap(t *testing.T) {
	w := newWorld(t)
	admin := w.First.Client(w.bearers[sysadmin]).Systems()
	second, err := admin.Rotate(t.Context(), ofConsumer, 24)
	check(t, err)
	w.bearers["second"] = second.Bearer
	if first, next := w.status(consumer), w.status("second"); first != 200 || next != 200 {
		t.Errorf("during the overlap: %d and %d", first, next)
	}
	if _, err := admin.Rotate(t.Context(), ofConsumer, 24); !client.IsCode(err, bus.CodeInUse) {
		t.Errorf("a third: %v", err)
	}
	w.clock.advance(24*time.Hour - time.Minute)
	if first := w.status(consumer); first != 200 {
		t.Errorf("before the end of the overlap: %d", first)
	}
	w.clock.advance(time.Minute)
	if first, next := w.status(consumer), w.status("second"); first != 401 || next != 200 {
		t.Errorf("after the overlap: %d and %d", first, next)
	}
	w.bearers[sysadmin] = w.SignIn(w.First, "sysadmin")
	admin = w.First.Client(w.bearers[sysadmin]).Systems()
	all, err := admin.Credentials(t.Context(), ofConsumer)
	check(t, err)
	if len(all) != 2 || all[0].ID != "first" || all[0].Live || !all[1].Live || all[1].ID != second.Credential.ID || !all[1].LastUsed.Equal(w.clock.Now()) || all[0].LastUsed.IsZero() {
		t.Errorf("listed: %+v", all)
	}
	third, err := admin.Rotate(t.Context(), ofConsumer, 0)
	check(t, err)
	w.bearers["third"] = third.Bearer
	if next, last := w.status("second"), w.status("third"); next != 401 || last != 200 {
		t.Errorf("without an overlap: %d and %d", next, last)
	}
	stream := w.stream("third", "", nil)
	stream.expect(t, "id: ")
	check(t, admin.Retire(t.Context(), ofConsumer, third.Credential.ID))
	if got := w.status("third"); got != 401 {
		t.Errorf("retired, and answered %d", got)
	}
	if last, took := stream.ended(t); took > 2*time.Second || !strings.Contains(strings.Join(last, "\n"), `"code":"unauthenticated"`) {
		t.Errorf("S20 its stream ended after %v: %q", took, last)
	}
	for _, who := range []string{sysadmin, secadmin} {
		w.bearers[who] = w.SignIn(w.First, who)
		for _, path := range []string{"/api/v1/systems", "/api/v1/systems/" + string(ofProvider), "/api/v1/systems/" + string(ofProvider) + "/credentials", "/api/v1/changes?from=0&wait=0&kind=system"} {
			if got := w.ask(request{method: "GET", path: path, who: who}); got.status != 200 || strings.Contains(got.body, `"hash"`) || strings.Contains(got.body, "secret_hash") {
				t.Errorf("%s tells %s: %d %s", path, who, got.status, got.body)
			}
		}
	}
}

func TestS28_WhatTheNodeFillsInIsNotTaken(t *testing.T) {
	w := newWorld(t)
	credentials := "/api/v1/systems/" + string(ofConsumer) + "/credentials"
	for _, c := range []struct{ method, path, body, field string }{
		{"PUT", "/api/v1/systems/new", `{"name":"n","department":"114401069999001265","credentials":[{"id":"x","kind":"bearer"}]}`, "credentials"},
		{"PUT", "/api/v1/systems/new", `{"name":"n","department":"114401069999001265","secret_hash":"AAAA"}`, "secret_hash"},
		{"POST", credentials, `{"kind":"bearer","hash":"AAAA"}`, "hash"},
		{"POST", credentials, `{"kind":"bearer","id":"mine"}`, "id"},
		{"POST", credentials, `{"kind":"bearer","Kind":"bearer"}`, "Kind"},
		{"POST", credentials, `{"kind":"password"}`, "kind"},
		{"POST", credentials, `{}`, "kind"},
		{"POST", credentials, `{"kind":"bearer","overlap_hours":-1}`, "overlap_hours"},
		{"POST", credentials, `{"kind":"bearer","certificate":"x"}`, "certificate"},
		{"POST", credentials, `{"kind":"certificate"}`, "certificate"},
		{"POST", credentials, `{"kind":"certificate","certificate":"x"}`, "certificate"},
		{"POST", credentials, `{"kind":"bearer","expires":"2001-01-01T00:00:00Z"}`, "expires"},
		{"POST", "/api/v1/sessions/oidc", `{"redirect_url":"http://127.0.0.1:1/callback","account":"sysadmin"}`, "account"},
	} {
		r := request{method: c.method, path: c.path, who: sysadmin, body: text(c.body)}
		if c.method == "PUT" {
			r.header = map[string]string{create: "*"}
		}
		if got := w.ask(r); got.status != 400 || len(got.problem.Defects) == 0 || got.problem.Defects[0].Field != c.field {
			t.Errorf("%s %s: %d %s", c.path, c.body, got.status, got.body)
		}
	}
	w.bearers[secadmin] = w.SignIn(w.First, secadmin)
	r := request{method: "PUT", path: "/api/v1/accounts/new", who: secadmin, header: map[string]string{create: "*"}, body: text(`{"role":"auditor","password_hash":"$argon2id$"}`)}
	if got := w.ask(r); got.status != 400 || got.problem.Defects[0].Field != "password_hash" {
		t.Errorf("an account with its own hash: %d %s", got.status, got.body)
	}
}

// signer gives a system a signing key.
func (w *world) signer(id bus.SystemID) (client.NewCredential, identity.SigningKey) {
	w.t.Helper()
	made, err := w.First.Client(w.bearers[sysadmin]).Systems().AddCredential(w.t.Context(), id, client.CredentialRequest{Kind: bus.CredentialSigning})
	check(w.t, err)
	key, err := identity.ParseSigningKey(made.SigningKey)
	check(w.t, err)
	return made, key
}

// signed sends a request with a header that was signed, perhaps for another.
func (w *world) signed(method, target, authorization, body string, header map[string]string) reply {
	w.t.Helper()
	all := map[string]string{"Authorization": authorization}
	for name, value := range header {
		all[name] = value
	}
	r := request{method: method, path: target, header: all}
	if body != "" {
		r.body = text(body)
	}
	return w.ask(r)
}

func TestARequestIsSigned(t *testing.T) {
	w := newWorld(t)
	made, key := w.signer(ofProvider)
	sdk, err := client.New(client.Config{Server: w.First.Config.APIListen, CAFile: w.First.CA(), SigningKey: made.SigningKey})
	check(t, err)
	t.Cleanup(sdk.Close)
	e := cloudevent.New()
	e.SetID("signed-1")
	e.SetSource(sample.SystemOf(sample.ShenzhenMarket).Source())
	e.SetType("t")
	check(t, e.SetData(cloudevent.ApplicationJSON, map[string]string{"phone": "19900000000"}))
	if receipts, err := sdk.Publish(t.Context(), registration, e); err != nil || len(receipts) != 1 {
		t.Errorf("published by signature: %v, %v", receipts, err)
	}
	if _, err := sdk.Search(t.Context(), client.ResourceQuery{Words: "企业 登记"}); err != nil {
		t.Errorf("a query by signature: %v", err)
	}
	const target, body = "/api/v1/resources/enterprise-registration/triggers?x=1", `{"kind":"law"}`
	now := w.clock.Now()
	good := func() string { return key.Sign("POST", target, []byte(body), now) }
	once := good()
	if got := w.signed("POST", target, once, body, nil); got.status == 401 {
		t.Fatalf("as it was signed: %d %s", got.status, got.body)
	}
	other := identity.DeriveSigningKey(identity.NewSecret(), ofProvider, made.Credential.ID)
	for name, got := range map[string]reply{
		"again":                 w.signed("POST", target, once, body, nil),
		"another method":        w.signed("PUT", "/api/v1/grants/x", key.Sign("GET", "/api/v1/grants/x", []byte(body), now), body, nil),
		"another path":          w.signed("POST", strings.Replace(target, "triggers", "events", 1), good(), body, nil),
		"another query":         w.signed("POST", target+"1", good(), body, nil),
		"another body":          w.signed("POST", target, good(), body+" ", nil),
		"no body":               w.signed("POST", target, good(), "", nil),
		"six minutes old":       w.signed("POST", target, key.Sign("POST", target, []byte(body), now.Add(-6*time.Minute)), body, nil),
		"six minutes ahead":     w.signed("POST", target, key.Sign("POST", target, []byte(body), now.Add(6*time.Minute)), body, nil),
		"by another node's key": w.signed("POST", target, other.Sign("POST", target, []byte(body), now), body, nil),
		"garbage":               w.signed("POST", target, identity.SignatureScheme+" x", body, nil),
	} {
		if got.status != 401 || got.problem.Code != bus.CodeUnauthenticated {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	structured := `{"specversion":"1.0"}`
	if got := w.signed("POST", events, key.Sign("POST", events, []byte(structured), now), structured, map[string]string{"ce-source": "/x"}); got.status != 400 || got.problem.Defects[0].Field != "ce-source" {
		t.Errorf("attributes that are not signed: %d %s", got.status, got.body)
	}
	huge := strings.Repeat(" ", 9<<20)
	if got := w.signed("POST", events, key.Sign("POST", events, []byte(huge), now), huge, nil); got.status != 413 {
		t.Errorf("S06 nine megabytes: %d %s", got.status, got.body)
	}

	// What was accepted before a restart is not accepted after it.
	get := key.Sign("GET", "/api/v1/status", nil, now)
	ahead := key.Sign("GET", "/api/v1/status", nil, now.Add(4*time.Minute))
	for _, header := range []string{get, ahead} {
		if got := w.signed("GET", "/api/v1/status", header, "", nil); got.status != 200 {
			t.Fatalf("before the restart: %d %s", got.status, got.body)
		}
	}
	w.First.Stop()
	w.First.Start()
	for _, header := range []string{get, ahead} {
		if got := w.signed("GET", "/api/v1/status", header, "", nil); got.status != 503 && got.status != 401 {
			t.Errorf("after the restart: %d %s", got.status, got.body)
		}
	}
	w.clock.advance(4*time.Minute + 2*time.Second)
	if got := w.signed("GET", "/api/v1/status", key.Sign("GET", "/api/v1/status", nil, w.clock.Now()), "", nil); got.status != 200 {
		t.Errorf("signed after the restart: %d %s", got.status, got.body)
	}
	w.bearers[sysadmin] = w.SignIn(w.First, "sysadmin")
	check(t, w.First.Client(w.bearers[sysadmin]).Systems().Retire(t.Context(), ofProvider, made.Credential.ID))
	if got := w.signed("GET", "/api/v1/status", key.Sign("GET", "/api/v1/status", nil, w.clock.Now()), "", nil); got.status != 401 {
		t.Errorf("retired: %d", got.status)
	}
}

func TestASystemThatMustSignIsHeardSignedOnly(t *testing.T) {
	w := newWorld(t)
	_, key := w.signer(ofProvider)
	admin := w.First.Client(w.bearers[sysadmin]).Systems()
	system, err := admin.Read(t.Context(), ofProvider)
	check(t, err)
	system.SigningRequired = true
	_, err = admin.Put(t.Context(), system)
	check(t, err)
	before := len(w.leaves())
	got := w.ask(request{method: "GET", path: "/api/v1/status", who: provider})
	if got.status != 401 || !strings.Contains(got.body, "must be signed") {
		t.Errorf("unsigned: %d %s", got.status, got.body)
	}
	if leaves := w.leaves()[before:]; len(leaves) != 1 || leaves[0].Principal.System != ofProvider {
		t.Errorf("on record: %+v", leaves)
	}
	if got := w.signed("GET", "/api/v1/status", key.Sign("GET", "/api/v1/status", nil, w.clock.Now()), "", nil); got.status != 200 {
		t.Errorf("signed: %d %s", got.status, got.body)
	}
	if got := w.status(consumer); got != 200 {
		t.Errorf("another system: %d", got)
	}
}

func TestS15_ASystemThatFloodsIsRefusedAloneAndOnRecordOnce(t *testing.T) {
	const rate = 30
	w := newWorldWith(t, nodetest.Options{Config: func(c *server.Config) { c.SystemRate = rate }})
	w.clock.advance(time.Minute)
	before := w.count(bus.CodeRateLimited)
	answered := map[int]int{}
	var last reply
	for range 5 * rate {
		last = w.ask(request{method: "GET", path: "/api/v1/status", who: consumer, header: map[string]string{"Accept-Language": "zh"}})
		answered[last.status]++
	}
	if answered[200] != 2*rate || answered[429] != 3*rate {
		t.Errorf("answered %v", answered)
	}
	if last.header.Get("Retry-After") != "1" || last.problem.Code != bus.CodeRateLimited || !strings.Contains(last.body, "本系统请求过于频繁") {
		t.Errorf("told %v %s", last.header, last.body)
	}
	for _, who := range []string{provider, sysadmin} {
		if got := w.status(who); got != 200 {
			t.Errorf("%s is answered %d", who, got)
		}
	}
	if told := w.count(bus.CodeRateLimited) - before; told != 1 {
		t.Errorf("%d leaves tell of the flood", told)
	}
	w.clock.advance(11 * time.Second)
	if got := w.status(consumer); got != 200 {
		t.Errorf("later: %d", got)
	}
	if want := fmt.Sprint("requests refused: ", 3*rate-1); w.count(bus.CodeRateLimited)-before != 2 || !hasDetail(w, want) {
		t.Errorf("the rest of the flood is not on record: want %q", want)
	}
}

// A batch is counted by its events: what is above the rate is refused whole, for that
// system alone, whatever its requests are.
func TestS15_ASystemThatPublishesTooFastIsRefusedAlone(t *testing.T) {
	w := newWorldWith(t, nodetest.Options{Config: func(c *server.Config) { c.SystemEventRate = 10 }})
	w.clock.advance(time.Minute)
	before := w.count(bus.CodeRateLimited)
	system := sample.SystemOf(sample.ShenzhenMarket)
	publish := func(first, count int) reply {
		t.Helper()
		var batch []cloudevent.Event
		for n := range count {
			batch = append(batch, sample.Event(system, first+n))
		}
		body, err := event.MarshalBatch(batch)
		check(t, err)
		return w.ask(request{method: "POST", path: events, who: provider, header: map[string]string{"Content-Type": event.ContentTypeBatch}, body: text(string(body))})
	}
	if got := publish(1, 15); got.status != 202 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	got := publish(16, 15)
	if got.status != 429 || got.header.Get("Retry-After") != "1" || got.problem.Code != bus.CodeRateLimited || !strings.Contains(got.body, "10 a second") {
		t.Errorf("told %d %v %s", got.status, got.header, got.body)
	}
	if got := publish(16, 5); got.status != 202 || !strings.Contains(got.body, `"sequence":16`) {
		t.Errorf("what there is room for: %d %s", got.status, got.body)
	}
	if got := w.status(provider); got != 200 { // by requests it is far from its rate
		t.Errorf("its other requests are answered %d", got)
	}
	if told := w.count(bus.CodeRateLimited) - before; told != 1 || !hasDetail(w, "events refused: 15") {
		t.Errorf("%d leaves tell of it", told)
	}
	w.clock.advance(time.Second)
	if got := publish(21, 10); got.status != 202 || !strings.Contains(got.body, `"sequence":21`) {
		t.Errorf("later: %d %s", got.status, got.body)
	}
}

func hasDetail(w *world, detail string) bool {
	for _, leaf := range w.leaves() {
		if leaf.Detail == detail {
			return true
		}
	}
	return false
}

// do sends a request by another HTTP client, and returns its status.
func (w *world) do(c *http.Client, path string, header map[string]string) (int, string, error) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "https://"+w.First.Config.APIListen+path, nil)
	check(w.t, err)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}
