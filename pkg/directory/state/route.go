package state

import (
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Parent returns the node above: it relays for the node, which keeps a
// connection with it. That is the node that serves its own division, where that
// is another; else the one that serves the nearest division above. A node that
// takes no connections is nobody's parent, and is passed over. ok is false at
// the top, and for a node that is not known.
//
// A parent is of a division further up, or the first of the same one, so that
// parents never form a circle.
func (t *Tx) Parent(id bus.NodeID) (parent bus.NodeID, ok bool) {
	node, _ := t.Node(id)
	return t.above(node)
}

// above is Parent for a node that need not be in the table yet, and as if some
// others were not.
func (t *Tx) above(node bus.Node, without ...bus.NodeID) (parent bus.NodeID, ok bool) {
	for _, code := range t.Chain(node.Division) {
		first, _ := t.Node(bus.NodeID(t.bytes(Homes, string(code))))
		if first.Division == code && first.ID != node.ID && !first.Relayed() && !slices.Contains(without, first.ID) {
			return first.ID, true
		}
	}
	return "", false
}

// Next returns the neighbour of a node that lies on the way to another: the
// child that the other is or lies below, else its parent. ok is false where the
// way ends: the other is not known, is the node itself, or both have no node
// above them in common.
func (t *Tx) Next(from, to bus.NodeID) (next bus.NodeID, ok bool) {
	if _, known := t.Node(to); !known || to == from {
		return "", false
	}
	for at := to; ; {
		parent, ok := t.Parent(at)
		if !ok {
			return t.Parent(from)
		}
		if parent == from {
			return at, true
		}
		at = parent
	}
}

// alone lists the defect of a node that takes no connections and has nobody to
// relay for it, were some others not there.
func alone(tx *Tx, node bus.Node, without ...bus.NodeID) []bus.Defect {
	if _, ok := tx.above(node, without...); ok || !node.Relayed() {
		return nil
	}
	return []bus.Defect{{
		Field:   "peer_address",
		Problem: bus.Text{ZH: "上级没有可转接的节点", EN: "there is no node above that could relay for it"},
		Allowed: "host:port; or none, once a node of the same division or of one above can be dialled",
	}}
}
