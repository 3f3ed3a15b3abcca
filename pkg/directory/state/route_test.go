package state_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// found makes the directory of a cluster whose first node is gd, the province's
// or another's.
func found(t testing.TB, division bus.DivisionCode) *replica {
	t.Helper()
	r := newReplica(t)
	r.must(bus.Principal{Node: "gd"}, command.ClusterInit, 0, command.Init{
		Cluster: "gx", CA: "pem", Node: node("gd", division), Divisions: bus.Guangdong(),
		Accounts: []bus.Account{{Name: "sysadmin", Role: bus.RoleSystemAdministrator}},
	})
	return r
}

// tryJoin has a node join that does not vote; without an address where relayed.
func (r *replica) tryJoin(id bus.NodeID, division bus.DivisionCode, relayed bool) state.Result {
	r.t.Helper()
	k := token(bus.TokenID("t-"+string(id)), id)
	k.Division, k.Voter = division, false
	r.must(bySysadmin, command.TokenCreate, 0, k)
	j := join(k.ID, id, key)
	j.Node = node(id, division)
	if relayed {
		j.Node.PeerAddress = ""
	}
	return r.ask(ask{by: bus.Principal{Node: "gd"}, typ: command.NodeJoin, body: j})
}

func (r *replica) join(id bus.NodeID, division bus.DivisionCode, relayed bool) {
	r.t.Helper()
	if err := r.tryJoin(id, division, relayed).Err(); err != nil {
		r.t.Fatalf("join %s: %v", id, err)
	}
}

func TestWaysFollowTheDivisions(t *testing.T) {
	r := found(t, "440000")
	r.join("gd-2", "440000", false)
	r.join("gz", "440100", false)
	r.join("gz-2", "440100", false)
	r.join("sz", "440300", true) // the city itself takes no connections
	r.join("sz-2", "440300", false)
	r.join("th", "440106", true)
	r.join("th-2", "440106", true)
	r.join("ns", "440305", true)
	r.join("zx", "442000", false) // a city without counties
	r.view(func(tx *state.Tx) {
		for id, want := range map[bus.NodeID]bus.NodeID{
			"gd": "", "gd-2": "gd", "gz": "gd", "gz-2": "gz", "sz": "gd", "th": "gz", "zx": "gd", "nobody": "",
			"th-2": "gz", // its division's first node takes no connections
			"sz-2": "gd", // likewise
			"ns":   "gd", // likewise its city's
		} {
			if parent, _ := tx.Parent(id); parent != want {
				t.Errorf("parent of %s: %q, want %q", id, parent, want)
			}
		}
		for _, way := range []struct{ from, to, next bus.NodeID }{
			{"th", "ns", "gz"}, {"gz", "ns", "gd"}, {"gd", "ns", "ns"}, // up and down
			{"ns", "th", "gd"}, {"gd", "th", "gz"}, {"gz", "th", "th"}, // and back
			{"th", "th-2", "gz"}, {"th", "gz", "gz"}, {"gz-2", "th", "gz"}, {"gd-2", "th", "gd"},
			{"th", "th", ""}, {"th", "nobody", ""}, {"nobody", "th", ""},
		} {
			if next, _ := tx.Next(way.from, way.to); next != way.next {
				t.Errorf("from %s to %s by %q, want %q", way.from, way.to, next, way.next)
			}
		}
	})
}

func TestARelayedNodeNeedsANodeAbove(t *testing.T) {
	r := found(t, "440100")
	if got := r.tryJoin("sz", "440300", true); bus.CodeOf(got.Err()) != bus.CodeInvalid || fields(got)[0] != "peer_address" {
		t.Errorf("nobody above: %v", got.Err())
	}
	r.join("sz-2", "440300", false)
	r.join("sz-3", "440300", true) // beside the first of its division
	r.join("gz-2", "440100", true)
	put := ask{by: bus.Principal{Node: "gd"}, typ: command.NodePut, expect: 1, body: with(node("gd", "440100"), func(n *bus.Node) { n.PeerAddress = "" })}
	if got := r.ask(put); bus.CodeOf(got.Err()) != bus.CodeInvalid || fields(got)[0] != "peer_address" {
		t.Errorf("the top gives up its address: %v", got.Err())
	}
}

// From any node to any other the steps end there, within eight relays, or both
// ends agree that there is no way.
func TestWaysEndWhereTheyLead(t *testing.T) {
	divisions := bus.Guangdong()
	rapid.Check(t, func(rt *rapid.T) {
		r := found(t, rapid.SampledFrom(divisions).Draw(rt, "first").Code)
		ids := []bus.NodeID{"gd"}
		for i := range rapid.IntRange(1, 12).Draw(rt, "nodes") {
			id := bus.NodeID(fmt.Sprint("n", i))
			division := rapid.SampledFrom(divisions[:30]).Draw(rt, "division").Code
			if r.tryJoin(id, division, rapid.Bool().Draw(rt, "relayed")).Err() == nil {
				ids = append(ids, id)
			}
		}
		r.view(func(tx *state.Tx) {
			for _, from := range ids {
				for _, to := range ids {
					steps, there := walk(rt, tx, from, to)
					if back, too := walk(rt, tx, to, from); there != too || there && back != steps {
						rt.Fatalf("%s to %s: %d steps, %v; back: %d, %v", from, to, steps, there, back, too)
					}
				}
			}
		})
	})
}

func walk(rt *rapid.T, tx *state.Tx, from, to bus.NodeID) (steps int, there bool) {
	for at := from; at != to; steps++ {
		next, ok := tx.Next(at, to)
		if !ok {
			return steps, false
		}
		if n, _ := tx.Node(next); n.Relayed() && next != to {
			rt.Fatalf("%s to %s leads through %s, which takes no connections", from, to, next)
		}
		if at = next; steps > 8 {
			rt.Fatalf("%s to %s takes more than eight relays", from, to)
		}
	}
	return steps, true
}
