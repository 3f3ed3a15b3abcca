package cli_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/policy"
)

// Whoever starts from a recipe runs its tests as here.
func TestEveryRecipePassesPolicyTest(t *testing.T) {
	recipes, err := policy.Cookbook()
	if err != nil {
		t.Fatal(err)
	}
	if len(recipes) < 15 {
		t.Errorf("%d recipes, want at least fifteen", len(recipes))
	}
	for _, r := range recipes {
		t.Run(r.Name, func(t *testing.T) { // one after the other: each is held to a time
			sh := newShell(t, nil) // the node is not asked
			out, _ := sh.ok("policy", "test", filepath.Join("../../policies/cookbook", r.Name), "--layer", string(r.Layer.ID))
			if strings.Count(out, "\npass") < 2 || strings.Contains(out, "FAIL") {
				t.Errorf("policy test says:\n%s", out)
			}
		})
	}
}
