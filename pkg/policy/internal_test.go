package policy

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/gxbus/gxbus/pkg/bus"
)

// What no rule for layers foresees: an evaluation that heeds no cancelling.
func TestALayerThatHangsIsUnavailableUntilItStops(t *testing.T) {
	e, err := New(Options{Deadline: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	e.Load(nil)
	entered, release := make(chan struct{}, 9), make(chan struct{})
	hanging := hangingLayer(t, "division/440100", entered, release)
	e.layers.Store(&layerSet{bus.BaseLayer: (*e.layers.Load())[bus.BaseLayer], hanging.id: hanging})
	in := sampleInput(sampleProvider, sampleConsumer, bus.Conditional, 3)

	wantCode := func(code string) {
		t.Helper()
		d := e.Decide(t.Context(), in)
		if d.Allow || len(d.Reasons) != 1 || d.Reasons[0].Layer != hanging.id || d.Reasons[0].Code != code {
			t.Fatalf("decision = allow %v, reasons %v; want %s of %s", d.Allow, d.Reasons, code, hanging.id)
		}
	}
	wantCode(CodeTimeout)
	<-entered
	wantCode(CodeLayerUnavailable)
	if len(entered) != 0 {
		t.Fatal("a hanging layer was asked again")
	}
	if s := e.Status(); s[1].Error == "" {
		t.Errorf("status = %+v, want the hanging layer reported", s)
	}
	close(release)
	for hanging.stuck.Load() > 0 { // the abandoned round ends by itself
		select {
		case <-t.Context().Done():
			t.Fatal("the layer stays stuck")
		case <-time.After(time.Millisecond):
		}
	}
	if d := e.Decide(t.Context(), in); !d.Allow {
		t.Errorf("denied for %v after the layer stopped hanging", d.Reasons)
	}
}

// cancelAfter cancels a round once it was looked at so many times.
type cancelAfter struct{ looks, most int }

func (c *cancelAfter) Cancel()         {}
func (c *cancelAfter) Cancelled() bool { c.looks++; return c.looks > c.most }

// The deadline passes when one layer has answered and the next was not asked yet.
func TestS34ALayerThatTheDeadlineComesBeforeDenies(t *testing.T) {
	e, err := New(Options{Deadline: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	input, err := valueOf(sampleInput(sampleProvider, sampleConsumer, bus.Conditional, 3))
	if err != nil {
		t.Fatal(err)
	}
	base := (*e.layers.Load())[bus.BaseLayer]
	all := &cancelAfter{most: 1 << 30}
	if v := base.ask(t.Context(), input, all, time.Now()); !v.Allow {
		t.Fatalf("base denies: %v", v.Reasons)
	}
	next := e.compiled(bus.Layer{ID: "division/440100", Modules: map[string]string{"a.rego": "package gxbus.division.d440100\nmasks := {}"}})
	for name, layers := range map[string][]*layer{"of one": {base}, "of two": {base, next}} {
		a := &asking{layers: layers, deadline: time.Minute, cancel: &cancelAfter{most: all.looks}, answered: make(chan struct{})}
		a.run(t.Context(), input)
		allow, reasons, _ := bus.Combine(nil, a.verdicts)
		if late := len(layers) > 1; allow == late || late && (len(reasons) != 1 || reasons[0].Layer != next.id || reasons[0].Code != CodeTimeout) {
			t.Errorf("a round %s: allow %v, reasons %v", name, allow, reasons)
		}
	}
}

// A machine out of breath compiles nothing in time: base is waited for, and a layer
// breaks only until it is compiled.
func TestALayerThatIsLateIsUsedOnceItIsCompiled(t *testing.T) {
	e, err := New(Options{Deadline: time.Minute, CompileLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	text := "package gxbus.division.d440100\ndeny contains {\"code\": \"x\", \"zh\": \"x\", \"en\": \"x\"} if input.version == 1\n"
	e.Load([]bus.Layer{{ID: "division/440100", Revision: 1, Modules: map[string]string{"a.rego": text}}})
	for e.Status()[1].Error != "" {
		select {
		case <-t.Context().Done():
			t.Fatal("the layer stays broken")
		case <-time.After(time.Millisecond):
		}
	}
	d := e.Decide(t.Context(), sampleInput(sampleProvider, sampleConsumer, bus.Conditional, 3))
	if d.Allow || len(d.Reasons) != 1 || d.Reasons[0].Code != "x" {
		t.Errorf("decision = allow %v, reasons %v; want the layer's", d.Allow, d.Reasons)
	}
}

func TestALayerThatIsLateReplacesNoNewerOne(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	late, ready, newer := &layer{id: "division/440100"}, &layer{id: "division/440100"}, &layer{id: "division/440100"}
	for inUse, want := range map[*layer]*layer{late: ready, newer: newer, nil: nil} {
		set := layerSet{}
		if inUse != nil {
			set[inUse.id] = inUse
		}
		e.layers.Store(&set)
		e.replace(late, ready)
		if got := (*e.layers.Load())[late.id]; got != want {
			t.Errorf("%p is in use after %p, want %p", got, inUse, want)
		}
	}
}

// A machine out of breath can leave a decision of base behind; the next one asks it again.
func TestBaseIsAskedAgainAfterADecisionWasLeftBehind(t *testing.T) {
	e, err := New(Options{Deadline: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	e.Load(nil)
	entered, release := make(chan struct{}, 9), make(chan struct{})
	defer close(release)
	e.layers.Store(&layerSet{bus.BaseLayer: hangingLayer(t, bus.BaseLayer, entered, release)})
	in := sampleInput(sampleProvider, sampleConsumer, bus.Conditional, 3)
	for range 3 {
		if d := e.Decide(t.Context(), in); d.Allow || d.Reasons[0].Code != CodeTimeout {
			t.Fatalf("decision = allow %v, reasons %v; want %s", d.Allow, d.Reasons, CodeTimeout)
		}
		<-entered
	}
}

// hangingLayer says when it is evaluated, and hangs until released.
func hangingLayer(t *testing.T, id bus.LayerID, entered chan<- struct{}, release <-chan struct{}) *layer {
	l := &layer{id: id, revision: 1}
	var err error
	l.query, err = rego.New(
		rego.Query(question),
		rego.ParsedImports([]*ast.Import{{Path: ast.NewTerm(ast.MustParseRef("data.x")), Alias: "layer"}}),
		rego.Module("x.rego", "package x\nmasks := {} if hang(1)"),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
		rego.Function1(&rego.Function{Name: "hang", Decl: types.NewFunction(types.Args(types.N), types.B)},
			func(rego.BuiltinContext, *ast.Term) (*ast.Term, error) {
				entered <- struct{}{}
				<-release
				return ast.BooleanTerm(true), nil
			}),
	).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestANoWithoutAReasonGetsOne(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	e.Load(nil)
	silent := e.compile(bus.Layer{ID: bus.BaseLayer, Modules: map[string]string{"a.rego": "package gxbus.base\nallow := false"}})
	e.layers.Store(&layerSet{bus.BaseLayer: silent})
	d := e.Decide(t.Context(), Input{})
	if d.Allow || len(d.Reasons) != 1 || d.Reasons[0].Layer != bus.BaseLayer || d.Reasons[0].Code != CodeNotGranted {
		t.Errorf("decision = allow %v, reasons %v; want base not-granted", d.Allow, d.Reasons)
	}
}

func TestAPanicDenies(t *testing.T) {
	l := &layer{id: bus.BaseLayer} // a query that was never prepared panics
	if v := l.ask(t.Context(), ast.NewObject(), nil, time.Time{}); v.Allow || len(v.Reasons) != 1 || v.Reasons[0].Code != CodeError {
		t.Errorf("verdict = %+v, want policy-error", v)
	}
}

func TestTheInputDocumentIsWhatJSONSays(t *testing.T) {
	full := sampleInput(sampleProvider, sampleConsumer, bus.Conditional, 9)
	full.Items = []bus.ItemID{"item_1"}
	full.Resource.Items[2].Sharing = bus.NotShared
	full.Resource.Network, full.Resource.Items[1].Personal = "internet", true
	full.Event = Event{"id": "e-1", "source": "/systems/x"}
	full.Directory = DirectoryState{Index: 1<<63 + 1, AgeSeconds: -1}
	full.Grant.Revoked = true
	for name, in := range map[string]Input{"full": full, "bare": {}, "ungranted": without(full)} {
		want, err := ast.InterfaceToValue(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := valueOf(in)
		if err != nil || got.Compare(want) != 0 {
			t.Errorf("%s: document = %v, error %v, want %v", name, got, err, want)
		}
	}
}

func TestAnAllowMustBeABoolean(t *testing.T) {
	for text, code := range map[string]string{
		`{"allow": [true], "deny": [], "items": [], "masks": []}`:  "",
		`{"allow": [], "deny": [], "items": [], "masks": []}`:      CodeUndefined,
		`{"allow": ["yes"], "deny": [], "items": [], "masks": []}`: CodeResultInvalid,
		`{}`: CodeUndefined,
	} {
		v := bus.Verdict{Layer: bus.BaseLayer}
		if got := decode(ast.MustParseTerm(text).Value.(ast.Object), &v); got != code || v.Allow != (code == "") {
			t.Errorf("%s: code %q, allow %v; want %q", text, got, v.Allow, code)
		}
	}
	v := bus.Verdict{Layer: "division/440100"}
	if got := decode(ast.MustParseTerm(`{"allow": [true]}`).Value.(ast.Object), &v); got != CodeResultInvalid {
		t.Errorf("a granting layer: code %q, want %q", got, CodeResultInvalid)
	}
}

// A built-in that a newer OPA no longer has, or has under another name, must not
// silently leave the list.
func TestEveryListedBuiltinExists(t *testing.T) {
	l := newLanguage()
	for _, name := range Builtins() {
		if !l.layers.names[name] {
			t.Errorf("%s is listed and not known to OPA", name)
		}
		if b := ast.BuiltinMap[name]; b != nil && (b.Nondeterministic || b.IsDeprecated()) {
			t.Errorf("%s is listed and not deterministic, or deprecated", name)
		}
	}
}

func TestAMisspeltFieldInBaseDoesNotCompile(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	base, err := Base()
	if err != nil {
		t.Fatal(err)
	}
	base.Modules["access.rego"] = strings.Replace(base.Modules["access.rego"], "input.resource.provider", "input.resource.owner", 1)
	if l := e.compile(base); !strings.Contains(l.problem, "there is no input.resource.owner") {
		t.Errorf("problem = %q", l.problem)
	}
}

// What a layer is asked for is what the output schema lists.
func TestTheQuestionIsTheOutputSchema(t *testing.T) {
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal(OutputSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	if len(schema.Properties) != len(narrowing)+1 {
		t.Errorf("the schema lists %d rules, the engine reads %d and allow", len(schema.Properties), len(narrowing))
	}
	for name := range schema.Properties {
		if !strings.Contains(question, `"`+name+`": [x | x := layer.`+name+`]`) {
			t.Errorf("layers are not asked for %s", name)
		}
	}
}
