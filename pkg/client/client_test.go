package client_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestNewRefusesWhatIsNotANode(t *testing.T) {
	for _, server := range []string{"", "node", "http://node:8443", "ftp://node:1", "https://", "https://u:p@node:1",
		"https://node:1/other", "https://node:1?x=1", "node:0", "node:99999", "https://node:1#f"} {
		if _, err := client.New(client.Config{Server: server}); !client.IsCode(err, bus.CodeInvalid) {
			t.Errorf("New(%q) = %v, want %s", server, err, bus.CodeInvalid)
		}
	}
	for server, want := range map[string]string{
		"node.example:8443": "https://node.example:8443", "[::1]:8443": "https://[::1]:8443", "https://node/": "https://node",
	} {
		c, err := client.New(client.Config{Server: server})
		if err != nil {
			t.Errorf("New(%q): %v", server, err)
		} else if c.Server() != want {
			t.Errorf("New(%q).Server() = %q, want %q", server, c.Server(), want)
		}
	}
}

func TestOnlyTheGivenAuthorityIsTrusted(t *testing.T) {
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version":"1"}`))
	}))
	t.Cleanup(node.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: node.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]client.Config{"pem": {CAPEM: ca}, "file": {CAFile: file}} {
		cfg.Server = node.URL
		c, err := client.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := c.Version(t.Context()); err != nil || v != "1" {
			t.Errorf("%s: Version = %q, %v", name, v, err)
		}
	}
	c, err := client.New(client.Config{Server: node.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Version(t.Context()); err == nil {
		t.Error("a node outside the trusted authority was spoken to")
	}
	for _, cfg := range []client.Config{{CAPEM: []byte("not pem")}, {CAFile: file + ".absent"}} {
		cfg.Server = node.URL
		if _, err := client.New(cfg); !client.IsCode(err, bus.CodeInvalid) {
			t.Errorf("New with a bad CA = %v", err)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	node := httptest.NewUnstartedServer(http.NotFoundHandler())
	node.StartTLS()
	t.Cleanup(node.Close)
	node.TLS.MaxVersion = 0x0303 // TLS 1.2; read at each handshake
	c := connect(t, node, client.Config{Attempts: 1})
	if _, err := c.Version(t.Context()); err == nil || client.CodeOf(err) != "" {
		t.Errorf("TLS 1.2: %v, want a handshake error", err)
	}
}

func TestPutExpectsTheRevision(t *testing.T) {
	var seen *http.Request
	var body map[string]any
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		seen, body = r, nil
		_ = json.NewDecoder(r.Body).Decode(&body)
		answer(w, http.StatusOK, bus.Department{ID: "x", Revision: 8})
	}, client.Config{Token: "gxa_secret", RequestID: func() string { return "rid" }, UserAgent: "test/1", Language: bus.Chinese})

	d := bus.Department{ID: "11440000006939561H", Name: "省政务服务和数据管理局", Division: "440000"}
	got, err := c.Departments().Put(t.Context(), d)
	if err != nil || got.Revision != 8 {
		t.Fatalf("Put = %+v, %v", got, err)
	}
	headers := map[string]string{"If-None-Match": "*", "If-Match": "", "Authorization": "Bearer gxa_secret",
		client.HeaderRequest: "rid", "User-Agent": "test/1", "Accept-Language": "zh-CN", "Content-Type": "application/json"}
	for name, want := range headers {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if seen.Method != http.MethodPut || seen.URL.Path != "/api/v1/departments/11440000006939561H" || body["name"] != d.Name {
		t.Errorf("sent %s %s %v", seen.Method, seen.URL, body)
	}

	d.Revision = 7
	if _, err := c.Departments().Put(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if seen.Header.Get("If-Match") != `"7"` || seen.Header.Get("If-None-Match") != "" {
		t.Errorf("change sent %v", seen.Header)
	}
	if err := c.Departments().Delete(t.Context(), d.ID, 7); err != nil || seen.Method != http.MethodDelete || seen.Header.Get("If-Match") != `"7"` {
		t.Errorf("Delete: %v, sent %s %v", err, seen.Method, seen.Header)
	}
}

func TestRoutes(t *testing.T) {
	var got string
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.URL.RequestURI()
		answer(w, http.StatusOK, map[string]any{"items": []any{}})
	}, client.Config{})
	ctx := t.Context()
	calls := map[string]func() error{
		"GET /api/v1/departments":               func() error { _, err := c.Departments().List(ctx); return err },
		"GET /api/v1/resources/r":               func() error { _, err := c.Resources().Read(ctx, "r"); return err },
		"GET /api/v1/audit/trace?event=a%2Fb+c": func() error { _, err := c.AuditTrace(ctx, "a/b c"); return err },
		"GET /api/v1/audit/segments":            func() error { _, err := c.AuditSegments(ctx); return err },
		"POST /api/v1/audit/segments/prune":     func() error { _, err := c.AuditPrune(ctx, time.Now()); return err },
		"GET /api/v1/audit/export?to=2026-03-01T00%3A00%3A00Z": func() error {
			body, err := c.AuditExportWindow(ctx, time.Time{}, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
			if err == nil {
				err = body.Close()
			}
			return err
		},
		"GET /api/v1/audit/trace?case=1&limit=7": func() error {
			for _, err := range c.AuditTimeline(ctx, client.TraceQuery{Case: "1", Limit: 7}) {
				return err
			}
			return nil
		},
		"POST /api/v1/grants/g/revoke":         func() error { _, err := c.Grants().Revoke(ctx, "g", "why"); return err },
		"PUT /api/v1/systems/s":                func() error { _, err := c.Systems().Put(ctx, bus.System{ID: "s"}); return err },
		"GET /api/v1/policies/division/440100": func() error { _, err := c.Policies().Read(ctx, "division/440100"); return err },
		"GET /api/v1/policies/drafts":          func() error { _, err := c.Policies().Drafts(ctx); return err },
		"GET /api/v1/policies/division/440100/draft": func() error {
			_, err := c.Policies().Draft(ctx, "division/440100")
			return err
		},
		"PUT /api/v1/policies/division/440100/draft": func() error {
			_, err := c.Policies().Push(ctx, "division/440100", 7, bus.LayerPush{})
			return err
		},
		"DELETE /api/v1/policies/division/440100/draft": func() error { return c.Policies().Discard(ctx, "division/440100", 7) },
		"POST /api/v1/policies/division/440100/draft/activate": func() error {
			_, err := c.Policies().Activate(ctx, "division/440100", 7, "")
			return err
		},
		"GET /api/v1/policies/division/440100/revisions": func() error {
			_, err := c.Policies().Revisions(ctx, "division/440100")
			return err
		},
		"GET /api/v1/policies/division/440100/revisions/7": func() error {
			_, err := c.Policies().Revision(ctx, "division/440100", 7)
			return err
		},
		"POST /api/v1/systems/s/credentials":     func() error { _, err := c.Systems().Rotate(ctx, "s", 0); return err },
		"GET /api/v1/systems/s/credentials":      func() error { _, err := c.Systems().Credentials(ctx, "s"); return err },
		"DELETE /api/v1/systems/s/credentials/c": func() error { return c.Systems().Retire(ctx, "s", "c") },
		"POST /api/v1/sessions/oidc":             func() error { _, err := c.BeginOIDC(ctx, "http://127.0.0.1:1/callback"); return err },
		"POST /api/v1/sessions/oidc/complete":    func() error { _, err := c.CompleteOIDC(ctx, client.OIDCAnswer{}); return err },
		"POST /api/v1/policies/check":            func() error { _, err := c.Policies().Check(ctx, bus.Layer{}); return err },
		"GET /api/v1/status?hash=true":           func() error { _, err := c.Status(ctx, true); return err },
		"GET /api/v1/audit/checkpoints":          func() error { _, err := c.Checkpoints(ctx); return err },
		"POST /api/v1/sessions":                  func() error { _, err := c.SignIn(ctx, client.SignIn{}); return err },
		"DELETE /api/v1/sessions":                func() error { return c.SignOut(ctx) },
		"POST /api/v1/subscriptions/sub/ack":     func() error { return c.Ack(ctx, "sub", 4) },
		"GET /api/v1/subscriptions/sub":          func() error { _, err := c.Subscriptions().Read(ctx, "sub"); return err },
		"POST /api/v1/tokens":                    func() error { _, err := c.CreateToken(ctx, client.TokenRequest{}); return err },
		"POST /api/v1/join":                      func() error { _, err := c.Join(ctx, client.JoinRequest{}); return err },
		"GET /api/v1/divisions":                  func() error { _, err := c.Divisions().List(ctx); return err },
		"GET /api/v1/nodes":                      func() error { _, err := c.Nodes(ctx); return err },
		"GET /api/v1/departments/%3Fx=1%23%2e..": func() error { _, err := c.Departments().Read(ctx, "?x=1#."+".."); return err },
	}
	for want, do := range calls {
		if err := do(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if !strings.EqualFold(strings.ReplaceAll(want, "%2e", "."), got) {
			t.Errorf("sent %s, want %s", got, want)
		}
	}
	for _, id := range []bus.ResourceID{"", ".", "..", "a/../b"} {
		got = ""
		if _, err := c.Resources().Read(ctx, id); !client.IsCode(err, bus.CodeInvalid) || got != "" {
			t.Errorf("Read(%q) = %v, sent %q", id, err, got)
		}
	}
}

func TestProblemIsAnError(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		answer(w, http.StatusForbidden, client.Problem{Title: "denied\nforged", Code: bus.CodeDenied, DecisionID: "d1",
			Defects: []bus.Defect{{Field: "purpose", Problem: bus.Text{EN: "not granted"}, Allowed: "verification"}}})
	}, client.Config{})
	_, err := c.Resources().List(t.Context())
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Status != 403 || p.DecisionID != "d1" || !client.IsCode(err, bus.CodeDenied) || client.IsCode(err, bus.CodeNotFound) {
		t.Fatalf("List = %v", err)
	}
	want := `GET /api/v1/resources: denied-by-policy: denied\nforged; purpose: not granted (allowed: verification) (decision d1)`
	if err.Error() != want {
		t.Errorf("Error() = %s\nwant      %s", err, want)
	}
	if client.IsCode(nil, "") {
		t.Error("nil has a code")
	}
}

func TestAnswersThatAreNotAProblem(t *testing.T) {
	for status, want := range map[int]bus.Code{401: bus.CodeUnauthenticated, 404: bus.CodeNotFound, 502: bus.CodeUnavailable,
		500: bus.CodeInternal, 302: bus.CodeInternal, 413: bus.CodeTooLarge} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.invalid/")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>proxy</html>")
		}, client.Config{})
		if _, err := c.Nodes(t.Context()); !client.IsCode(err, want) {
			t.Errorf("status %d: %v, want %s", status, err, want)
		}
	}
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"items":`) }, client.Config{})
	if _, err := c.Nodes(t.Context()); err == nil {
		t.Error("half an answer was taken")
	}
}

func TestAuditExportStreamsAndTellsABreak(t *testing.T) {
	more := make(chan struct{})
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{\"leaf\":0}\n")
		w.(http.Flusher).Flush()
		<-more
		panic(http.ErrAbortHandler)
	}, client.Config{Timeout: 50 * time.Millisecond})
	body, err := c.AuditExport(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	line := make([]byte, 11)
	if _, err := io.ReadFull(body, line); err != nil || string(line) != "{\"leaf\":0}\n" {
		t.Fatalf("first line %q, %v", line, err)
	}
	close(more)
	if _, err := io.ReadAll(body); err == nil {
		t.Error("a broken export ended like a whole one")
	}
}

// fake starts a node whose API is handler and connects to it.
func fake(t *testing.T, handler http.HandlerFunc, cfg client.Config) *client.Client {
	t.Helper()
	node := httptest.NewUnstartedServer(handler)
	node.EnableHTTP2 = true
	node.Config.ErrorLog = nil
	node.StartTLS()
	t.Cleanup(node.Close)
	return connect(t, node, cfg)
}

func connect(t *testing.T, node *httptest.Server, cfg client.Config) *client.Client {
	t.Helper()
	cfg.Server = node.URL
	cfg.CAPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: node.Certificate().Raw})
	if cfg.Backoff == 0 {
		cfg.Backoff = time.Millisecond
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answer(w http.ResponseWriter, status int, value any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
