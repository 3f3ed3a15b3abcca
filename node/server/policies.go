package server

import (
	"cmp"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// layersInForce are the revisions of the policy layers in this node's directory.
func (s *Server) layersInForce() (map[bus.LayerID]bus.Revision, error) {
	inForce := map[bus.LayerID]bus.Revision{}
	err := s.state.View(func(tx *state.Tx) error {
		for l := range tx.Layers() {
			inForce[l.ID] = l.Revision
		}
		return nil
	})
	return inForce, err
}

// standing compares the layers that a node runs with those in force, and with those
// that this node runs: of one revision there is one text. A layer that the node
// should run and does not is listed with revision 0.
func standing(runs []client.LayerState, inForce map[bus.LayerID]bus.Revision, own []client.LayerState) []client.LayerState {
	texts := map[bus.LayerID]client.LayerState{}
	for _, l := range own {
		texts[l.ID] = l
	}
	var all []client.LayerState
	seen := map[bus.LayerID]bool{}
	for _, l := range runs {
		seen[l.ID], l.InForce = true, inForce[l.ID]
		mine, have := texts[l.ID]
		switch {
		case l.Problem != "":
			l.Standing = client.LayerBroken
		case l.Revision < l.InForce || l.InForce == 0 && l.ID != bus.BaseLayer: // one that is ahead has a newer directory
			l.Standing = client.LayerBehind
		case have && mine.Revision == l.Revision && mine.Digest != l.Digest:
			l.Standing = client.LayerForeign
		default:
			l.Standing = client.LayerCurrent
		}
		all = append(all, l)
	}
	for id, revision := range inForce {
		if !seen[id] {
			all = append(all, client.LayerState{ID: id, InForce: revision, Standing: client.LayerBehind})
		}
	}
	slices.SortFunc(all, func(a, b client.LayerState) int {
		return cmp.Or(rank(a.ID)-rank(b.ID), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// rank puts base first.
func rank(id bus.LayerID) int {
	if id == bus.BaseLayer {
		return 0
	}
	return 1
}
