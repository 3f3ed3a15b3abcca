package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// CredentialID names one of a system's credentials; same alphabet as NodeID.
type CredentialID string

// CredentialKind is how a credential proves its system.
type CredentialKind string

// The kinds of credentials.
const (
	CredentialBearer      CredentialKind = "bearer"             // a secret that goes along with each request (RFC 6750)
	CredentialSigning     CredentialKind = "signing-key"        // a secret that signs each request (HMAC-SHA256) and stays where it is
	CredentialCertificate CredentialKind = "certificate"        // a client certificate with a registered key
	CredentialIssued      CredentialKind = "issued-certificate" // any client certificate that the node's client CA issued to the system
)

// CredentialKinds lists the kinds.
func CredentialKinds() []CredentialKind {
	return []CredentialKind{CredentialBearer, CredentialSigning, CredentialCertificate, CredentialIssued}
}

// LiveAtMost is how many credentials of one kind a system has at a time: the one in
// use and the one that takes its place.
const LiveAtMost = 2

// credentialYears is how far ahead a credential may expire.
const credentialYears = 10

// Credential is one of the ways a system proves who it is (系统凭证). It holds
// nothing secret: what a bearer's holder knows is here as its hash, a signing key
// not at all.
type Credential struct {
	ID      CredentialID   `json:"id"`
	Kind    CredentialKind `json:"kind"`
	Hash    []byte         `json:"hash,omitempty"` // SHA-256: of a bearer's secret, of a certificate's SubjectPublicKeyInfo
	Node    NodeID         `json:"node,omitempty"` // of a signing key: made it, and alone can check it
	Created time.Time      `json:"created,omitzero"`
	Expires time.Time      `json:"expires,omitzero"` // good until then; zero: until it is retired
}

// Live reports whether c is good at a time.
func (c Credential) Live(at time.Time) bool { return c.Expires.IsZero() || at.Before(c.Expires) }

// Shown returns c without its hash: of a bearer that is nobody's business.
func (c Credential) Shown() Credential {
	if c.Kind == CredentialBearer {
		c.Hash = nil
	}
	return c
}

// Certificate returns the fingerprint that a registered certificate's key is known
// by, in 64 hexadecimal digits; ok is false for the other kinds.
func (c Credential) Certificate() (fingerprint string, ok bool) {
	return hex.EncodeToString(c.Hash), c.Kind == CredentialCertificate
}

// Check returns every defect of c that shows without looking anything up, as of the
// moment it is made.
func (c Credential) Check(at time.Time) []Defect {
	defects := CheckID("id", c.ID)
	defects = append(defects, oneOf("kind", c.Kind, CredentialKinds())...)
	hashed := c.Kind == CredentialBearer || c.Kind == CredentialCertificate
	if hashed && len(c.Hash) != sha256.Size || !hashed && len(c.Hash) != 0 {
		defects = append(defects, Defect{"hash", Text{"长度不正确", "wrong length"}, "32 bytes, of a bearer or certificate only"})
	}
	if (c.Kind == CredentialSigning) != (c.Node != "") {
		defects = append(defects, Defect{"node", Text{"仅签名密钥记载其节点", "the node of a signing key, and of no other"}, "the node that made it"})
	}
	if !c.Expires.IsZero() && (!c.Expires.After(at) || c.Expires.After(at.AddDate(credentialYears, 0, 0))) {
		defects = append(defects, Defect{"expires", Text{"有效期不正确", "not a time to expire at"}, "later than now, within ten years"})
	}
	return defects
}

// Credential returns the credential with this id.
func (s System) Credential(id CredentialID) (Credential, bool) {
	i := slices.IndexFunc(s.Credentials, func(c Credential) bool { return c.ID == id })
	if i < 0 {
		return Credential{}, false
	}
	return s.Credentials[i], true
}

// MayCall reports whether s can prove itself at a time and is not disabled. What it
// could not fetch is not brought to it either.
func (s System) MayCall(at time.Time) bool {
	return !s.Disabled && slices.ContainsFunc(s.Credentials, func(c Credential) bool { return c.Live(at) })
}

// Shown returns s as others than its node's own parts may see it: without hashes of
// secrets.
func (s System) Shown() System {
	s.SecretHash = nil
	s.Credentials = slices.Clone(s.Credentials)
	for i := range s.Credentials {
		s.Credentials[i] = s.Credentials[i].Shown()
	}
	return s
}

// FirstCredential is the id of the bearer that a system is created with.
const FirstCredential CredentialID = "first"

// Current returns s in the form of this release: what older entries and files have
// in SecretHash is its first bearer.
func (s System) Current() System {
	if len(s.SecretHash) > 0 {
		first := Credential{ID: FirstCredential, Kind: CredentialBearer, Hash: s.SecretHash}
		s.Credentials = append([]Credential{first}, s.Credentials...)
		s.SecretHash = nil
	}
	return s
}
