package identity_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

// authority issues client certificates, as the one of a province might.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := identity.NewKey()
	ok(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "样例客户端根"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{t, signed(t, template, template, key, key), key}
}

func signed(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	ok(t, err)
	c, err := x509.ParseCertificate(der)
	ok(t, err)
	return c
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a authority) issue(change func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	key, err := identity.NewKey()
	ok(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "permits"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{identity.SystemURI("gx-1", "permits")}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	return signed(a.t, template, a.certificate, key, a.key)
}

func unchanged(*x509.Certificate) {}

func TestS21WhoseCertificateAClientMayShow(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	good := a.issue(unchanged)
	for name, c := range map[string]struct {
		certificate     *x509.Certificate
		usable, vouched bool
	}{
		"good":                  {good, true, true},
		"of another CA":         {other.issue(unchanged), true, false},
		"ended":                 {a.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), false, false},
		"not begun":             {a.issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), false, false},
		"of a server":           {a.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), false, false},
		"for code":              {a.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), false, false},
		"for encryption":        {a.issue(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), false, true},
		"for no stated purpose": {a.issue(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), true, true},
		"with a critical unknown": {a.issue(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), false, false},
	} {
		if got := identity.CheckClient(c.certificate, time.Now()); (got == nil) != c.usable {
			t.Errorf("%s: %v", name, got)
		}
		if got := identity.IssuedToClient([]*x509.Certificate{c.certificate}, a.pool(), time.Now()); got != c.vouched {
			t.Errorf("%s: vouched for %v", name, got)
		}
	}
	if identity.IssuedToClient([]*x509.Certificate{good}, nil, time.Now()) || identity.IssuedToClient(nil, a.pool(), time.Now()) {
		t.Error("nobody vouches, or for nobody")
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	ok(t, err)
	if identity.CheckClient(&x509.Certificate{PublicKey: &weak.PublicKey, NotAfter: time.Now().Add(time.Hour)}, time.Now()) == nil {
		t.Error("RSA of 1024 bits is taken")
	}
}

func TestWhichSystemACertificateNames(t *testing.T) {
	a := newAuthority(t)
	uri := func(text string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(text)
			ok(t, err)
			c.URIs = []*url.URL{u}
		}
	}
	if id, good := identity.SystemFromCertificate(a.issue(unchanged), "gx-1"); !good || id != "permits" {
		t.Errorf("%q, %v", id, good)
	}
	for name, change := range map[string]func(*x509.Certificate){
		"another cluster":  uri("spiffe://gx-2/system/permits"),
		"a node":           uri("spiffe://gx-1/node/permits"),
		"a path":           uri("spiffe://gx-1/system/permits/x"),
		"a query":          uri("spiffe://gx-1/system/permits?x"),
		"an escape":        uri("spiffe://gx-1/system/permit%73"),
		"capitals":         uri("spiffe://gx-1/system/Permits"),
		"none":             func(c *x509.Certificate) { c.URIs = nil },
		"two":              func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) },
		"an authority too": func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
	} {
		if id, good := identity.SystemFromCertificate(a.issue(change), "gx-1"); good {
			t.Errorf("%s: taken for %s", name, id)
		}
	}
	if _, err := identity.NodeFromCertificate(a.issue(unchanged), "gx-1"); err == nil {
		t.Error("S23 a system's certificate is taken for a node's")
	}
}

func TestParseClientCertificate(t *testing.T) {
	a := newAuthority(t)
	text := string(identity.EncodeCertificate(a.issue(unchanged)))
	if _, err := identity.ParseClientCertificate(text, time.Now()); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"nothing":     "",
		"two":         text + text,
		"a key":       "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"garbage":     "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"more":        text + "x",
		"endless":     strings.Repeat(" ", 1<<20) + text,
		"of a server": string(identity.EncodeCertificate(a.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))),
	} {
		if _, err := identity.ParseClientCertificate(bad, time.Now()); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
