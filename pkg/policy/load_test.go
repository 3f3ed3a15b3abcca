package policy_test

import (
	"sync"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestStatusListsTheLayersInUse(t *testing.T) {
	e := newEngine(t, layerOf(t, city, 4, "masks := {}"), layerOf(t, "division/440000", 3, "nonsense"))
	status := e.Status()
	if len(status) != 3 || status[0].Layer != bus.BaseLayer || status[1].Layer != "division/440000" || status[2].Layer != city {
		t.Fatalf("status = %+v, want base, 440000, 440100", status)
	}
	if status[0].Error != "" || status[1].Error == "" || status[2].Error != "" || status[2].Revision != 4 {
		t.Errorf("status = %+v, want only 440000 in error", status)
	}
}

func TestABrokenLayerIsMendedByANewerRevision(t *testing.T) {
	e := newEngine(t, layerOf(t, city, 1, "masks := {}"))
	e.Load([]bus.Layer{layerOf(t, city, 2, "nonsense")})
	wantDenied(t, e.Decide(t.Context(), forward()), "division/440100 layer-unavailable")
	e.Load([]bus.Layer{layerOf(t, city, 3, "masks := {}")})
	if d := e.Decide(t.Context(), forward()); !d.Allow {
		t.Errorf("denied for %q", codes(d))
	}
}

func TestOfALayerListedTwiceTheNewerHolds(t *testing.T) {
	newer, older := layerOf(t, city, 2, deny("two", "true")), layerOf(t, city, 1, deny("one", "true"))
	for _, layers := range [][]bus.Layer{{newer, older}, {older, newer}} {
		wantDenied(t, newEngine(t, layers...).Decide(t.Context(), forward()), "division/440100 two")
	}
}

func TestTestsAreNotNeededToLoad(t *testing.T) {
	l := layerOf(t, city, 1, deny("stop", "true"))
	l.Modules["rules_test.rego"] = "not even rego"
	wantDenied(t, newEngine(t, l).Decide(t.Context(), forward()), "division/440100 stop")
}

// While layers come and go, a decision sees all of one load or all of another.
func TestLoadSwapsInOneStep(t *testing.T) {
	const province = bus.LayerID("division/440000")
	generation := func(n bus.Revision) []bus.Layer {
		return []bus.Layer{layerOf(t, city, n, "masks := {}"), layerOf(t, province, n, "masks := {}")}
	}
	e := newEngine(t, generation(1)...)
	stop := make(chan struct{})
	var deciding sync.WaitGroup
	for range 4 {
		deciding.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if d := e.Decide(t.Context(), forward()); !d.Allow || d.Layers[city] != d.Layers[province] {
					t.Errorf("decision = allow %v for %q under %v", d.Allow, codes(d), d.Layers)
					return
				}
				e.Status()
			}
		})
	}
	for n := bus.Revision(2); n < 20; n++ {
		e.Load(generation(n))
	}
	close(stop)
	deciding.Wait()
	if d := e.Decide(t.Context(), forward()); d.Layers[city] != 19 {
		t.Errorf("layers = %v, want the last load", d.Layers)
	}
}

func TestCheckLeavesTheEngineAlone(t *testing.T) {
	e := newEngine(t)
	checked(t, e, deny("stop", "true"))
	if d := e.Decide(t.Context(), forward()); !d.Allow || len(e.Status()) != 1 {
		t.Errorf("decision = allow %v for %q; status %v", d.Allow, codes(d), e.Status())
	}
}
