package exchange

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestDivisionsLieInTheirSubtrees(t *testing.T) {
	for _, tt := range []struct {
		code string
		root bus.DivisionCode
		want bool
	}{
		{"440106", "440106", true},
		{"440106", "440100", true},
		{"440106", "440000", true},
		{"440106", "440105", false},
		{"440106", "440300", false},
		{"440106", "450000", false},
		{"440100", "440106", false}, // the city is not in its district
		{"440000", "440100", false},
		{"440106007", "440106", true}, // a street of Tianhe
		{"440106007", "440100", true},
		{"440106007", "440106007", true},
		{"440106007", "440106008", false},
		{"440106", "440106007", false},
		{"440106000", "440106", true}, // the district, with nine digits
		{"440106", "440106000", true},
		{"440106007021", "440106007", true}, // a community
		{"441900001", "441900", true},       // 东莞 has towns, no counties
		{"441900001", "440000", true},
		{"441900001", "441900001", true},
		{"441900002", "441900001", false},
		{"441900", "441900", true},
		{"442000100", "442000", true}, // 中山
		{"442000100", "441900", false},
		{"441900001", "441901", false},
		{"44010", "440100", false},
		{"4401060", "440106", false},
		{"44010a", "440100", false},
		{"４４０１０６", "440100", false},
		{" 440106", "440100", false},
		{"", "440100", false},
	} {
		if got := within(tt.code, tt.root); got != tt.want {
			t.Errorf("%q within %s: %v", tt.code, tt.root, got)
		}
	}
}

func TestRowConditions(t *testing.T) {
	tianhe := bus.RowCondition{Item: "x", Within: []bus.DivisionCode{"440106", "441900001"}}
	normal := bus.RowCondition{Item: "x", Equals: []string{"normal", "1", "true", ""}}
	for _, tt := range []struct {
		value string
		c     bus.RowCondition
		want  bool
	}{
		{`"440106"`, tianhe, true},
		{`440106007`, tianhe, true},
		{`"441900001"`, tianhe, true},
		{`"441900"`, tianhe, false},
		{`440106.0`, tianhe, false},
		{`["440106"]`, tianhe, false},
		{`null`, tianhe, false},
		{``, tianhe, false},
		{`"normal"`, normal, true},
		{`"\u006eormal"`, normal, true},
		{`"Normal"`, normal, false},
		{`"normal "`, normal, false},
		{`1`, normal, true},
		{`1.0`, normal, false},
		{`true`, normal, true},
		{`false`, normal, false},
		{`""`, normal, true},
		{`null`, normal, false},
		{`{}`, normal, false},
		{``, normal, false},
	} {
		value := json.RawMessage(tt.value)
		if tt.value == "" {
			value = nil
		}
		if got := meets(value, tt.c); got != tt.want {
			t.Errorf("%s: %v", tt.value, got)
		}
	}
}

// Whatever stands there, a code is in a subtree only if it begins with its root.
func FuzzWithin(f *testing.F) {
	f.Add("440106", "440100")
	f.Add("441900001", "441900")
	f.Fuzz(func(t *testing.T, code, root string) {
		if !bus.DivisionCode(root).Valid() {
			return
		}
		if within(code, bus.DivisionCode(root)) && (!strings.HasPrefix(code, strings.TrimRight(root, "0")) || strings.Trim(code, "0123456789") != "") {
			t.Errorf("%q within %q", code, root)
		}
	})
}

func TestRowsAreFilteredAndWhatIsLeftIsProjected(t *testing.T) {
	ob := bus.Obligations{
		Items: []bus.ItemID{"name"}, Masks: map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskSurname}},
		Rows: []bus.RowCondition{{Item: "area", Within: []bus.DivisionCode{"440106"}}, {Item: "status", Equals: []string{"normal"}}},
	}
	for _, tt := range []struct {
		data, want string
		passes     bool
		out        int
	}{
		{`{"name":"欧阳娜","area":"440106","status":"normal"}`, `{"name":"欧阳*"}`, true, 0},
		{`{"name":"欧阳娜","area":"440105","status":"normal"}`, ``, false, 1},
		{`{"name":"欧阳娜","area":"440106","status":"gone"}`, ``, false, 1},
		{`{"name":"欧阳娜","area":"440106"}`, ``, false, 1},
		{`[{"name":"王小明","area":"440106","status":"normal"},{"name":"李娜","area":"440300","status":"normal"},{"name":"张三","area":440106001,"status":"normal"}]`,
			`[{"name":"王**"},{"name":"张*"}]`, true, 1},
		{`[{"name":"王小明","area":"440300","status":"normal"},{"name":"李娜"}]`, `[]`, false, 2},
		{`[]`, `[]`, true, 0},
	} {
		f, err := newEnforcement(ob, site{})
		if err != nil {
			t.Fatal(err)
		}
		e, passes, out, err := f.apply(jsonEvent(t, "application/json", tt.data))
		if err != nil || passes != tt.passes || out != tt.out || passes && string(e.Data()) != tt.want {
			t.Errorf("%s: %s, passes %v, %d out, %v", tt.data, e.Data(), passes, out, err)
		}
	}
	f, err := newEnforcement(ob, site{})
	if err != nil {
		t.Fatal(err)
	}
	if _, passes, _, err := f.apply(jsonEvent(t, "application/json", "")); err != nil || passes {
		t.Errorf("an event without data passes: %v", err)
	}
	for _, c := range []bus.RowCondition{{Item: "x"}, {Item: "x", Within: []bus.DivisionCode{"44"}}, {Within: []bus.DivisionCode{"440106"}}} {
		if _, err := newEnforcement(bus.Obligations{Rows: []bus.RowCondition{c}}, site{}); bus.CodeOf(err) != bus.CodeDenied {
			t.Errorf("condition %+v: %v", c, err)
		}
	}
}

// What the provider's node did is not done again, or undone, at the consumer's:
// the item of a condition may be gone, and the key of pseudonyms is not there.
func TestTheSecondNodeGoesOnWhereTheFirstStopped(t *testing.T) {
	key := []byte("a key of one grant")
	first := bus.Obligations{
		Items: []bus.ItemID{"id_number", "name", "minor", "phone"},
		Masks: map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskPseudonym}, "minor": {Method: bus.MaskVerify}, "phone": keepMask(3, 4)},
		Rows:  []bus.RowCondition{{Item: "area", Within: []bus.DivisionCode{"440106"}}},
	}
	code := pseudonym("440106199001011233", key)
	for _, tt := range []struct {
		name   string
		second bus.Obligations
		want   string // nothing: it does not pass
	}{
		{"the same obligations", first, `{"id_number":"` + code + `","name":"欧阳娜","minor":false,"phone":"138****8000"}`},
		{"weaker masks", bus.Obligations{Items: first.Items, Masks: map[bus.ItemID]bus.Mask{"id_number": keepMask(6, 4), "minor": {Method: bus.MaskPseudonym}}},
			`{"id_number":"` + code + `","name":"欧阳娜","minor":false,"phone":"138****8000"}`},
		{"stricter masks", bus.Obligations{Items: first.Items, Masks: map[bus.ItemID]bus.Mask{
			"id_number": {Method: bus.MaskVerify}, "name": {Method: bus.MaskPseudonym}, "minor": {Method: bus.MaskNull}, "phone": {Method: bus.MaskDrop},
		}}, `{"id_number":true,"name":null,"minor":null}`},
		{"another condition on an item that is gone", bus.Obligations{Items: first.Items, Rows: []bus.RowCondition{{Item: "area", Within: []bus.DivisionCode{"440100"}}}}, ``},
		{"a condition on an item that is there", bus.Obligations{Items: []bus.ItemID{"name"}, Rows: []bus.RowCondition{{Item: "name", Equals: []string{"欧阳娜"}}}}, `{"name":"欧阳娜"}`},
	} {
		f, err := newEnforcement(first, site{key: key})
		if err != nil {
			t.Fatal(err)
		}
		e, passes, _, err := f.apply(jsonEvent(t, "application/json",
			`{"id_number":"440106199001011233","name":"欧阳娜","minor":"","phone":"13800138000","area":"440106"}`))
		if err != nil || !passes {
			t.Fatalf("%v, %v", passes, err)
		}
		g, err := newEnforcement(tt.second, site{second: true})
		if err != nil {
			t.Fatal(err)
		}
		e, passes, _, err = g.apply(e)
		if err != nil || passes != (tt.want != "") || passes && string(e.Data()) != tt.want {
			t.Errorf("%s: %s, %v, %v; want %s", tt.name, e.Data(), passes, err, tt.want)
		}
		if _, has := e.Extensions()[attrApplied]; passes && has {
			t.Errorf("%s: the consumer sees %s", tt.name, attrApplied)
		}
	}
}
