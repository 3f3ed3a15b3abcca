package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	caLifetime = 10 * 365 * 24 * time.Hour
	// clockSkew is how far a verifier's clock may lie behind the issuer's.
	clockSkew = 5 * time.Minute
	// maxRequest is far above the some 200 bytes of a P-256 request.
	maxRequest = 16 << 10
)

// hostname is a DNS name of letters, digits and hyphens (RFC 1123), no wildcard.
var hostname = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// NewClusterID returns a random name for a new cluster, [a-z0-9-], 60 bits.
// It is the trust domain of every certificate of the cluster.
func NewClusterID() string { return "gx-" + strings.ToLower(rand.Text()[:12]) }

// CA is a certificate authority of one cluster: a self-signed ECDSA P-256 root
// that signs node certificates directly and, when its time has come, its
// successor.
type CA struct {
	cluster     string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA makes the authority of a new cluster, valid for ten years from now.
func NewCA(cluster string, now time.Time) (*CA, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	return NewRoot(cluster, key, now)
}

// NewRoot makes an authority with a key that is there already, valid for ten
// years from now. Its name has some of the key in it, so that the two roots of a
// cluster whose root is being replaced can be told apart.
func NewRoot(cluster string, key *ecdsa.PrivateKey, now time.Time) (*CA, error) {
	if defects := bus.CheckID("cluster", cluster); defects != nil {
		return nil, bus.Invalid(defects)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: fmt.Sprintf("gxbus CA %s %x", cluster, KeyHash(public)[:4]), Organization: []string{cluster}},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1, // for Cross
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &CA{cluster: cluster, certificate: certificate, key: key}, nil
}

// KeyHash is what a public key in DER (SubjectPublicKeyInfo) is known by: its
// SHA-256.
func KeyHash(public []byte) []byte {
	sum := sha256.Sum256(public)
	return sum[:]
}

// Cross signs the root that is to take this one's place, so that whoever believes
// in this one believes in certificates under that one too. It ends with the
// earlier of the two.
func (ca *CA) Cross(root *x509.Certificate) (*x509.Certificate, error) {
	public, ok := root.PublicKey.(*ecdsa.PublicKey)
	if !ok || !root.IsCA || !slices.Equal(root.Subject.Organization, []string{ca.cluster}) || root.CheckSignatureFrom(root) != nil {
		return nil, bus.E(bus.CodeInvalid, defect("root", "不是本集群的根证书", "not a root of this cluster", "a self-signed root of "+ca.cluster))
	}
	template := &x509.Certificate{
		Subject:               root.Subject,
		SubjectKeyId:          root.SubjectKeyId,
		NotBefore:             root.NotBefore,
		NotAfter:              root.NotAfter,
		KeyUsage:              root.KeyUsage,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	if template.NotAfter.After(ca.certificate.NotAfter) {
		template.NotAfter = ca.certificate.NotAfter
	}
	return sign(template, ca.certificate, public, ca.key)
}

// Cluster returns the cluster whose nodes the authority vouches for.
func (ca *CA) Cluster() string { return ca.cluster }

// Certificate returns the root certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.certificate }

// Save writes the root certificate and its key as PEM, both readable by their
// owner only.
func (ca *CA) Save(certificateFile, keyFile string) error {
	if err := SaveKey(keyFile, ca.key); err != nil {
		return err
	}
	return SaveCertificate(certificateFile, ca.certificate)
}

// LoadCA reads what Save wrote. It refuses a key file that others may read and
// a key that does not belong to the certificate.
func LoadCA(certificateFile, keyFile string) (*CA, error) {
	certificate, err := LoadCertificate(certificateFile)
	if err != nil {
		return nil, err
	}
	return OpenCA(certificate, keyFile)
}

// OpenCA joins a root certificate with its key in a file. It refuses a key file
// that others may read and a key that does not belong to the certificate.
func OpenCA(certificate *x509.Certificate, keyFile string) (*CA, error) {
	key, err := LoadKey(keyFile)
	if err != nil {
		return nil, err
	}
	if !certificate.IsCA || len(certificate.Subject.Organization) != 1 {
		return nil, badFile(keyFile, "不是集群根证书", "not for a cluster's root certificate", nil)
	}
	if !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, badFile(keyFile, "私钥与证书不匹配", "the key does not belong to the certificate", nil)
	}
	return &CA{cluster: certificate.Subject.Organization[0], certificate: certificate, key: key}, nil
}

// Issue signs a certificate for node over the key of a PKCS #10 request (DER).
// Only the request's key is used, after its signature proved possession; every
// name in it is ignored. hosts are the DNS names and IP addresses under which
// agencies reach the node's API; who may claim which is for the caller to
// decide. The certificate ends after ttl or with the root, whichever is first.
func (ca *CA) Issue(request []byte, node bus.NodeID, hosts []string, now time.Time, ttl time.Duration) (*x509.Certificate, error) {
	defects := bus.CheckID("node", node)
	public, err := requestKey(request)
	if err != nil {
		defects = append(defects, defect("csr", "证书请求无效", "not a valid certificate request", "PKCS #10 in DER, ECDSA P-256, signed by its own key"))
	}
	if ttl <= 0 {
		defects = append(defects, defect("ttl", "有效期须大于零", "must be longer than nothing", ""))
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: string(node), Organization: []string{ca.cluster}},
		URIs:                  []*url.URL{NodeURI(ca.cluster, node)},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(ttl),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if template.NotAfter.After(ca.certificate.NotAfter) {
		template.NotAfter = ca.certificate.NotAfter
	}
	defects = append(defects, addHosts(template, hosts)...)
	if len(defects) > 0 {
		return nil, bus.E(bus.CodeInvalid, defects...).Because(err)
	}
	return sign(template, ca.certificate, public, ca.key)
}

// addHosts puts each host into the template once, as an address or a DNS name.
func addHosts(template *x509.Certificate, hosts []string) []bus.Defect {
	var defects []bus.Defect
	for _, host := range hosts {
		ip := net.ParseIP(host)
		switch {
		case ip != nil && !slices.ContainsFunc(template.IPAddresses, ip.Equal):
			template.IPAddresses = append(template.IPAddresses, ip)
		case ip != nil || slices.Contains(template.DNSNames, host):
		case len(host) <= 253 && hostname.MatchString(host):
			template.DNSNames = append(template.DNSNames, host)
		default:
			defects = append(defects, defect("hosts", "主机名不正确", "not a host name", "an IP address or a DNS name without wildcard"))
		}
	}
	return defects
}

// RequestKey returns the hash of the public key that a request (PKCS #10, DER)
// proves possession of; see [KeyHash].
func RequestKey(request []byte) ([]byte, error) {
	public, err := requestKey(request)
	if err != nil {
		return nil, bus.E(bus.CodeInvalid, defect("csr", "证书请求无效", "not a valid certificate request", "PKCS #10 in DER, ECDSA P-256, signed by its own key")).Because(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	return KeyHash(der), err
}

// requestKey returns the public key that a request proves possession of.
func requestKey(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) > maxRequest {
		return nil, bus.E(bus.CodeTooLarge)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	public, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, x509.ErrUnsupportedAlgorithm
	}
	return public, request.CheckSignature()
}

// sign makes the certificate; the library draws a random serial number.
func sign(template, parent *x509.Certificate, public any, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func defect(field, zh, en, allowed string) bus.Defect {
	return bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed}
}
