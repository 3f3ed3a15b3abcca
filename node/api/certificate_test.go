package api_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/identity"
)

// issuer is a certificate authority of somebody.
type issuer struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	key, err := identity.NewKey()
	check(t, err)
	i := issuer{t: t, key: key}
	i.certificate = i.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "样例客户端根"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, key)
	return i
}

// sign makes a certificate over a key, as its own root where there is none yet.
func (i issuer) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	i.t.Helper()
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent := i.certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), i.key)
	check(i.t, err)
	c, err := x509.ParseCertificate(der)
	check(i.t, err)
	return c
}

// client makes a client certificate with its key.
func (i issuer) client(key *ecdsa.PrivateKey, change func(*x509.Certificate)) tls.Certificate {
	i.t.Helper()
	if key == nil {
		var err error
		key, err = identity.NewKey()
		check(i.t, err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	leaf := i.sign(template, key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// showing is an HTTP client that shows a certificate, if it is asked.
func (w *world) showing(certificate tls.Certificate) (c *http.Client, asked *bool) {
	w.t.Helper()
	asked = new(bool)
	config := w.First.TLS()
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		*asked = true
		return &certificate, nil
	}
	c = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	w.t.Cleanup(c.CloseIdleConnections)
	return c, asked
}

func (w *world) register(id bus.SystemID, asked client.CredentialRequest) bus.CredentialID {
	w.t.Helper()
	made, err := w.First.Client(w.bearers[sysadmin]).Systems().AddCredential(w.t.Context(), id, asked)
	check(w.t, err)
	return made.Credential.ID
}

const ownSubscription = "/api/v1/subscriptions/sub-1"

func TestS21_ASystemIsKnownByItsCertificate(t *testing.T) {
	w := newWorld(t)
	somebody := newIssuer(t)
	key, err := identity.NewKey()
	check(t, err)
	good := somebody.client(key, nil)
	early, asked := w.showing(good)
	if status, _, err := w.do(early, ownSubscription, nil); status != 401 || err != nil || *asked {
		t.Errorf("before any is registered: %d, %v, asked %v", status, err, *asked)
	}
	registered := w.register(ofConsumer, client.CredentialRequest{Kind: bus.CredentialCertificate, Certificate: string(identity.EncodeCertificate(good.Leaf))})
	c, asked := w.showing(good)
	if status, body, err := w.do(c, ownSubscription, nil); status != 200 || err != nil || !*asked {
		t.Errorf("registered: %d %s, %v, asked %v", status, body, err, *asked)
	}
	renewed, _ := w.showing(newIssuer(t).client(key, nil)) // the key is what is registered
	if status, _, err := w.do(renewed, ownSubscription, nil); status != 200 || err != nil {
		t.Errorf("renewed with the same key: %d, %v", status, err)
	}
	if status, body, err := w.do(c, ownSubscription, map[string]string{"Authorization": "Bearer " + w.bearers[stranger]}); status != 404 || err != nil {
		t.Errorf("a bearer goes before the certificate: %d %s, %v", status, body, err)
	}
	if got := w.status(consumer); got != 200 {
		t.Errorf("without a certificate, by bearer: %d", got)
	}
	node, err := tls.LoadX509KeyPair(filepath.Join(w.First.Config.DataDir, "node.crt"), filepath.Join(w.First.Config.DataDir, "node.key"))
	check(t, err)
	for name, shown := range map[string]tls.Certificate{
		"nobody's": somebody.client(nil, nil),
		"ended": somebody.client(key, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}),
		"not begun": somebody.client(key, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}),
		"of a server": somebody.client(key, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"for code":    somebody.client(key, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }),
		"a node's":    node,
	} {
		bad, _ := w.showing(shown)
		if status, body, err := w.do(bad, ownSubscription, nil); err == nil {
			t.Errorf("%s: the handshake succeeds, and it is answered %d %s", name, status, body)
		}
	}
	pem := url.QueryEscape(string(identity.EncodeCertificate(good.Leaf)))
	for _, header := range []string{"X-Client-Cert", "X-SSL-Client-Cert", "Ssl-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-Amzn-Mtls-Clientcert"} {
		if got := w.ask(request{method: "GET", path: ownSubscription, header: map[string]string{header: pem, "X-SSL-Client-Verify": "SUCCESS"}}); got.status != 401 {
			t.Errorf("S05 %s is believed: %d", header, got.status)
		}
	}
	check(t, w.First.Client(w.bearers[sysadmin]).Systems().Retire(t.Context(), ofConsumer, registered))
	if status, _, err := w.do(c, ownSubscription, nil); status != 401 && err == nil {
		t.Errorf("retired, on the open connection: %d, %v", status, err)
	}
}

func TestS21_AClientCAsCertificateNamesItsSystem(t *testing.T) {
	ca, other := newIssuer(t), newIssuer(t)
	file := filepath.Join(t.TempDir(), "client-ca.pem")
	check(t, os.WriteFile(file, identity.EncodeCertificate(ca.certificate), 0o644))
	w := newWorldWith(t, nodetest.Options{Config: func(c *server.Config) { c.ClientCA = file }})
	cluster := w.ask(request{method: "GET", path: "/api/v1/status", who: sysadmin}).body
	_, rest, _ := strings.Cut(cluster, `"cluster":"`)
	id, _, _ := strings.Cut(rest, `"`)
	naming := func(system bus.SystemID) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.URIs = []*url.URL{identity.SystemURI(id, system)} }
	}
	good := ca.client(nil, naming(ofConsumer))
	c, _ := w.showing(good)
	if status, _, err := w.do(c, ownSubscription, nil); status != 401 || err != nil {
		t.Errorf("before the system takes such certificates: %d, %v", status, err)
	}
	w.register(ofConsumer, client.CredentialRequest{Kind: bus.CredentialIssued})
	if status, body, err := w.do(c, ownSubscription, nil); status != 200 || err != nil {
		t.Errorf("issued: %d %s, %v", status, body, err)
	}
	strange, _ := w.showing(ca.client(nil, naming(ofProvider)))
	if status, _, err := w.do(strange, ownSubscription, nil); status != 401 || err != nil {
		t.Errorf("of a system that does not take them: %d, %v", status, err)
	}
	for name, shown := range map[string]tls.Certificate{
		"another CA": other.client(nil, naming(ofConsumer)),
		"no name":    ca.client(nil, nil),
		"a node":     ca.client(nil, func(c *x509.Certificate) { c.URIs = []*url.URL{identity.NodeURI(id, "guangdong")} }),
		"ended": ca.client(nil, func(c *x509.Certificate) {
			naming(ofConsumer)(c)
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}),
		"of a server": ca.client(nil, func(c *x509.Certificate) {
			naming(ofConsumer)(c)
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
	} {
		bad, _ := w.showing(shown)
		if status, _, err := w.do(bad, ownSubscription, nil); err == nil {
			t.Errorf("%s: the handshake succeeds, and it is answered %d", name, status)
		}
	}
	w.clock.advance(2 * time.Hour) // the certificate ends while its connection is open
	if status, _, err := w.do(c, ownSubscription, nil); status == 200 {
		t.Errorf("ended: %d, %v", status, err)
	}
}
