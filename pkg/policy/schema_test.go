package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

var update = flag.Bool("update", false, "write what is generated into docs/policies.md")

// schema is what is read of a JSON Schema.
type schema struct {
	Ref         string `json:"$ref"`
	Type        string
	Const       any
	Enum        []any
	Required    []string
	Properties  map[string]schema
	Additional  any `json:"additionalProperties"`
	Items       *schema
	Description string
	Defs        map[string]schema `json:"$defs"`
}

func inputSchema(t testing.TB) schema {
	t.Helper()
	var s schema
	if err := json.Unmarshal(policy.InputSchema(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// under resolves a reference; what stands beside it stays.
func (s schema) under(root schema) schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		target := root.Defs[name]
		target.Description = s.Description
		return target
	}
	return s
}

func compiledSchema(t testing.TB, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func conforms(t testing.TB, s *jsonschema.Schema, v any) error {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(document)
}

// The Go types and the schema say the same, field by field, both ways.
func TestTheInputSchemaIsTheGoType(t *testing.T) {
	root := inputSchema(t)
	a := agreement{t, root}
	a.check("input", root, reflect.TypeFor[policy.Input]())
}

type agreement struct {
	*testing.T
	root schema
}

func (a agreement) check(path string, s schema, typ reflect.Type) {
	s = s.under(a.root)
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Uint64: "integer",
		reflect.Slice: "array", reflect.Struct: "object", reflect.Map: "object",
	}[typ.Kind()]
	if typ == reflect.TypeFor[policy.Instant]() {
		want = "string"
	}
	if s.Type != want {
		a.Errorf("%s is %q in the schema, %s in Go", path, s.Type, typ)
	}
	switch {
	case typ == reflect.TypeFor[policy.Instant]():
	case typ.Kind() == reflect.Slice:
		if s.Items == nil {
			a.Errorf("%s has no items in the schema", path)
			return
		}
		a.check(path+"[]", *s.Items, typ.Elem())
	case typ.Kind() == reflect.Struct:
		a.fields(path, s, typ)
	case typ.Kind() == reflect.String:
		a.words(path, s, typ)
	}
}

func (a agreement) fields(path string, s schema, typ reflect.Type) {
	if s.Additional != false {
		a.Errorf("%s: without additionalProperties false a misspelt name is no error", path)
	}
	known := map[string]bool{}
	for _, field := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = true
		of, ok := s.Properties[name]
		if !ok {
			a.Errorf("%s.%s of Go is not in the schema", path, name)
			continue
		}
		if optional := options != ""; optional == slices.Contains(s.Required, name) {
			a.Errorf("%s.%s: optional in Go %v, required in the schema %v", path, name, optional, !optional)
		}
		if of.under(a.root).Description == "" {
			a.Errorf("%s.%s has no description", path, name)
		}
		a.check(path+"."+name, of, field.Type)
	}
	for name := range s.Properties {
		if !known[name] {
			a.Errorf("%s.%s of the schema is not in Go", path, name)
		}
	}
}

// words wants the constants of a Go type to be the enum.
func (a agreement) words(path string, s schema, typ reflect.Type) {
	want := constants(a, typ)
	if typ == reflect.TypeFor[bus.Role]() { // of a party only administrators' are told
		want = slices.DeleteFunc(want, func(role string) bool { return !bus.Role(role).Administrator() })
	}
	var have []string
	for _, word := range s.Enum {
		have = append(have, fmt.Sprint(word))
	}
	slices.Sort(have)
	if len(want) > 0 && !slices.Equal(want, have) {
		a.Errorf("%s: the schema allows %q, Go has %q", path, have, want)
	}
}

// constants lists the values of the constants that the source of a string type's
// package declares of it, but for the empty one.
func constants(t agreement, typ reflect.Type) []string {
	dir := map[string]string{"bus": "../bus", "policy": "."}[filepath.Base(typ.PkgPath())]
	if dir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typ.Name() || len(spec.Values) != 1 {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				if value, _ := strconv.Unquote(literal.Value); value != "" {
					values = append(values, value)
				}
			}
			return true
		})
	}
	slices.Sort(values)
	return values
}

// What has no Go constants of its own is held to what the directory accepts.
func TestTheInputSchemaAllowsWhatTheDirectoryDoes(t *testing.T) {
	root := inputSchema(t)
	item, resource := root.Defs["item"].Properties, root.Defs["resource"].Properties
	good := bus.Resource{Network: "government", Items: []bus.Item{{ID: "a", Type: "C", Grade: 1}}}
	for name, test := range map[string]struct {
		enum  []any
		field string
		set   func(*bus.Resource, any)
		not   any
	}{
		"type":    {item["type"].Enum, "items[0].type", func(r *bus.Resource, v any) { r.Items[0].Type = v.(string) }, "X"},
		"grade":   {item["grade"].Enum, "items[0].grade", func(r *bus.Resource, v any) { r.Items[0].Grade = int(v.(float64)) }, 5.0},
		"network": {resource["network"].Enum, "network", func(r *bus.Resource, v any) { r.Network = v.(string) }, "other"},
	} {
		refused := func(v any) bool {
			r := good
			r.Items = slices.Clone(good.Items)
			test.set(&r, v)
			return slices.ContainsFunc(r.Check(), func(d bus.Defect) bool { return d.Field == test.field })
		}
		for _, v := range test.enum {
			if refused(v) {
				t.Errorf("%s: the schema allows %v, the directory does not", name, v)
			}
		}
		if len(test.enum) == 0 || !refused(test.not) {
			t.Errorf("%s: %v passes, or the schema allows nothing", name, test.not)
		}
	}
}

// Whatever the bus asks, the document is of the schema.
func TestEveryInputConformsToTheSchema(t *testing.T) {
	s := compiledSchema(t, policy.InputSchema())
	rapid.Check(t, func(rt *rapid.T) {
		if err := conforms(t, s, anyInput(rt)); err != nil {
			rt.Error(err)
		}
	})
	if err := conforms(t, s, map[string]any{"version": 1}); err == nil {
		t.Error("a document that lacks nearly all is of the schema")
	}
}

// The input's fields are documented by what the schema says of them.
func TestThePolicyGuideDescribesTheInput(t *testing.T) {
	const file, begin, end = "../../docs/policies.md", "<!-- input: from policies/schema/input.v1.json -->\n", "<!-- /input -->\n"
	guide, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(guide), begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s lacks %q and %q", file, begin, end)
	}
	var table strings.Builder
	table.WriteString("\n| field | | value |\n|---|---|---|\n")
	root := inputSchema(t)
	described(&table, root, root, "")
	table.WriteString("\n")
	if have == table.String() {
		return
	}
	if !*update {
		t.Fatalf("%s does not say what the schema does; run go test ./pkg/policy -run %s -update", file, t.Name())
	}
	if err := os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// described writes a row for each property of an object, required ones first as
// they are listed, then the others by name.
func described(w *strings.Builder, root, s schema, prefix string) {
	names := slices.Clone(s.Required)
	var others []string
	for name := range s.Properties {
		if !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range append(names, others...) {
		of := s.Properties[name].under(root)
		nested := of
		path := prefix + name
		kind := of.Type
		if of.Items != nil {
			nested = of.Items.under(root)
			kind = "array of " + nested.Type
			if nested.Type == "object" {
				path += "[]"
			}
		}
		presence := "always"
		if !slices.Contains(s.Required, name) {
			presence = "may be absent"
		}
		fmt.Fprintf(w, "| `%s` | %s, %s | %s%s |\n", path, kind, presence, of.Description, allowedWords(nested))
		if nested.Type == "object" && (path != "provider") { // as the consumer's
			described(w, root, nested, path+".")
		}
	}
}

func allowedWords(s schema) string {
	words := s.Enum
	if s.Const != nil && s.Type != "boolean" {
		words = []any{s.Const}
	}
	if len(words) == 0 {
		return ""
	}
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = fmt.Sprintf("`%v`", word)
	}
	return " One of " + strings.Join(all, " ") + "."
}

// A misspelt name is found when a layer is compiled, with its place and the names
// that are there: at a check, in its tests, and at loading.
func TestAMisspeltFieldDoesNotCompile(t *testing.T) {
	for name, test := range map[string]struct {
		body, want string
		column     int
	}{
		"of a resource": {`input.resource.sharing_typ == "none"`, "there is no input.resource.sharing_typ; it can be one of codes, id, items, name,", 2},
		"at the top":    {`input.porpose == "reference"`, "there is no input.porpose; it can be one of action, basis, case,", 2},
		"of an item":    {`some item in input.resource.items; item.semnatic == "name"`, "there is no item.semnatic; it can be one of grade, id,", 37},
		"of a grant":    {`not input.grant.revokd`, "there is no input.grant.revokd; it can be one of application, consumer, division, id,", 6},
		"looked up":     {`input["consumer"]["departments"] == "x"`, "there is no input.consumer.departments;", 2},
		"another type":  {`input.version == "1"`, "types differ: number on the left, string on the right", 2},
	} {
		t.Run(name, func(t *testing.T) {
			rules := "\n" + `deny contains {"code": "x", "zh": "测试", "en": "test"} if {` + "\n\t" + test.body + "\n}\n"
			r := checked(t, newEngine(t), rules)
			wantRefused(t, r, policy.ProblemCompile)
			p := r.Problems[0]
			if !strings.HasPrefix(p.Message.EN, test.want) || p.File != "rules.rego" || p.Row != 4 || p.Col != test.column {
				t.Errorf("problem = %v, column %d; want %q at rules.rego:4:%d", p, p.Col, test.want, test.column)
			}
			wantDenied(t, newEngine(t, layerOf(t, city, 1, rules)).Decide(t.Context(), forward()), "division/440100 layer-unavailable")
		})
	}
	l := layerOf(t, city, 1, deny("x", `input.purpose == "nothing"`))
	l.Modules["a_test.rego"] = "package gxbus.division.d440100_test\ntest_it if input.porpose with input as {}"
	if r := newEngine(t).Check(t.Context(), l); len(r.Problems) != 1 || r.Problems[0].File != "a_test.rego" || r.Problems[0].Row != 2 {
		t.Errorf("of a test: %v", r.Problems)
	}
}

// What may be absent can be asked for, and the attributes of events are open.
func TestWhatMayBeAbsentIsNoError(t *testing.T) {
	l := layerOf(t, city, 1, deny("x", `not input.grant; not input.matter; not input.resource.network; input.event.anything == "x"`)+
		deny("y", `some item in input.resource.items; not item.personal; item.id == input.event["subject"]`))
	l.Modules["a_test.rego"] = "package gxbus.division.d440100_test\nimport data.gxbus.division.d440100 as city\n" +
		`test_it if count(city.deny) == 1 with input as {"event": {"anything": "x"}}`
	if r := newEngine(t).Check(t.Context(), l); !r.OK {
		t.Errorf("problems = %v", r.Problems)
	}
}
