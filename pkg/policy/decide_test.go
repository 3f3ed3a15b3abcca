package policy_test

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

func TestBaseDenies(t *testing.T) {
	e := newEngine(t)
	for name, test := range map[string]struct {
		change func(*policy.Input)
		codes  []string
	}{
		"empty document":        {func(in *policy.Input) { *in = policy.Input{} }, []string{"base input-unsupported"}},
		"reserved action":       {func(in *policy.Input) { in.Action = "download" }, []string{"base input-unsupported"}},
		"not the owner":         {func(in *policy.Input) { in.Resource.Provider = guangzhouDepartment }, []string{"base provider-mismatch"}},
		"party without chain":   {func(in *policy.Input) { in.Consumer.Divisions = nil }, []string{"base input-unsupported"}},
		"not shared":            {func(in *policy.Input) { in.Resource.Sharing.Type = bus.NotShared }, []string{"base no-items-left", "base not-shared"}},
		"no grant":              {func(in *policy.Input) { in.Grant = nil }, []string{"base grant-missing", "base no-items-left"}},
		"another's grant":       {func(in *policy.Input) { in.Grant.Consumer = guangzhouDepartment }, []string{"base grant-mismatch"}},
		"another resource":      {func(in *policy.Input) { in.Grant.Resource = "other" }, []string{"base grant-mismatch"}},
		"revoked":               {func(in *policy.Input) { in.Grant.Revoked = true }, []string{"base grant-revoked"}},
		"before the grant":      {func(in *policy.Input) { in.Time.Time = noon.AddDate(0, -2, 0) }, []string{"base grant-not-yet-valid"}},
		"at the grant's end":    {func(in *policy.Input) { in.Time.Time = noon.AddDate(0, 1, 0) }, []string{"base grant-expired"}},
		"other purpose":         {func(in *policy.Input) { in.Grant.Purposes = []bus.Purpose{"verification"} }, []string{"base purpose-outside-grant"}},
		"purpose not published": {func(in *policy.Input) { in.Resource.Sharing.Purposes = []bus.Purpose{"verification"} }, []string{"base purpose-outside-resource"}},
		"other matter":          {func(in *policy.Input) { in.Grant.Matters = []string{"m-1"} }, []string{"base matter-outside-grant"}},
		"other way of sharing":  {func(in *policy.Input) { in.Grant.Mode = "interface" }, []string{"base mode-outside-grant"}},
		"item not granted": {func(in *policy.Input) {
			in.Grant.Items = []bus.ItemID{"name"}
			in.Items = []bus.ItemID{"name", "id_number"}
		}, []string{"base items-outside-grant"}},
		"unknown item": {func(in *policy.Input) { in.Items = []bus.ItemID{"name", "nothing"} }, []string{"base items-outside-grant", "base items-unknown"}},
		"old replica":  {func(in *policy.Input) { in.Directory.AgeSeconds = 301 }, []string{"base directory-stale"}},
		"year 10000":   {func(in *policy.Input) { in.Grant.NotAfter.Time = noon.AddDate(8000, 0, 0) }, []string{"base policy-error"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantDenied(t, e.Decide(t.Context(), with(test.change)), test.codes...)
		})
	}
}

func TestBaseAllows(t *testing.T) {
	e := newEngine(t)
	for name, test := range map[string]struct {
		change func(*policy.Input)
		items  []bus.ItemID
		masks  map[bus.ItemID]bus.Mask
	}{
		"granted, masked": {func(*policy.Input) {}, []bus.ItemID{"name", "id_number", "registered_address"},
			map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskKeep, Head: 6, Tail: 4}, "registered_address": {Method: bus.MaskCounty}}},
		"as asked, each once, in order": {func(in *policy.Input) { in.Items = []bus.ItemID{"id_number", "name", "id_number"} },
			[]bus.ItemID{"id_number", "name"}, map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskKeep, Head: 6, Tail: 4}}},
		"only what is granted": {func(in *policy.Input) { in.Grant.Items = []bus.ItemID{"name"} }, []bus.ItemID{"name"}, nil},
		"unconditional": {func(in *policy.Input) {
			in.Grant, in.Resource.Sharing.Type, in.Resource.Items[1].Sharing = nil, bus.Unconditional, bus.NotShared
		}, []bus.ItemID{"name", "registered_address"}, map[bus.ItemID]bus.Mask{"registered_address": {Method: bus.MaskCounty}}},
		"same department": {func(in *policy.Input) { in.Grant, in.Consumer = nil, in.Provider },
			[]bus.ItemID{"name", "id_number", "registered_address"}, nil},
		"publish": {func(in *policy.Input) {
			in.Action, in.Grant, in.Consumer, in.Purpose = policy.ActionPublish, nil, policy.Party{}, ""
		}, []bus.ItemID{"name", "id_number", "registered_address"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := e.Decide(t.Context(), with(test.change))
			wantItems(t, d, test.items...)
			if !maps.Equal(d.Obligations.Masks, test.masks) {
				t.Errorf("masks = %v, want %v", d.Obligations.Masks, test.masks)
			}
		})
	}
}

func TestADecisionSaysWhatItRestsOn(t *testing.T) {
	e, err := policy.New(policy.Options{Deadline: patient, CompileLimit: patient, NewID: func() string { return "d-1" }})
	if err != nil {
		t.Fatal(err)
	}
	e.Load([]bus.Layer{layerOf(t, city, 9, "masks := {}"), layerOf(t, "division/440305", 3, "masks := {}")})
	d := e.Decide(t.Context(), forward())
	if len(d.Grounds.Verdicts) != 2 || d.Grounds.Verdicts[1].Layer != city || !strings.HasPrefix(d.Grounds.Base, "sha256:") {
		t.Errorf("grounds = %+v, want the verdicts of base and %s", d.Grounds, city)
	}
	d.Obligations, d.Grounds = bus.Obligations{}, nil
	want := bus.Decision{ID: "d-1", Action: "forward", At: noon, Allow: true, Index: 42,
		Layers: map[bus.LayerID]bus.Revision{"base": 0, city: 9}}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("decision = %+v, want %+v", d, want)
	}
}

func TestDecisionIDsDiffer(t *testing.T) {
	e := newEngine(t)
	first, second := e.Decide(t.Context(), forward()).ID, e.Decide(t.Context(), forward()).ID
	if len(first) != 26 || first == second {
		t.Errorf("ids = %q, %q; want two different ids of 26 characters", first, second)
	}
}

func TestLayersApplyAlongBothChains(t *testing.T) {
	for id, applies := range map[bus.LayerID]bool{
		"division/440000": true, "division/440300": true, "division/440106": true, "division/440100": true,
		bus.DepartmentLayer(shenzhenDepartment): true, bus.DepartmentLayer(tianheDepartment): true,
		"division/440305": false, bus.DepartmentLayer(guangzhouDepartment): false,
	} {
		d := newEngine(t, layerOf(t, id, 1, deny("stop", "true"))).Decide(t.Context(), forward())
		if d.Allow == applies {
			t.Errorf("%s: allow = %v, want the layer to apply: %v", id, d.Allow, applies)
		}
		if applies {
			wantDenied(t, d, string(id)+" stop")
		}
	}
}

func TestLayersOnlyNarrow(t *testing.T) {
	e := newEngine(t,
		layerOf(t, city, 1, `items := ["registered_address", "name", "unknown_here"]`+"\n"+`masks := {"name": {"method": "null"}}`),
		layerOf(t, "division/440000", 1, `masks := {"name": {"method": "keep", "head": 1}, "registered_address": {"method": "keep", "head": 50}}`))
	d := e.Decide(t.Context(), forward())
	wantItems(t, d, "name", "registered_address")
	want := map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskNull}, "registered_address": {Method: bus.MaskKeep}}
	if !maps.Equal(d.Obligations.Masks, want) {
		t.Errorf("masks = %v, want %v: the stricter of two holds; of two that leave different parts, stars are left", d.Obligations.Masks, want)
	}
	in := with(func(in *policy.Input) { in.Grant = nil })
	wantDenied(t, e.Decide(t.Context(), in), "base grant-missing", "base no-items-left")
}

func TestAnEmptyItemListLetsNothingPass(t *testing.T) {
	for _, rules := range []string{"items := []", "items := set()", `items contains i.id if { some i in input.resource.items; i.id == "none of them" }`} {
		wantItems(t, newEngine(t, layerOf(t, city, 1, rules)).Decide(t.Context(), forward()))
	}
}

func TestTheSampleLayersChangeOutcomes(t *testing.T) {
	samples, err := policy.Samples()
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, samples...)
	wantItems(t, e.Decide(t.Context(), forward()), "name", "id_number")
	reference := with(func(in *policy.Input) { in.Purpose = bus.PurposeReference })
	wantDenied(t, e.Decide(t.Context(), reference), "division/440000 province-no-reference-on-personal")
	elsewhere := with(func(in *policy.Input) {
		in.Consumer.Division, in.Consumer.Divisions = "440305", []bus.DivisionCode{"440305", "440300", "440000"}
	})
	wantItems(t, e.Decide(t.Context(), elsewhere), "name", "id_number", "registered_address")
}

func TestAMalformedAnswerDenies(t *testing.T) {
	for _, rules := range []string{
		`items := "name"`,
		`items := {1}`,
		`items := {"no such-id"}`,
		`items := {"name": true}`,
		`masks := {"name": {"method": "blur"}}`,
		`masks := {"name": {"method": "keep", "head": -1}}`,
		`masks := {"name": {"method": "keep", "head": 1.5}}`,
		`masks := {"name": {"method": "keep", "head": 65}}`,
		`masks := {"name": {"method": "null", "head": 1}}`,
		`masks := {"name": {"method": "keep", "middle": 1}}`,
		`masks := {"name": "null"}`,
		`masks := {1: {"method": "null"}}`,
		`masks := ["name"]`,
		`deny contains "stop"`,
		`deny contains {"code": "stop", "zh": "停"}`,
		`deny contains {"code": 1, "zh": "停", "en": "stop"}`,
		`deny contains {"code": "Stop it", "zh": "停", "en": "stop"}`,
		`deny contains {"code": "stop", "zh": "", "en": "stop"}`,
		`deny contains {"code": "stop", "zh": "停", "en": "stop", "more": 1}`,
	} {
		t.Run(rules, func(t *testing.T) {
			wantDenied(t, newEngine(t, layerOf(t, city, 1, rules)).Decide(t.Context(), forward()), "division/440100 policy-result-invalid")
		})
	}
}

func TestACancelledCallerIsDenied(t *testing.T) {
	e := newEngine(t, layerOf(t, city, 1, "xs := [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]\n"+
		deny("never", "some a in xs; some b in xs; some c in xs; some d in xs; some e in xs; some f in xs; some g in xs; (((((a+b)+c)+d)+e)+f)+g < 0")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if d := e.Decide(ctx, forward()); d.Allow || len(d.Reasons) != 1 || d.Reasons[0].Code != policy.CodeTimeout {
		t.Errorf("decision = allow %v, reasons %q; want policy-timeout", d.Allow, codes(d))
	}
}
