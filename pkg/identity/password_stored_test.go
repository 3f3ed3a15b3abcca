//go:build !race

package identity_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/identity"
)

func TestStoredHashGoesOnMatching(t *testing.T) {
	if same, err := identity.VerifyPassword(stored, "correct horse battery"); err != nil || !same {
		t.Errorf("= %v, %v", same, err)
	}
}
