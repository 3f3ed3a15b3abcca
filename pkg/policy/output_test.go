package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

func outputSchema(t testing.TB) schema {
	t.Helper()
	var s schema
	if err := json.Unmarshal(policy.OutputSchema(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheOutputSchemaIsTheGoTypes(t *testing.T) {
	root := outputSchema(t)
	a := agreement{t, root}
	a.check("mask", root.Defs["mask"], reflect.TypeFor[bus.Mask]())
	a.check("row-condition", root.Defs["row-condition"], reflect.TypeFor[bus.RowCondition]())
	a.check("limit", root.Defs["limit"], reflect.TypeFor[bus.Limit]())
}

// The engine takes an answer exactly where the schema does.
func TestTheEngineTakesWhatTheOutputSchemaAllows(t *testing.T) {
	s := compiledSchema(t, policy.OutputSchema())
	long := func(n int, each string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(each, i)
		}
		return strings.Join(all, ", ")
	}
	reason := func(code, zh, en string) string {
		return fmt.Sprintf(`deny contains {"code": %q, "zh": %q, "en": %q}`, code, zh, en)
	}
	e, revision := newEngine(t), bus.Revision(0)
	for _, test := range []struct {
		rules string
		valid bool
	}{
		{reason("a-1", "不", "no"), true},
		{reason("A", "不", "no"), false},
		{reason("a--b", "不", "no"), false},
		{reason("a", "", "no"), false},
		{reason("a", "不", ""), false},
		{reason(strings.Repeat("a", 65), "不", "no"), false},
		{reason("a", "不", strings.Repeat("n", 2001)), false},
		{`deny contains {"code": "a", "zh": "不"}`, false},
		{`deny contains {"code": "a", "zh": "不", "en": "no", "more": 1}`, false},
		{`deny contains "no"`, false},
		{`deny contains {"code": sprintf("a%d", [i]), "zh": "不", "en": "no"} if some i in [` + long(65, "%d") + `]`, false},
		{`hold contains {"code": "a", "zh": "等", "en": "wait"}`, true},
		{`hold contains {"code": "a b", "zh": "等", "en": "wait"}`, false},
		{`items := ["a", "b"]`, true},
		{`items := {"a"}`, true},
		{`items := []`, true},
		{`items := "a"`, false},
		{`items := [1]`, false},
		{`items := ["a-b"]`, false},
		{`items := ["` + strings.Repeat("a", 65) + `"]`, false},
		{`masks := {}`, true},
		{`masks := {"a": {"method": "keep", "head": 64, "tail": 0}}`, true},
		{`masks := {"a": {"method": "keep"}, "b": {"method": "drop", "head": 0}}`, true},
		{`masks := {"a": {"method": "keep", "head": 65}}`, false},
		{`masks := {"a": {"method": "keep", "head": -1}}`, false},
		{`masks := {"a": {"method": "keep", "head": 1.5}}`, false},
		{`masks := {"a": {"method": "year", "head": 1}}`, false},
		{`masks := {"a": {"head": 1}}`, false},
		{`masks := {"a": {"method": "blur"}}`, false},
		{`masks := {"a": {"method": "null", "why": "x"}}`, false},
		{`masks := {"a b": {"method": "null"}}`, false},
		{`masks := [{"method": "null"}]`, false},
		{`rows contains {"item": "a", "within": ["440106", "441900001"]}`, true},
		{`rows contains {"item": "a", "equals": ["x"]}`, true},
		{`rows := set()`, true},
		{`rows contains {"item": "a"}`, false},
		{`rows contains {"item": "a", "equals": []}`, false},
		{`rows contains {"item": "a", "equals": [1]}`, false},
		{`rows contains {"item": "a", "within": ["4401"]}`, false},
		{`rows contains {"item": "a", "within": ["004401"]}`, false},
		{`rows contains {"item": "a", "within": ["440106"], "equals": ["x"]}`, false},
		{`rows contains {"item": "a", "like": ["x"]}`, false},
		{`rows contains {"item": "a", "equals": ["` + strings.Repeat("x", 257) + `"]}`, false},
		{`limits contains {"limit": 1, "per": "minute", "key": "system"}`, true},
		{`limits contains {"limit": 1000000000, "per": "case", "key": "grant"}`, true},
		{`limits contains {"limit": 0, "per": "day", "key": "grant"}`, false},
		{`limits contains {"limit": 1000000001, "per": "day", "key": "grant"}`, false},
		{`limits contains {"limit": 1, "per": "week", "key": "grant"}`, false},
		{`limits contains {"limit": 1, "per": "day", "key": "person"}`, false},
		{`limits contains {"limit": "1", "per": "day", "key": "grant"}`, false},
		{`limits contains {"limit": 1, "per": "day"}`, false},
		{`watermark := true`, true},
		{`watermark := false`, true},
		{`watermark := "yes"`, false},
	} {
		revision++
		l := layerOf(t, city, revision, test.rules)
		e.Load([]bus.Layer{l})
		taken := !slices.Contains(codes(e.Decide(t.Context(), forward())), string(city)+" "+policy.CodeResultInvalid)
		answer := evaluated(t, l)(document(t, forward()))
		if err := conforms(t, s, answer); taken != test.valid || (err == nil) != test.valid {
			t.Errorf("%.120s: want valid %v; the engine takes it: %v; the schema: %v", test.rules, test.valid, taken, err)
		}
	}
}

// evaluated gives what a layer's documented rules say of an input, by OPA alone.
func evaluated(t testing.TB, l bus.Layer, options ...rego.EvalOption) func(ast.Value) map[string]any {
	t.Helper()
	pkg, _ := policy.LayerPackage(l.ID)
	opts := []func(*rego.Rego){rego.Query("data." + pkg), rego.StrictBuiltinErrors(true)}
	for file, text := range l.Modules {
		if !strings.HasSuffix(file, "_test.rego") {
			opts = append(opts, rego.Module(file, text))
		}
	}
	q, err := rego.New(opts...).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exports := outputSchema(t).Properties
	return func(in ast.Value) map[string]any {
		t.Helper()
		results, err := q.Eval(t.Context(), append(options, rego.EvalParsedInput(in))...)
		if err != nil || len(results) != 1 {
			t.Fatalf("%s: %d results, error %v", l.ID, len(results), err)
		}
		rules := maps.Clone(results[0].Expressions[0].Value.(map[string]any))
		maps.DeleteFunc(rules, func(name string, _ any) bool { return exports[name].Description == "" })
		return rules
	}
}

// document is an input as OPA sees it.
func document(t testing.TB, in policy.Input) ast.Value {
	t.Helper()
	v, err := ast.InterfaceToValue(in)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
