package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

func TestBeforeItsFirstLoadAnEngineDeniesAll(t *testing.T) {
	e, err := policy.New(policy.Options{Deadline: patient, CompileLimit: patient})
	if err != nil {
		t.Fatal(err)
	}
	wantDenied(t, e.Decide(t.Context(), forward()), "base layer-unavailable")
	in := forward()
	if seen, sure := e.Sight(t.Context(), in.Consumer, noon, in.Directory).Provider(in.Provider); seen || !sure {
		t.Errorf("a provider is seen: %v, sure %v", seen, sure)
	}
	e.Load(nil)
	if d := e.Decide(t.Context(), forward()); !d.Allow {
		t.Errorf("denied for %q", codes(d))
	}
}

// slow is a layer that takes a while to compile.
func slow(t *testing.T, revision bus.Revision, rules string) bus.Layer {
	var text strings.Builder
	for n := range 1500 {
		fmt.Fprintf(&text, "helper_%d contains item.id if { some item in input.resource.items; item.grade > %d; not input.purpose == \"p%d\" }\n", n, n, n)
	}
	return layerOf(t, city, revision, rules+text.String())
}

// While a revision is compiled the one before it decides: nobody waits, and nothing
// is denied because a layer changes. A broken one denies once it is in.
func TestALayerThatIsBeingCompiledDeniesNothing(t *testing.T) {
	e := newEngine(t, layerOf(t, city, 1, `items := ["name"]`))
	next := slow(t, 2, `items := ["id_number"]`+"\n")
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		e.Load([]bus.Layer{next})
	}()
	meanwhile := map[bus.Revision]int{}
	for done := false; !done; {
		select {
		case <-loaded:
			done = true
		default:
		}
		d := e.Decide(t.Context(), forward())
		meanwhile[d.Layers[city]]++
		wantItems(t, d, map[bus.Revision]bus.ItemID{1: "name", 2: "id_number"}[d.Layers[city]])
		if s := statusOf(e, city); s.Revision != 1 && s.Revision != 2 || s.Error != "" { // nor does it wait to tell
			t.Errorf("status = %+v", s)
		}
	}
	if meanwhile[1] < 3 {
		t.Errorf("decisions by revision: %v; want some by the old one while the new one is compiled", meanwhile)
	}
	if d := e.Decide(t.Context(), forward()); d.Layers[city] != 2 {
		t.Errorf("decided by %v", d.Layers)
	}
	e.Load([]bus.Layer{layerOf(t, city, 3, "nonsense")})
	wantDenied(t, e.Decide(t.Context(), forward()), "division/440100 layer-unavailable")
	if s := statusOf(e, city); s.Revision != 3 || s.Error == "" {
		t.Errorf("status = %+v, want the revision that could not be compiled", s)
	}
}

func TestStatusTellsATextByItsDigest(t *testing.T) {
	l := layerOf(t, city, 4, "masks := {}")
	if got := statusOf(newEngine(t, l), city).Digest; got != policy.Digest(l.Modules) || len(got) != 64 {
		t.Errorf("digest %q of a text of %q", got, policy.Digest(l.Modules))
	}
	base, err := policy.Base()
	if err != nil {
		t.Fatal(err)
	}
	if got := statusOf(newEngine(t), bus.BaseLayer).Digest; got != policy.Digest(base.Modules) {
		t.Errorf("base's digest %q", got)
	}
}

// A division without a layer costs nothing, however many others have one.
func TestLayersThatDoNotApplyCostNothing(t *testing.T) {
	var others []bus.Layer
	for n := range 50 {
		others = append(others, layerOf(t, bus.LayerID(fmt.Sprintf("division/44%04d", 5000+n)), 1, "masks := {}"))
	}
	cost := func(e *policy.Engine) float64 {
		return testing.AllocsPerRun(200, func() { e.Decide(t.Context(), forward()) })
	}
	none, many := cost(newEngine(t)), cost(newEngine(t, others...))
	t.Logf("%.0f allocations a decision without layers, %.0f beside 50 that do not apply", none, many)
	if many > none*1.01+2 {
		t.Errorf("%.0f allocations a decision without layers, %.0f beside 50 that do not apply", none, many)
	}
}

// Each reason names the layer that gave it, a code, and what to do in both
// languages; those of several layers come together.
func TestReasonsNameLayerCodeAndBothLanguages(t *testing.T) {
	department := bus.DepartmentLayer(tianheDepartment)
	e := newEngine(t, layerOf(t, city, 1, deny("closed", "true")), layerOf(t, department, 1, deny("too-late", "true")), layerOf(t, "division/440000", 1, "nonsense"))
	d := e.Decide(t.Context(), with(func(in *policy.Input) { in.Grant.Revoked = true }))
	wantDenied(t, d, "base grant-revoked", string(department)+" too-late", "division/440000 layer-unavailable", "division/440100 closed")
}

func TestCheckTellsWhatTheTestsCover(t *testing.T) {
	l := layerOf(t, city, 1, `
deny contains {"code": "closed", "zh": "测试", "en": "test"} if {
	input.purpose == "reference"
	not input.case
}

deny contains {"code": "never", "zh": "测试", "en": "test"} if {
	input.purpose == "verification"
	input.case == "1"
}
`)
	l.Modules["rules_test.rego"] = `package gxbus.division.d440100_test

import data.gxbus.division.d440100 as city

test_closed if count(city.deny) == 1 with input as {"purpose": "reference"}
`
	r := newEngine(t).Check(t.Context(), l)
	if !r.OK || len(r.Coverage) != 1 || r.Coverage[0].File != "rules.rego" {
		t.Fatalf("%+v", r)
	}
	covered, lines := r.Covered()
	if f := r.Coverage[0]; covered != 3 || lines != 6 || !slices.Equal(f.Missed, []bus.LineRange{{First: 8, Last: 10}}) {
		t.Errorf("%d of %d lines, missed %v", covered, lines, f.Missed)
	}
}

func TestLintRunsNoTest(t *testing.T) {
	e := newEngine(t)
	l := layerOf(t, city, 1, "masks := {}")
	if r := e.Lint(t.Context(), l); !r.OK || r.Layer != city || len(r.Tests) > 0 {
		t.Errorf("a layer without tests: %+v", r)
	}
	l.Modules["rules_test.rego"] = "package gxbus.division.d440100_test\n\ntest_it if false\n"
	if r := e.Lint(t.Context(), l); !r.OK {
		t.Errorf("a layer whose test fails: %+v", r)
	}
	l.Modules["a.rego"] = "package gxbus.division.d440100\n\nallow := true\n"
	wantRefused(t, e.Lint(t.Context(), l), policy.ProblemRule)
	wantRefused(t, e.Lint(t.Context(), layerOf(t, city, 1, "masks := f(1)")), policy.ProblemCompile)
}
