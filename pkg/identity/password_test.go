package identity_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

func TestVerifyPassword(t *testing.T) {
	hash, err := identity.HashPassword("correct horse battery")
	ok(t, err)
	for name, c := range map[string]struct {
		stored, password string
		want             bool
	}{
		"right":         {hash, "correct horse battery", true},
		"wrong":         {hash, "correct horse batterx", false},
		"empty":         {hash, "", false},
		"longer":        {hash, "correct horse battery ", false},
		"enormous":      {hash, strings.Repeat("a", 1<<20), false},
		"no account":    {"", "correct horse battery", false},
		"both empty":    {"", "", false},
		"other account": {mustHash(t, "another password"), "correct horse battery", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := identity.VerifyPassword(c.stored, c.password); err != nil || got != c.want {
				t.Errorf("= %v, %v", got, err)
			}
		})
	}
}

func TestVerifyPasswordRefusesAHashItWouldNotWrite(t *testing.T) {
	hash := mustHash(t, "correct horse battery")
	memory := regexp.MustCompile("m=[0-9]+").FindString(hash)
	for name, bad := range map[string]string{
		"plain text":     "correct horse battery",
		"argon2i":        strings.Replace(hash, "argon2id", "argon2i", 1),
		"more memory":    strings.Replace(hash, memory, "m=4194304", 1),
		"less memory":    strings.Replace(hash, memory, "m=8", 1),
		"no passes":      strings.Replace(hash, "t=2", "t=0", 1),
		"cut":            hash[:len(hash)-4],
		"trailing":       hash + "A",
		"newline":        hash + "\n",
		"no hash":        hash[:strings.LastIndex(hash, "$")+1],
		"one more field": hash + "$",
	} {
		t.Run(name, func(t *testing.T) {
			if same, err := identity.VerifyPassword(bad, "correct horse battery"); err == nil || same {
				t.Errorf("= %v, %v", same, err)
			}
		})
	}
}

func TestPasswordRule(t *testing.T) {
	for password, good := range map[string]bool{
		"twelve chars":                  true,
		"eleven char":                   false,
		"":                              false,
		"一二三四五六七八九十甲乙":                  true,
		"一二三四五六七八九十甲":                   false,
		"tab\tinside it":                false,
		"nul\x00inside it":              false,
		"invalid \xff utf-8":            false,
		strings.Repeat("abcdef1!", 128): true,
		strings.Repeat("abcdef1!", 129): false,
		"ababababababab":                false,
		"my SysAdmin password":          false,
		identity.NewOneTimePassword():   true,
	} {
		if got := identity.CheckPassword("password", "sysadmin", password); (got == nil) != good {
			t.Errorf("%.20q: %v", password, got)
		}
	}
	if all := identity.CheckPassword("password", "ab", "ab\t"); len(all) != 4 {
		t.Errorf("of four defects these are told: %v", all)
	}
	_, err := identity.HashPassword(strings.Repeat("a", 1<<20))
	refused(t, err, bus.CodeInvalid, "password")
}

func TestOneTimePasswordIsReadableAndRandom(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){4}$`)
	seen, letters := map[string]bool{}, map[rune]bool{}
	for range 1000 {
		password := identity.NewOneTimePassword()
		if !form.MatchString(password) || seen[password] {
			t.Fatalf("password = %q", password)
		}
		seen[password] = true
		for _, r := range password {
			letters[r] = true
		}
	}
	if len(letters) != 33 {
		t.Errorf("%d different characters, want 32 and the hyphen", len(letters))
	}
}

func TestPasswordGateLetsNInAndTellsTheRestToComeBack(t *testing.T) {
	gate := identity.NewPasswordGate(1)
	hash, err := gate.Hash(t.Context(), "correct horse battery")
	ok(t, err)
	same, err := gate.Verify(t.Context(), hash, "correct horse battery")
	if err != nil || !same {
		t.Errorf("= %v, %v", same, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gate.Verify(gone, hash, "x"); bus.CodeOf(err) != bus.CodeUnavailable {
		t.Errorf("error = %v", err)
	}
}

// stored is a hash as an earlier release wrote it: it must go on matching.
const stored = "$argon2id$v=19$m=19456,t=2,p=1$+JL9gGYTvCnDgrSIYzpLUA$fOaEg+KfmXyouz3WbNvNEW2Z9GvOyc+YHvtbjXxTnGM"

func FuzzVerifyPassword(f *testing.F) {
	f.Add(stored)
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		if same, _ := identity.VerifyPassword(text, "correct horse battery"); same && text != stored {
			t.Fatalf("%q matches", text)
		}
	})
}

func BenchmarkVerifyPassword(b *testing.B) {
	hash := mustHash(b, "correct horse battery")
	for b.Loop() {
		if same, err := identity.VerifyPassword(hash, "correct horse battery"); err != nil || !same {
			b.Fatal(err)
		}
	}
}

func mustHash(t testing.TB, password string) string {
	t.Helper()
	hash, err := identity.HashPassword(password)
	ok(t, err)
	return hash
}
