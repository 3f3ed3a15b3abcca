package cli_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const uscc = "11440000006939561H" // a real code; the names beside it are samples

// shell is one user's shell: an environment, a home, and a node to speak to.
type shell struct {
	mu   sync.Mutex // of seen, while the node is asked
	t    *testing.T
	env  map[string]string
	in   string
	seen []request // what the node was asked
	errs bytes.Buffer
}

type request struct {
	line, body string
	header     http.Header
}

// newShell starts a node with these routes ("GET /departments") and points
// GXBUS_SERVER and GXBUS_CA at it.
func newShell(t *testing.T, routes map[string]http.HandlerFunc) *shell {
	t.Helper()
	sh := &shell{t: t, env: map[string]string{}}
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), "/api/v1")
		sh.mu.Lock()
		sh.seen = append(sh.seen, request{line, string(body), r.Header})
		sh.mu.Unlock()
		route, ok := routes[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v1")]
		if !ok {
			refuse(bus.CodeNotFound, 404)(w, r)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		route(w, r)
	}))
	node.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // refused handshakes are meant
	node.StartTLS()
	t.Cleanup(node.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: node.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	sh.env["GXBUS_SERVER"], sh.env["GXBUS_CA"] = node.URL, ca
	sh.env["GXBUS_CREDENTIALS"] = filepath.Join(t.TempDir(), "sub", "credentials.json")
	return sh
}

var now = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

func (sh *shell) run(args ...string) (code int, out, errs string) {
	sh.t.Helper()
	var stdout bytes.Buffer
	code = sh.runInto(&stdout, args...)
	return code, stdout.String(), sh.errs.String()
}

func (sh *shell) runInto(stdout io.Writer, args ...string) int {
	sh.seen = nil
	sh.errs.Reset()
	return cli.Run(sh.t.Context(), cli.Process{
		In: strings.NewReader(sh.in), Out: stdout, Err: &sh.errs, Now: func() time.Time { return now },
		Env: func(name string) string { return sh.env[name] },
	}, cli.Build{Version: "1.2.3", Go: "go1.26"}, args)
}

// ok runs a command that must succeed.
func (sh *shell) ok(args ...string) (out, errs string) {
	sh.t.Helper()
	code, out, errs := sh.run(args...)
	if code != cli.ExitOK {
		sh.t.Fatalf("gxbus %s: exit %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out, errs
}

func (sh *shell) file(name, content string) string {
	sh.t.Helper()
	path := filepath.Join(sh.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		sh.t.Fatal(err)
	}
	return path
}

func give(value any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(value) }
}

func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

func refuse(code bus.Code, status int, defects ...bus.Defect) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(client.Problem{Code: code, Title: "from the node", Defects: defects, DecisionID: "d-1"})
	}
}

func items[V any](values ...V) http.HandlerFunc { return give(map[string]any{"items": values}) }

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, text)
		}
	}
}
