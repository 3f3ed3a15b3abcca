package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	tokenPrefix   = "gxj_"
	tokenVersion  = 1
	tokenChecksum = 4
	maxToken      = 512
)

// JoinToken lets one node join one cluster (入网令牌). It tells the node which
// cluster it joins and how to recognise it before it trusts anybody, and proves
// to the cluster that the node was invited.
//
// Its text is "gxj_" and base64url of: version 1; length and bytes of the
// cluster; length and bytes of the token id; 32 bytes of fingerprint; 32 bytes
// of secret; and the first 4 bytes of the SHA-256 of all before, which tell a
// badly copied token from a refused one.
type JoinToken struct {
	Cluster string
	ID      bus.TokenID
	CA      Fingerprint // of the cluster's root certificate
	Secret  Secret
}

// Reveal gives the text form, secret included: for the person who asked for
// the token, and for nothing else.
func (t JoinToken) Reveal() string {
	payload := []byte{tokenVersion}
	payload = append(payload, byte(len(t.Cluster)))
	payload = append(payload, t.Cluster...)
	payload = append(payload, byte(len(t.ID)))
	payload = append(payload, t.ID...)
	payload = append(payload, t.CA[:]...)
	payload = append(payload, t.Secret[:]...)
	sum := sha256.Sum256(payload)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(payload, sum[:tokenChecksum]...))
}

// String names the token without its secret, so that a log that prints one
// betrays nothing; see Reveal.
func (t JoinToken) String() string { return tokenPrefix + string(t.ID) + "@" + t.Cluster }

// LogValue is String, for slog.
func (t JoinToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// ParseToken reads a token's text form. Only the exact spelling that Reveal
// gives is accepted; anything else is CodeInvalid, and the error does not
// repeat it.
func ParseToken(text string) (JoinToken, error) {
	refused := bus.E(bus.CodeInvalid, defect("token", "入网令牌不完整或抄写有误", "the join token is incomplete or mistyped", "gxj_… as it was shown when created"))
	encoded, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(text) > maxToken {
		return JoinToken{}, refused
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(raw) < tokenChecksum {
		return JoinToken{}, refused
	}
	payload := raw[:len(raw)-tokenChecksum]
	if len(payload) == 0 || payload[0] != tokenVersion {
		return JoinToken{}, refused
	}
	cluster, rest, okCluster := cutString(payload[1:])
	id, rest, okID := cutString(rest)
	var t JoinToken
	if !okCluster || !okID || len(rest) != len(t.CA)+len(t.Secret) {
		return JoinToken{}, refused
	}
	t.Cluster, t.ID = cluster, bus.TokenID(id)
	copy(t.CA[:], rest)
	copy(t.Secret[:], rest[len(t.CA):])
	// Spelling it again compares the checksum too.
	if bus.CheckID("cluster", t.Cluster) != nil || bus.CheckID("id", t.ID) != nil || t.Reveal() != text {
		return JoinToken{}, refused
	}
	return t, nil
}

// cutString takes a string with its length in front off data.
func cutString(data []byte) (s string, rest []byte, ok bool) {
	if len(data) == 0 || len(data) < 1+int(data[0]) {
		return "", nil, false
	}
	end := 1 + int(data[0])
	return string(data[1:end]), data[end:], true
}
