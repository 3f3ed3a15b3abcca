package identity

import (
	"log/slog"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

const credentialPrefix = "gxs_"

// Credential is what an agency system shows to its node as a bearer token
// (RFC 6750). Its text is "gxs_<system id>_<secret>", the secret being 43
// characters of base64url; a system id has no underscore, so the first one
// after the prefix ends it.
type Credential struct {
	System bus.SystemID
	Secret Secret
}

// Reveal gives the text form, secret included: for the person who asked for
// the credential, once, and for nothing else.
func (c Credential) Reveal() string {
	return credentialPrefix + string(c.System) + "_" + c.Secret.text()
}

// String names the credential without its secret.
func (c Credential) String() string { return credentialPrefix + string(c.System) }

// LogValue is String, for slog.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// ParseCredential reads a credential's text form. Only the exact spelling that
// Reveal gives is accepted; anything else is CodeUnauthenticated, and the error
// does not repeat it.
func ParseCredential(text string) (Credential, error) {
	rest, okPrefix := strings.CutPrefix(text, credentialPrefix)
	system, encoded, okCut := strings.Cut(rest, "_")
	secret, okSecret := parseSecret(encoded)
	c := Credential{System: bus.SystemID(system), Secret: secret}
	if !okPrefix || !okCut || !okSecret || bus.CheckID("id", c.System) != nil {
		return Credential{}, bus.E(bus.CodeUnauthenticated, defect("authorization", "系统凭证格式不正确", "not a system credential", "gxs_… as it was shown when created"))
	}
	return c, nil
}
