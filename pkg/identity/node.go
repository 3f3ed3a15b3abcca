package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

const nodePath = "/node/"

// NodeURI is a node's name in certificates: spiffe://<cluster>/node/<id>.
func NodeURI(cluster string, node bus.NodeID) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: cluster, Path: nodePath + string(node)}
}

// NodeFromCertificate returns the node that a certificate names. The caller
// must have verified the certificate's chain; this reads only its name, and
// reads it strictly: exactly one URI, spelt exactly as [NodeURI] of the cluster.
// Any other certificate, an agency's among them, is CodeUnauthenticated.
func NodeFromCertificate(certificate *x509.Certificate, cluster string) (bus.NodeID, error) {
	if certificate != nil && !certificate.IsCA && len(certificate.URIs) == 1 {
		uri := certificate.URIs[0]
		node := bus.NodeID(strings.TrimPrefix(uri.Path, nodePath))
		if bus.CheckID("node", node) == nil && uri.String() == NodeURI(cluster, node).String() {
			return node, nil
		}
	}
	return "", bus.E(bus.CodeUnauthenticated, defect("certificate", "不是本集群的节点证书", "not a node certificate of this cluster",
		"exactly one URI SAN, spiffe://"+cluster+"/node/<id>"))
}

// NewKey makes an ECDSA P-256 key.
func NewKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// NewRequest makes a certificate request (PKCS #10, DER) for key. It names
// nobody: the authority decides the name.
func NewRequest(key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

// NodeCertificate joins a node's certificate, its root and its key for use in
// TLS. The root is sent along so that a joining node, which knows only the
// root's fingerprint, can verify the chain; see [PinnedClientConfig]. More may be
// sent: a root that is being replaced. What is signed by another root comes
// before what is signed by itself, or some libraries end their search too early.
func NodeCertificate(certificate, root *x509.Certificate, key *ecdsa.PrivateKey, more ...*x509.Certificate) tls.Certificate {
	chain := slices.Concat([]*x509.Certificate{root}, more)
	slices.SortStableFunc(chain, func(a, b *x509.Certificate) int { return selfSigned(a) - selfSigned(b) })
	joined := tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
	for _, c := range chain {
		joined.Certificate = append(joined.Certificate, c.Raw)
	}
	return joined
}

func selfSigned(c *x509.Certificate) int {
	if bytes.Equal(c.RawSubject, c.RawIssuer) {
		return 1
	}
	return 0
}
