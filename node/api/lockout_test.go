package api_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/identity/oidc/oidctest"
)

// signIn tries a password over the wire.
func (w *world) signIn(account, password string, header map[string]string) reply {
	w.t.Helper()
	return w.ask(request{method: "POST", path: "/api/v1/sessions", header: header, body: text(asJSON(w.t, client.SignIn{Account: account, Password: password}))})
}

// count tells how many leaves of a code there are.
func (w *world) count(code bus.Code) (n int) {
	w.t.Helper()
	for _, leaf := range w.leaves() {
		if leaf.Code == code {
			n++
		}
	}
	return n
}

func TestS05_FailedSignInsLockAnAccountWhateverTheHeadersSay(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		forged := map[string]string{"X-Forwarded-For": fmt.Sprint("10.0.0.", i), "X-Real-IP": fmt.Sprint("10.0.1.", i), "Forwarded": fmt.Sprint("for=10.0.2.", i)}
		if got := w.signIn("secadmin", "wrong password", forged); got.status != 401 {
			t.Fatalf("failure %d is answered %d %s", i, got.status, got.body)
		}
		if got := w.signIn("nobody-of-that-name", "wrong password", forged); got.status != 401 {
			t.Fatalf("failure %d of nobody is answered %d %s", i, got.status, got.body)
		}
	}
	locked := w.signIn("secadmin", w.Passwords["secadmin"], map[string]string{"X-Forwarded-For": "10.0.0.99", "Accept-Language": "zh"})
	unknown := w.signIn("nobody-of-that-name", "wrong password", nil)
	if locked.status != 429 || locked.problem.Code != bus.CodeLocked || locked.header.Get("Retry-After") != "900" || !strings.Contains(locked.body, "暂时锁定") {
		t.Errorf("the right password while locked: %d %v %s", locked.status, locked.header, locked.body)
	}
	if unknown.status != 429 || unknown.problem.Code != bus.CodeLocked {
		t.Errorf("a name of nobody is told from one of somebody: %d %s", unknown.status, unknown.body)
	}
	if w.bearers["again"] = w.SignIn(w.First, "sysadmin"); w.ask(request{method: "GET", path: "/api/v1/status", who: secadmin}).status != 200 {
		t.Error("a session that is open ends with the lock")
	}
	known := map[bus.Principal]int{}
	for _, leaf := range w.leaves() {
		if leaf.Kind == audit.KindRefused && (leaf.Code == bus.CodeUnauthenticated || leaf.Code == bus.CodeLocked) {
			known[leaf.Principal]++
		}
	}
	if known[bus.Principal{Account: "secadmin", Role: bus.RoleSecurityAdministrator}] != 6 || known[bus.Principal{Node: w.First.Spec.ID}] != 1 {
		t.Errorf("on record are %v, want five failures and a lock of secadmin, and a lock of nobody", known)
	}

	w.First.Stop()
	w.First.Start()
	if got := w.signIn("secadmin", w.Passwords["secadmin"], nil); got.status != 429 {
		t.Errorf("after a restart: %d", got.status)
	}
	w.clock.advance(15 * time.Minute)
	if got := w.signIn("secadmin", w.Passwords["secadmin"], nil); got.status != 200 {
		t.Errorf("after a quarter of an hour: %d %s", got.status, got.body)
	}
}

// federated is a world whose node has an identity provider.
func federated(t *testing.T) (*world, *oidctest.Provider) {
	t.Helper()
	p := oidctest.Start(t)
	dir := t.TempDir()
	secret, ca := filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem")
	check(t, os.WriteFile(secret, []byte(oidctest.ClientSecret+"\n"), 0o600))
	check(t, os.WriteFile(ca, p.CA(), 0o644))
	w := newWorldWith(t, nodetest.Options{Config: func(c *server.Config) {
		c.OIDC = server.OIDC{Issuer: p.Issuer(), ClientID: oidctest.ClientID, ClientSecretFile: secret, CAFile: ca}
	}})
	p.Now = w.clock.Now
	return w, p
}

func (w *world) begin() client.OIDCBegun {
	w.t.Helper()
	begun, err := w.First.Client("").BeginOIDC(w.t.Context(), "http://127.0.0.1:9/callback")
	check(w.t, err)
	return begun
}

func (w *world) complete(in client.OIDCAnswer) reply {
	w.t.Helper()
	return w.ask(request{method: "POST", path: "/api/v1/sessions/oidc/complete", body: text(asJSON(w.t, in))})
}

func TestPeopleSignInAtTheProviderAndAreWhoTheDirectorySays(t *testing.T) {
	w, p := federated(t)
	signIn := func(account string, forge func(*oidctest.Token)) (client.OIDCAnswer, reply) {
		p.Vouch(account, forge, nil)
		begun := w.begin()
		state, code := p.SignIn(begun.AuthorizationURL)
		in := client.OIDCAnswer{Flow: begun.Flow, State: state, Code: code}
		return in, w.complete(in)
	}
	in, got := signIn("auditor", func(t *oidctest.Token) {
		t.Claims["role"], t.Claims["groups"] = "system-administrator", []string{"sysadmin"}
	})
	var session client.Session
	if got.status != 200 || !strings.Contains(got.body, `"role":"auditor"`) {
		t.Fatalf("signed in: %d %s", got.status, got.body)
	}
	check(t, jsonOf(got.body, &session))
	w.bearers["federated"] = session.Token
	if got := w.ask(request{method: "GET", path: "/api/v1/audit/export", who: "federated"}); got.status != 200 {
		t.Errorf("the session is answered %d", got.status)
	}
	if got := w.ask(request{method: "POST", path: "/api/v1/tokens", who: "federated", body: text(`{"node":"n","division":"440100"}`)}); got.status != 403 {
		t.Errorf("the provider's roles count: %d", got.status)
	}
	if got := w.complete(in); got.status != 401 {
		t.Errorf("S17 completed again: %d", got.status)
	}
	for name, forge := range map[string]func(*oidctest.Token){
		"S16 none":              func(t *oidctest.Token) { t.Header["alg"] = "none" },
		"S17 expired":           func(t *oidctest.Token) { t.Claims["exp"] = w.clock.Now().Add(-time.Hour).Unix() },
		"S17 not yet valid":     func(t *oidctest.Token) { t.Claims["nbf"] = w.clock.Now().Add(time.Hour).Unix() },
		"S17 another audience":  func(t *oidctest.Token) { t.Claims["aud"] = "another" },
		"S17 another issuer":    func(t *oidctest.Token) { t.Claims["iss"] = "https://elsewhere.example" },
		"S17 a replayed nonce":  func(t *oidctest.Token) { t.Claims["nonce"] = "of-another-sign-in" },
		"an account of nobody":  func(t *oidctest.Token) { t.Claims["preferred_username"] = "nobody-here" },
		"a name that is no one": func(t *oidctest.Token) { t.Claims["preferred_username"] = 7 },
	} {
		if _, got := signIn("sysadmin", forge); got.status != 401 || strings.Contains(got.body, "gxa_") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	secadmin := w.First.Client(w.bearers[secadmin])
	account, err := secadmin.Accounts().Read(t.Context(), operator)
	check(t, err)
	account.Disabled = true
	_, err = secadmin.Accounts().Put(t.Context(), account)
	check(t, err)
	before := w.count(bus.CodeUnauthenticated)
	if _, got := signIn(operator, nil); got.status != 401 || w.count(bus.CodeUnauthenticated) != before+1 {
		t.Errorf("a disabled account signs in: %d, and %d leaves tell", got.status, w.count(bus.CodeUnauthenticated)-before)
	}
	for range 20 {
		got = w.complete(client.OIDCAnswer{Flow: "x", State: "y", Code: "z"})
	}
	if got.status != 429 || got.problem.Code != bus.CodeLocked {
		t.Errorf("after twenty failures: %d %s", got.status, got.body)
	}
}

func TestS20_ADisabledAccountsStreamsAndPollsDie(t *testing.T) {
	w := newWorld(t)
	stream := w.stream(operator, "", nil)
	stream.expect(t, "id: ")
	polled := make(chan reply, 1)
	go func() {
		polled <- w.ask(request{method: "GET", path: "/api/v1/changes?wait=30&kind=layer", who: operator})
	}()
	check(t, until(func() bool { // both are under way
		got := w.ask(request{method: "GET", path: "/api/v1/status", who: operator})
		return got.status == http.StatusOK
	}))
	admin := w.First.Client(w.bearers[secadmin])
	account, err := admin.Accounts().Read(t.Context(), operator)
	check(t, err)
	account.Disabled = true
	_, err = admin.Accounts().Put(t.Context(), account)
	check(t, err)
	start := time.Now()
	if last, took := stream.ended(t); took > 2*time.Second || !strings.Contains(strings.Join(last, "\n"), `"code":"unauthenticated"`) {
		t.Errorf("the stream ended after %v: %q", took, last)
	}
	if got := <-polled; got.status != 401 || time.Since(start) > 4*time.Second {
		t.Errorf("the poll is answered %d after %v", got.status, time.Since(start))
	}
	if got := w.ask(request{method: "GET", path: "/api/v1/status", who: operator}); got.status != 401 {
		t.Errorf("the session goes on: %d", got.status)
	}
}
