package policy_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/raced"
)

func cookbook(t testing.TB) []policy.Recipe {
	t.Helper()
	recipes, err := policy.Cookbook()
	if err != nil {
		t.Fatal(err)
	}
	if len(recipes) < 15 {
		t.Fatalf("%d recipes, want at least fifteen", len(recipes))
	}
	return recipes
}

func TestEveryRecipePassesTheCheck(t *testing.T) {
	e := newEngine(t)
	for _, r := range cookbook(t) {
		if report := e.Check(t.Context(), r.Layer); !report.OK || len(report.Tests) < 2 {
			t.Errorf("%s, layer %s: %d tests, problems %v", r.Name, r.Layer.ID, len(report.Tests), report.Problems)
		}
	}
}

func TestThePolicyGuideListsEveryRecipe(t *testing.T) {
	guide, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range cookbook(t) {
		if !strings.Contains(string(guide), "| [`"+r.Name+"`](../policies/cookbook/"+r.Name+"/rules.rego) | `"+string(r.Layer.ID)+"` |") {
			t.Errorf("docs/policies.md does not list %s of layer %s", r.Name, r.Layer.ID)
		}
	}
}

// shippedLayers are base, the samples and the recipes by name.
func shippedLayers(t testing.TB) map[string]bus.Layer {
	t.Helper()
	base, err := policy.Base()
	if err != nil {
		t.Fatal(err)
	}
	samples, err := policy.Samples()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bus.Layer{"base": base}
	for _, l := range samples {
		all["sample "+string(l.ID)] = l
	}
	for _, r := range cookbook(t) {
		all[r.Name] = r.Layer
	}
	return all
}

// OPA finds rules by an index of what they compare. With and without it every
// shipped policy says the same, and what it says is of the documented form.
func TestRuleIndexingChangesNothing(t *testing.T) {
	raced.Later(t)
	type subject struct {
		name           string
		indexed, plain func(ast.Value) map[string]any
		answers        map[string]bool
	}
	var subjects []subject
	for name, l := range shippedLayers(t) {
		subjects = append(subjects, subject{name, evaluated(t, l), evaluated(t, l, rego.EvalRuleIndexing(false)), map[string]bool{}})
	}
	form := compiledSchema(t, policy.OutputSchema())
	rapid.Check(t, func(rt *rapid.T) {
		for range 5 {
			in := document(t, anyInput(rt))
			for _, s := range subjects {
				with, without := s.indexed(in), s.plain(in)
				if !reflect.DeepEqual(with, without) {
					rt.Errorf("%s: with the index %v, without it %v", s.name, with, without)
				}
				if said := fmt.Sprint(with); !s.answers[said] {
					s.answers[said] = true
					if err := conforms(t, form, with); err != nil {
						rt.Errorf("%s: %v", s.name, err)
					}
				}
			}
		}
	})
	for _, s := range subjects {
		if len(s.answers) < 2 {
			t.Errorf("%s answers all random inputs alike: %v", s.name, s.answers)
		}
	}
}
