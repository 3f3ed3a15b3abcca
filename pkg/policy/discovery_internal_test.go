package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// What the analysis takes for absent must never be in the input, and what it takes
// for known must be as it says.
func TestDiscoveryKnowsEveryKeyOfTheInput(t *testing.T) {
	var full Input
	full.Version, full.Action, full.Stage, full.Time = InputVersion, ActionDiscover, StageConsumer, Instant{time.Now()}
	full.Grant, full.Purpose, full.Matter, full.Case, full.Basis, full.Operator = &Grant{}, "x", "x", "x", "x", "x"
	full.Items, full.Event = []bus.ItemID{"x"}, Event{"a": "b"}
	stripped := reflect.ValueOf(full.discovery())
	for i := range stripped.NumField() {
		field := reflect.TypeFor[Input]().Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		_, known := discoveryKnown[key]
		unknown := slices.Contains(discoveryUnknown, key)
		absent := strings.HasSuffix(field.Tag.Get("json"), ",omitempty") && stripped.Field(i).IsZero()
		if n := map[bool]int{true: 1}; n[known]+n[unknown]+n[absent] != 1 {
			t.Errorf("%s: known %v, unknown %v, absent %v", key, known, unknown, absent)
		}
		if known && fmt.Sprint(discoveryKnown[key]) != fmt.Sprint(stripped.Field(i)) {
			t.Errorf("%s is said to be %v, is %v", key, discoveryKnown[key], stripped.Field(i))
		}
	}
}

const denial = `{"code": "c", "zh": "否", "en": "no"}`

// layerTexts are layers and what is to be found out about them.
var layerTexts = map[string]struct {
	text string
	want discovery
}{
	"no deny at all":            {`items contains "x" if input.action == "discover"`, discovery{true, true}},
	"another action":            {`deny contains D if { input.action == "forward"; input.resource.id == "r" }`, discovery{true, true}},
	"a set of other actions":    {`deny contains D if { input.action in {"subscribe", "forward"}; input.time > "2026" }`, discovery{true, true}},
	"another action, in a rule": {"sent if input.action in {\"forward\", \"deliver\"}\ndeny contains D if { sent; input.consumer.department == \"X\" }", discovery{true, true}},
	"not this action":           {`deny contains D if { input.action != "discover"; input.resource.id == "r" }`, discovery{true, true}},
	"a purpose":                 {`deny contains D if { input.purpose == "reference"; input.resource.id == "r" }`, discovery{true, true}},
	"a grant":                   {`deny contains D if { input.grant.id != "g" }`, discovery{true, true}},
	"never":                     {`deny contains D if { input.action == "discover"; 1 == 2 }`, discovery{true, true}},
	"this action":               {`deny contains D if { input.action == "discover"; input.resource.id == "r" }`, discovery{false, true}},
	"any action":                {`deny contains D if input.resource.sharing.type == "none"`, discovery{false, true}},
	"always":                    {`deny contains D if input.version == 1`, discovery{false, true}},
	"no purpose":                {`deny contains D if not input.purpose`, discovery{false, true}},
	"the consumer":              {`deny contains D if { input.action == "discover"; "440100" in input.consumer.divisions }`, discovery{false, true}},
	"the time":                  {`deny contains D if { input.action == "discover"; input.time > "2026" }`, discovery{false, false}},
	"the time, in a rule":       {"late if input.time > \"2026\"\ndeny contains D if { input.action == \"discover\"; late }", discovery{false, false}},
	"the time, negated":         {"late if input.time > \"2026\"\ndeny contains D if { input.action == \"discover\"; not late }", discovery{false, false}},
	"the replica":               {`deny contains D if { input.action == "discover"; input.directory.age_seconds > 5 }`, discovery{false, false}},
	"any key":                   {`deny contains D if { some k; input[k] == "discover" }`, discovery{false, false}},
	"the whole input":           {`deny contains D if object.get(input, "action", "") == "discover"`, discovery{false, false}},
	"a word of the input":       {`deny contains D if { input.action == input.resource.name }`, discovery{false, true}},
}

func compiled(t *testing.T, text string) *layer {
	t.Helper()
	e, err := New(Options{CompileLimit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	module := "package gxbus.division.d440100\n" + strings.ReplaceAll(text, " D if", " "+denial+" if")
	l := e.compile(bus.Layer{ID: "division/440100", Revision: 1, Modules: map[string]string{"a.rego": module}})
	if l.problem != "" {
		t.Fatal(l.problem)
	}
	return l
}

func TestWhatALayerSaysOnDiscoveryIsFoundInIt(t *testing.T) {
	for name, c := range layerTexts {
		if got := compiled(t, c.text).discovery; got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTheSampleLayersAreSilent(t *testing.T) {
	layers, err := Samples()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{CompileLimit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if l := e.compile(l); !l.silent() {
			t.Errorf("%s would be asked for every resource of a list", l.id)
		}
	}
}

// Sight answers as Decide does, for whatever layers there are.
func TestSightSaysWhatDecideSays(t *testing.T) {
	sharing := []bus.SharingType{bus.Unconditional, bus.Conditional, bus.NotShared}
	chain := func(codes ...bus.DivisionCode) []bus.DivisionCode { return codes }
	parties := []Party{
		sampleProvider, sampleConsumer,
		{Department: "X", Division: "440100", Divisions: chain("440100", "440000"), System: "x"},
		{Department: "X", Division: "440100"}, {Role: bus.RoleAuditor}, {Role: "operator"}, {},
		{Department: "Y", Division: "440300", Divisions: chain("440300", "440000")},
	}
	texts := []string{"", "broken("}
	for _, c := range layerTexts {
		texts = append(texts, c.text)
	}
	hidden, shown := 0, 0
	for _, text := range texts {
		e, err := New(Options{Deadline: time.Minute, CompileLimit: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		e.Load(nil)
		if text != "" {
			module := "package gxbus.division.d440100\n" + strings.ReplaceAll(text, " D if", " "+denial+" if")
			e.Load([]bus.Layer{{ID: "division/440100", Revision: 1, Modules: map[string]string{"a.rego": module}}})
		}
		at := time.Date(2026, 3, 4, 2, 30, 0, 0, time.UTC)
		for _, caller := range parties {
			sight := e.Sight(t.Context(), caller, at, DirectoryState{Index: 1})
			for i, provider := range parties {
				for _, id := range []bus.ResourceID{"r", "discover"} {
					r := bus.Resource{ID: id, Name: string(id), Provider: provider.Department, Sharing: bus.Sharing{Type: sharing[i%3]}, Revision: 1}
					want := e.Decide(t.Context(), Input{
						Version: InputVersion, Action: ActionDiscover, Stage: StageConsumer, Time: Instant{at},
						Consumer: caller, Provider: provider, Resource: ResourceOf(r), Directory: DirectoryState{Index: 1},
					}).Allow
					for range 2 { // once more, from memory
						if got := sight.Resource(t.Context(), provider, r); got != want {
							t.Errorf("%q: %+v sees %s of %+v: %v, decided %v", text, caller, id, provider, got, want)
						}
					}
					if seen, sure := sight.Provider(provider); sure && seen != want {
						t.Errorf("%q: %+v is sure to see all of %+v: %v, decided %v of %s", text, caller, provider, seen, want, id)
					}
					if want {
						shown++
					} else {
						hidden++
					}
				}
			}
		}
	}
	if hidden < 100 || shown < 100 {
		t.Errorf("%d hidden, %d shown: the test shows little", hidden, shown)
	}
}

// A new layer is heeded at once, whatever an older one said.
func TestWhatLayersSaidIsForgottenWithThem(t *testing.T) {
	e, err := New(Options{Deadline: time.Minute, CompileLimit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	load := func(revision bus.Revision, id string) {
		text := "package gxbus.division.d440300\ndeny contains " + denial + " if { input.action == \"discover\"; input.resource.id == \"" + id + "\" }"
		e.Load([]bus.Layer{{ID: "division/440300", Revision: revision, Modules: map[string]string{"a.rego": text}}})
	}
	r := bus.Resource{ID: "r", Provider: sampleProvider.Department, Revision: 1}
	sees := func() bool {
		return e.Sight(t.Context(), sampleConsumer, time.Now(), DirectoryState{}).Resource(t.Context(), sampleProvider, r)
	}
	load(1, "r")
	for range 2 { // decided, then remembered
		if sees() {
			t.Error("it is not hidden")
		}
	}
	load(2, "other")
	if !sees() {
		t.Error("it is still hidden")
	}
	r.ID, r.Revision = "other", 2
	if sees() {
		t.Error("the other one is not hidden")
	}
}
