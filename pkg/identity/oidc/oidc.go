package oidc

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	library "github.com/coreos/go-oidc/v3/oidc"
	"github.com/gxbus/gxbus/pkg/bus"
	"golang.org/x/oauth2"
)

const (
	flowLife    = 10 * time.Minute
	askTimeout  = 10 * time.Second // for one answer of the provider
	maxAnswer   = 1 << 20
	maxIDToken  = 64 << 10
	maxLoopback = 256 // characters of a redirect URL
)

// Algorithms are those that an ID token may be signed with: with a key that only the
// provider has, never "none", never one that it shares with us (HS256).
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Config says which provider, and how this node is known there.
type Config struct {
	Issuer       string // https URL, as the provider spells it
	ClientID     string
	ClientSecret string   // empty: a public client, with PKCE alone
	RedirectURL  string   // https URL of the page that browsers come back to; empty: only gxbus login
	Claim        string   // of the ID token: the account's name
	Algorithms   []string // that are taken, some of Algorithms()
	Roots        *x509.CertPool
	Now          func() time.Time
}

// Check returns every defect of c, its secret's file and roots apart.
func (c Config) Check() []bus.Defect {
	var defects []bus.Defect
	refuse := func(wrong bool, field, zh, en, allowed string) {
		if wrong {
			defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
		}
	}
	secure := func(text string) bool {
		u, err := url.Parse(text)
		return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	}
	refuse(!secure(c.Issuer), "issuer", "不是 https 地址", "not an https URL", "https://…, as the provider's discovery document spells it")
	refuse(c.ClientID == "", "client_id", "必填", "required", "")
	refuse(c.RedirectURL != "" && !secure(c.RedirectURL), "redirect_url", "不是 https 地址", "not an https URL", "https://…")
	refuse(c.Claim == "", "claim", "必填", "required", "preferred_username, …")
	refuse(len(c.Algorithms) == 0, "algorithms", "必填", "required", strings.Join(Algorithms(), ", "))
	for _, a := range c.Algorithms {
		refuse(!slices.Contains(Algorithms(), a), "algorithms", "不允许的签名算法："+a, "an algorithm that is not allowed: "+a, strings.Join(Algorithms(), ", "))
	}
	return defects
}

// Provider is an identity provider, which need not be reachable until somebody signs
// in. It is safe for concurrent use.
type Provider struct {
	config Config
	http   *http.Client
	flows  *flows

	mu    sync.Mutex
	found *library.Provider
}

// New makes a Provider. It does not connect.
func New(c Config) *Provider {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = c.Roots
	return &Provider{config: c, flows: newFlows(c.Now), http: &http.Client{
		Transport: capped{transport}, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close drops idle connections.
func (p *Provider) Close() { p.http.CloseIdleConnections() }

// Begun is a sign-in that waits for somebody to come back from the provider.
type Begun struct {
	URL     string    // to open in a browser
	Flow    string    // to hand back in Complete, and to nobody else: who has it is who began
	Expires time.Time // until when Complete takes it
}

// Begin starts a sign-in that comes back to a redirect URL: the configured one, or
// http://127.0.0.1:PORT/callback of the program that asks (RFC 8252).
func (p *Provider) Begin(ctx context.Context, redirect string) (Begun, error) {
	if redirect == "" || redirect != p.config.RedirectURL && !loopback(redirect) {
		return Begun{}, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "redirect_url", Problem: bus.Text{ZH: "不允许的回调地址", EN: "not a redirect URL of this node"},
			Allowed: strings.TrimPrefix(p.config.RedirectURL+", http://127.0.0.1:PORT/callback", ", "),
		})
	}
	provider, err := p.discovered(ctx)
	if err != nil {
		return Begun{}, err
	}
	f := flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Redirect: redirect, Expires: p.config.Now().Add(flowLife)}
	sealed, err := p.flows.seal(f)
	if err != nil {
		return Begun{}, err
	}
	at := p.client(provider, redirect).AuthCodeURL(f.State, library.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier))
	return Begun{URL: at, Flow: sealed, Expires: f.Expires}, nil
}

// loopback accepts http://127.0.0.1:PORT/callback, and [::1] likewise, in that spelling.
func loopback(redirect string) bool {
	rest, ok := strings.CutPrefix(redirect, "http://")
	host, ok2 := strings.CutSuffix(rest, "/callback")
	at, err := netip.ParseAddrPort(host)
	return ok && ok2 && err == nil && len(redirect) < maxLoopback && at.Addr().IsLoopback() && at.Port() > 0 && at.String() == host
}

// Complete ends a sign-in with what the provider sent back, and returns the name of
// the account that it vouches for. CodeUnauthenticated where anything is not as it
// must be, CodeUnavailable where the provider cannot be asked. A flow is taken once.
func (p *Provider) Complete(ctx context.Context, sealed, state, code string) (account string, err error) {
	f, err := p.flows.open(sealed, state)
	if err != nil {
		return "", refused(err)
	}
	provider, err := p.discovered(ctx)
	if err != nil {
		return "", err
	}
	ctx = library.ClientContext(ctx, p.http)
	token, err := p.client(provider, f.Redirect).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response.StatusCode < 500 {
		return "", refused(err)
	}
	if err != nil {
		return "", unavailable(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || len(raw) > maxIDToken {
		return "", refused(errors.New("the provider gave no usable ID token"))
	}
	verifier := provider.VerifierContext(ctx, &library.Config{ClientID: p.config.ClientID, SupportedSigningAlgs: p.config.Algorithms, Now: p.config.Now})
	identity, err := verifier.Verify(ctx, raw)
	if _, cut := errors.AsType[*url.Error](err); cut || ctx.Err() != nil {
		return "", unavailable(err)
	}
	if err != nil {
		return "", refused(err)
	}
	return p.accountOf(identity, f)
}

// accountOf reads a verified token.
func (p *Provider) accountOf(identity *library.IDToken, f flow) (string, error) {
	if identity.Nonce != f.Nonce {
		return "", refused(errors.New("the nonce is not this sign-in's"))
	}
	var claims map[string]json.RawMessage
	if err := identity.Claims(&claims); err != nil {
		return "", refused(err)
	}
	var party, account string
	if raw, ok := claims["azp"]; ok && json.Unmarshal(raw, &party) != nil || (ok || len(identity.Audience) > 1) && party != p.config.ClientID {
		return "", refused(errors.New("the token is for another party"))
	}
	if err := json.Unmarshal(claims[p.config.Claim], &account); err != nil || bus.CheckID("account", account) != nil {
		return "", refused(fmt.Errorf("claim %q is not the name of an account", p.config.Claim))
	}
	return account, nil
}

func (p *Provider) client(provider *library.Provider, redirect string) *oauth2.Config {
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.config.ClientSecret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, Endpoint: endpoint, RedirectURL: redirect, Scopes: []string{library.ScopeOpenID, "profile"}}
}

// discovered reads the provider's discovery document, once.
func (p *Provider) discovered(ctx context.Context) (*library.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	found, err := library.NewProvider(library.ClientContext(ctx, p.http), p.config.Issuer)
	if err != nil {
		return nil, unavailable(err)
	}
	for _, at := range []string{found.Endpoint().AuthURL, found.Endpoint().TokenURL} {
		if !strings.HasPrefix(at, "https://") {
			return nil, unavailable(fmt.Errorf("the provider names an endpoint without https: %q", at))
		}
	}
	p.found = found
	return found, nil
}

func refused(cause error) error {
	return bus.E(bus.CodeUnauthenticated, bus.Defect{
		Field: "code", Problem: bus.Text{ZH: "统一身份认证未通过", EN: "the identity provider's answer was not accepted"}, Allowed: "begin the sign-in anew",
	}).Because(cause)
}

func unavailable(cause error) error {
	return bus.E(bus.CodeUnavailable, bus.Defect{
		Field: "oidc", Problem: bus.Text{ZH: "无法连接统一身份认证", EN: "the identity provider cannot be reached"}, Allowed: "try again, or sign in with a password",
	}).Because(cause)
}
