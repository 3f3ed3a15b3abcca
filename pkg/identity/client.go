package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const systemPath = "/system/"

// SystemURI is a system's name in client certificates: spiffe://<cluster>/system/<id>.
func SystemURI(cluster string, id bus.SystemID) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: cluster, Path: systemPath + string(id)}
}

// SystemFromCertificate returns the system that a client certificate names. The
// caller must have verified that somebody trusted issued it. It is read strictly:
// exactly one URI, spelt exactly as [SystemURI] of the cluster.
func SystemFromCertificate(certificate *x509.Certificate, cluster string) (bus.SystemID, bool) {
	if certificate.IsCA || len(certificate.URIs) != 1 {
		return "", false
	}
	uri := certificate.URIs[0]
	id := bus.SystemID(strings.TrimPrefix(uri.Path, systemPath))
	return id, bus.CheckID("id", id) == nil && uri.String() == SystemURI(cluster, id).String()
}

// CheckClient returns what keeps a certificate from identifying a client at a time,
// whoever issued it: it has not begun or has ended, is for something else, or weak.
func CheckClient(certificate *x509.Certificate, at time.Time) []bus.Defect {
	var defects []bus.Defect
	refuse := func(wrong bool, zh, en string) {
		if wrong {
			defects = append(defects, defect("certificate", zh, en, "in its validity, for clientAuth, RSA 2048 or P-256 at least"))
		}
	}
	usage := slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageAny) ||
		len(certificate.ExtKeyUsage)+len(certificate.UnknownExtKeyUsage) == 0
	refuse(at.Before(certificate.NotBefore) || at.After(certificate.NotAfter), "证书不在有效期内", "the certificate has not begun, or has ended")
	refuse(!usage || certificate.KeyUsage != 0 && certificate.KeyUsage&x509.KeyUsageDigitalSignature == 0,
		"证书不可用于客户端身份认证", "the certificate is not for client authentication")
	refuse(len(certificate.UnhandledCriticalExtensions) > 0, "证书含有无法识别的关键扩展", "the certificate has a critical extension that is not known here")
	refuse(!strong(certificate.PublicKey), "证书密钥强度不足", "the certificate's key is too weak")
	return defects
}

func strong(key any) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize >= 256
	case ed25519.PublicKey:
		return true
	}
	return false
}

// IssuedToClient reports whether roots vouch for a client at a time by a chain of
// certificates, the client's first.
func IssuedToClient(chain []*x509.Certificate, roots *x509.CertPool, at time.Time) bool {
	if roots == nil || len(chain) == 0 {
		return false
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
}

// ParseClientCertificate reads the one PEM certificate of a text, for a client to be
// known by from a time on.
func ParseClientCertificate(text string, at time.Time) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != pemCertificate || strings.TrimSpace(string(rest)) != "" || len(text) > maxFile {
		return nil, bus.E(bus.CodeInvalid, defect("certificate", "应为一个 PEM 证书", "not one certificate in PEM", "-----BEGIN CERTIFICATE-----, once, and no key"))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, bus.E(bus.CodeInvalid, defect("certificate", "不是 X.509 证书", "not an X.509 certificate", "")).Because(err)
	}
	return certificate, bus.Invalid(CheckClient(certificate, at))
}
