package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

const cluster = "gx-sample"

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func TestIssueNamesTheNodeAndNothingTheRequestAskedFor(t *testing.T) {
	ca := newCA(t)
	key := newKey(t)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "440000"},
		DNSNames: []string{"evil.example"},
		URIs:     []*url.URL{identity.NodeURI(cluster, "440000")},
	}, key)
	ok(t, err)
	hosts := []string{"node.example.gov.cn", "127.0.0.1", "::1", "127.0.0.1", "node.example.gov.cn"}
	certificate, err := ca.Issue(request, "440106", hosts, now, time.Hour)
	ok(t, err)

	if got, err := identity.NodeFromCertificate(certificate, cluster); err != nil || got != "440106" {
		t.Errorf("node = %q, %v", got, err)
	}
	if got := strings.Join(certificate.DNSNames, " "); got != "node.example.gov.cn" {
		t.Errorf("DNS names = %q", got)
	}
	if len(certificate.IPAddresses) != 2 {
		t.Errorf("addresses = %v", certificate.IPAddresses)
	}
	if certificate.IsCA || !certificate.NotAfter.Equal(now.Add(time.Hour)) || certificate.SerialNumber.BitLen() < 64 {
		t.Errorf("CA %v, ends %v, serial %v", certificate.IsCA, certificate.NotAfter, certificate.SerialNumber)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := certificate.Verify(x509.VerifyOptions{Roots: pool(ca), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
		ok(t, err)
	}
}

func TestIssueEndsWithTheRoot(t *testing.T) {
	ca := newCA(t)
	certificate, err := ca.Issue(newRequest(t, newKey(t)), "440106", nil, now, 100*365*24*time.Hour)
	ok(t, err)
	if !certificate.NotAfter.Equal(ca.Certificate().NotAfter) {
		t.Errorf("ends %v, root ends %v", certificate.NotAfter, ca.Certificate().NotAfter)
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := newCA(t)
	good := newRequest(t, newKey(t))
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	ok(t, err)
	rsaRequest, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, rsaKey)
	ok(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	ok(t, err)

	for name, c := range map[string]struct {
		request []byte
		node    bus.NodeID
		hosts   []string
		ttl     time.Duration
		field   string
	}{
		"signature by another key": {forged, "440106", nil, time.Hour, "csr"},
		"RSA":                      {rsaRequest, "440106", nil, time.Hour, "csr"},
		"P-384":                    {newRequest(t, p384), "440106", nil, time.Hour, "csr"},
		"garbage":                  {[]byte("garbage"), "440106", nil, time.Hour, "csr"},
		"nothing":                  {nil, "440106", nil, time.Hour, "csr"},
		"enormous":                 {make([]byte, 1<<20), "440106", nil, time.Hour, "csr"},
		"path in node id":          {good, "a/node/b", nil, time.Hour, "node"},
		"empty node id":            {good, "", nil, time.Hour, "node"},
		"wildcard host":            {good, "440106", []string{"*.gov.cn"}, time.Hour, "hosts"},
		"empty host":               {good, "440106", []string{""}, time.Hour, "hosts"},
		"host with port":           {good, "440106", []string{"a:1"}, time.Hour, "hosts"},
		"no lifetime":              {good, "440106", nil, 0, "ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ca.Issue(c.request, c.node, c.hosts, now, c.ttl)
			refused(t, err, bus.CodeInvalid, c.field)
		})
	}
}

func TestNodeFromCertificateIsStrict(t *testing.T) {
	uri := func(texts ...string) *x509.Certificate {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: "440106"}}
		for _, text := range texts {
			u, err := url.Parse(text)
			ok(t, err)
			c.URIs = append(c.URIs, u)
		}
		return c
	}
	authority := uri("spiffe://gx-sample/node/440106")
	authority.IsCA = true

	if id, err := identity.NodeFromCertificate(uri("spiffe://gx-sample/node/440106"), cluster); err != nil || id != "440106" {
		t.Fatalf("good certificate: %q, %v", id, err)
	}
	for name, c := range map[string]*x509.Certificate{
		"nil":                  nil,
		"no URI":               uri(),
		"two URIs":             uri("spiffe://gx-sample/node/440106", "spiffe://gx-sample/node/440100"),
		"same URI twice":       uri("spiffe://gx-sample/node/440106", "spiffe://gx-sample/node/440106"),
		"another cluster":      uri("spiffe://gx-other/node/440106"),
		"longer cluster":       uri("spiffe://gx-sample.example/node/440106"),
		"port":                 uri("spiffe://gx-sample:1/node/440106"),
		"user":                 uri("spiffe://a@gx-sample/node/440106"),
		"https":                uri("https://gx-sample/node/440106"),
		"agency system":        uri("spiffe://gx-sample/system/440106"),
		"bare id":              uri("spiffe://gx-sample/440106"),
		"empty id":             uri("spiffe://gx-sample/node/"),
		"deeper path":          uri("spiffe://gx-sample/node/440106/x"),
		"trailing slash":       uri("spiffe://gx-sample/node/440106/"),
		"percent-encoded":      uri("spiffe://gx-sample/node/%34%34%30106"),
		"percent-encoded path": uri("spiffe://gx-sample/node%2f440106"),
		"dot segments":         uri("spiffe://gx-sample/node/../node/440106"),
		"query":                uri("spiffe://gx-sample/node/440106?a"),
		"empty query":          uri("spiffe://gx-sample/node/440106?"),
		"fragment":             uri("spiffe://gx-sample/node/440106#a"),
		"upper case":           uri("spiffe://gx-sample/node/TIANHE"),
		"opaque":               uri("spiffe:gx-sample/node/440106"),
		"an authority":         authority,
	} {
		t.Run(name, func(t *testing.T) {
			id, err := identity.NodeFromCertificate(c, cluster)
			refused(t, err, bus.CodeUnauthenticated, "certificate")
			if id != "" {
				t.Errorf("named %q all the same", id)
			}
		})
	}
}

func TestCASavesAndLoads(t *testing.T) {
	dir := t.TempDir()
	certificateFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	ca := newCA(t)
	ok(t, ca.Save(certificateFile, keyFile))
	for _, file := range []string{certificateFile, keyFile} {
		info, err := os.Stat(file)
		ok(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %#o", file, info.Mode().Perm())
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
	loaded, err := identity.LoadCA(certificateFile, keyFile)
	ok(t, err)
	if loaded.Cluster() != cluster || !loaded.Certificate().Equal(ca.Certificate()) {
		t.Errorf("loaded %q", loaded.Cluster())
	}
	_, err = loaded.Issue(newRequest(t, newKey(t)), "440106", nil, now, time.Hour)
	ok(t, err)

	ok(t, identity.SaveKey(keyFile, newKey(t)))
	_, err = identity.LoadCA(certificateFile, keyFile)
	refused(t, err, bus.CodeInvalid, keyFile)
}

func TestS57_KeyFileOthersMayReadIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o644, 0o700, 0o777} {
		path := filepath.Join(t.TempDir(), "node.key")
		ok(t, identity.SaveKey(path, newKey(t)))
		if _, err := identity.LoadKey(path); err != nil {
			t.Fatalf("0600: %v", err)
		}
		ok(t, os.Chmod(path, mode))
		_, err := identity.LoadKey(path)
		refused(t, err, bus.CodeInvalid, path)
		if !strings.Contains(err.Error(), "0600") {
			t.Errorf("%#o: error does not say what is allowed: %v", mode, err)
		}
	}
}

func TestKeyFileMustHoldOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.key")
	for name, content := range map[string]string{
		"empty":         "",
		"not PEM":       "hello",
		"a certificate": string(identity.EncodeCertificate(newCA(t).Certificate())),
		"bad DER":       "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, identity.WriteFile(path, []byte(content)))
			_, err := identity.LoadKey(path)
			refused(t, err, bus.CodeInvalid, path)
		})
	}
}

func TestWriteFileLeavesNothingBehindWhenItFails(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	if err := identity.WriteFile(filepath.Join(dir, "taken"), []byte("x")); err == nil {
		t.Fatal("replaced a directory")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestClusterIDsAreRandomSlugs(t *testing.T) {
	a, b := identity.NewClusterID(), identity.NewClusterID()
	if a == b || bus.CheckID("cluster", a) != nil {
		t.Errorf("%q, %q", a, b)
	}
}

// What the tests of this package share.

func newCA(t testing.TB) *identity.CA {
	t.Helper()
	ca, err := identity.NewCA(cluster, now)
	ok(t, err)
	return ca
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := identity.NewKey()
	ok(t, err)
	return key
}

func newRequest(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	request, err := identity.NewRequest(key)
	ok(t, err)
	return request
}

func pool(ca *identity.CA) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.Certificate())
	return p
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that err has a code and names a field, in both languages.
func refused(t testing.TB, err error, code bus.Code, field string) {
	t.Helper()
	if bus.CodeOf(err) != code {
		t.Fatalf("error = %v, want %s", err, code)
	}
	e := err.(*bus.Error)
	if len(e.Defects) == 0 || e.Defects[0].Field != field || e.Defects[0].Problem.ZH == "" || e.Defects[0].Problem.EN == "" {
		t.Errorf("defects = %+v, want field %q in both languages", e.Defects, field)
	}
}

// While a root is replaced, whoever believes in the old one believes in
// certificates under the new one, by way of the new root signed by the old.
func TestACrossSignedRootIsBelievedByWhoKnowsTheOldOne(t *testing.T) {
	old, fresh := newCA(t), newCA(t)
	cross, err := old.Cross(fresh.Certificate())
	ok(t, err)
	leaf, err := fresh.Issue(newRequest(t, newKey(t)), "440106", []string{"node.example"}, now, time.Hour)
	ok(t, err)
	between := x509.NewCertPool()
	between.AddCert(cross)
	verify := func(between *x509.CertPool) error {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool(old), Intermediates: between, CurrentTime: now, DNSName: "node.example"})
		return err
	}
	ok(t, verify(between))
	if verify(nil) == nil {
		t.Error("believed without the cross-signed root")
	}
	for name, root := range map[string]*x509.Certificate{"a node's certificate": leaf, "one signed by another": cross} {
		if _, err := old.Cross(root); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s as a root: %v", name, err)
		}
	}
	foreign, err := identity.NewCA("gx-other", now)
	ok(t, err)
	if _, err := old.Cross(foreign.Certificate()); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("a root of another cluster: %v", err)
	}
}

func TestARequestIsKnownByTheKeyItProves(t *testing.T) {
	key := newKey(t)
	hash, err := identity.RequestKey(newRequest(t, key))
	ok(t, err)
	certificate, err := newCA(t).Issue(newRequest(t, key), "440106", nil, now, time.Hour)
	ok(t, err)
	if string(hash) != string(identity.KeyHash(certificate.RawSubjectPublicKeyInfo)) {
		t.Error("the request and the certificate have different keys")
	}
	if _, err := identity.RequestKey([]byte("no request")); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("no request: %v", err)
	}
}
