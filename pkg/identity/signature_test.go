package identity_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

const target = "/api/v1/resources/enterprise-registration/events?limit=1"

func TestASignatureIsOfOneRequestAndOneKey(t *testing.T) {
	root := identity.NewSecret()
	key := identity.DeriveSigningKey(root, "permits", "k-1")
	if again := identity.DeriveSigningKey(root, "permits", "k-1"); again != key {
		t.Error("the same names give another key")
	}
	read, err := identity.ParseSigningKey(key.Reveal())
	ok(t, err)
	if read != key {
		t.Error("the key is read as another")
	}
	at := time.Now()
	header := read.Sign("POST", target, []byte("body"), at)
	s, err := identity.ParseSignature(header)
	ok(t, err)
	sum := sha256.Sum256([]byte("body"))
	if s.System != "permits" || s.Credential != "k-1" || !s.Timestamp.Equal(at.Truncate(time.Second)) || string(s.Digest) != string(sum[:]) || !s.By(key, "POST", target) {
		t.Errorf("read as %+v", s)
	}
	for name, by := range map[string]bool{
		"another method":     s.By(key, "PUT", target),
		"another path":       s.By(key, "POST", strings.Replace(target, "events", "event", 1)),
		"another query":      s.By(key, "POST", target+"0"),
		"another root":       s.By(identity.DeriveSigningKey(identity.NewSecret(), "permits", "k-1"), "POST", target),
		"another system":     s.By(identity.DeriveSigningKey(root, "permit", "k-1"), "POST", target),
		"another credential": s.By(identity.DeriveSigningKey(root, "permits", "k-2"), "POST", target),
		"another time":       changed(t, header, fmt.Sprint(s.Timestamp.Unix()), fmt.Sprint(s.Timestamp.Unix()+1)).By(key, "POST", target),
		"another nonce":      changed(t, header, s.Nonce, strings.Repeat("x", 26)).By(key, "POST", target),
		"another body":       changed(t, header, fmt.Sprintf("%x", s.Digest), strings.Repeat("0", 64)).By(key, "POST", target),
	} {
		if by {
			t.Errorf("it is good for %s", name)
		}
	}
	if other, err := identity.ParseSignature(read.Sign("POST", target, []byte("body"), at)); err != nil || other.Nonce == s.Nonce {
		t.Errorf("the nonce of two requests is %s, %v", other.Nonce, err)
	}
}

func changed(t *testing.T, header, from, to string) identity.Signature {
	t.Helper()
	if !strings.Contains(header, from) {
		t.Fatalf("%s is not in %s", from, header)
	}
	s, err := identity.ParseSignature(strings.Replace(header, from, to, 1))
	ok(t, err)
	return s
}

// What docs/api.md tells programmers to do by hand gives what Sign gives.
func TestTheSignatureOfTheDocument(t *testing.T) {
	const key = "gxk_permits_k-1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	read, err := identity.ParseSigningKey(key)
	ok(t, err)
	s, err := identity.ParseSignature("GXBUS-HMAC-SHA256 credential=permits/k-1, timestamp=1767225600, nonce=0123456789abcdef, " +
		"digest=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, signature=" + documented)
	ok(t, err)
	if !s.By(read, "GET", "/api/v1/status") {
		t.Error("another signature")
	}
}

// printf 'GXBUS-HMAC-SHA256\nGET\n/api/v1/status\n1767225600\n0123456789abcdef\ne3b0…' | openssl dgst -sha256 -hmac "$KEY"
const documented = "300f94bbb30d025766276b98d807a32c13d9e38cffd773021c561366e81c961a"

func FuzzParseSignature(f *testing.F) {
	key := identity.DeriveSigningKey(identity.NewSecret(), "permits", "k-1")
	f.Add(key.Sign("GET", "/", nil, time.Now()))
	f.Add("GXBUS-HMAC-SHA256 credential=a/b, timestamp=1, nonce=" + strings.Repeat("n", 16) + ", digest=" + strings.Repeat("0", 64) + ", signature=" + strings.Repeat("0", 64))
	f.Add("GXBUS-HMAC-SHA256 credential=a/b")
	f.Fuzz(func(t *testing.T, header string) {
		s, err := identity.ParseSignature(header)
		if err != nil {
			if bus.CodeOf(err) != bus.CodeUnauthenticated {
				t.Errorf("refused as %v", err)
			}
			return
		}
		if s.By(key, "GET", "/") && !strings.Contains(header, "permits/k-1") {
			t.Error("the key of another made it")
		}
		if s.Timestamp.Unix() <= 0 || len(s.Digest) != 32 || len(s.Nonce) < 16 || strings.ContainsAny(s.Nonce, "\n ") {
			t.Errorf("taken: %+v", s)
		}
	})
}

func TestSigningKeysThatAreNone(t *testing.T) {
	good := identity.DeriveSigningKey(identity.NewSecret(), "permits", "k-1")
	if text := fmt.Sprintf("%v %+v %s", good, good, good.String()); strings.Contains(text, good.Reveal()[len(good.Reveal())-20:]) {
		t.Errorf("it shows itself: %s", text)
	}
	for _, text := range []string{
		"", "gxk_", good.Reveal() + "x", good.Reveal()[1:], strings.Replace(good.Reveal(), "permits", "Permits", 1), strings.Replace(good.Reveal(), "_k-1", "", 1), "gxs_permits_" + strings.Repeat("A", 43),
	} {
		if _, err := identity.ParseSigningKey(text); bus.CodeOf(err) != bus.CodeInvalid || len(text) > 10 && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
