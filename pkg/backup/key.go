package backup

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The texts of recovery keys: a word, 32 bytes of X25519 and four of their
// SHA-256, so that a slip of the pen is noticed, in URL-safe base64.
const (
	publicWord = "gxr-public-"
	secretWord = "gxr-secret-"
	checkSize  = 4
)

// PublicKey seals backups. It is no secret.
type PublicKey struct{ key *ecdh.PublicKey }

// PrivateKey opens what its public half sealed. It never belongs on a node.
type PrivateKey struct{ key *ecdh.PrivateKey }

// NewKey makes a recovery key.
func NewKey() (PrivateKey, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	return PrivateKey{key}, err
}

// Public is the half that seals.
func (k PrivateKey) Public() PublicKey { return PublicKey{k.key.PublicKey()} }

// Reveal gives the text of the secret, for the one file that it is kept in.
func (k PrivateKey) Reveal() string { return text(secretWord, k.key.Bytes()) }

// String keeps the secret out of logs.
func (k PrivateKey) String() string { return "recovery key (secret)" }

// String gives the text that a backup is told.
func (k PublicKey) String() string { return text(publicWord, k.key.Bytes()) }

// Fingerprint names the key in a backup: 16 hex digits of its SHA-256.
func (k PublicKey) Fingerprint() string {
	sum := sha256.Sum256(k.key.Bytes())
	return hex.EncodeToString(sum[:8])
}

// ParsePublic reads what PublicKey.String wrote; CodeInvalid where it is not that.
func ParsePublic(s string) (PublicKey, error) {
	data, ok := read(publicWord, s)
	key, err := ecdh.X25519().NewPublicKey(data)
	if !ok || err != nil {
		return PublicKey{}, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "recovery_key", Problem: bus.Text{ZH: "不是恢复公钥", EN: "not the public part of a recovery key"}, Allowed: publicWord + "…: gxbus recovery-key create",
		})
	}
	return PublicKey{key}, nil
}

// ParsePrivate reads what Reveal gave; CodeInvalid where it is not that. No error
// repeats any of it.
func ParsePrivate(s string) (PrivateKey, error) {
	data, ok := read(secretWord, s)
	key, err := ecdh.X25519().NewPrivateKey(data)
	if !ok || err != nil {
		return PrivateKey{}, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "recovery_key", Problem: bus.Text{ZH: "不是恢复私钥", EN: "not a recovery key"}, Allowed: "the file that gxbus recovery-key create wrote",
		})
	}
	return PrivateKey{key}, nil
}

func text(word string, data []byte) string {
	sum := sha256.Sum256(data)
	return word + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(data), sum[:checkSize]...))
}

func read(word, s string) ([]byte, bool) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(s), word)
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(data) <= checkSize {
		return nil, false
	}
	data, check := data[:len(data)-checkSize], data[len(data)-checkSize:]
	sum := sha256.Sum256(data)
	return data, bytes.Equal(sum[:checkSize], check)
}

// suite names the cryptography in each archive (RFC 9180, NIST SP 800-38D).
const suite = "DHKEM-X25519, HKDF-SHA256, AES-256-GCM"

// exported is the context of the key that the parts of an archive are sealed with.
const exported = "gxbus backup parts"

// send makes the key of a new archive, and what its recipient derives it from.
func (k PublicKey) send() (encapsulated, key []byte, err error) {
	to, err := hpke.NewDHKEMPublicKey(k.key)
	if err != nil {
		return nil, nil, err
	}
	encapsulated, sender, err := hpke.NewSender(to, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(magic))
	if err != nil {
		return nil, nil, err
	}
	key, err = sender.Export(exported, 32)
	return encapsulated, key, err
}

// receive derives the key of an archive.
func (k PrivateKey) receive(encapsulated []byte) ([]byte, error) {
	own, err := hpke.NewDHKEMPrivateKey(k.key)
	if err != nil {
		return nil, err
	}
	recipient, err := hpke.NewRecipient(encapsulated, own, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(magic))
	if err != nil {
		return nil, err
	}
	return recipient.Export(exported, 32)
}
