package identity_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

func sampleToken(t testing.TB) identity.JoinToken {
	return identity.JoinToken{Cluster: cluster, ID: "t-1", CA: identity.FingerprintOf(newCA(t).Certificate()), Secret: identity.NewSecret()}
}

func TestTokenTextRoundTrips(t *testing.T) {
	token := sampleToken(t)
	parsed, err := identity.ParseToken(token.Reveal())
	ok(t, err)
	if parsed != token {
		t.Error("parsed another token")
	}
	if !parsed.Secret.Matches(token.Secret.Hash()) || parsed.Secret.Matches(identity.NewSecret().Hash()) || parsed.Secret.Matches(nil) {
		t.Error("the secret matches the wrong hash")
	}
}

func TestEveryChangedCharacterOfATokenIsFound(t *testing.T) {
	text := sampleToken(t).Reveal()
	for i := range text {
		for _, c := range "A_z\n" {
			changed := text[:i] + string(c) + text[i+1:]
			if _, err := identity.ParseToken(changed); changed != text && err == nil {
				t.Fatalf("character %d changed to %q was accepted", i, c)
			}
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	token := sampleToken(t)
	text := token.Reveal()
	badCluster, badID := token, token
	badCluster.Cluster, badID.ID = "GX", "a_b"
	for name, bad := range map[string]string{
		"empty":             "",
		"prefix only":       "gxj_",
		"no prefix":         strings.TrimPrefix(text, "gxj_"),
		"upper-case prefix": "GXJ_" + strings.TrimPrefix(text, "gxj_"),
		"cut":               text[:len(text)-1],
		"longer":            text + "A",
		"padded":            text + "=",
		"newline inside":    text[:10] + "\n" + text[10:],
		"newline after":     text + "\n",
		"space before":      " " + text,
		"bad cluster":       badCluster.Reveal(),
		"bad id":            badID.Reveal(),
		"enormous":          "gxj_" + strings.Repeat("A", 1<<20),
		"another version":   resealed(text, func(p []byte) []byte { p[0] = 2; return p }),
		"more than secret":  resealed(text, func(p []byte) []byte { return append(p, 0) }),
		"length over end":   resealed(text, func(p []byte) []byte { p[1] = 255; return p }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identity.ParseToken(bad)
			refused(t, err, bus.CodeInvalid, "token")
			if len(bad) > 20 && strings.Contains(err.Error(), bad[4:20]) {
				t.Error("the error repeats the token")
			}
		})
	}
}

// resealed changes a token's payload and gives it a right checksum.
func resealed(text string, change func([]byte) []byte) string {
	raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "gxj_"))
	payload := change(raw[: len(raw)-4 : len(raw)-4])
	sum := sha256.Sum256(payload)
	return "gxj_" + base64.RawURLEncoding.EncodeToString(append(payload, sum[:4]...))
}

func TestCredentialTextRoundTrips(t *testing.T) {
	for range 200 { // secrets with - and _ in every place
		c := identity.Credential{System: "tianhe-licences-2", Secret: identity.NewSecret()}
		parsed, err := identity.ParseCredential(c.Reveal())
		ok(t, err)
		if parsed != c {
			t.Fatalf("parsed %v as %v", c, parsed)
		}
	}
}

func TestParseCredentialRefuses(t *testing.T) {
	good := identity.Credential{System: "sys", Secret: identity.Secret{}}.Reveal() // gxs_sys_AAA…
	for name, bad := range map[string]string{
		"empty":             "",
		"prefix only":       "gxs_",
		"no secret":         "gxs_sys_",
		"no system":         "gxs__" + good[8:],
		"another kind":      "gxj_" + good[4:],
		"cut":               good[:len(good)-1],
		"longer":            good + "A",
		"padded":            good + "=",
		"other spelling":    good[:len(good)-1] + "B", // same bits, other last character
		"newline":           good + "\n",
		"newline inside":    good[:20] + "\n" + good[20:],
		"standard alphabet": good[:20] + "+" + good[21:],
		"upper-case system": "gxs_SYS_" + good[8:],
		"hyphen at the end": "gxs_sys-_" + good[8:],
		"look-alike system": "gxs_sуs_" + good[8:], // Cyrillic у
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identity.ParseCredential(bad)
			refused(t, err, bus.CodeUnauthenticated, "authorization")
		})
	}
}

func TestS44_PrintingATokenOrCredentialBetraysNoSecret(t *testing.T) {
	token := sampleToken(t)
	credential := identity.Credential{System: "sys", Secret: token.Secret}
	raw := token.Secret
	canaries := []string{
		credential.Reveal()[8:],
		fmt.Sprintf("%x", raw[:]),
		strings.Trim(fmt.Sprint(raw[:]), "[]"),
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "token", token, "credential", credential, "secret", token.Secret, "both", []any{token, credential})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		fmt.Fprintf(&out, verb+verb+verb+verb+"\n", token, credential, token.Secret, &token)
	}
	encoded, err := json.Marshal([]any{token, credential})
	ok(t, err)
	out.Write(encoded)
	for _, canary := range canaries {
		if strings.Contains(out.String(), canary) {
			t.Errorf("found %q in\n%s", canary, out.String())
		}
	}
	if !strings.Contains(out.String(), "t-1") {
		t.Error("the output does not even name the token")
	}
}

func TestS55_WhatIsStoredHoldsNoSecret(t *testing.T) {
	secret := identity.NewSecret()
	if bytes.Contains(secret.Hash(), secret[:8]) || len(secret.Hash()) != 32 {
		t.Error("the hash shows the secret")
	}
	password := identity.NewOneTimePassword()
	hash, err := identity.HashPassword(password)
	ok(t, err)
	if strings.Contains(hash, password) || strings.Contains(hash, base64.RawStdEncoding.EncodeToString([]byte(password))) {
		t.Error("the hash shows the password")
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(sampleToken(f).Reveal())
	f.Add("gxj_AQFhAWE")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := identity.ParseToken(text)
		if err == nil && token.Reveal() != text {
			t.Fatalf("%q parses but is spelt %q", text, token.Reveal())
		}
		// The checksum keeps the fuzzer out; let it in behind.
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "gxj_"))
		if err != nil || len(raw) < 4 {
			return
		}
		sealed := resealed("gxj_"+base64.RawURLEncoding.EncodeToString(raw), func(p []byte) []byte { return p })
		if token, err := identity.ParseToken(sealed); err == nil && token.Reveal() != sealed {
			t.Fatalf("%q parses but is spelt %q", sealed, token.Reveal())
		}
	})
}

func FuzzParseCredential(f *testing.F) {
	f.Add(identity.Credential{System: "a-b", Secret: identity.NewSecret()}.Reveal())
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := identity.ParseCredential(text); err == nil && c.Reveal() != text {
			t.Fatalf("%q parses but is spelt %q", text, c.Reveal())
		}
	})
}
