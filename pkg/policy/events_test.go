package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Which layers read input.event is found in what was compiled, however it is written;
// where none does, nobody is asked what the events are.
func TestWhetherALayerReadsEventsIsFoundByAnalysis(t *testing.T) {
	for name, c := range map[string]struct {
		rules string
		reads bool
	}{
		"not at all":            {deny("x", `input.purpose == "event"`), false},
		"another's event":       {deny("x", `{"event": input.matter}.event == "x"`), false},
		"directly":              {deny("x", `input.event.type == "x"`), true},
		"whether there is one":  {deny("x", `not input.event; 1 == 2`), true},
		"by another name":       {deny("x", `e := input["event"]; e.type == "x"`), true},
		"in a helper":           {`kind := input.event.type` + "\n" + deny("x", `kind == "x"`), true},
		"as an argument":        {`of(e) := e.type` + "\n" + deny("x", `of(input.event) == "x"`), true},
		"by a key worked out":   {deny("x", `some k in {"event"}; input[k].type == "x"`), true},
		"in a bracket":          {deny("x", `{"x": 1}[input.event.type] == 2`), true},
		"in a comprehension":    {deny("x", `count([1 | input.event.type == "x"]) == 1`), true},
		"in every":              {deny("x", `every v in input.event { v == "x" }`), true},
		"in a reason":           {`deny contains {"code": "x", "zh": "测试", "en": input.event.type} if input.event.type == "x"`, true},
		"by the whole document": {deny("x", `object.get(input, "event", {}).type == "x"`), true},
		"in an else":            {`kind := 1 if input.purpose == "x" else := input.event.type` + "\n" + deny("x", `kind == "x"`), true},
	} {
		e := newEngine(t, layerOf(t, city, 1, c.rules))
		asked := 0
		d, alike := e.DecideEvents(t.Context(), forward(), 3, func(int) policy.Event { asked++; return policy.Event{"type": "y"} })
		if !d.Allow || alike != 3 || asked > 0 != c.reads {
			t.Errorf("%s: allow %v for %q, %d alike, %d events looked at; want it to look: %v", name, d.Allow, codes(d), alike, asked, c.reads)
		}
	}
}

func TestNoShippedLayerButTheEventRecipesReadsEvents(t *testing.T) {
	for name, l := range shippedLayers(t) {
		if l.ID == bus.BaseLayer {
			l = bus.Layer{ID: "division/440999", Modules: map[string]string{"rules.rego": "package gxbus.division.d440999\nmasks := {}"}}
		}
		asked := false
		in := with(func(in *policy.Input) {
			in.Consumer = party(l.ID)
		})
		newEngine(t, l).DecideEvents(t.Context(), in, 2, func(int) policy.Event { asked = true; return policy.Event{"type": "y"} })
		if asked != (name == "event-types") {
			t.Errorf("%s: events looked at: %v", name, asked)
		}
	}
}

// party is one that a layer applies to.
func party(id bus.LayerID) policy.Party {
	p := forward().Consumer
	switch kind, of := id.Split(); kind {
	case "division":
		p.Division, p.Divisions = bus.DivisionCode(of), []bus.DivisionCode{bus.DivisionCode(of), "440000"}
	case "department":
		p.Department = bus.USCC(of)
	}
	return p
}

// Event by event, a batch gets the verdicts that each event would get by itself.
func TestABatchIsCutWhereTheVerdictChanges(t *testing.T) {
	e := newEngine(t,
		layerOf(t, city, 1, deny("b", `input.event.type == "b"`)+"masks[\"name\"] := {\"method\": \"null\"} if input.event.type == \"c\"\n"),
		layerOf(t, "division/440300", 1, deny("late", `input.event.extension == "late"`)))
	events := []policy.Event{{"type": "a"}, {"type": "a", "id": "2"}, {"type": "b"}, {"type": "b"}, {"type": "c"}, {"type": "a"}, {"type": "a", "extension": "late"}, {}}
	var cuts []int
	for from := 0; from < len(events); {
		d, alike := e.DecideEvents(t.Context(), forward(), len(events)-from, func(i int) policy.Event { return events[from+i] })
		for i := range alike {
			alone := e.Decide(t.Context(), with(func(in *policy.Input) { in.Event = events[from+i] }))
			if fmt.Sprint(alone.Allow, codes(alone), alone.Obligations) != fmt.Sprint(d.Allow, codes(d), d.Obligations) {
				t.Errorf("event %d: %v %q alone, %v %q in the batch", from+i, alone.Allow, codes(alone), d.Allow, codes(d))
			}
		}
		cuts = append(cuts, alike)
		from += alike
	}
	if want := []int{2, 2, 1, 1, 1, 1}; !slices.Equal(cuts, want) {
		t.Errorf("cut into %v, want %v", cuts, want)
	}
	if d, alike := e.DecideEvents(t.Context(), forward(), 0, nil); !d.Allow || alike != 0 {
		t.Errorf("no event: %v, %d", d.Allow, alike)
	}
}
