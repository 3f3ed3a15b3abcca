package api

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
)

// byCertificate proves the system whose client certificate the connection was opened
// with, where there is one. The handshake has checked it; this checks again, for a
// connection may outlast a certificate or its registration.
func (a *API) byCertificate(r *http.Request) (proof, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return proof{}, nil
	}
	chain := r.TLS.PeerCertificates
	system, is, err := a.certified(chain)
	if err != nil {
		return proof{}, err
	}
	return a.holding(system, false, func(c bus.Credential) bool {
		// Asked again, the certificate must still be good.
		return is(c) && identity.CheckClient(chain[0], a.Now()) == nil &&
			(c.Kind != bus.CredentialIssued || identity.IssuedToClient(chain, a.SignIn.ClientCAs, a.Now()))
	})
}

// certified finds the system that a client certificate is of, and which of its
// credentials that makes good: the registered key, or what the client CA issued.
func (a *API) certified(chain []*x509.Certificate) (id bus.SystemID, is func(bus.Credential) bool, err error) {
	fingerprint := hex.EncodeToString(identity.KeyHash(chain[0].RawSubjectPublicKeyInfo))
	err = a.Directory.View(func(tx *state.Tx) error {
		if s, ok := tx.Certified(fingerprint); ok {
			id, is = s.ID, func(c bus.Credential) bool {
				registered, ok := c.Certificate()
				return ok && registered == fingerprint
			}
		}
		return nil
	})
	if err != nil || id != "" {
		return id, is, err
	}
	named, ok := identity.SystemFromCertificate(chain[0], a.Cluster.ID())
	if !ok || !identity.IssuedToClient(chain, a.SignIn.ClientCAs, a.Now()) {
		return "", nil, refusedCredential()
	}
	return named, func(c bus.Credential) bool { return c.Kind == bus.CredentialIssued }, nil
}

// WantsCertificates reports whether any caller can have a client certificate. Where
// none can, none is asked for: browsers would trouble people with the question.
func (a *API) WantsCertificates() bool {
	if a.SignIn.ClientCAs != nil {
		return true
	}
	wants := false
	err := a.Directory.View(func(tx *state.Tx) error {
		wants = tx.Certificates()
		return nil
	})
	return err == nil && wants
}

// CheckConnection lets a handshake go on: without a client certificate, or with one
// that is of a system of this bus (threat S21).
func (a *API) CheckConnection(c tls.ConnectionState) error {
	if len(c.PeerCertificates) == 0 {
		return nil
	}
	if defects := identity.CheckClient(c.PeerCertificates[0], a.Now()); defects != nil {
		return errors.New(defects[0].Problem.EN)
	}
	_, _, err := a.certified(c.PeerCertificates)
	return err
}
