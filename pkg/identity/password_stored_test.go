//go:build !race

package identity_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/gxbus/gxbus/pkg/identity"
)

func TestStoredHashGoesOnMatching(t *testing.T) {
	if same, err := identity.VerifyPassword(stored, "correct horse battery"); err != nil || !same {
		t.Errorf("= %v, %v", same, err)
	}
}

func TestPasswordHashIsArgon2idAsAPHCString(t *testing.T) {
	hash, err := identity.HashPassword("correct horse battery")
	ok(t, err)
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if !form.MatchString(hash) {
		t.Errorf("hash = %s", hash)
	}
	again, err := identity.HashPassword("correct horse battery")
	ok(t, err)
	if again == hash {
		t.Error("the salt is not random")
	}
	parts := strings.Split(hash, "$")
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	ok(t, err)
	want := base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte("correct horse battery"), salt, 2, 19456, 1, 32))
	if parts[5] != want {
		t.Error("not what argon2id gives for the stated parameters")
	}
}
