package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Secret is 256 random bits that prove something to whoever keeps their hash.
// fmt, slog and encoding/json see "(secret)".
type Secret [32]byte

// NewSecret draws a secret from the system's random source.
func NewSecret() Secret {
	var s Secret
	rand.Read(s[:]) // never fails: the runtime stops the program instead
	return s
}

// Hash returns the SHA-256 of s, 32 bytes: what is stored. An unsalted, fast
// hash is enough for a value that nobody can guess.
func (s Secret) Hash() []byte {
	sum := sha256.Sum256(s[:])
	return sum[:]
}

// Matches reports, in constant time, whether hash is the hash of s.
func (s Secret) Matches(hash []byte) bool { return subtle.ConstantTimeCompare(s.Hash(), hash) == 1 }

// Format hides s from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(secret)")) }

// MarshalText hides s from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Sealer encrypts with s: AES-256-GCM with a random nonce in front of each text.
func (s Secret) Sealer() cipher.AEAD {
	block, err := aes.NewCipher(s[:])
	if err != nil {
		panic(err) // 32 bytes are an AES key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block size of GCM
	}
	return aead
}

func (s Secret) text() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

// parseSecret reads the 43 characters of text, in their one spelling.
func parseSecret(text string) (Secret, bool) {
	var s Secret
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != len(s) {
		return Secret{}, false
	}
	copy(s[:], raw)
	return s, s.text() == text
}

// SaveSecret writes a secret into a file that only its owner may read.
func SaveSecret(path string, s Secret) error { return WriteFile(path, []byte(s.text()+"\n")) }

// DecodeSecret reads what is in a file of SaveSecret.
func DecodeSecret(data []byte) (Secret, bool) {
	return parseSecret(strings.TrimSuffix(string(data), "\n"))
}

// LoadSecret reads what SaveSecret wrote. A file that anyone but its owner may read
// or write is refused.
func LoadSecret(path string) (Secret, error) {
	data, err := ReadPrivate(path)
	if err != nil {
		return Secret{}, err
	}
	s, ok := DecodeSecret(data)
	if !ok {
		return Secret{}, badFile(path, "密钥文件已损坏", "not a secret as this program writes it", nil)
	}
	return s, nil
}

// Fingerprint is the SHA-256 of a certificate's DER bytes.
type Fingerprint [32]byte

// FingerprintOf returns the fingerprint of a certificate.
func FingerprintOf(certificate *x509.Certificate) Fingerprint {
	return sha256.Sum256(certificate.Raw)
}

// String gives the fingerprint as 64 hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }
