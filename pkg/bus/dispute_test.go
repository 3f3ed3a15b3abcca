package bus_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
)

// No sequence of steps comes to what decree 809 art. 28 forbids:
//   - a dispute before the authority that nobody negotiated;
//   - a decision without a ruling, or a ruling without a decision;
//   - a decision by a department that is a side of it;
//   - a decision of what the sides settled, or anything after a decision.
func TestNoStepsBreakArticle28(t *testing.T) {
	const a, b, authority = bus.USCC("114400000069401674"), bus.USCC("11440000006939561H"), bus.USCC("11441400007208381Y")
	steps := []bus.DisputeStep{bus.DisputeRaise, bus.DisputeNegotiate, bus.DisputeSubmit, bus.DisputeSettle, bus.DisputeDecide}
	rapid.Check(t, func(t *rapid.T) {
		d := bus.Dispute{Raiser: a, Respondent: b}
		var done []bus.DisputeStep
		for range rapid.IntRange(12, 40).Draw(t, "steps") {
			step := rapid.SampledFrom(steps).Draw(t, "step")
			by := bus.Principal{Department: rapid.SampledFrom([]bus.USCC{a, b, authority}).Draw(t, "by")}
			text := rapid.SampledFrom([]string{"样例", "样例", ""}).Draw(t, "text")
			var next bus.Dispute
			var err error
			if step == bus.DisputeDecide {
				next, err = d.Decide(bus.Ruling{Authority: by.Department, By: by, Opinion: text})
			} else {
				next, err = d.After(bus.DisputeAct{Step: step, By: by, Text: text})
			}
			if err != nil {
				continue
			}
			if text == "" {
				t.Fatalf("%s said nothing", step)
			}
			if !d.Open() {
				t.Fatalf("%s after it was %s", step, d.State)
			}
			done, d = append(done, step), next
			if d.State == bus.DisputeSubmitted && !slices.Contains(done, bus.DisputeNegotiate) {
				t.Fatal("submitted without a negotiation")
			}
			if (d.State == bus.DisputeDecided) != (d.Ruling != nil) {
				t.Fatalf("%s with the ruling %+v", d.State, d.Ruling)
			}
			if d.Ruling != nil && (d.Party(d.Ruling.Authority) || !slices.Contains(done, bus.DisputeSubmit)) {
				t.Fatalf("decided by %s after %v", d.Ruling.Authority, done)
			}
		}
	})
}

// The real divisions, towns of 东莞 and 中山 beside counties, and an oracle that
// walks down from the province instead of up: whoever decides is the authority of
// the deepest division with one that holds both and is neither side.
func TestRoutingEqualsAnIndependentOracle(t *testing.T) {
	list := bus.Guangdong()
	for _, town := range []struct{ code, parent bus.DivisionCode }{
		{"441900003", "441900"}, {"441900121", "441900"}, {"442000001", "442000"}, {"440106001", "440106"}, {"440106022", "440106"},
	} {
		list = append(list, bus.Division{Code: town.code, Level: bus.LevelTown, Parent: town.parent})
	}
	children := map[bus.DivisionCode][]bus.DivisionCode{}
	divisions := bus.Divisions{}
	codes := make([]bus.DivisionCode, len(list))
	for i, d := range list {
		divisions[d.Code], codes[i] = d, d.Code
		children[d.Parent] = append(children[d.Parent], d.Code)
	}
	rapid.Check(t, func(t *rapid.T) {
		authorities := map[bus.DivisionCode]bus.USCC{}
		for _, code := range rapid.SliceOfN(rapid.SampledFrom(codes), 0, 60).Draw(t, "with an authority") {
			authorities[code] = "authority-of-" + bus.USCC(code)
		}
		if rapid.Bool().Draw(t, "the province has one") {
			authorities["440000"] = "authority-of-440000"
		}
		one, other := rapid.SampledFrom(codes).Draw(t, "one"), rapid.SampledFrom(codes).Draw(t, "other")
		if rapid.Bool().Draw(t, "near each other") {
			other = rapid.SampledFrom(append(slices.Clone(children[one]), one, children[divisions[one].Parent][0])).Draw(t, "near")
		}
		sides := []bus.USCC{"one", "other"}
		if rapid.Bool().Draw(t, "an authority is a side") {
			sides[0] = authorities[one]
		}
		var want bus.DivisionCode
		for at := bus.DivisionCode("440000"); ; {
			if a := authorities[at]; a != "" && !slices.Contains(sides, a) {
				want = at
			}
			next := bus.DivisionCode("")
			for _, child := range children[at] {
				if holds(children, child, one) && holds(children, child, other) {
					next = child
				}
			}
			if next == "" {
				break
			}
			at = next
		}
		got, authority, ok := bus.Arbiter(divisions.Chain(one), divisions.Chain(other), func(code bus.DivisionCode) bus.USCC { return authorities[code] }, sides...)
		if got != want || ok != (want != "") || authority != authorities[want] {
			t.Fatalf("%s and %s: %s (%s), want %s", one, other, got, authority, want)
		}
	})
}

func holds(children map[bus.DivisionCode][]bus.DivisionCode, root, code bus.DivisionCode) bool {
	if root == code {
		return true
	}
	return slices.ContainsFunc(children[root], func(child bus.DivisionCode) bool { return holds(children, child, code) })
}

func TestWhoDecidesBetweenTwo(t *testing.T) {
	divisions := bus.Divisions{"441900003": {Code: "441900003", Parent: "441900"}, "441900004": {Code: "441900004", Parent: "441900"}}
	for _, d := range bus.Guangdong() {
		divisions[d.Code] = d
	}
	every := func(code bus.DivisionCode) bus.USCC { return "of-" + bus.USCC(code) }
	provinceOnly := func(code bus.DivisionCode) bus.USCC {
		if code == "440000" {
			return "of-440000"
		}
		return ""
	}
	for _, tc := range []struct {
		name       string
		one, other bus.DivisionCode
		authority  func(bus.DivisionCode) bus.USCC
		sides      []bus.USCC
		want       bus.DivisionCode
	}{
		{"the same county", "440106", "440106", every, nil, "440106"},
		{"two counties of a city", "440104", "440106", every, nil, "440100"},
		{"a county and its city", "440106", "440100", every, nil, "440100"},
		{"counties of two cities", "440106", "440305", every, nil, "440000"},
		{"a county and the province", "440106", "440000", every, nil, "440000"},
		{"two towns of 东莞", "441900003", "441900004", every, nil, "441900"},
		{"a town of 东莞 and 中山", "441900003", "442000", every, nil, "440000"},
		{"the city has none", "440104", "440106", provinceOnly, nil, "440000"},
		{"the city's authority is a side", "440104", "440100", every, []bus.USCC{"of-440100"}, "440000"},
		{"the province's own is a side", "440000", "440100", every, []bus.USCC{"of-440000"}, ""},
		{"nobody knows the division", "999999", "440100", every, nil, ""},
	} {
		got, _, ok := bus.Arbiter(divisions.Chain(tc.one), divisions.Chain(tc.other), tc.authority, tc.sides...)
		if got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
