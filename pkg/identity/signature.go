package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// SignatureScheme is the Authorization scheme of signed requests, and the first line
// of what is signed.
const SignatureScheme = "GXBUS-HMAC-SHA256"

const signingKeyPrefix = "gxk_"

// SigningKey is what a system signs its requests with (签名密钥). Its text is
// "gxk_<system id>_<credential id>_<secret>", the secret being 43 characters of
// base64url; the HMAC key is that text, so that any tool can sign with it.
//
// The node that made it keeps no copy: it derives the secret anew from its own root
// and the names; see [DeriveSigningKey].
type SigningKey struct {
	System     bus.SystemID
	Credential bus.CredentialID
	secret     Secret
}

// DeriveSigningKey makes the key of a credential from a node's root secret. The same
// names give the same key; a root tells nothing of another's keys, nor a key of its
// root.
func DeriveSigningKey(root Secret, system bus.SystemID, credential bus.CredentialID) SigningKey {
	mac := hmac.New(sha256.New, root[:])
	mac.Write([]byte("gxbus signing key v1\x00" + string(system) + "\x00" + string(credential)))
	return SigningKey{system, credential, Secret(mac.Sum(nil))}
}

// Reveal gives the text form, secret included: for the person who asked for the key,
// once, and for nothing else.
func (k SigningKey) Reveal() string {
	return k.String() + "_" + k.secret.text()
}

// String names the key without its secret.
func (k SigningKey) String() string {
	return signingKeyPrefix + string(k.System) + "_" + string(k.Credential)
}

// LogValue is String, for slog.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParseSigningKey reads a key's text form. Only the exact spelling that Reveal gives
// is accepted; anything else is CodeInvalid, and the error does not repeat it.
func ParseSigningKey(text string) (SigningKey, error) {
	rest, okPrefix := strings.CutPrefix(text, signingKeyPrefix)
	system, rest, okSystem := strings.Cut(rest, "_")
	credential, encoded, okCredential := strings.Cut(rest, "_")
	secret, okSecret := parseSecret(encoded)
	k := SigningKey{bus.SystemID(system), bus.CredentialID(credential), secret}
	if !okPrefix || !okSystem || !okCredential || !okSecret || bus.CheckID("id", k.System) != nil || bus.CheckID("id", k.Credential) != nil {
		return SigningKey{}, bus.E(bus.CodeInvalid, defect("signing_key", "签名密钥不完整或抄写有误", "not a signing key", "gxk_… as it was shown when created"))
	}
	return k, nil
}

// Sign gives the Authorization header of a request: method, target as it goes over
// the wire (path with query), body, at a time, with a new nonce.
func (k SigningKey) Sign(method, target string, body []byte, at time.Time) string {
	digest := sha256.Sum256(body)
	s := Signature{System: k.System, Credential: k.Credential, Timestamp: at.Truncate(time.Second), Nonce: rand.Text(), Digest: digest[:]}
	s.mac = k.mac(s.canonical(method, target))
	return s.header()
}

func (k SigningKey) mac(canonical string) []byte {
	mac := hmac.New(sha256.New, []byte(k.Reveal()))
	mac.Write([]byte(canonical))
	return mac.Sum(nil)
}

// Signature is what a signed request says of itself.
type Signature struct {
	System     bus.SystemID
	Credential bus.CredentialID
	Timestamp  time.Time // whole seconds
	Nonce      string    // 16–64 of A–Z, a–z, 0–9, "-", "_"
	Digest     []byte    // SHA-256 of the body
	mac        []byte
}

// By reports, in constant time, whether k made the signature for a request of this
// method and target. That the body is the one of Digest is for the caller to see.
func (s Signature) By(k SigningKey, method, target string) bool {
	return k.System == s.System && k.Credential == s.Credential && hmac.Equal(k.mac(s.canonical(method, target)), s.mac)
}

// canonical is what is signed: six lines, none of which can hold a line feed.
func (s Signature) canonical(method, target string) string {
	return strings.Join([]string{
		SignatureScheme, method, target, strconv.FormatInt(s.Timestamp.Unix(), 10), s.Nonce, hex.EncodeToString(s.Digest),
	}, "\n")
}

func (s Signature) header() string {
	return SignatureScheme + " credential=" + string(s.System) + "/" + string(s.Credential) +
		", timestamp=" + strconv.FormatInt(s.Timestamp.Unix(), 10) + ", nonce=" + s.Nonce +
		", digest=" + hex.EncodeToString(s.Digest) + ", signature=" + hex.EncodeToString(s.mac)
}

var signatureHeader = regexp.MustCompile(`^(?i:` + SignatureScheme + `) +credential=([a-z0-9-]{1,63})/([a-z0-9-]{1,63}), ?timestamp=([1-9][0-9]{0,10}), ?` +
	`nonce=([A-Za-z0-9_-]{16,64}), ?digest=([0-9a-f]{64}), ?signature=([0-9a-f]{64})$`)

// ParseSignature reads the Authorization header of a signed request. Its parts stand
// in one order, each once; anything else is CodeUnauthenticated.
func ParseSignature(header string) (Signature, error) {
	parts := signatureHeader.FindStringSubmatch(header)
	if parts == nil {
		return Signature{}, bus.E(bus.CodeUnauthenticated, defect("Authorization", "签名格式不正确", "not a signature",
			SignatureScheme+" credential=SYSTEM/ID, timestamp=UNIX_SECONDS, nonce=16–64 of A–Z a–z 0–9 - _, digest=HEX_SHA256_OF_BODY, signature=HEX"))
	}
	seconds, _ := strconv.ParseInt(parts[3], 10, 64) // digits, few enough
	digest, _ := hex.DecodeString(parts[5])
	mac, _ := hex.DecodeString(parts[6])
	return Signature{
		System: bus.SystemID(parts[1]), Credential: bus.CredentialID(parts[2]), Timestamp: time.Unix(seconds, 0), Nonce: parts[4], Digest: digest, mac: mac,
	}, nil
}
