package policy_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Whoever gives policies something new to see decides here whether it is recorded
// as it is: the masking rule of docs/policies.md.
func TestEveryFieldOfTheInputIsRecordedOrMasked(t *testing.T) {
	open := []string{
		"version", "action", "stage", "time", "consumer", "provider", "resource", "grant", "purpose", "matter", "basis", "items", "directory",
	}
	masked := []string{"case", "operator", "event"}
	for i := range reflect.TypeFor[policy.Input]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[policy.Input]().Field(i).Tag.Get("json"), ",")
		if slices.Contains(open, name) == slices.Contains(masked, name) {
			t.Errorf("input.%s: is it recorded as it is, or masked? See Input.Split", name)
		}
	}
}

func TestARecordedInputIsTheInputButForWhatIsMasked(t *testing.T) {
	in := with(func(in *policy.Input) {
		in.Matter, in.Case, in.Items = "440100001", "case-1", []bus.ItemID{"name"}
		in.Basis, in.Operator = "示例办法第一条", "op-7"
		in.Event = policy.Event{"type": "t", "subject": "someone"}
	})
	event := in.Event
	call, facts, masked, err := in.Split()
	if err != nil {
		t.Fatal(err)
	}
	if event["subject"] != "someone" {
		t.Error("Split changed the input")
	}
	if want := []string{"/case", "/event/subject", "/operator"}; !slices.Equal(masked, want) {
		t.Errorf("masked %q, want %q", masked, want)
	}
	f, err := policy.ReadFacts(facts)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Input(call)
	if err != nil {
		t.Fatal(err)
	}
	in.Case, in.Operator, in.Event = policy.MaskedValue, policy.MaskedValue, policy.Event{"type": "t", "subject": policy.MaskedValue}
	if want, got := asJSON(t, in), asJSON(t, again); got != want {
		t.Errorf("recorded %s\nwant     %s", got, want)
	}
	for _, odd := range []string{`{"version":1,"consumer":{"department":"x"}}`, `{"grant":{}}x`, `{"unknown":1}`, `[]`, ``} {
		if _, err := f.Input([]byte(odd)); err == nil {
			t.Errorf("%q is taken for a call", odd)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWhatACandidateReads(t *testing.T) {
	e := newEngine(t)
	for name, c := range map[string]struct {
		body  string
		reads []string
	}{
		"another value":          {`input.purpose == "x"`, nil},
		"the value":              {`input.case == "x"`, []string{"/case"}},
		"whether it is there":    {`input.case`, []string{"/case"}},
		"one attribute":          {`input.event.subject == "x"`, []string{"/event/subject"}},
		"all attributes":         {`some k; input.event[k] == "x"`, []string{"/event/subject", "/event/id"}},
		"by a name worked out":   {`some k in {"case"}; input[k] == "x"`, []string{"/case", "/event/subject", "/event/id"}},
		"through a variable":     {`x := input; x.case == "x"`, []string{"/case", "/event/subject", "/event/id"}},
		"as an argument":         {`object.get(input, "case", "") == "x"`, []string{"/case", "/event/subject", "/event/id"}},
		"through a function":     {`given(input.event)`, []string{"/event/subject", "/event/id"}},
		"as part of a reference": {`input.resource.items[_].id == {"x": "y"}[input.case]`, []string{"/case"}},
	} {
		l := layerOf(t, city, 1, deny("x", c.body)+"given(e) if e.subject == \"x\"\n")
		draft, problems := e.Candidate(t.Context(), l)
		if len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
			continue
		}
		for _, value := range []string{"/case", "/event/subject", "/event/id"} {
			if got, want := draft.Reads(value), slices.Contains(c.reads, value); got != want {
				t.Errorf("%s: reads %s: %v, want %v", name, value, got, want)
			}
		}
	}
}

func TestACandidateSaysWhatTheLayerInUseWould(t *testing.T) {
	e := newEngine(t)
	l := layerOf(t, city, 3, deny("collab", `input.purpose == "collaboration"`)+`masks := {"name": {"method": "null"}}`)
	draft, problems := e.Candidate(t.Context(), l)
	if len(problems) > 0 || len(e.Status()) != 1 {
		t.Fatalf("%v, layers in use %v", problems, e.Status())
	}
	got := draft.Ask(t.Context(), forward())
	e.Load([]bus.Layer{l})
	d := e.Decide(t.Context(), forward())
	i := slices.IndexFunc(d.Grounds.Verdicts, func(v bus.Verdict) bool { return v.Layer == city })
	if !draft.Applies(forward()) || !reflect.DeepEqual(got, d.Grounds.Verdicts[i]) {
		t.Errorf("the draft says %+v, in use %+v", got, d.Grounds.Verdicts[i])
	}
	elsewhere := with(func(in *policy.Input) { in.Consumer.Divisions = in.Consumer.Divisions[2:] })
	if draft.Applies(elsewhere) {
		t.Error("it applies where its division is on neither side")
	}
	if _, problems := e.Candidate(t.Context(), layerOf(t, city, 3, "allow := true")); len(problems) == 0 {
		t.Error("a draft that grants is taken")
	}
	if _, problems := e.Candidate(t.Context(), bus.Layer{ID: bus.BaseLayer, Modules: map[string]string{"a.rego": "package gxbus.base\nallow := true\n"}}); len(problems) == 0 {
		t.Error("a draft of base is taken")
	}
}

func TestTheRulesThatFired(t *testing.T) {
	e := newEngine(t, layerOf(t, city, 3,
		deny("alone", `input.purpose == "collaboration"`)+ // row 2
			deny("twice", `input.purpose == "collaboration"`)+ // row 3
			deny("twice", `input.matter == "none"`)+ // row 4
			`masks["name"] := {"method": "null"}`+"\n")) // row 5
	d := e.Decide(t.Context(), forward())
	fired := func(verdicts []bus.Verdict) (all []string) {
		for _, v := range verdicts {
			for _, r := range v.Fired {
				if v.Layer == city {
					all = append(all, r.Name+" "+r.Code+" "+r.String())
				}
			}
		}
		return all
	}
	if got, want := fired(d.Grounds.Verdicts), []string{"deny alone rules.rego:2", "masks  rules.rego:5"}; !slices.Equal(got, want) {
		t.Errorf("known at once: %q, want %q: of two rules with one code it is not known which", got, want)
	}
	got := e.Fired(t.Context(), forward(), d.Grounds.Base, d.Grounds.Verdicts)
	if want := []string{"deny alone rules.rego:2", "deny twice rules.rego:3", "masks  rules.rego:5"}; !slices.Equal(fired(got), want) {
		t.Errorf("watched: %q, want %q", fired(got), want)
	}
	if got := fired(e.Fired(t.Context(), with(func(in *policy.Input) { in.Purpose = bus.PurposeReference }), d.Grounds.Base, d.Grounds.Verdicts)); len(got) != 2 {
		t.Errorf("of an input that the verdicts are not of: %q", got)
	}
}
