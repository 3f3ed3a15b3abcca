package identity_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/identity"
)

func TestPinnedClientAcceptsOnlyTheNamedHostUnderThePinnedRoot(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	pin := identity.FingerprintOf(ca.Certificate())
	good := serverCertificate(t, ca, "127.0.0.1", "node.example.gov.cn")
	leafOnly := good
	leafOnly.Certificate = good.Certificate[:1]
	spliced := serverCertificate(t, other, "127.0.0.1")
	spliced.Certificate[1] = ca.Certificate().Raw // another's leaf, the pinned root beside it

	for name, c := range map[string]struct {
		server tls.Certificate
		host   string
		now    time.Time
		want   bool
	}{
		"address":         {good, "127.0.0.1", now, true},
		"name":            {good, "node.example.gov.cn", now, true},
		"another name":    {good, "other.example.gov.cn", now, false},
		"another address": {good, "127.0.0.2", now, false},
		"no host":         {serverCertificate(t, ca), "127.0.0.1", now, false},
		"root not sent":   {leafOnly, "127.0.0.1", now, false},
		"another root":    {serverCertificate(t, other, "127.0.0.1"), "127.0.0.1", now, false},
		"root put beside": {spliced, "127.0.0.1", now, false},
		"expired":         {good, "127.0.0.1", now.Add(2 * time.Hour), false},
		"not yet valid":   {good, "127.0.0.1", now.Add(-2 * time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			config := identity.PinnedClientConfig(pin, c.host, func() time.Time { return c.now })
			if err := handshake(c.server, config); (err == nil) != c.want {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}

func serverCertificate(t *testing.T, ca *identity.CA, hosts ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	leaf, err := ca.Issue(newRequest(t, key), "440000", hosts, now, time.Hour)
	ok(t, err)
	return identity.NodeCertificate(leaf, ca.Certificate(), key)
}

func handshake(server tls.Certificate, client *tls.Config) error {
	a, b := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.Close()
		_ = tls.Server(a, &tls.Config{Certificates: []tls.Certificate{server}}).Handshake()
	}()
	err := tls.Client(b, client).Handshake()
	b.Close()
	<-done
	return err
}
