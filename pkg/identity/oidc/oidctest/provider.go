// Package oidctest is a small OpenID provider on loopback, for tests: real sockets,
// real signatures, and as many ways to misbehave as a test asks for.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// The client that the provider knows.
const (
	ClientID     = "gxbus"
	ClientSecret = "oidc-client-secret"
)

// Token is an ID token before it is signed.
type Token struct {
	Header, Claims map[string]any
}

// Provider is a running provider.
type Provider struct {
	Now func() time.Time

	tb     testing.TB
	server *httptest.Server
	rsa    *rsa.PrivateKey
	ecdsa  *ecdsa.PrivateKey

	mu      sync.Mutex
	account string
	forge   func(*Token)
	sign    func(p *Provider, algorithm, text string) []byte
	codes   map[string]grant
	asked   []string // paths that were asked for
}

type grant struct {
	redirect, nonce, challenge string
}

// Start starts a provider, which vouches for everybody as the account "auditor" until
// it is told otherwise, and stops it when the test ends.
func Start(tb testing.TB) *Provider {
	tb.Helper()
	p := &Provider{Now: time.Now, tb: tb, account: "auditor", codes: map[string]grant{}}
	var err error
	if p.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		tb.Fatal(err)
	}
	if p.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		tb.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.URL.Path)
		p.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(p.server.Close)
	return p
}

// Issuer is the provider's URL.
func (p *Provider) Issuer() string { return p.server.URL }

// CA is the certificate that the provider's TLS is under, in PEM.
func (p *Provider) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

// Roots holds that certificate.
func (p *Provider) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.server.Certificate())
	return pool
}

// Vouch says whom the provider vouches for, how it changes its ID tokens, and how it
// signs them; nil for the honest way.
func (p *Provider) Vouch(account string, forge func(*Token), sign func(p *Provider, algorithm, text string) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.account, p.forge, p.sign = account, forge, sign
}

// Asked lists the paths that were asked for.
func (p *Provider) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// SignIn is what a person does in a browser: it opens the authorization URL and
// returns what the provider's redirect carries.
func (p *Provider) SignIn(authorization string) (state, code string) {
	p.tb.Helper()
	browser := *p.server.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := browser.Get(authorization)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound {
		p.tb.Fatalf("the provider answers %d, %v", resp.StatusCode, err)
	}
	return back.Query().Get("state"), back.Query().Get("code")
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": p.Issuer(), "authorization_endpoint": p.Issuer() + "/authorize", "token_endpoint": p.Issuer() + "/token", "jwks_uri": p.Issuer() + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	point, err := p.ecdsa.PublicKey.Bytes()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"keys": []map[string]any{
		{"kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": encode(p.rsa.N.Bytes()), "e": "AQAB"},
		{"kty": "EC", "kid": "e1", "use": "sig", "alg": "ES256", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])},
	}})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" {
		http.Error(w, "not a request that a careful client makes", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = grant{q.Get("redirect_uri"), q.Get("nonce"), q.Get("code_challenge")}
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	p.mu.Lock()
	defer p.mu.Unlock()
	code := r.PostFormValue("code")
	g, ok := p.codes[code]
	delete(p.codes, code)
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || id != ClientID || secret != ClientSecret || g.redirect != r.PostFormValue("redirect_uri") || g.challenge != encode(challenge[:]) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	now := p.Now()
	t := Token{
		Header: map[string]any{"alg": "RS256", "kid": "r1", "typ": "JWT"},
		Claims: map[string]any{
			"iss": p.Issuer(), "aud": ClientID, "sub": "person-1", "preferred_username": p.account, "nonce": g.nonce,
			"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		},
	}
	if p.forge != nil {
		p.forge(&t)
	}
	sign := p.sign
	if sign == nil {
		sign = (*Provider).Sign
	}
	algorithm, _ := t.Header["alg"].(string)
	text := part(t.Header) + "." + part(t.Claims)
	answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": text + "." + encode(sign(p, algorithm, text))})
}

// Sign signs as the algorithm says, RS256 or ES256; nothing for any other.
func (p *Provider) Sign(algorithm, text string) []byte {
	sum := sha256.Sum256([]byte(text))
	switch algorithm {
	case "RS256":
		signature, err := rsa.SignPKCS1v15(rand.Reader, p.rsa, crypto.SHA256, sum[:])
		if err != nil {
			p.tb.Error(err)
		}
		return signature
	case "ES256":
		r, s, err := ecdsa.Sign(rand.Reader, p.ecdsa, sum[:])
		if err != nil {
			p.tb.Error(err)
			return nil
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return nil
}

// SignWithPublicKey signs with HMAC over the provider's public key, which everybody
// knows: what a verifier falls for that lets the token choose the algorithm.
func (p *Provider) SignWithPublicKey(_, text string) []byte {
	der, err := x509.MarshalPKIXPublicKey(&p.rsa.PublicKey)
	if err != nil {
		p.tb.Error(err)
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func part(v map[string]any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers always encode
	}
	return encode(data)
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that went away
}
