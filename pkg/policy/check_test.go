package policy_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

const passing = `package gxbus.division.d440100_test
test_it if input.version == 1 with input as {"version": 1}
`

// checked checks rules as the layer of Guangzhou, beside a test that passes.
func checked(t testing.TB, e *policy.Engine, rules string) bus.LayerReport {
	t.Helper()
	l := layerOf(t, city, 1, rules)
	l.Modules["rules_test.rego"] = passing
	return e.Check(t.Context(), l)
}

func problemCodes(r bus.LayerReport) (codes []string) {
	for _, p := range r.Problems {
		codes = append(codes, p.Code)
	}
	return slices.Compact(codes)
}

func wantRefused(t *testing.T, r bus.LayerReport, code string) {
	t.Helper()
	if r.OK || !slices.Contains(problemCodes(r), code) {
		t.Errorf("report = ok %v, problems %v; want %s", r.OK, r.Problems, code)
	}
	for _, p := range r.Problems {
		if p.Message.ZH == "" || p.Message.EN == "" {
			t.Errorf("problem %s lacks a language", p.Code)
		}
	}
}

func TestTheShippedPoliciesPassTheirCheck(t *testing.T) {
	e := newEngine(t)
	base, err := e.TestBase(t.Context())
	if err != nil || !base.OK || len(base.Tests) < 40 {
		t.Errorf("base: ok %v, %d tests, problems %v, error %v", base.OK, len(base.Tests), base.Problems, err)
	}
	samples, err := policy.Samples()
	if err != nil || len(samples) != 2 {
		t.Fatalf("%d samples, error %v", len(samples), err)
	}
	for _, l := range samples {
		if r := e.Check(t.Context(), l); !r.OK || len(r.Tests) == 0 {
			t.Errorf("%s: %+v", l.ID, r)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	e := newEngine(t)
	for name, test := range map[string]struct{ rules, code string }{
		"not rego":                 {"deny contains", policy.ProblemParse},
		"rego v0":                  {"deny[x] { x := 1 }", policy.ProblemParse},
		"granting":                 {"allow := true", policy.ProblemRule},
		"granting by a part":       {"allow.here := true", policy.ProblemRule},
		"deny that is not a set":   {`deny := set() if input.event.a`, policy.ProblemRule},
		"hold that is not a set":   {`hold := set() if input.event.a`, policy.ProblemRule},
		"deny by key":              {`deny.x contains 1`, policy.ProblemRule},
		"base's rules":             {deny("x", "data.gxbus.base.allow"), policy.ProblemReference},
		"base's rules, imported":   {"import data.gxbus.base\n" + deny("x", "base.allow"), policy.ProblemReference},
		"another layer's rules":    {deny("x", "data.gxbus.division.d440000.deny"), policy.ProblemReference},
		"a longer package":         {deny("x", "data.gxbus.division.d4401001.x"), policy.ProblemReference},
		"all data":                 {deny("x", "some k; data[k]"), policy.ProblemReference},
		"all data as a value":      {"helper := data\n" + deny("x", "helper"), policy.ProblemReference},
		"data within a bracket":    {deny("x", "input.event.a[data.secret]"), policy.ProblemReference},
		"own rules looked up":      {"a := 1\n" + deny("x", "some k; data.gxbus.division.d440100[k]"), policy.ProblemReference},
		"negated in":               {deny("x", `not input.purpose in {"reference"}`), policy.ProblemNegation},
		"negated call":             {deny("x", `not startswith(input.matter, "44")`), policy.ProblemNegation},
		"negated nested lookup":    {"t := {\"a\": true}\n" + deny("x", `not t[input.purpose]`), policy.ProblemNegation},
		"negated partial function": {"f(x) := 1 if x == 1\ng(x) if x == 1\n" + deny("x", `not g(f(2))`), policy.ProblemNegation},
		"negated rule in call":     {"q := 1 if input.event.a\n" + deny("x", `not q in [1]`), policy.ProblemNegation},
		"unknown function":         {deny("x", "nothing(1)"), policy.ProblemCompile},
		"wrong type":               {deny("x", `count(1) == 1`), policy.ProblemCompile},
		"unused variable":          {deny("x", "y := 1"), policy.ProblemCompile},
		"recursion":                {"a if b\nb if a\n" + deny("x", "a"), policy.ProblemCompile},
		"template string":          {deny("x", `$"{input.event.a}" == "b"`), policy.ProblemParse},
		"print":                    {deny("x", `print("x")`), policy.ProblemBuiltin},
		"nothing exported":         {"helper := 1", policy.ProblemNoExport},
		"a malformed answer":       {`masks := {"name": {"method": "blur"}}`, policy.ProblemResult},
		"an error":                 {deny("x", `to_number(input.purpose) == 1`), policy.ProblemResult},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, checked(t, e, test.rules), test.code) })
	}
}

func TestCheckAccepts(t *testing.T) {
	e := newEngine(t)
	for name, rules := range map[string]string{
		"a plain denial":          deny("x", `input.purpose == "nothing"`),
		"its own rules by path":   "a := 1\n" + deny("x", `data.gxbus.division.d440100.a == 2`),
		"a negated reference":     deny("x", `input.purpose == "nothing"; not input.grant.revoked`),
		"a negated equality":      deny("x", `input.purpose == "nothing"; not input.matter == "m"`),
		"a negated helper":        "ok if input.purpose in {\"reference\"}\n" + deny("x", `input.case == "none"; not ok`),
		"a negated set":           "s contains x if some x in input.items\n" + deny("x", `input.case == "none"; some i in input.items; not i in s`),
		"bounded built-ins":       deny("x", `concat("-", ["a", "b"]) == sprintf("%s%02d", ["a", 2 * 3])`) + deny("y", `regex.match("^44[0-9]+$", input.matter); input.case == "none"`),
		"local time of day":       deny("x", `[h, _, _] := time.clock([time.parse_rfc3339_ns(input.time) + ((8 * 3600) * 1000000000), "UTC"]); h > 23`),
		"only items":              `items contains i.id if some i in input.resource.items`,
		"a table of thousands":    "t := {" + strings.Join(numbered(5000, `"%018d"`), ", ") + "}\n" + deny("x", `input.consumer.department in t`),
		"a message about an item": `deny contains {"code": "x", "zh": sprintf("不提供 %s", [i.id]), "en": sprintf("not %s", [i.id])} if { some i in input.resource.items; i.grade == 9 }`,
	} {
		t.Run(name, func(t *testing.T) {
			if r := checked(t, e, rules); !r.OK || len(r.Tests) != 1 || !r.Tests[0].Pass {
				t.Errorf("report = %+v", r)
			}
		})
	}
}

func numbered(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

func TestCheckLooksAtTheLayerAsAWhole(t *testing.T) {
	e := newEngine(t)
	rules := "package gxbus.division.d440100\n" + deny("x", "input.case == \"never\"")
	for name, test := range map[string]struct {
		id    bus.LayerID
		files map[string]string
		code  string
	}{
		"no such layer":        {"division/44", map[string]string{"a.rego": rules}, policy.ProblemLayerID},
		"no tests":             {city, map[string]string{"a.rego": rules}, policy.ProblemNoTests},
		"a test file of none":  {city, map[string]string{"a.rego": rules, "a_test.rego": "package gxbus.division.d440100_test\nhelper := 1"}, policy.ProblemNoTests},
		"a failing test":       {city, map[string]string{"a.rego": rules, "a_test.rego": strings.Replace(passing, "== 1", "== 2", 1)}, policy.ProblemTestFailed},
		"a skipped test":       {city, map[string]string{"a.rego": rules, "a_test.rego": strings.Replace(passing, "test_it", "todo_test_it", 1)}, policy.ProblemTestFailed},
		"another package":      {"division/440300", map[string]string{"a.rego": rules, "a_test.rego": passing}, policy.ProblemPackage},
		"tests among rules":    {city, map[string]string{"a.rego": passing}, policy.ProblemPackage},
		"rules among tests":    {city, map[string]string{"a.rego": rules, "a_test.rego": rules}, policy.ProblemPackage},
		"an empty file":        {city, map[string]string{"a.rego": ""}, policy.ProblemParse},
		"a path as name":       {city, map[string]string{"../a.rego": rules}, policy.ProblemFileName},
		"capitals in a name":   {city, map[string]string{"A.rego": rules}, policy.ProblemFileName},
		"too many bytes":       {city, map[string]string{"a.rego": rules + strings.Repeat("#", policy.MaxSourceBytes)}, policy.ProblemTooLarge},
		"no files":             {city, nil, policy.ProblemNoExport},
		"tests replacing data": {city, map[string]string{"a.rego": rules, "a_test.rego": strings.Replace(passing, "with input as", "with data.x as", 1)}, policy.ProblemWith},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, e.Check(t.Context(), bus.Layer{ID: test.id, Modules: test.files}), test.code)
		})
	}
	files := map[string]string{}
	for _, name := range numbered(policy.MaxFiles+1, "f%d.rego") {
		files[name] = rules
	}
	wantRefused(t, e.Check(t.Context(), bus.Layer{ID: city, Modules: files}), policy.ProblemTooLarge)
}

func TestCheckPointsAtTheLine(t *testing.T) {
	r := checked(t, newEngine(t), "\n"+deny("x", `http.send({})`))
	if len(r.Problems) != 1 || r.Problems[0].File != "rules.rego" || r.Problems[0].Row != 3 || r.Problems[0].Col == 0 {
		t.Errorf("problems = %v, want one in row 3 of rules.rego", r.Problems)
	}
}

func TestATestsOutputIsKept(t *testing.T) {
	l := layerOf(t, city, 1, deny("x", "input.case == \"never\""))
	l.Modules["a_test.rego"] = "package gxbus.division.d440100_test\ntest_it if { print(\"seen\"); 1 == 2 }"
	r := newEngine(t).Check(t.Context(), l)
	if len(r.Tests) != 1 || r.Tests[0].Pass || !strings.Contains(r.Tests[0].Output, "seen") {
		t.Errorf("tests = %+v, want one that failed and printed", r.Tests)
	}
}

func TestThePolicyGuideIsComplete(t *testing.T) {
	guide, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	wanted := policy.Builtins()
	wanted = append(wanted, policy.CodeUndefined, policy.CodeError, policy.CodeTimeout, policy.CodeResultInvalid, policy.CodeLayerUnavailable, policy.CodeNotGranted,
		policy.ProblemLayerID, policy.ProblemFileName, policy.ProblemTooLarge, policy.ProblemParse, policy.ProblemPackage, policy.ProblemRule,
		policy.ProblemReference, policy.ProblemBuiltin, policy.ProblemWith, policy.ProblemNegation, policy.ProblemTooHeavy, policy.ProblemCompile,
		policy.ProblemNoExport, policy.ProblemNoTests, policy.ProblemTestFailed, policy.ProblemTooSlow, policy.ProblemResult)
	base, err := policy.Base()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range base.Modules {
		for _, m := range regexp.MustCompile(`"code": "([a-z-]+)"`).FindAllStringSubmatch(text, -1) {
			wanted = append(wanted, m[1])
		}
	}
	for _, word := range wanted {
		if !strings.Contains(string(guide), "`"+word+"`") {
			t.Errorf("docs/policies.md does not tell of %s", word)
		}
	}
}
