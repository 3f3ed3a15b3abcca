package oidc_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity/oidc"
	"github.com/gxbus/gxbus/pkg/identity/oidc/oidctest"
)

const (
	page = "https://node.example/login"
	cli  = "http://127.0.0.1:39999/callback"
)

func config(p *oidctest.Provider) oidc.Config {
	return oidc.Config{
		Issuer: p.Issuer(), ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: page,
		Claim: "preferred_username", Algorithms: []string{"RS256", "ES256"}, Roots: p.Roots(), Now: time.Now,
	}
}

func start(t *testing.T, p *oidctest.Provider) *oidc.Provider {
	t.Helper()
	node := oidc.New(config(p))
	t.Cleanup(node.Close)
	return node
}

func begin(t *testing.T, node *oidc.Provider) oidc.Begun {
	t.Helper()
	begun, err := node.Begin(context.Background(), cli)
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

func TestSomebodySignsInAtTheProvider(t *testing.T) {
	p := oidctest.Start(t)
	node := start(t, p)
	for _, algorithm := range []string{"RS256", "ES256"} {
		p.Vouch("sysadmin", func(token *oidctest.Token) {
			token.Header["alg"], token.Header["kid"] = algorithm, strings.ToLower(algorithm[:1])+"1"
		}, nil)
		for _, redirect := range []string{page, cli, "http://[::1]:39999/callback"} {
			begun, err := node.Begin(context.Background(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			state, code := p.SignIn(begun.URL)
			account, err := node.Complete(context.Background(), begun.Flow, state, code)
			if err != nil || account != "sysadmin" {
				t.Errorf("%s, by %s: %q, %v", algorithm, redirect, account, err)
			}
		}
	}
	begun := begin(t, node)
	for _, secret := range []string{oidctest.ClientSecret, "verifier"} {
		if strings.Contains(begun.URL+begun.Flow, secret) {
			t.Errorf("S44 %s is told", secret)
		}
	}
	q, err := url.Parse(begun.URL)
	if err != nil || strings.Contains(begun.Flow, q.Query().Get("nonce")) {
		t.Errorf("the flow shows the nonce, %v", err)
	}
}

// forged is a token that must not be taken.
type forged struct {
	name  string
	token func(*oidctest.Token)
	sign  func(p *oidctest.Provider, algorithm, text string) []byte
}

func claim(name string, value any) func(*oidctest.Token) {
	return func(t *oidctest.Token) {
		if value == nil {
			delete(t.Claims, name)
			return
		}
		t.Claims[name] = value
	}
}

func header(pairs ...any) func(*oidctest.Token) {
	return func(t *oidctest.Token) {
		for i := 0; i < len(pairs); i += 2 {
			t.Header[pairs[i].(string)] = pairs[i+1]
		}
	}
}

func forgeries(p, other *oidctest.Provider) []forged {
	strange := func(_ *oidctest.Provider, algorithm, text string) []byte { return other.Sign(algorithm, text) }
	public := (*oidctest.Provider).SignWithPublicKey
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	return []forged{
		{"S16 none", header("alg", "none"), nil},
		{"S16 None", header("alg", "None"), nil},
		{"S16 none without a kid", func(t *oidctest.Token) { t.Header = map[string]any{"alg": "none"} }, nil},
		{"S16 no algorithm", func(t *oidctest.Token) { delete(t.Header, "alg") }, nil},
		{"S16 RS256 to HS256", header("alg", "HS256"), public},
		{"S16 HS256 with the client's secret", header("alg", "HS256", "kid", ""), public},
		{"S16 a path for a kid", header("kid", "../../../../dev/null"), strange},
		{"S16 an injection for a kid", header("kid", "r1' OR '1'='1"), strange},
		{"S16 jku of another", header("jku", other.Issuer()+"/keys", "kid", "r1"), strange},
		{"S16 x5u of another", header("x5u", other.Issuer()+"/keys"), strange},
		{"S16 its own key in the header", header("jwk", map[string]any{"kty": "oct", "k": "AAAA"}), strange},
		{"S16 an algorithm that the node does not take", header("alg", "RS384"), nil},
		{"S16 a critical extension", header("crit", []string{"b64"}, "b64", false), nil},
		{"S16 signed by nobody", nil, func(*oidctest.Provider, string, string) []byte { return nil }},
		{"S16 changed afterwards", nil, func(p *oidctest.Provider, algorithm, text string) []byte { return p.Sign(algorithm, text+"x") }},
		{"S17 expired", claim("exp", in(-time.Minute)), nil},
		{"S17 without an end", claim("exp", nil), nil},
		{"S17 not yet valid", claim("nbf", in(time.Hour)), nil},
		{"S17 another audience", claim("aud", "another"), nil},
		{"S17 no audience", claim("aud", nil), nil},
		{"S17 audiences, for another party", func(t *oidctest.Token) {
			t.Claims["aud"], t.Claims["azp"] = []string{oidctest.ClientID, "another"}, "another"
		}, nil},
		{"S17 audiences, for no stated party", claim("aud", []string{oidctest.ClientID, "another"}), nil},
		{"S17 another issuer", claim("iss", "https://elsewhere.example"), nil},
		{"S17 the issuer with a slash", claim("iss", p.Issuer()+"/"), nil},
		{"S17 another nonce", claim("nonce", "another"), nil},
		{"S17 no nonce", claim("nonce", nil), nil},
		{"nobody's name", claim("preferred_username", nil), nil},
		{"a name that is none", claim("preferred_username", "Sys Admin"), nil},
		{"a list of names", claim("preferred_username", []string{"sysadmin"}), nil},
	}
}

func TestS16_S17_TokensThatAreNotTaken(t *testing.T) {
	p, other := oidctest.Start(t), oidctest.Start(t)
	node := start(t, p)
	for _, f := range forgeries(p, other) {
		t.Run(f.name, func(t *testing.T) {
			p.Vouch("sysadmin", f.token, f.sign)
			begun := begin(t, node)
			state, code := p.SignIn(begun.URL)
			account, err := node.Complete(context.Background(), begun.Flow, state, code)
			if bus.CodeOf(err) != bus.CodeUnauthenticated || account != "" {
				t.Errorf("taken for %q: %v", account, err)
			}
		})
	}
	if asked := other.Asked(); len(asked) > 0 {
		t.Errorf("the node went to %v because a token said so", asked)
	}
}

func TestS17_ASignInIsCompletedOnceByWhoBeganIt(t *testing.T) {
	p := oidctest.Start(t)
	now := time.Now()
	c := config(p)
	c.Now = func() time.Time { return now }
	node := oidc.New(c)
	t.Cleanup(node.Close)
	refuse := func(name, flow, state, code string) {
		t.Helper()
		if account, err := node.Complete(context.Background(), flow, state, code); bus.CodeOf(err) != bus.CodeUnauthenticated {
			t.Errorf("%s: %q, %v", name, account, err)
		}
	}
	mine, theirs := begin(t, node), begin(t, node)
	state, code := p.SignIn(mine.URL)
	refuse("another's flow with my code", theirs.Flow, state, code)
	refuse("no flow", "", state, code)
	refuse("garbage for a flow", strings.Repeat("A", 200), state, code)
	refuse("an endless flow", strings.Repeat("A", 1<<20), state, code)
	for _, end := range "ABQg" { // the last character may carry fewer bits than others
		if changed := mine.Flow[:len(mine.Flow)-1] + string(end); changed != mine.Flow {
			refuse("a flow that was changed", changed, state, code)
		}
	}
	refuse("no state", mine.Flow, "", code)
	if account, err := node.Complete(context.Background(), mine.Flow, state, code); err != nil || account != "auditor" {
		t.Errorf("by who began it: %q, %v", account, err)
	}
	_, fresh := p.SignIn(mine.URL)
	refuse("again, with a new code", mine.Flow, state, fresh)

	crossed := begin(t, node)
	state, _ = p.SignIn(crossed.URL)
	_, stolen := p.SignIn(theirs.URL)
	refuse("my flow with another's code: PKCE", crossed.Flow, state, stolen)

	late := begin(t, node)
	state, code = p.SignIn(late.URL)
	now = now.Add(10 * time.Minute)
	refuse("too late", late.Flow, state, code)

	before := begin(t, node)
	state, code = p.SignIn(before.URL)
	if _, err := start(t, p).Complete(context.Background(), before.Flow, state, code); bus.CodeOf(err) != bus.CodeUnauthenticated {
		t.Errorf("begun before a restart: %v", err)
	}
}

func TestOfManyCompletionsAtOnceOneSucceeds(t *testing.T) {
	p := oidctest.Start(t)
	node := start(t, p)
	begun := begin(t, node)
	state, code := p.SignIn(begun.URL)
	var mu sync.Mutex
	var accounts []string
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if account, err := node.Complete(context.Background(), begun.Flow, state, code); err == nil {
				mu.Lock()
				defer mu.Unlock()
				accounts = append(accounts, account)
			}
		})
	}
	all.Wait()
	if len(accounts) != 1 {
		t.Errorf("completed %d times", len(accounts))
	}
}

func TestWhereASignInMayComeBackTo(t *testing.T) {
	p := oidctest.Start(t)
	node := start(t, p)
	for _, redirect := range []string{
		"", "https://evil.example/login", page + "/", page + "?x", "http://127.0.0.1/callback", "http://127.0.0.1:0/callback", "http://127.0.0.1:80/other",
		"http://localhost:80/callback", "http://127.0.0.1:80@evil.example/callback", "http://10.0.0.1:80/callback", "https://127.0.0.1:80/callback",
		"http://127.0.0.1:080/callback", "http://127.0.0.1:80/callback#x", "HTTP://127.0.0.1:80/callback",
	} {
		if _, err := node.Begin(context.Background(), redirect); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%q: %v", redirect, err)
		}
	}
	if slices.Contains(p.Asked(), "/authorize") {
		t.Error("the provider was asked")
	}
}

func TestAProviderThatCannotBeReachedIsNoRefusal(t *testing.T) {
	p := oidctest.Start(t)
	c := config(p)
	c.Roots = nil // its certificate is nobody's
	stranger := oidc.New(c)
	t.Cleanup(stranger.Close)
	if _, err := stranger.Begin(context.Background(), cli); bus.CodeOf(err) != bus.CodeUnavailable {
		t.Errorf("another's certificate: %v", err)
	}
}

func TestConfigTellsAllThatIsWrong(t *testing.T) {
	fields := func(c oidc.Config) string {
		var all []string
		for _, d := range c.Check() {
			all = append(all, d.Field)
		}
		slices.Sort(all)
		return strings.Join(slices.Compact(all), " ")
	}
	good := config(oidctest.Start(t))
	if got := fields(good); got != "" {
		t.Errorf("the good one: %s", got)
	}
	if got := fields(oidc.Config{RedirectURL: "http://x"}); got != "algorithms claim client_id issuer redirect_url" {
		t.Errorf("told: %s", got)
	}
	for _, algorithm := range []string{"none", "HS256", "rs256", ""} {
		c := good
		c.Algorithms = []string{"RS256", algorithm}
		if fields(c) != "algorithms" {
			t.Errorf("%q is allowed", algorithm)
		}
	}
	good.Issuer = "http://127.0.0.1:1"
	if fields(good) != "issuer" {
		t.Error("an issuer without TLS is taken")
	}
}
