package server

import (
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestStandingTellsWhoLagsAndWhoCannotCompile(t *testing.T) {
	own := []client.LayerState{{ID: bus.BaseLayer, Digest: "b"}, {ID: "division/440100", Revision: 7, Digest: "x"}}
	inForce := map[bus.LayerID]bus.Revision{"division/440100": 7}
	for _, c := range []struct {
		name string
		runs client.LayerState
		want client.LayerStanding
	}{
		{"as in force", client.LayerState{ID: "division/440100", Revision: 7, Digest: "x"}, client.LayerCurrent},
		{"a directory that is ahead", client.LayerState{ID: "division/440100", Revision: 8, Digest: "y"}, client.LayerCurrent},
		{"an older revision", client.LayerState{ID: "division/440100", Revision: 6, Digest: "w"}, client.LayerBehind},
		{"a layer that was removed", client.LayerState{ID: "division/440300", Revision: 5, Digest: "r"}, client.LayerBehind},
		{"it does not compile", client.LayerState{ID: "division/440100", Revision: 7, Digest: "x", Problem: "parse-error"}, client.LayerBroken},
		{"another text of the revision", client.LayerState{ID: "division/440100", Revision: 7, Digest: "z"}, client.LayerForeign},
		{"base", client.LayerState{ID: bus.BaseLayer, Digest: "b"}, client.LayerCurrent},
		{"base of another release", client.LayerState{ID: bus.BaseLayer, Digest: "c"}, client.LayerForeign},
	} {
		all := standing([]client.LayerState{c.runs}, inForce, own)
		at := slices.IndexFunc(all, func(l client.LayerState) bool { return l.ID == c.runs.ID })
		if at < 0 || all[at].Standing != c.want {
			t.Errorf("%s: %+v, want %s", c.name, all, c.want)
		}
	}
	all := standing([]client.LayerState{{ID: bus.BaseLayer, Digest: "b"}}, inForce, own)
	if len(all) != 2 || all[0].ID != bus.BaseLayer || all[1].Standing != client.LayerBehind || all[1].Revision != 0 || all[1].InForce != 7 {
		t.Errorf("a node without the layer: %+v", all)
	}
}
