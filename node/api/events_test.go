package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestPublishing(t *testing.T) {
	w := newWorld(t)
	source := sample.SystemOf(sample.ShenzhenMarket).Source()
	publish := func(t *testing.T, media, body string, header map[string]string) reply {
		t.Helper()
		w.t = t
		return w.ask(request{method: "POST", path: events, who: provider, header: with(header, "Content-Type", media), body: text(body)})
	}
	const structured, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
	one := func(id, data string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":"t","data":{"phone":%q}}`, id, source, data)
	}
	t.Run("S02 the same event again is answered as the first, another content is refused", func(t *testing.T) {
		first := publish(t, structured, one("e1", "19900000001"), nil)
		again := publish(t, structured, one("e1", "19900000001"), nil)
		if first.status != 202 || again.status != 202 || !strings.Contains(again.body, `"duplicate":true`) || !strings.Contains(again.body, `"sequence":1`) {
			t.Errorf("first %d %s\nagain %d %s", first.status, first.body, again.status, again.body)
		}
		other := publish(t, structured, one("e1", "19900000002"), nil)
		if other.status != 409 || other.problem.Code != bus.CodeEventConflict {
			t.Errorf("another content: %d %s", other.status, other.body)
		}
		mixed := publish(t, batch, "["+one("e2", "1")+","+one("e1", "19900000002")+"]", nil)
		if mixed.status != 409 {
			t.Errorf("a batch with a conflict: %d %s", mixed.status, mixed.body)
		}
		if next := publish(t, structured, one("e3", "1"), nil); !strings.Contains(next.body, `"sequence":2`) {
			t.Errorf("part of a refused batch was kept: the next event is %s", next.body)
		}
	})
	t.Run("a Chinese subject survives binary mode", func(t *testing.T) {
		subject := "企业/样例 100%"
		got := publish(t, "application/json", `{"phone":"19900000003"}`, map[string]string{
			"ce-specversion": "1.0", "ce-id": "e4", "ce-source": source, "ce-type": "t", "ce-subject": url.PathEscape(subject),
		})
		if got.status != 202 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		nodetest.Eventually(t, "the event is there", func() error {
			pulled, _, err := w.First.Client(w.bearers[consumer]).Pull(context.Background(), "sub-1", 10)
			if err != nil {
				return err
			}
			for _, e := range pulled {
				if e.ID() == "e4" {
					if e.Subject() != subject {
						t.Errorf("subject is %q, want %q", e.Subject(), subject)
					}
					return nil
				}
			}
			return fmt.Errorf("%d others", len(pulled))
		})
	})
	t.Run("the trace of an event travels, that of its request does not", func(t *testing.T) {
		trace := func(span int) string { return fmt.Sprintf("00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01", span) }
		head := func(id, request, event string) map[string]string {
			h := map[string]string{"ce-specversion": "1.0", "ce-id": id, "ce-source": source, "ce-type": "t", "traceparent": request}
			if event != "" {
				h["ce-traceparent"] = event
			}
			return h
		}
		for _, event := range []string{"", trace(7)} {
			id := "traced-" + event
			for try := 1; try <= 2; try++ { // each try of a client that traces has a span of its own
				got := publish(t, "application/json", `{"phone":"19900000004"}`, head(id, trace(try), event))
				if got.status != 202 || strings.Contains(got.body, `"duplicate":true`) != (try == 2) {
					t.Errorf("try %d: %d %s", try, got.status, got.body)
				}
			}
			nodetest.Eventually(t, "the event is there", func() error {
				pulled, _, err := w.First.Client(w.bearers[consumer]).Pull(context.Background(), "sub-1", 10)
				if err != nil {
					return err
				}
				at := slices.IndexFunc(pulled, func(e cloudevent.Event) bool { return e.ID() == id })
				if at < 0 {
					return fmt.Errorf("%d others", len(pulled))
				}
				if got, _ := pulled[at].Extensions()["traceparent"].(string); got != event {
					t.Errorf("it carries %q, want %q", got, event)
				}
				return nil
			})
		}
	})
	t.Run("a charset is tolerated, and each event of a batch is answered", func(t *testing.T) {
		got := publish(t, batch+"; charset=UTF-8", "["+one("e1", "19900000001")+","+one("e10", "1")+"]", nil)
		if got.status != 202 || strings.Count(got.body, `"duplicate":true`) != 1 || strings.Count(got.body, `"sequence"`) != 2 {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("S07 a body of no stated length is judged to its end", func(t *testing.T) {
		w.t = t
		wrong := "[" + one("e11", "1") + strings.Repeat(" ", 4<<20) + "," + strings.Replace(one("e12", "1"), `"1"`, `199`, 1) + "]"
		chunked := w.ask(request{method: "POST", path: events, who: provider, header: with(nil, "Content-Type", batch), body: io.MultiReader(text(wrong))})
		if chunked.status != 400 || chunked.problem.Code != bus.CodeSchema || chunked.problem.Defects[0].Field != "[1].data/phone" {
			t.Errorf("%d %.300s", chunked.status, chunked.body)
		}
	})
	t.Run("the schema is answered where dataschema says, and may be supplied", func(t *testing.T) {
		w.t = t
		got := w.ask(request{method: "GET", path: "/api/v1/resources/enterprise-registration/versions/1/schema", who: consumer})
		if got.status != 200 || got.header.Get("Content-Type") != "application/schema+json" || !strings.Contains(got.body, `"uscc":{"title":"统一社会信用代码","type":["string","null"],"maxLength":18}`) {
			t.Errorf("%d %s", got.status, got.body)
		}
		content := sample.Content(sample.EnterpriseRegistration())
		content.Resource.Schema = []byte(`{"$ref":"https://example.org/elsewhere"}`)
		put := request{method: "PUT", path: "/api/v1/drafts/enterprise-registration", who: provider, header: with(nil, create, "*")}
		put.body = text(asJSON(t, content))
		if got := w.ask(put); got.status != 400 || got.problem.Defects[0].Field != "schema" {
			t.Errorf("a schema that is elsewhere: %d %s", got.status, got.body)
		}
		content.Resource.Schema = []byte(`{"type":"object"}`)
		put.body = text(asJSON(t, content))
		if got := w.ask(put); got.status != 200 || !strings.Contains(got.body, `"schema":{"type":"object"}`) {
			t.Errorf("supplied: %d %s", got.status, got.body)
		}
	})
	t.Run("S27 exchanges are told to whose they are, page by page", func(t *testing.T) {
		w.t = t
		told := func(who string) (lines []string) {
			for next := ""; ; {
				got := w.ask(request{method: "GET", path: "/api/v1/exchanges?limit=1&page=" + next, who: who})
				if got.status != 200 {
					t.Fatalf("%s: %d %s", who, got.status, got.body)
				}
				var page client.ExchangePage
				check(t, json.Unmarshal([]byte(got.body), &page))
				for _, r := range page.Items {
					lines = append(lines, fmt.Sprint(r.Mode, " ", r.Status))
				}
				if next = page.Next; next == "" {
					return lines
				}
			}
		}
		if got := told(provider); !slices.Contains(got, "publish accepted") || !slices.Contains(got, "publish refused") || !slices.Contains(got, "subscribe delivered") {
			t.Errorf("the provider is told %q", got)
		}
		if got := told(consumer); !slices.Contains(got, "subscribe delivered") || slices.Contains(got, "publish accepted") {
			t.Errorf("the consumer is told %q", got)
		}
		if got := told(stranger); len(got) > 0 {
			t.Errorf("a stranger is told %q", got)
		}
	})
	t.Run("bodies of just the allowed size are taken", func(t *testing.T) {
		few := "[" + one("e5", "1") + "]"
		full := strings.Repeat(" ", 8<<20-len(few)) + few
		if got := publish(t, batch, full, nil); got.status != 202 {
			t.Errorf("8 MiB: %d %s", got.status, got.body)
		}
		name := `{"name":"深圳市市场监督管理局（样例）","division":"440300"}`
		r := request{method: "PUT", path: "/api/v1/departments/" + string(sample.USCC("440300", 77)), who: sysadmin,
			header: map[string]string{create: "*"}, body: text(name + strings.Repeat(" ", 1<<20-len(name)))}
		if got := w.ask(r); got.status != 200 {
			t.Errorf("1 MiB: %d %s", got.status, got.body)
		}
	})
	t.Run("a disabled system is turned away, and that is recorded", func(t *testing.T) {
		w.t = t
		admin := w.First.Client(w.bearers[sysadmin])
		s, err := admin.Systems().Read(context.Background(), sample.SystemOf(sample.GuangzhouHealth).ID)
		check(t, err)
		s.Disabled = true
		_, err = admin.Systems().Put(context.Background(), s)
		check(t, err)
		before := len(w.leaves())
		if got := w.ask(request{method: "GET", path: "/api/v1/resources", who: stranger}); got.status != 401 {
			t.Errorf("answered %d", got.status)
		}
		if leaves := w.leaves()[before:]; len(leaves) != 1 || leaves[0].Principal.System != s.ID {
			t.Errorf("on record: %+v", leaves)
		}
	})
	t.Run("a new credential stops the old one; a repeated request shows no dead one", func(t *testing.T) {
		w.t = t
		path := "/api/v1/systems/" + string(sample.SystemOf(sample.TianheServices).ID) + "/credentials"
		rotate := func() reply {
			return w.ask(request{method: "POST", path: path, who: sysadmin, header: map[string]string{"Idempotency-Key": "rotate-1"}, body: text(`{"kind":"bearer","overlap_hours":0}`)})
		}
		first, again := rotate(), rotate()
		if first.status != 200 || again.status != 409 || again.problem.Code != bus.CodeInUse {
			t.Errorf("first %d, again %d %s", first.status, again.status, again.body)
		}
		if got := w.ask(request{method: "GET", path: "/api/v1/status", who: consumer}); got.status != 401 {
			t.Errorf("the old credential is answered %d", got.status)
		}
		token := func() reply {
			return w.ask(request{method: "POST", path: "/api/v1/tokens", who: sysadmin, header: map[string]string{"Idempotency-Key": "token-1"}, body: text(`{"node":"x","division":"440100"}`)})
		}
		if first, again := token(), token(); first.status != 200 || again.status != 409 {
			t.Errorf("token: first %d, again %d %s", first.status, again.status, again.body)
		}
	})
	t.Run("S44 S50 neither log nor answer nor evidence tells a secret or breaks a line", func(t *testing.T) {
		w.t = t
		const canary = "canary-7f3d91"
		answers := ""
		for _, r := range []request{
			{method: "GET", path: "/api/v1/status", header: map[string]string{"Authorization": "Bearer gxs_x_" + canary}},
			{method: "GET", path: "/api/v1/status", header: map[string]string{"Authorization": "Bearer gxa_" + canary}},
			{method: "POST", path: "/api/v1/sessions", body: text(`{"account":"auditor","password":"` + canary + `"}`)},
			{method: "POST", path: "/api/v1/sessions", body: text(`{"account":"auditor","password":["` + canary + `"]}`)},
			{method: "POST", path: "/api/v1/sessions", body: text(`{"account":"a\u001b[31m\r\nlevel=ERROR msg=forged","password":"` + canary)},
			{method: "POST", path: "/api/v1/join", body: text(`{"token":"gxj_` + canary + `"}`)},
			{method: "POST", path: "/api/v1/join", body: text(`{"token":{"` + base64.StdEncoding.EncodeToString([]byte(canary)) + `":1}}`)},
			{method: "GET", path: "/api/v1/resources/%0d%0alevel=ERROR%20msg=forged", who: sysadmin, header: map[string]string{"Idempotency-Key": "level=ERROR msg=forged"}},
		} {
			got := w.ask(r)
			if got.status < http.StatusBadRequest {
				t.Errorf("%s %s: %d", r.method, r.path, got.status)
			}
			answers += got.body
		}
		evidence := asJSON(t, w.leaves())
		for where, told := range map[string]string{"answers": answers, "log": w.log.String(), "evidence": evidence} {
			if strings.Contains(told, canary) {
				t.Errorf("the %s hold the canary: %s", where, told)
			}
			for line := range strings.Lines(told) {
				if strings.HasPrefix(line, "level=ERROR msg=forged") {
					t.Errorf("the %s hold a forged line", where)
				}
			}
		}
		for who, bearer := range w.bearers {
			parts := strings.SplitN(bearer, "_", 3) // gxs_<id>_<secret>, whose secret may hold another, or gxa_<secret>
			if secret := parts[len(parts)-1]; secret != "" && strings.Contains(w.log.String()+evidence, secret) {
				t.Errorf("the log or the evidence holds the bearer of %s", who)
			}
		}
	})
}
