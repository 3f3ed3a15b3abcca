package policy_test

import (
	"reflect"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

func TestObligationsOfALayer(t *testing.T) {
	d := newEngine(t, layerOf(t, city, 1, `
masks := {"name": {"method": "pseudonym"}, "registered_address": {"method": "verify"}}
rows contains {"item": "division", "within": ["440106", "441900001"]}
rows contains {"item": "status", "equals": {"normal", "moved"}}
limits := {{"limit": 100, "per": "minute", "key": "system"}}
watermark if input.action == "forward"
`), layerOf(t, "division/440000", 1, `
limits contains {"limit": 20, "per": "minute", "key": "system"}
limits contains {"limit": 5, "per": "case", "key": "grant"}
watermark := false
`)).Decide(t.Context(), forward())
	if !d.Allow {
		t.Fatalf("denied: %v", d.Reasons)
	}
	ob := d.Obligations
	if ob.Masks["name"].Method != bus.MaskPseudonym || ob.Masks["registered_address"].Method != bus.MaskVerify {
		t.Errorf("masks = %v", ob.Masks)
	}
	if want := []bus.RowCondition{
		{Item: "division", Within: []bus.DivisionCode{"440106", "441900001"}}, {Item: "status", Equals: []string{"moved", "normal"}},
	}; !reflect.DeepEqual(ob.Rows, want) {
		t.Errorf("rows = %v, want %v", ob.Rows, want)
	}
	if want := []bus.Limit{{Limit: 5, Per: bus.PerCase, Key: bus.KeyGrant}, {Limit: 20, Per: bus.PerMinute, Key: bus.KeySystem}}; !reflect.DeepEqual(ob.Limits, want) {
		t.Errorf("limits = %v, want %v", ob.Limits, want)
	}
	if !ob.Watermark {
		t.Error("no watermark")
	}
}

func TestALayerHolds(t *testing.T) {
	hold := `hold contains {"code": "under-repair", "zh": "数据正在修复", "en": "the data is being repaired"}`
	d := newEngine(t, layerOf(t, city, 1, hold)).Decide(t.Context(), forward())
	want := bus.Reason{Layer: city, Code: "under-repair", Message: bus.Text{ZH: "数据正在修复", EN: "the data is being repaired"}, Hold: true}
	if d.Allow || len(d.Reasons) != 1 || d.Reasons[0] != want {
		t.Errorf("allow %v, reasons %v", d.Allow, d.Reasons)
	}
	found := with(func(in *policy.Input) { in.Action, in.Stage = policy.ActionDiscover, policy.StageConsumer })
	if d := newEngine(t, layerOf(t, city, 1, hold)).Decide(t.Context(), found); !d.Allow {
		t.Errorf("a layer that holds hides the resource: %v", d.Reasons)
	}
}

func TestAMalformedObligationDenies(t *testing.T) {
	for _, rules := range []string{
		`rows := {{"item": "a"}}`,
		`rows := [{"item": "a", "equals": ["x"]}]`,
		`rows := {{"item": "a", "equals": []}}`,
		`rows := {{"item": "a", "equals": "x"}}`,
		`rows := {{"item": "a", "equals": [1]}}`,
		`rows := {{"item": "", "equals": ["x"]}}`,
		`rows := {{"item": "a", "within": ["4401"]}}`,
		`rows := {{"item": "a", "within": ["44010x"]}}`,
		`rows := {{"item": "a", "within": ["440106"], "equals": ["x"]}}`,
		`rows := {{"item": "a", "matches": ["x"]}}`,
		`rows := {{"item": "a", "equals": [1 | 1 > 2]}}`,
		`limits := {{"limit": 0, "per": "day", "key": "system"}}`,
		`limits := {{"limit": 1.5, "per": "day", "key": "system"}}`,
		`limits := {{"limit": "9", "per": "day", "key": "system"}}`,
		`limits := {{"limit": 1000000001, "per": "day", "key": "system"}}`,
		`limits := {{"limit": 9, "per": "week", "key": "system"}}`,
		`limits := {{"limit": 9, "per": "day", "key": "person"}}`,
		`limits := {{"limit": 9, "per": "day"}}`,
		`limits := {"limit": 9, "per": "day", "key": "system"}`,
		`watermark := "yes"`,
		`masks := {"name": {"method": "pseudonym", "head": 1}}`,
		`masks := {"name": {"method": "rot13"}}`,
		`hold contains "wait"`,
		`hold contains {"code": "x", "zh": "x", "en": "x", "until": "tomorrow"}`,
	} {
		wantDenied(t, newEngine(t, layerOf(t, city, 1, rules)).Decide(t.Context(), forward()), string(city)+" "+policy.CodeResultInvalid)
	}
}
