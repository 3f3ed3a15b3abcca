package identity

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// PinnedClientConfig is for a client that knows of a cluster only the
// fingerprint of its root certificate: a node that joins with a token. The
// server must send its chain up to the root whose SHA-256 is the pinned one,
// and be certified for host, a DNS name or an IP address; both are required, or
// any node of the cluster could pose as the one that was meant.
//
// host is a parameter because TLS does not report an IP address back to the
// verifier. now is the clock for validity.
func PinnedClientConfig(root Fingerprint, host string, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ServerName:             host,
		SessionTicketsDisabled: true,
		// The library can verify only against known roots; verifyPinned is
		// stricter and runs on every handshake.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return verifyPinned(state.PeerCertificates, root, host, now())
		},
	}
}

func verifyPinned(chain []*x509.Certificate, root Fingerprint, host string, now time.Time) error {
	refused := bus.E(bus.CodeForeignCluster, defect("server", "对方不是令牌所属集群的 "+host, "the server is not "+host+" of the token's cluster",
		"a certificate for "+host+" under the root "+root.String()))
	if len(chain) == 0 {
		return refused
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, certificate := range chain[1:] {
		between.AddCert(certificate)
		if FingerprintOf(certificate) == root {
			roots.AddCert(certificate)
		}
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between, // the root that is taking the pinned one's place, signed by it
		DNSName:       host,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return refused.Because(err)
	}
	return nil
}
