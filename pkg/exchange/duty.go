package exchange

import "github.com/gxbus/gxbus/pkg/bus"

// duty is what a node has to do next for a department that moves, has moved or
// did not after all.
type duty int

const (
	toRest     duty = iota
	toSeal          // the old node: take no more steps
	toTally         // the old node: count and digest
	toUnseal        // the old node, after an abort
	toDisown        // a node that was abandoned: keep the data, never serve it
	toPrepare       // the new node: find out what comes
	toClear         // the new node: delete what is left of an earlier stay
	toFetch         // the new node: copy rows
	toSettle        // the new node: look at its disk, and make the department its own
	toAnnounce      // the new node: tell the directory
	toTidy          // the new node, once the directory knows: forget the list of what came
	toDiscard       // delete what another node serves now, or goes on serving
)

// dutyOf tells a node's duty from what the directory says of a department at an
// index and what the node holds of it. home is the node that serves it.
func dutyOf(self bus.NodeID, index bus.Revision, d bus.Department, home bus.NodeID, h holding) duty {
	if d.Revision == 0 || index < max(h.Move, h.Epoch) {
		return toRest // a replica that is built anew passes through times before the move
	}
	m := d.Move
	under := m != nil && m.Epoch == h.Move
	switch h.State {
	case sealed:
		switch {
		case under && h.Counted == nil:
			return toTally
		case under:
			return toRest
		case d.Epoch == h.Epoch && home == self:
			return toUnseal
		case d.Epoch == h.Move, d.Epoch > h.Epoch && d.Abandoned == h.Abandoned: // the move has ended; another may have since
			return toDiscard
		default:
			return toDisown
		}
	case importing:
		switch {
		case !under:
			return toDiscard
		case !h.Cleared:
			return toClear
		case !h.At.end():
			return toFetch
		default:
			return toSettle
		}
	case discarding:
		return toDiscard
	case gone:
		if m != nil && m.To == self {
			return toPrepare
		}
		return toRest
	}
	switch {
	case m != nil && m.To == self && m.Epoch == h.Epoch:
		return toAnnounce
	case h.Epoch > d.Epoch, h.Contents != nil && h.Epoch < d.Epoch && h.Abandoned == d.Abandoned:
		// It came, and the move was aborted; another may have ended since. Not so where an
		// abandonment may have taken from this node what it had served.
		return toDiscard
	case m != nil && m.To == self:
		return toPrepare
	case m != nil && m.From == self && !m.Abandon && h.Epoch == d.Epoch:
		return toSeal
	case h.Contents != nil && h.Epoch == d.Epoch:
		return toTidy
	default:
		return toRest
	}
}
