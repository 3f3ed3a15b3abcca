package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gxbus/gxbus/node/api"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/identity/oidc"
	"github.com/gxbus/gxbus/pkg/signin"
)

// partSignIn is what the node remembers of those who call it. It is no part of a
// backup: a restored node begins without locks.
const partSignIn = "signin.db"

// signingRoot is the file of the secret that this node's signing keys are made from.
const signingRoot = "signing.key"

// OIDC is the identity provider that people can sign in at (统一身份认证).
type OIDC struct {
	Issuer           string   `yaml:"issuer"`
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"` // mode 0600; empty: a public client
	RedirectURL      string   `yaml:"redirect_url"`       // for browsers; gxbus login needs none
	Claim            string   `yaml:"claim"`              // that is the account's name; preferred_username where empty
	Algorithms       []string `yaml:"algorithms"`         // of ID tokens; RS256 and ES256 where empty
	CAFile           string   `yaml:"ca_file"`            // PEM that the provider's TLS is under; the system's roots where empty
}

// configured reports whether there is a provider.
func (o OIDC) configured() bool { return o.Issuer != "" || o.ClientID != "" }

func (o OIDC) relyingParty() oidc.Config {
	c := oidc.Config{Issuer: o.Issuer, ClientID: o.ClientID, RedirectURL: o.RedirectURL, Claim: o.Claim, Algorithms: o.Algorithms}
	if c.Claim == "" {
		c.Claim = "preferred_username"
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"RS256", "ES256"}
	}
	return c
}

func (o OIDC) defects() []bus.Defect {
	if !o.configured() {
		return nil
	}
	defects := o.relyingParty().Check()
	for i := range defects {
		defects[i].Field = "oidc." + defects[i].Field
	}
	return defects
}

// openSignIn opens what tells who calls, but for the directory.
func (s *Server) openSignIn(context.Context) error {
	memory, err := signin.Open(s.dir.path(partSignIn), s.now, s.halt)
	if err != nil {
		return s.busy(err)
	}
	s.onClose(memory.Close)
	root, err := s.dir.secret(signingRoot)
	if err != nil {
		return err
	}
	s.signIn = api.SignIn{Passwords: identity.NewPasswordGate(passwordChecks), Memory: memory, Root: root, Rate: s.config.SystemRate, EventRate: s.config.SystemEventRate}
	if s.config.ClientCA != "" {
		if s.signIn.ClientCAs, err = poolOf(s.config.ClientCA); err != nil {
			return err
		}
	}
	if !s.config.OIDC.configured() {
		return nil
	}
	party := s.config.OIDC.relyingParty()
	party.Now = s.now
	if file := s.config.OIDC.ClientSecretFile; file != "" {
		secret, err := identity.ReadPrivate(file)
		if err != nil {
			return fmt.Errorf("oidc.client_secret_file: %w", err)
		}
		party.ClientSecret = strings.TrimSpace(string(secret))
	}
	if file := s.config.OIDC.CAFile; file != "" {
		if party.Roots, err = poolOf(file); err != nil {
			return err
		}
	}
	provider := oidc.New(party)
	s.onClose(func() error { provider.Close(); return nil })
	s.signIn.Federation = provider
	return nil
}

func poolOf(file string) (*x509.CertPool, error) {
	certificates, err := identity.LoadCertificates(file)
	if err != nil {
		return nil, err
	}
	return pool(certificates), nil
}

// secret reads a secret of the node, or makes it at the first start.
func (d DataDir) secret(file string) (identity.Secret, error) {
	path := d.path(file)
	secret, err := identity.LoadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret = identity.NewSecret()
		err = identity.SaveSecret(path, secret)
	}
	return secret, err
}

// apiTLS is how agencies and people are spoken with. A client certificate is asked for
// where any caller can have one; one that is shown must be of a system of this bus.
// It may be signed by anybody where its key is registered, so that it is not the
// library that judges it but CheckConnection.
func (s *Server) apiTLS(handler *api.API) *tls.Config {
	base := &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.apiCertificate, NextProtos: []string{"http/1.1"}, VerifyConnection: handler.CheckConnection,
	}
	asking := base.Clone()
	asking.ClientAuth = tls.RequestClientCert
	asking.SessionTicketsDisabled = true // a session from before certificates were asked for has none
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if handler.WantsCertificates() {
			return asking, nil
		}
		return nil, nil
	}
	return base
}
