package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	pemKey         = "PRIVATE KEY" // PKCS #8
	pemCertificate = "CERTIFICATE"
	maxFile        = 64 << 10
)

// SaveKey writes key as PKCS #8 PEM into a file that only its owner may read.
func SaveKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}))
}

// LoadKey reads a key that SaveKey wrote. A file that anyone but its owner may
// read or write is refused: such a key may already be somebody else's too.
func LoadKey(path string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(path, pemKey, checkPrivate)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, badFile(path, "不是 ECDSA P-256 私钥", "not an ECDSA P-256 private key", err)
	}
	return key, nil
}

// SaveCertificate writes a certificate as PEM, with the same care as a key.
func SaveCertificate(path string, certificate *x509.Certificate) error {
	return WriteFile(path, EncodeCertificate(certificate))
}

// LoadCertificate reads a file that holds one certificate as PEM.
func LoadCertificate(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, pemCertificate, func(string, os.FileInfo) error { return nil })
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, badFile(path, "不是 X.509 证书", "not an X.509 certificate", err)
	}
	return certificate, nil
}

// LoadCertificates reads a file that holds one certificate or several as PEM and
// nothing else.
func LoadCertificates(path string) ([]*x509.Certificate, error) {
	data, err := read(path, func(string, os.FileInfo) error { return nil })
	if err != nil {
		return nil, err
	}
	var certificates []*x509.Certificate
	for len(strings.TrimSpace(string(data))) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil || block.Type != pemCertificate {
			return nil, badFile(path, "文件应只含 PEM 证书", "must hold certificates in PEM only", nil)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, badFile(path, "不是 X.509 证书", "not an X.509 certificate", err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, badFile(path, "文件中没有证书", "holds no certificate", nil)
	}
	return certificates, nil
}

// EncodeCertificate gives a certificate as PEM.
func EncodeCertificate(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: certificate.Raw})
}

// WriteFile replaces a file, mode 0600, so that after a crash at any moment it
// holds either all of the old or all of the new content: written beside,
// synced, renamed, and the directory synced so that the name survives too.
func WriteFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// Replace gives a file the name of another, which is then no more, so that after a
// crash it has either name.
func Replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkPrivate refuses a file that others than its owner may use.
func checkPrivate(path string, info os.FileInfo) error {
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&^0o600 != 0 {
		return bus.E(bus.CodeInvalid, defect(path,
			fmt.Sprintf("私钥文件权限过宽（%#o）", mode.Perm()),
			fmt.Sprintf("the key file's permissions are too wide (%#o)", mode.Perm()),
			"a regular file, mode 0600"))
	}
	return nil
}

// readPEM returns the bytes of the one block of the given kind in a file.
func readPEM(path, kind string, check func(string, os.FileInfo) error) ([]byte, error) {
	data, err := read(path, check)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != kind || strings.TrimSpace(string(rest)) != "" {
		return nil, badFile(path, "文件应只含一个 PEM 块："+kind, "must hold exactly one PEM block: "+kind, nil)
	}
	return block.Bytes, nil
}

// read returns what a file holds. The check sees the opened file, not the path,
// so that nothing can be swapped between checking and reading.
func read(path string, check func(string, os.FileInfo) error) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := check(path, info); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, maxFile))
}

func badFile(path, zh, en string, cause error) error {
	return bus.E(bus.CodeInvalid, defect(path, zh, en, "")).Because(cause)
}

// ReadPrivate returns the content of a file that its owner alone may use; wider
// permissions are refused.
func ReadPrivate(path string) ([]byte, error) { return read(path, checkPrivate) }
