package bus_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestCombine(t *testing.T) {
	city, department := bus.DivisionLayer("440100"), bus.DepartmentLayer(realUSCCs[0])
	requested := []bus.ItemID{"name", "id_number", "phone"}
	grants := bus.Verdict{Layer: bus.BaseLayer, Allow: true}
	no := bus.Reason{Layer: city, Code: "out-of-hours"}
	later := bus.Reason{Layer: city, Code: "under-repair", Hold: true}
	for _, tc := range []struct {
		name     string
		verdicts []bus.Verdict
		allow    bool
		reasons  []bus.Reason
		ob       bus.Obligations
	}{
		{name: "no layer spoke"},
		{name: "only base grants", verdicts: []bus.Verdict{{Layer: city, Allow: true}, {Layer: department, Allow: true}}},
		{name: "base grants", verdicts: []bus.Verdict{grants}, allow: true, ob: bus.Obligations{Items: requested}},
		{name: "base does not grant and gives no reason", verdicts: []bus.Verdict{{Layer: bus.BaseLayer}}},
		{name: "base grants and denies", verdicts: []bus.Verdict{{Layer: bus.BaseLayer, Allow: true, Reasons: []bus.Reason{no}}}, reasons: []bus.Reason{no}},
		{name: "base speaks twice", verdicts: []bus.Verdict{{Layer: bus.BaseLayer}, grants}},
		{name: "another layer need not allow", verdicts: []bus.Verdict{grants, {Layer: city}}, allow: true, ob: bus.Obligations{Items: requested}},
		{name: "another layer denies", verdicts: []bus.Verdict{grants, {Layer: city, Allow: true, Reasons: []bus.Reason{no}}}, reasons: []bus.Reason{no}},
		{
			name: "items are what every layer lets, in the order of the request", allow: true,
			verdicts: []bus.Verdict{grants, {Layer: city, Items: []bus.ItemID{"phone", "name"}}, {Layer: department, Items: []bus.ItemID{"phone", "name", "secret"}}},
			ob:       bus.Obligations{Items: []bus.ItemID{"name", "phone"}},
		},
		{name: "a layer lets no item", verdicts: []bus.Verdict{grants, {Layer: city, Items: []bus.ItemID{}}}, allow: true, ob: bus.Obligations{Items: []bus.ItemID{}}},
		{
			name: "masks that leave different parts leave stars together", allow: true,
			verdicts: []bus.Verdict{
				{Layer: bus.BaseLayer, Allow: true, Masks: map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskSurname}}},
				{Layer: city, Masks: map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskKeep, Tail: 1}}},
			},
			ob: bus.Obligations{Items: requested, Masks: map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskKeep}}},
		},
		{
			name: "a pseudonym stands in for what base shows the ends of", allow: true,
			verdicts: []bus.Verdict{
				{Layer: bus.BaseLayer, Allow: true, Masks: map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskKeep, Head: 6, Tail: 4}}},
				{Layer: city, Masks: map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskPseudonym}}},
			},
			ob: bus.Obligations{Items: requested, Masks: map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskPseudonym}}},
		},
		{
			name: "all row conditions hold, each once, and the lowest of limits that count the same", allow: true,
			verdicts: []bus.Verdict{
				{
					Layer: bus.BaseLayer, Allow: true, Rows: []bus.RowCondition{{Item: "status", Equals: []string{"b", "a", "b"}}},
					Limits: []bus.Limit{{100, bus.PerDay, bus.KeyConsumer}, {9, bus.PerDay, bus.KeyGrant}},
				},
				{
					Layer: city, Watermark: true, Rows: []bus.RowCondition{{Item: "status", Equals: []string{"a", "b"}}, {Item: "area", Within: []bus.DivisionCode{"440106"}}},
					Limits: []bus.Limit{{50, bus.PerDay, bus.KeyConsumer}},
				},
			},
			ob: bus.Obligations{
				Items: requested, Watermark: true,
				Rows:   []bus.RowCondition{{Item: "area", Within: []bus.DivisionCode{"440106"}}, {Item: "status", Equals: []string{"a", "b"}}},
				Limits: []bus.Limit{{50, bus.PerDay, bus.KeyConsumer}, {9, bus.PerDay, bus.KeyGrant}},
			},
		},
		{name: "a layer holds", verdicts: []bus.Verdict{grants, {Layer: city, Reasons: []bus.Reason{later}}}, reasons: []bus.Reason{later}},
		{name: "what base does not grant is not held", verdicts: []bus.Verdict{{Layer: bus.BaseLayer}, {Layer: city, Reasons: []bus.Reason{later}}}, reasons: []bus.Reason{}},
		{
			name: "a layer holds and another denies", verdicts: []bus.Verdict{grants, {Layer: city, Reasons: []bus.Reason{later}}, {Layer: department, Reasons: []bus.Reason{no}}},
			reasons: []bus.Reason{no, later},
		},
		{
			name: "the stricter mask holds, only for items that pass", allow: true,
			verdicts: []bus.Verdict{
				{Layer: bus.BaseLayer, Allow: true, Masks: map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskKeep, Head: 6, Tail: 4}, "phone": {Method: bus.MaskNull}}},
				{Layer: city, Items: []bus.ItemID{"id_number", "name"}, Masks: map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskKeep, Head: 3, Tail: 8}}},
			},
			ob: bus.Obligations{Items: []bus.ItemID{"name", "id_number"}, Masks: map[bus.ItemID]bus.Mask{"id_number": {Method: bus.MaskKeep, Head: 3, Tail: 4}}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			allow, reasons, ob := bus.Combine(requested, tc.verdicts)
			if allow != tc.allow || !reflect.DeepEqual(reasons, tc.reasons) || !reflect.DeepEqual(ob, tc.ob) {
				t.Errorf("got %v %v %+v, want %v %v %+v", allow, reasons, ob, tc.allow, tc.reasons, tc.ob)
			}
		})
	}
	if !slices.Equal(requested, []bus.ItemID{"name", "id_number", "phone"}) {
		t.Errorf("the request was changed: %v", requested)
	}
}

func TestReasonsComeSortedByLayerAndCode(t *testing.T) {
	sorted := []bus.Reason{
		{Layer: bus.BaseLayer, Code: "a"},
		{Layer: bus.BaseLayer, Code: "b", Message: bus.Text{ZH: "一", EN: "x"}},
		{Layer: bus.BaseLayer, Code: "b", Message: bus.Text{ZH: "二", EN: "x"}},
		{Layer: bus.BaseLayer, Code: "b", Message: bus.Text{EN: "y"}},
		{Layer: "division/440100", Code: "a"},
	}
	backwards := slices.Clone(sorted)
	slices.Reverse(backwards)
	_, got, _ := bus.Combine(nil, []bus.Verdict{{Layer: bus.BaseLayer, Reasons: backwards}})
	if !slices.Equal(got, sorted) {
		t.Errorf("got %v", got)
	}
}

func TestOrderOfVerdictsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requested := drawItems(t, "requested")
		verdicts := rapid.SliceOfN(rapid.Custom(drawVerdict), 0, 5).Draw(t, "verdicts")
		shuffled := rapid.Permutation(verdicts).Draw(t, "shuffled")
		allow1, reasons1, ob1 := bus.Combine(requested, verdicts)
		allow2, reasons2, ob2 := bus.Combine(requested, shuffled)
		if allow1 != allow2 || !slices.Equal(reasons1, reasons2) || !reflect.DeepEqual(ob1, ob2) {
			t.Fatalf("%v %v %+v, but shuffled %v %v %+v", allow1, reasons1, ob1, allow2, reasons2, ob2)
		}
	})
}

// The promise of the layers: whatever a division or a department adds, nothing
// more is shared than before.
func TestAddingALayerNeverAllowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requested := drawItems(t, "requested")
		verdicts := rapid.SliceOfN(rapid.Custom(drawVerdict), 0, 4).Draw(t, "verdicts")
		added := drawVerdict(t)
		if added.Layer == bus.BaseLayer {
			added.Layer = bus.DivisionLayer("440106")
		}
		before, _, obBefore := bus.Combine(requested, verdicts)
		after, reasons, obAfter := bus.Combine(requested, append(slices.Clone(verdicts), added))
		if after && !before {
			t.Fatal("a layer made an allowed request of a denied one")
		}
		if after && len(reasons) > 0 {
			t.Fatalf("allowed, with reasons %v", reasons)
		}
		for _, id := range obAfter.Items {
			if !slices.Contains(obBefore.Items, id) {
				t.Fatalf("a layer added item %s", id)
			}
			old, masked := obBefore.Masks[id]
			now, still := obAfter.Masks[id]
			if masked && !still {
				t.Fatalf("a layer took the mask of %s away", id)
			}
			if masked && leavesMore(now, old) {
				t.Fatalf("a layer weakened the mask of %s from %+v to %+v", id, old, now)
			}
		}
		if !after {
			return
		}
		for _, c := range obBefore.Rows {
			if !slices.ContainsFunc(obAfter.Rows, func(now bus.RowCondition) bool { return reflect.DeepEqual(now, c) }) {
				t.Fatalf("a layer took the row condition %+v away", c)
			}
		}
		for _, l := range obBefore.Limits {
			if !slices.ContainsFunc(obAfter.Limits, func(now bus.Limit) bool { return now.Per == l.Per && now.Key == l.Key && now.Limit <= l.Limit }) {
				t.Fatalf("a layer lifted the limit %+v", l)
			}
		}
		if obBefore.Watermark && !obAfter.Watermark {
			t.Fatal("a layer took the watermark away")
		}
	})
}

func TestEveryLayersMaskIsHonoured(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		verdicts := rapid.SliceOfN(rapid.Custom(drawVerdict), 0, 5).Draw(t, "verdicts")
		_, _, ob := bus.Combine(drawItems(t, "requested"), verdicts)
		for _, id := range ob.Items {
			for _, v := range verdicts {
				mask, asked := v.Masks[id]
				now, masked := ob.Masks[id]
				if asked && (!masked || leavesMore(now, mask)) {
					t.Fatalf("%s asks %+v for %s, which has %+v", v.Layer, mask, id, now)
				}
			}
		}
	})
}

func TestDeniedRequestHandsOutNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		verdicts := rapid.SliceOfN(rapid.Custom(drawVerdict), 0, 5).Draw(t, "verdicts")
		allow, _, ob := bus.Combine(drawItems(t, "requested"), verdicts)
		if !allow && !reflect.DeepEqual(ob, bus.Obligations{}) {
			t.Fatalf("denied, with %+v", ob)
		}
		for id := range ob.Masks {
			if !slices.Contains(ob.Items, id) {
				t.Fatalf("a mask for %s, which does not pass", id)
			}
		}
	})
}

func TestStricterIsALatticeMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawMask(t), drawMask(t), drawMask(t)
		ab := a.Stricter(b)
		switch {
		case ab != b.Stricter(a):
			t.Fatalf("%+v and %+v: order matters", a, b)
		case ab.Stricter(c) != a.Stricter(b.Stricter(c)):
			t.Fatalf("%+v, %+v and %+v: grouping matters", a, b, c)
		case a.Stricter(a) != a:
			t.Fatalf("%+v is not as strict as itself", a)
		case leavesMore(ab, a) || leavesMore(ab, b):
			t.Fatalf("%+v of %+v and %+v leaves more", ab, a, b)
		}
	})
}

func TestMaskThatTheBusDoesNotKnowIsTheStrictest(t *testing.T) {
	unknown := bus.Mask{Method: "rot13"}
	for _, known := range allMasks {
		m := bus.Mask{Method: known}
		if !m.Valid() {
			t.Errorf("%s is not valid", known)
		}
		if m.Stricter(unknown) != unknown || unknown.Stricter(m) != unknown {
			t.Errorf("%s hides that another mask cannot be applied", known)
		}
	}
	for _, bad := range []bus.Mask{unknown, {}, {Method: bus.MaskKeep, Head: -1}, {Method: bus.MaskKeep, Tail: -1}} {
		if bad.Valid() {
			t.Errorf("%+v is valid", bad)
		}
	}
}

func TestLayerIDs(t *testing.T) {
	for id, want := range map[bus.LayerID][2]string{
		bus.BaseLayer:                     {"base", ""},
		bus.DivisionLayer("440100"):       {"division", "440100"},
		bus.DepartmentLayer(realUSCCs[0]): {"department", string(realUSCCs[0])},
	} {
		if kind, of := id.Split(); kind != want[0] || of != want[1] {
			t.Errorf("%s splits into %q and %q", id, kind, of)
		}
	}
}

// leavesMore reports whether m may leave anything of a value that than hides,
// to who sees one value alone. It states what masks leave for itself rather than
// asking Stricter.
func leavesMore(m, than bus.Mask) bool {
	nothing := []bus.Mask{{Method: bus.MaskDrop}, {Method: bus.MaskNull}, {Method: bus.MaskVerify}, {Method: bus.MaskPseudonym}, {Method: bus.MaskKeep}}
	mine, theirs := slices.Index(nothing, m), slices.Index(nothing, than)
	switch {
	case mine >= 0:
		return theirs >= 0 && mine > theirs
	case theirs >= 0:
		return true
	case m.Method == bus.MaskKeep && than.Method == bus.MaskKeep:
		return m.Head > than.Head || m.Tail > than.Tail
	default:
		return m != than // two different parts of a value
	}
}

var allMasks = []bus.MaskMethod{
	bus.MaskDrop, bus.MaskNull, bus.MaskVerify, bus.MaskPseudonym, bus.MaskSurname, bus.MaskCounty, bus.MaskYear, bus.MaskKeep,
}

var someItems = []bus.ItemID{"name", "id_number", "phone", "address"}

func drawItems(t *rapid.T, label string) []bus.ItemID {
	return rapid.SliceOfDistinct(rapid.SampledFrom(someItems), rapid.ID).Draw(t, label)
}

func drawMask(t *rapid.T) bus.Mask {
	method := rapid.SampledFrom(allMasks).Draw(t, "method")
	if method != bus.MaskKeep {
		return bus.Mask{Method: method}
	}
	return bus.Mask{Method: method, Head: rapid.IntRange(0, 6).Draw(t, "head"), Tail: rapid.IntRange(0, 6).Draw(t, "tail")}
}

func drawVerdict(t *rapid.T) bus.Verdict {
	v := bus.Verdict{
		Layer: rapid.SampledFrom([]bus.LayerID{bus.BaseLayer, "division/440000", "division/440100", "department/" + bus.LayerID(realUSCCs[0])}).Draw(t, "layer"),
		Allow: rapid.Bool().Draw(t, "allow"),
	}
	if rapid.IntRange(0, 4).Draw(t, "denies") == 0 {
		v.Reasons = []bus.Reason{{
			Layer: v.Layer, Code: rapid.SampledFrom([]string{"expired", "purpose"}).Draw(t, "code"),
			Hold:    rapid.Bool().Draw(t, "holds"),
			Message: bus.Text{ZH: rapid.SampledFrom([]string{"一", "二"}).Draw(t, "zh"), EN: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "en")},
		}}
	}
	if rapid.Bool().Draw(t, "narrows") {
		v.Items = drawItems(t, "items")
	}
	v.Rows = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bus.RowCondition {
		return bus.RowCondition{Item: rapid.SampledFrom(someItems).Draw(t, "item"), Equals: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3).Draw(t, "equals")}
	}), 0, 3).Draw(t, "rows")
	v.Limits = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bus.Limit {
		return bus.Limit{
			Limit: rapid.IntRange(1, 9).Draw(t, "limit"), Per: rapid.SampledFrom([]bus.Window{bus.PerMinute, bus.PerDay, bus.PerCase}).Draw(t, "per"),
			Key: rapid.SampledFrom([]bus.LimitKey{bus.KeyConsumer, bus.KeySystem, bus.KeyGrant}).Draw(t, "key"),
		}
	}), 0, 3).Draw(t, "limits")
	v.Watermark = rapid.Bool().Draw(t, "watermark")
	v.Masks = maps.Collect(func(yield func(bus.ItemID, bus.Mask) bool) {
		for _, id := range drawItems(t, "masked") {
			if !yield(id, drawMask(t)) {
				return
			}
		}
	})
	return v
}
