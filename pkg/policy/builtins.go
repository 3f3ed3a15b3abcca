package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// plainBuiltins may be called as OPA has them: their cost is at most linear in
// operands that were themselves built under the deadline, and they are
// deterministic. Whatever is not in these lists does not compile.
var plainBuiltins = []string{
	"assign", "eq", "equal", "neq", "lt", "lte", "gt", "gte",
	"plus", "minus", "rem", "abs", "ceil", "floor", "round",
	"and", "or", "intersection", "union", "internal.member_2", "internal.member_3",
	"count", "max", "min", "sum", "sort",
	"array.reverse", "array.slice",
	"object.get", "object.keys", "object.remove", "object.filter",
	"contains", "startswith", "endswith", "lower", "upper", "substring",
	"trim_prefix", "trim_suffix", "trim_space",
	"strings.any_prefix_match", "strings.any_suffix_match",
	"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "type_name",
	"time.parse_rfc3339_ns", "time.parse_duration_ns", "time.date", "time.clock", "time.weekday", "time.add_date", "time.diff",
}

// testBuiltins may be called in test files only.
var testBuiltins = []string{
	"print", "internal.print", "internal.test_case",
	"object.union", "json.patch", "json.remove",
}

// Builtins lists the built-in functions a layer may call, by OPA's names,
// sorted. Operators are listed by name too: `+` is plus.
func Builtins() []string {
	names := slices.Clone(plainBuiltins)
	for name := range boundedBuiltins {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// language is the part of Rego that layers are written in. It is made once and
// shared by all of them.
type language struct {
	layers, tests *allowList
	functions     []*tester.Builtin // implementations of bounded built-ins
	data          storage.Store     // empty: policies decide from their input
	schemas       *ast.SchemaSet    // of the input
}

func newLanguage() *language {
	return &language{layers: newAllowList(), tests: newAllowList(testBuiltins...), functions: boundedFunctions(), data: inmem.New(), schemas: inputSchemas()}
}

func (l *language) allowed(isTest bool) *allowList {
	if isTest {
		return l.tests
	}
	return l.layers
}

// allowList is what a module may use of the language: parsing and compiling
// share it.
type allowList struct {
	names        map[string]bool // as written in a module
	capabilities *ast.Capabilities
}

func newAllowList(extra ...string) *allowList {
	list := &allowList{names: map[string]bool{}, capabilities: &ast.Capabilities{
		Features: []string{ast.FeatureRegoV1, ast.FeatureKeywordsInRefs},
		AllowNet: []string{},
	}}
	plain := slices.Concat(plainBuiltins, extra)
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		if _, bounded := boundedBuiltins[b.Name]; bounded {
			list.names[b.Name] = true
			list.capabilities.Builtins = append(list.capabilities.Builtins, &ast.Builtin{Name: boundedName(b.Name), Decl: b.Decl})
		} else if slices.Contains(plain, b.Name) {
			list.names[b.Name] = true
			list.capabilities.Builtins = append(list.capabilities.Builtins, b)
		}
	}
	return list
}
