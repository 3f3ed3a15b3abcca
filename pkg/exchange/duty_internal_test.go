package exchange

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

// What a node does next follows from the directory and its own disk alone, so
// that a node that died goes on where it was.
func TestDutyOfANodeInAMove(t *testing.T) {
	const old, other, far = bus.NodeID("old"), bus.NodeID("new"), bus.NodeID("far")
	list := &contents{}
	end := position{Part: partEnd}
	at := func(node bus.NodeID, epoch bus.Revision, move *bus.Move) bus.Department {
		return bus.Department{ID: "d", Node: node, Epoch: epoch, Revision: 1, Move: move}
	}
	abandoned := func(node bus.NodeID, epoch bus.Revision) bus.Department {
		d := at(node, epoch, nil)
		d.Abandoned = 1
		return d
	}
	ordinary := func(epoch bus.Revision) *bus.Move { return &bus.Move{From: old, To: other, Epoch: epoch} }
	abandon := func(epoch bus.Revision) *bus.Move {
		return &bus.Move{From: old, To: other, Epoch: epoch, Abandon: true}
	}
	for _, c := range []struct {
		name string
		self bus.NodeID
		d    bus.Department
		h    holding
		want duty
	}{
		{"nothing moves", old, at(old, 0, nil), holding{}, toRest},
		{"the old node seals", old, at(old, 0, ordinary(7)), holding{}, toSeal},
		{"and counts", old, at(old, 0, ordinary(7)), holding{State: sealed, Move: 7, Contents: list}, toTally},
		{"and waits", old, at(old, 0, ordinary(7)), holding{State: sealed, Move: 7, Counted: &counted{}}, toRest},
		{"and deletes once it is over", old, at(other, 7, nil), holding{State: sealed, Move: 7}, toDiscard},
		{"or goes on after an abort", old, at(old, 0, nil), holding{State: sealed, Move: 7}, toUnseal},
		{"also where the next move waits", old, at(old, 0, ordinary(9)), holding{State: sealed, Move: 7}, toUnseal},
		{"also where the next one is over too", old, at(far, 9, nil), holding{State: sealed, Move: 7}, toDiscard},
		{"also where that brings it back", old, at(other, 7, &bus.Move{From: other, To: old, Epoch: 9}), holding{State: sealed, Move: 7}, toDiscard},
		{"or keeps what was abandoned", old, abandoned(other, 9), holding{State: sealed, Move: 7}, toDisown},
		{"and never serves it", old, at(other, 9, nil), holding{State: gone, Move: 7}, toRest},
		{"it does not seal what is abandoned", old, at(old, 0, abandon(7)), holding{}, toRest},
		{"nor delete it", old, at(other, 7, nil), holding{}, toRest},
		{"a replica built anew is before the move", old, at(old, 0, nil), holding{State: sealed, Move: 11}, toRest},
		{"and before the one that brought it", old, at(old, 0, nil), holding{Epoch: 11}, toRest},

		{"a third node does nothing", far, at(old, 0, ordinary(7)), holding{}, toRest},
		{"the new node asks", other, at(old, 0, ordinary(7)), holding{}, toPrepare},
		{"also where it was before", other, at(old, 5, ordinary(7)), holding{State: gone, Move: 5}, toPrepare},
		{"also where its data was abandoned", other, at(old, 5, ordinary(7)), holding{}, toPrepare},
		{"and clears", other, at(old, 0, ordinary(7)), holding{State: importing, Move: 7}, toClear},
		{"and fetches", other, at(old, 0, ordinary(7)), holding{State: importing, Move: 7, Cleared: true}, toFetch},
		{"and looks", other, at(old, 0, ordinary(7)), holding{State: importing, Move: 7, Cleared: true, At: end}, toSettle},
		{"and tells", other, at(old, 0, ordinary(7)), holding{Epoch: 7, Contents: list}, toAnnounce},
		{"and tidies", other, at(other, 7, nil), holding{Epoch: 7, Contents: list}, toTidy},
		{"and serves", other, at(other, 7, nil), holding{Epoch: 7}, toRest},
		{"and seals when it moves on", other, at(other, 7, &bus.Move{From: other, To: far, Epoch: 9}), holding{Epoch: 7}, toSeal},
		{"an abort while it fetches", other, at(old, 0, nil), holding{State: importing, Move: 7, Cleared: true}, toDiscard},
		{"an abort after all had come", other, at(old, 0, nil), holding{Epoch: 7, Contents: list}, toDiscard},
		{"the same with another move behind it", other, at(old, 0, ordinary(9)), holding{Epoch: 7, Contents: list}, toDiscard},
		{"and where that has ended elsewhere", other, at(far, 9, nil), holding{Epoch: 7, Contents: list}, toDiscard},
		{"and before it asks anew", other, at(far, 9, &bus.Move{From: far, To: other, Epoch: 10}), holding{Epoch: 7, Contents: list}, toDiscard},
		{"it may have served what is abandoned since", other, abandoned(far, 9), holding{Epoch: 7, Contents: list}, toRest},
		{"an abandonment takes the place of a move", other, at(old, 0, abandon(9)), holding{State: importing, Move: 7}, toDiscard},
		{"deleting is finished first", other, at(old, 0, ordinary(9)), holding{State: discarding, Move: 7}, toDiscard},
		{"a department that is deleted", other, bus.Department{}, holding{Epoch: 7}, toRest},
	} {
		home := c.d.Node
		if got := dutyOf(c.self, 10, c.d, home, c.h); got != c.want {
			t.Errorf("%s: duty %d, want %d", c.name, got, c.want)
		}
	}
}

// A row that another node made up is refused before it is used as a place.
func TestRowsThatNobodyReadAreRefused(t *testing.T) {
	c := contents{Resources: []bus.ResourceID{"r"}, Cursors: []bus.SubscriptionID{"s"}, Inboxes: []inbox{{"i", "r"}}}
	for name, r := range map[string]row{
		"a part before the first":   {Part: -1},
		"a part after the last":     {Part: partEnd},
		"an item before the first":  {Part: partEvents, Item: -1},
		"an item after the last":    {Part: partEvents, Item: 1},
		"an event without a body":   {Part: partEvents, Key: sequenceKey(1)},
		"an event that was altered": {Part: partEvents, Key: sequenceKey(1), Value: stored{Event: []byte("x")}.encode()},
		"an event of no number":     {Part: partEvents, Value: stored{Digest: [32]byte{0xe3, 0xb0}}.encode()},
		"an arrival too short":      {Part: partArrivals, Value: make([]byte, keySize)},
		"an arrival of another":     {Part: partArrivals, Value: append(make([]byte, keySize+8), "q"...)},
		"a cursor too short":        {Part: partCursors, Value: []byte{1}},
		"an inbox of no number":     {Part: partInboxes, Key: []byte{1}},
	} {
		if c.check(r) == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
