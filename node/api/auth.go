package api

import (
	"context"
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/identity/oidc"
	"github.com/gxbus/gxbus/pkg/signin"
)

// Federation has people sign in at an identity provider.
type Federation interface {
	Begin(ctx context.Context, redirect string) (oidc.Begun, error)
	Complete(ctx context.Context, flow, state, code string) (account string, err error)
}

// SignIn is what the API needs to tell who calls.
type SignIn struct {
	Passwords  *identity.PasswordGate
	Memory     *signin.Memory
	Root       identity.Secret // signing keys are made from it
	Rate       int             // requests of one system in a second
	EventRate  int             // events that one publishes in a second
	Federation Federation      // nil: people sign in with passwords only
	ClientCAs  *x509.CertPool  // whose client certificates name systems; nil: nobody's
}

// proof is how a caller proved who it is.
type proof struct {
	by bus.Principal // whom evidence names: also one that proved itself and is not to be let in

	// again asks whether the proof still stands, for answers that go on. Who asks so
	// is not at work: a session may end of idleness meanwhile.
	again func() (bus.Principal, error)
	once  func(http.ResponseWriter, *http.Request) error // nil, or takes what may be used once only
}

// refusedCredential is the one answer to whoever did not prove anything.
func refusedCredential() error {
	return bus.E(bus.CodeUnauthenticated, bus.Defect{
		Field: "Authorization", Problem: bus.Text{ZH: "凭证无效、已停用或已过期", EN: "unknown, disabled or expired credential"},
	})
}

// authenticate finds who calls: nobody where the request carries no credential, an
// error where it carries one that is not good. What Authorization says goes before a
// client certificate. Nothing else that a request says of its sender is read, for
// anybody can say it (threat S05).
func (a *API) authenticate(r *http.Request) (proof, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return a.byCertificate(r)
	}
	scheme, _, _ := strings.Cut(headers[0], " ")
	token := bearer(r)
	switch {
	case len(headers) > 1:
		return proof{}, refusedCredential()
	case strings.EqualFold(scheme, identity.SignatureScheme):
		return a.bySignature(r, headers[0])
	case strings.HasPrefix(token, sessionPrefix):
		return a.bySession(token)
	}
	credential, err := identity.ParseCredential(token)
	if err != nil {
		return proof{}, refusedCredential()
	}
	return a.holding(credential.System, false, func(c bus.Credential) bool {
		return c.Kind == bus.CredentialBearer && credential.Secret.Matches(c.Hash)
	})
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (a *API) bySession(token string) (proof, error) {
	session := func(used bool) (bus.Principal, error) {
		p, err := a.signedIn(token, used)
		if err == nil && p == (bus.Principal{}) {
			err = refusedCredential()
		}
		return p, err
	}
	by, err := session(true)
	return proof{by: by, again: func() (bus.Principal, error) { return session(false) }}, err
}

// holding proves a system that has a live credential of which is is true, now and
// whenever it is asked again.
func (a *API) holding(id bus.SystemID, signed bool, is func(bus.Credential) bool) (proof, error) {
	again := func() (bus.Principal, error) {
		_, by, err := a.holder(id, signed, is)
		return by, err
	}
	c, by, err := a.holder(id, signed, is)
	if err == nil {
		a.SignIn.Memory.Used(id, c.ID, a.Now())
	}
	return proof{by: by, again: again}, err
}

// holder looks a credential up. A system that proved itself and may not call is
// returned with the error.
func (a *API) holder(id bus.SystemID, signed bool, is func(bus.Credential) bool) (held bus.Credential, by bus.Principal, err error) {
	var system bus.System
	err = a.Directory.View(func(tx *state.Tx) error {
		system, _ = tx.System(id)
		return nil
	})
	if err != nil {
		return held, by, err
	}
	now := a.Now()
	for _, c := range system.Credentials {
		if c.Live(now) && is(c) {
			held = c
		}
	}
	if held.ID == "" {
		return held, by, refusedCredential()
	}
	by = bus.Principal{System: system.ID, Department: system.Department}
	switch {
	case system.Disabled:
		err = refusedCredential()
	case system.SigningRequired && !signed:
		err = bus.E(bus.CodeUnauthenticated, bus.Defect{
			Field: "Authorization", Problem: bus.Text{ZH: "该系统的请求须签名", EN: "requests of this system must be signed"},
			Allowed: identity.SignatureScheme + " …",
		})
	}
	return held, by, err
}

// admit lets an authenticated request in: at the rate of its system, and once where it
// is signed.
func (a *API) admit(w http.ResponseWriter, r *http.Request, c *caller, p proof) error {
	if p.by.System != "" {
		if err := a.requests.keep(r.Context(), a, p.by, 1); err != nil {
			c.recorded = true
			return err
		}
	}
	if p.once != nil {
		return p.once(w, r)
	}
	return nil
}
