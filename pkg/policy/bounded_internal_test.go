package policy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

func TestBoundsOfBuiltins(t *testing.T) {
	long := ast.StringTerm(strings.Repeat("a", maxText/2))
	shared := ast.ArrayTerm()
	for range 60 { // 2^60 values that share their parts
		shared = ast.ArrayTerm(shared, shared)
	}
	for _, test := range []struct {
		name     string
		builtin  string
		operands []*ast.Term
		ok       bool
	}{
		{"plain", "sprintf", terms(`"%s %d %5.2f %-20s %%"`, `["a", 1, 1.5, "b"]`), true},
		{"wide", "sprintf", terms(`"%100d"`, `[1]`), false},
		{"wide after others", "sprintf", terms(`"%d %-0100d"`, `[1, 2]`), false},
		{"precise", "sprintf", terms(`"%.1000000f"`, `[1]`), false},
		{"width from operands", "sprintf", terms(`"%*d"`, `[9, 1]`), false},
		{"shared parts", "sprintf", []*ast.Term{ast.StringTerm("%v"), ast.ArrayTerm(shared)}, false},
		{"two halves", "concat", []*ast.Term{ast.StringTerm(""), ast.ArrayTerm(long, long)}, true},
		{"over", "concat", []*ast.Term{ast.StringTerm("-"), ast.ArrayTerm(long, long)}, false},
		{"a set", "concat", terms(`","`, `{"a", "b"}`), true},
		{"numbers", "mul", terms(`12`, `1.5`), true},
		{"long number", "mul", terms(strings.Repeat("9", maxDigits+1), `2`), false},
		{"exponent", "div", terms(`1e99`, `2`), false},
		{"text of a number", "to_number", terms(`"1e999999999"`), false},
		{"pattern", "regex.match", terms(`"^[0-9]+$"`, `"44"`), true},
		{"counted", "regex.match", terms(`"a{9}"`, `"a"`), false},
		{"long subject", "regex.match", []*ast.Term{ast.StringTerm("a"), long}, false},
		{"search", "indexof", terms(`"abc"`, `"c"`), true},
		{"long search", "indexof", []*ast.Term{ast.StringTerm(strings.Repeat("啊", 1<<12)), ast.StringTerm(strings.Repeat("啊", 1<<10))}, false},
		{"long cut", "trim", []*ast.Term{long, long}, false},
		{"arrays", "array.concat", terms(`[1]`, `[2]`), true},
	} {
		if err := boundedBuiltins[test.builtin](test.operands); (err == nil) != test.ok {
			t.Errorf("%s %s: error %v, want allowed: %v", test.builtin, test.name, err, test.ok)
		}
	}
	if boundResult(ast.StringTerm(strings.Repeat("a", maxText))) != nil || boundResult(ast.StringTerm(strings.Repeat("a", maxText+1))) == nil {
		t.Error("a result may be as long as maxText and no longer")
	}
}

func terms(texts ...string) (all []*ast.Term) {
	for _, text := range texts {
		all = append(all, ast.MustParseTerm(text))
	}
	return all
}

// The dearest expression that the bounds let through must leave room below the
// deadline; see DESIGN.md.
func BenchmarkDearestRegex(b *testing.B) {
	pattern := strings.Repeat("(a|b)*", maxPattern/6) + "c"
	subject := strings.Repeat("ab", maxSubject/2)
	expression := regexp.MustCompile(pattern)
	if err := boundRegex([]*ast.Term{ast.StringTerm(pattern), ast.StringTerm(subject)}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		expression.MatchString(subject)
	}
}
