package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestCredentialsAreShownAndRotated(t *testing.T) {
	first := bus.Credential{ID: "first", Kind: bus.CredentialBearer, Created: now.Add(-time.Hour), Expires: now.Add(24 * time.Hour)}
	second := bus.Credential{ID: "b2", Kind: bus.CredentialBearer, Created: now}
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /systems/s/credentials": items(client.CredentialState{Credential: first, Live: true, LastUsed: now}, client.CredentialState{Credential: second, Live: true}),
		"POST /systems/s/credentials": give(client.NewCredential{
			System: bus.System{ID: "s", Credentials: []bus.Credential{first, second}}, Credential: second, Bearer: "gxs_secret",
		}),
		"DELETE /systems/s/credentials/first": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	})
	out, _ := sh.ok("system", "credentials", "s", "-o", "csv")
	contains(t, "the list", out, "first,bearer", "b2,bearer", "true")
	_, errs := sh.ok("system", "rotate", "s", "--overlap", "24")
	contains(t, "what is told", errs, "first stays good until")
	if body := sh.seen[0].body; body != `{"kind":"bearer","overlap_hours":24}` {
		t.Errorf("sent %s", body)
	}
	_, errs = sh.ok("system", "retire", "s", "first")
	contains(t, "what is told", errs, "good no more")
	for _, wrong := range []string{"system certificate s", "system certificate s --issued -f x", "system retire s", "login", "login --oidc somebody"} {
		if code, _, _ := sh.run(strings.Fields(wrong)...); code != 2 {
			t.Errorf("gxbus %s: exit %d", wrong, code)
		}
	}
	sh.ok("system", "certificate", "s", "--issued")
	if body := sh.seen[0].body; body != `{"kind":"issued-certificate","overlap_hours":168}` {
		t.Errorf("sent %s", body)
	}
	sh.ok("system", "certificate", "s", "-f", sh.file("crt", "PEM"))
	if body := sh.seen[0].body; body != `{"kind":"certificate","certificate":"PEM","overlap_hours":168}` {
		t.Errorf("sent %s", body)
	}
}

func TestASigningKeySignsAndIsNotSent(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /departments": items[bus.Department]()})
	sh.env["GXBUS_TOKEN"] = "gxk_permits_k1_" + strings.Repeat("A", 43)
	sh.ok("department", "list")
	got := sh.seen[0].header.Get("Authorization")
	if !strings.HasPrefix(got, "GXBUS-HMAC-SHA256 credential=permits/k1, ") || strings.Contains(got, "AAAA") {
		t.Errorf("sent %q", got)
	}
	sh.env["GXBUS_TOKEN"] = "gxk_permits"
	if code, _, errs := sh.run("department", "list"); code != 1 || !strings.Contains(errs, "signing_key") {
		t.Errorf("half a key: exit %d, %s", code, errs)
	}
}

// The node here is also the browser that comes back, after somebody else's has.
func TestLoginAtTheIdentityProvider(t *testing.T) {
	session := client.Session{Token: "gxa_session", Account: "auditor", Role: bus.RoleAuditor, Expires: now.Add(time.Hour)}
	came := make(chan client.OIDCAnswer, 1)
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /sessions/oidc": func(w http.ResponseWriter, r *http.Request) {
			var asked client.OIDCRequest
			_ = json.NewDecoder(r.Body).Decode(&asked)
			give(client.OIDCBegun{AuthorizationURL: "https://idp.example/authorize?state=mine", Flow: "flow", Expires: now.Add(time.Minute)})(w, r)
			go func() {
				for _, back := range []string{"?error=access_denied&state=mine", "?state=another&code=theirs", "?state=mine&code=ours"} {
					resp, err := http.Get(asked.RedirectURL + back)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
		},
		"POST /sessions/oidc/complete": func(w http.ResponseWriter, r *http.Request) {
			var in client.OIDCAnswer
			_ = json.NewDecoder(r.Body).Decode(&in)
			came <- in
			give(session)(w, r)
		},
		"GET /departments": items[bus.Department](),
	})
	_, errs := sh.ok("login", "--oidc")
	contains(t, "what is told", errs, "https://idp.example/authorize?state=mine", "signed in to")
	if got := <-came; got != (client.OIDCAnswer{Flow: "flow", State: "mine", Code: "ours"}) {
		t.Errorf("completed with %+v", got)
	}
	sh.ok("department", "list")
	if got := sh.seen[0].header.Get("Authorization"); got != "Bearer gxa_session" {
		t.Errorf("later it is %q", got)
	}
}
