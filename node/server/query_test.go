package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const canary = "canary-7d1f0a"

// service is a provider's system. What it is asked it keeps.
type service struct {
	*httptest.Server
	asked atomic.Int64
	last  atomic.Pointer[http.Request]
	gone  chan struct{} // a request was given up by the one who made it
}

func newService(t *testing.T) *service {
	s := &service{gone: make(chan struct{}, 1)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.last.Store(r)
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/firms/redirect":
			http.Redirect(w, r, s.URL+"/elsewhere?"+canary, http.StatusFound)
		case "/firms/absent":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"title":"查无此企业","phone":"19900000001"}`)
		case "/firms/slow":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				s.gone <- struct{}{}
			case <-time.After(30 * time.Second):
			}
		default:
			fmt.Fprintf(w, `[{"uscc":"x","enterprise_name":"样例企业","phone":"19900000001","internal_remark":%q}]`, r.URL.RawQuery)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// bound tells a story with a resource that is bound to a service.
func bound(t *testing.T, o nodetest.Options) (*story, *service) {
	t.Helper()
	s, to := tellWith(t, o, fleet.Province()...), newService(t)
	s.grant(t)
	_, err := s.provider.PutBinding(context.Background(), binding.Binding{
		Resource: s.resource.ID, Timeout: 20_000,
		HTTP: &binding.HTTP{
			URL: to.URL + "/firms/{name}?token=" + canary, Headers: map[string]string{"Authorization": "Bearer " + canary},
			Allow: []binding.Route{{Methods: []string{"GET", "POST"}, Path: "/x/*"}},
		},
	})
	check(t, err)
	nodetest.Eventually(t, "both nodes know the grant", func() error {
		_, consumer := s.consumer.Grants().Read(context.Background(), "grant-1")
		_, provider := s.provider.Grants().Read(context.Background(), "grant-1")
		return errors.Join(consumer, provider)
	})
	return s, to
}

func inquiry(name string) client.Query {
	return client.Query{
		Grant: "grant-1", Purpose: bus.PurposeVerification, Matter: "440106001000", Case: "办件-1", Basis: "示例办法第一条", Operator: "op-7",
		Parameters: json.RawMessage(fmt.Sprintf(`{"name":%q,"q":"a b"}`, name)),
	}
}

func TestAQueryCrossesThreeLevels(t *testing.T) {
	log := &journal{}
	s, to := bound(t, nodetest.Options{Log: log, Config: func(c *server.Config) { c.MetricsListen = nodetest.FreeAddress(t) }})
	ctx := context.Background()
	t.Run("and comes back masked, with who answered and what it was", func(t *testing.T) {
		const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		q := inquiry("list")
		q.TraceParent = trace
		got, err := s.consumer.Query(ctx, s.resource.ID, q)
		check(t, err)
		if told := to.last.Load().Header.Get("Traceparent"); told != trace {
			t.Errorf("the service is told of trace %q", told)
		}
		want := `[{"uscc":"x","enterprise_name":"样例企业","phone":"199****0001"}]`
		if string(got.Data) != want || got.Rows != 1 || got.Cut || got.Correlation == "" || got.Decision == "" || !strings.HasPrefix(got.QueryDigest, "sha256:") {
			t.Errorf("got %+v, %s", got, got.Data)
		}
		r := to.last.Load()
		if r.URL.Path != "/firms/list" || r.URL.Query().Get("q") != "a b" || r.Header.Get("Authorization") != "Bearer "+canary || r.Header.Get("Idempotency-Key") != got.Correlation {
			t.Errorf("the service was asked %s %v", r.URL, r.Header)
		}
	})
	t.Run("a refusal of the provider's system is told from one of the bus", func(t *testing.T) {
		if _, err := s.consumer.Query(ctx, s.resource.ID, inquiry("absent")); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("the provider's 404: %v", err)
		}
		none := inquiry("list")
		none.Case = ""
		if _, err := s.consumer.Query(ctx, s.resource.ID, none); !client.IsCode(err, bus.CodeDenied) {
			t.Errorf("without a case: %v", err)
		}
	})
	t.Run("S41 a redirect is not followed, S44 and nothing of the binding is told", func(t *testing.T) {
		_, err := s.consumer.Query(ctx, s.resource.ID, inquiry("redirect"))
		if !client.IsCode(err, bus.CodeProviderUnreachable) || strings.Contains(err.Error(), canary) || to.last.Load().URL.Path == "/elsewhere" {
			t.Errorf("a redirect: %v", err)
		}
		shown, err := s.provider.Binding(ctx, s.resource.ID)
		if check(t, err); strings.Contains(fmt.Sprintf("%+v", shown), "127.0.0.1") {
			t.Errorf("shown %+v", shown)
		}
	})
	t.Run("a query that is given up ends at the provider's system", func(t *testing.T) {
		hurried := inquiry("slow")
		hurried.Timeout = 300
		if _, err := s.consumer.Query(ctx, s.resource.ID, hurried); !client.IsCode(err, bus.CodeLate) {
			t.Errorf("late: %v", err)
		}
		<-to.gone
		leaving, leave := context.WithCancel(ctx)
		before := to.asked.Load()
		done := make(chan error)
		go func() {
			_, err := s.consumer.Query(leaving, s.resource.ID, inquiry("slow"))
			done <- err
		}()
		nodetest.Eventually(t, "the service is asked", func() error {
			if to.asked.Load() == before {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		leave()
		<-done
		<-to.gone
	})
	t.Run("by its transparent form too", func(t *testing.T) { transparent(t, s, to) })
	t.Run("posted too, as it is", func(t *testing.T) { posted(t, s, to) })
	t.Run("and is counted, without a word of who asked what", func(t *testing.T) { counted(t, s) })
	t.Run("and is one timeline, of all nodes that had a part in it", func(t *testing.T) { oneTimeline(t, s) })
	t.Run("S44 the canary is in no file, log or error", func(t *testing.T) {
		if log.count(canary) > 0 {
			t.Error("a log has it")
		}
		for _, n := range s.Nodes {
			check(t, filepath.WalkDir(n.Config.DataDir, func(path string, e os.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return nil
				}
				data, _ := os.ReadFile(path)
				if bytes.Contains(data, []byte(canary)) {
					t.Errorf("%s has it", path)
				}
				return nil
			}))
		}
	})
}

func transparent(t *testing.T, s *story, to *service) {
	ctx := context.Background()
	q := inquiry("")
	q.Case = "办件-2"
	_, err := s.provider.PutBinding(ctx, binding.Binding{
		Resource: s.resource.ID, HTTP: &binding.HTTP{
			URL: to.URL + "/firms", Headers: map[string]string{"X-Key": canary}, Allow: []binding.Route{{Methods: []string{"GET", "POST"}, Path: "/x/*"}},
		},
	})
	check(t, err)
	q.TraceParent, q.TraceState = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=b"
	got, err := s.consumer.Proxy(ctx, s.resource.ID, client.ServiceRequest{Method: "GET", Path: "/x/1", Query: url.Values{"a": {"b c"}}}, q)
	check(t, err)
	body, err := io.ReadAll(got.Body)
	check(t, err)
	_ = got.Body.Close()
	if string(body) != `[{"uscc":"x","enterprise_name":"样例企业","phone":"199****0001"}]` || got.Header.Get(client.HeaderAnsweredBy) != client.ByProvider {
		t.Errorf("answered %s, %v", body, got.Header)
	}
	if got.Header.Get("Content-Security-Policy") != "sandbox" || got.Header.Get("X-Content-Type-Options") != "nosniff" { // S47
		t.Errorf("a page of the service would be one of the node's: %v", got.Header)
	}
	r := to.last.Load()
	if r.URL.Path != "/firms/x/1" || r.URL.RawQuery != "a=b+c" || r.Header.Get("X-Key") != canary || r.Header.Get("Authorization") != "" || r.Header.Get(client.HeaderGrant) != "" {
		t.Errorf("the service was asked %s %v", r.URL, r.Header)
	}
	if r.Header.Get("Traceparent") != q.TraceParent || r.Header.Get("Tracestate") != q.TraceState {
		t.Errorf("the service is told of another trace: %v", r.Header)
	}
	steps, _ := timeline(t, s.Client("auditor"), client.TraceQuery{Case: q.Case})
	for _, step := range steps {
		if step.Basis != q.Basis || step.Operator != q.Operator {
			t.Errorf("%s is on record as of %q by %q", step.Kind, step.Basis, step.Operator)
		}
	}
	if len(steps) != 6 { // a decision, asked and answered at both nodes
		t.Errorf("%d steps on record", len(steps))
	}
	for _, c := range []struct{ method, path string }{{"GET", "/y"}, {"GET", "/x/1/2"}, {"DELETE", "/x/1"}} {
		if _, err := s.consumer.Proxy(ctx, s.resource.ID, client.ServiceRequest{Method: c.method, Path: c.path}, q); !client.IsCode(err, bus.CodeForbidden) {
			t.Errorf("%s %s: %v", c.method, c.path, err)
		}
	}
}

// What is posted arrives as it was sent, and only the items that are wanted come back.
func posted(t *testing.T, s *story, to *service) {
	ctx := context.Background()
	const text = "<企业><名称>样例企业</名称></企业>"
	q := inquiry("")
	q.Items = []bus.ItemID{"uscc", "phone"}
	for _, sent := range []struct {
		header   http.Header
		received string // content type
	}{
		{http.Header{"Content-Type": {"application/xml; charset=utf-8"}, "X-Sample": {"a", "b"}, "Accept-Language": {"de"}, "Authorization": {"Basic c2VjcmV0"}}, "application/xml; charset=utf-8"},
		{http.Header{client.HeaderGrant: {"another"}}, "application/json"},
	} {
		got, err := s.consumer.Proxy(ctx, s.resource.ID, client.ServiceRequest{Method: "POST", Path: "/x/1", Header: sent.header, Body: []byte(text)}, q)
		check(t, err)
		answer, err := io.ReadAll(got.Body)
		check(t, err)
		_ = got.Body.Close()
		if string(answer) != `[{"uscc":"x","phone":"199****0001"}]` {
			t.Errorf("answered %s", answer)
		}
		r := to.last.Load()
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || string(body) != text || r.Header.Get("Content-Type") != sent.received || !slices.Equal(r.Header["X-Sample"], sent.header["X-Sample"]) || r.Header.Get("Authorization") != "" {
			t.Errorf("the service was sent %s %q, %v", r.Method, body, r.Header)
		}
		if language := sent.header.Get("Accept-Language"); language != "" && r.Header.Get("Accept-Language") != language {
			t.Errorf("in language %q", r.Header.Get("Accept-Language"))
		}
	}
}

// S45: a path that means another one to the next who reads it goes nowhere.
func TestS45ATransparentPathIsPlain(t *testing.T) {
	s, to := bound(t, nodetest.Options{})
	tianhe := s.at("tianhe")
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: tianhe.TLS()}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer web.CloseIdleConnections()
	for _, path := range []string{"../a", "x/../../a", "x/%2e%2e/a", "x/%2E%2E%2Fa", "x/%252e%252e/a", "x//a", "x/./a", `x/%5C..%5Ca`, "x/a%00", "x/a%2fb", "%2e%2e/%2e%2e/status", "x/..%3B/a%0d%0aX:1"} {
		r := &http.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + s.bearers[sample.TianheServices.ID]}}, URL: &url.URL{
			Scheme: "https", Host: tianhe.Config.APIListen, Opaque: "/api/v1/resources/" + string(s.resource.ID) + "/proxy/" + path,
		}}
		got, err := web.Do(r)
		check(t, err)
		body, _ := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s is answered %s %s", path, got.Status, body)
		}
	}
	if n := to.asked.Load(); n != 0 {
		t.Errorf("the service was asked %d times", n)
	}
}
