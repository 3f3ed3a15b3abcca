package state_test

import (
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// S24.
func TestNodePlace(t *testing.T) {
	w := newWorld(t) // gz is not meant to vote there, th is
	place := func(by bus.Principal, expect bus.Revision, n bus.NodeID, voter bool) ask {
		return ask{by: by, typ: command.NodePlace, expect: expect, body: command.Place{Node: n, Voter: voter}}
	}
	checkRefusals(t, w, []refusal{
		{"by the node", place(byTH, w.revision["th"], "th", true), bus.CodeForbidden, ""},
		{"by the security administrator", place(bySecurity, w.revision["th"], "th", true), bus.CodeForbidden, ""},
		{"by a system", place(byMarket, w.revision["th"], "th", true), bus.CodeForbidden, ""},
		{"no such node", place(bySysadmin, 1, "nowhere", true), bus.CodeNotFound, "node"},
		{"another revision", place(bySysadmin, 99, "th", true), bus.CodeRevision, "node"},
		{"the last voter", place(bySysadmin, w.revision["th"], "th", false), bus.CodeQuorum, "node"},
	})
	w.must(bySysadmin, command.NodePlace, w.revision["gz"], command.Place{Node: "gz", Voter: true, Draining: true})
	w.must(bySysadmin, command.NodePlace, w.revision["th"], command.Place{Node: "th"})
	w.view(func(tx *state.Tx) {
		if n, _ := tx.Node("gz"); !n.Voter || !n.Draining || n.Votes() {
			t.Errorf("gz is meant to be %+v", n)
		}
		if n, _ := tx.Node("th"); n.Voter || n.Draining {
			t.Errorf("th is meant to be %+v", n)
		}
	})
}

func TestADrainedNodeTakesOnNothingNew(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.NodePlace, w.revision["th"], command.Place{Node: "th", Voter: true, Draining: true})
	put := func(id bus.USCC, expect bus.Revision, change func(*bus.Department)) ask {
		return ask{by: bySysadmin, typ: command.DepartmentPut, expect: expect, body: with(department(id), change)}
	}
	const fourth bus.USCC = "11441300007188069T"
	checkRefusals(t, w, []refusal{
		{"a new one of its division", put(fourth, 0, func(*bus.Department) {}), bus.CodeInvalid, "node"},
		{"a new one by name", put(fourth, 0, func(d *bus.Department) { d.Division, d.Node = "440100", "th" }), bus.CodeInvalid, "node"},
		{"one that moves", ask{by: bySysadmin, typ: command.DepartmentMove, body: command.Move{Department: tax, To: "th"}}, bus.CodeInvalid, "to to"},
		{"one more division", ask{by: bySysadmin, typ: command.DivisionAssign, body: command.Assign{Division: "440000", Node: "th"}}, bus.CodeInvalid, "node"},
	})
	w.must(bySysadmin, command.DepartmentPut, w.revision[string(market)], with(department(market), func(d *bus.Department) { d.Name = "改名" })) // what it has it keeps
	w.must(bySysadmin, command.DepartmentPut, 0, with(department(fourth), func(d *bus.Department) { d.Node = "gz" }))
}

// S24, S25.
func TestNodeRemove(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.TokenCreate, 0, with(token("t-sz", "sz"), func(k *bus.Token) { k.Division, k.Voter = "440000", false }))
	w.must(bySysadmin, command.TokenCreate, 0, with(token("t-sz-2", "sz"), func(k *bus.Token) { k.Division = "440000" }))
	sz := join("t-sz", "sz", secret)
	sz.Node = node("sz", "440000")
	revision := w.must(byGZ, command.NodeJoin, 0, sz)
	remove := func(by bus.Principal, id bus.NodeID, expect bus.Revision) ask {
		return ask{by: by, typ: command.NodeRemove, expect: expect, body: command.Key{ID: string(id)}}
	}
	checkRefusals(t, w, []refusal{
		{"by itself", remove(bus.Principal{Node: "sz"}, "sz", revision), bus.CodeForbidden, ""},
		{"by the auditor", remove(byAuditor, "sz", revision), bus.CodeForbidden, ""},
		{"no such node", remove(bySysadmin, "nowhere", revision), bus.CodeNotFound, "node"},
		{"another revision", remove(bySysadmin, "sz", 3), bus.CodeRevision, "node"},
		{"one that votes and serves departments", remove(bySysadmin, "th", w.revision["th"]), bus.CodeInUse, "departments voter"},
	})
	w.must(bySysadmin, command.NodeRemove, revision, command.Key{ID: "sz"})
	w.view(func(tx *state.Tx) {
		if _, ok := tx.Node("sz"); ok || !tx.Removed("sz") || tx.Removed("th") || len(tx.Serves("sz")) != 0 {
			t.Error("sz was not removed whole")
		}
	})
	checkRefusals(t, w, []refusal{
		{"it joins again", ask{by: byGZ, typ: command.NodeJoin, body: sz}, bus.CodeNodeRemoved, "node"},
		{"it joins with another token and key", ask{by: byGZ, typ: command.NodeJoin, body: with(sz, func(j *command.Join) { j.Token, j.KeyHash = "t-sz-2", key })}, bus.CodeNodeRemoved, "node"},
		{"a token for its id", ask{by: bySysadmin, typ: command.TokenCreate, body: token("t-2", "sz")}, bus.CodeInvalid, "node"},
		{"its key under another id", ask{by: byGZ, typ: command.NodeJoin, body: join("t-new", "new", secret)}, bus.CodeNodeRemoved, "node"},
		{"it is placed", ask{by: bySysadmin, typ: command.NodePlace, expect: revision, body: command.Place{Node: "sz", Voter: true}}, bus.CodeNotFound, "node"},
		{"its checkpoint", ask{by: bus.Principal{Node: "sz"}, typ: command.CheckpointPut, body: checkpoint("sz", 1, 1)}, bus.CodeNotFound, "node"},
	})
}

func TestANodeThatIsNeededToRelayIsNotRemoved(t *testing.T) {
	w := newWorld(t)
	relayed := join("t-new", "new", key)
	relayed.Node.PeerAddress = ""
	w.must(bySysadmin, command.TokenCreate, 0, with(token("t-re", "re"), func(k *bus.Token) { k.Voter = false }))
	relayed.Token, relayed.Node.ID, relayed.Node.APIAddress = "t-re", "re", "re.example:7443"
	revision := w.must(byGZ, command.NodeJoin, 0, relayed) // by th, its division's, else by gz, its city's
	checkRefusals(t, w, []refusal{
		{"a relayed node votes", ask{by: bySysadmin, typ: command.NodePlace, expect: revision, body: command.Place{Node: "re", Voter: true}}, bus.CodeInvalid, "peer_address"},
	})
	w.must(bySysadmin, command.NodeRemove, w.revision["gz"], command.Key{ID: "gz"}) // th is left
	w.view(func(tx *state.Tx) {
		names := []string{}
		for _, d := range tx.Bound("th") {
			names = append(names, d.Field)
		}
		if !slices.Contains(names, "relay") {
			t.Errorf("th is bound by %v only", names)
		}
	})
}

func TestTheHolderOfTheSigningKeyIsNotRemoved(t *testing.T) {
	r := newReplica(t)
	first := founding()[0]
	init := first.body.(command.Init)
	init.Node.CA = true
	first.body = init
	if err := r.ask(first).Err(); err != nil {
		t.Fatal(err)
	}
	result := r.ask(ask{by: bySysadmin, typ: command.NodeRemove, expect: 1, body: command.Key{ID: "gz"}})
	if got := fields(result); result.Refusal == nil || result.Refusal.Code != bus.CodeInUse || !slices.Contains(got, "ca") {
		t.Errorf("removed: %+v, %v", result, got)
	}
}

// A join that is repeated gives back nothing that was taken since.
func TestARepeatedJoinRestoresNoPlace(t *testing.T) {
	w := newWorld(t)
	w.must(byGZ, command.NodeJoin, 0, join("t-new", "new", key))
	w.view(func(tx *state.Tx) {
		if n, _ := tx.Node("new"); !n.Voter || string(n.Key) != string(key) {
			t.Errorf("joined as %+v", n)
		}
	})
	var revision bus.Revision
	w.view(func(tx *state.Tx) { n, _ := tx.Node("new"); revision = n.Revision })
	w.must(bySysadmin, command.NodePlace, revision, command.Place{Node: "new", Draining: true})
	w.must(byGZ, command.NodeJoin, 0, join("t-new", "new", key))
	w.view(func(tx *state.Tx) {
		if n, _ := tx.Node("new"); n.Voter || !n.Draining {
			t.Errorf("it is meant to be %+v", n)
		}
	})
}

func TestANodeServesSeveralDivisions(t *testing.T) {
	w := newWorld(t)
	assign := func(by bus.Principal, division bus.DivisionCode, n bus.NodeID) ask {
		return ask{by: by, typ: command.DivisionAssign, body: command.Assign{Division: division, Node: n}}
	}
	provincial := with(department("11441300007188069T"), func(d *bus.Department) { d.Division = "440000" })
	checkRefusals(t, w, []refusal{
		{"by the node", assign(byTH, "440000", "th"), bus.CodeForbidden, ""},
		{"neither is there", assign(bySysadmin, "990000", "nowhere"), bus.CodeInvalid, "division node"},
		{"one that has a node", assign(bySysadmin, "440106", "gz"), bus.CodeExists, "division"},
	})
	w.must(bySysadmin, command.DivisionAssign, 0, command.Assign{Division: "440000", Node: "th"})
	w.must(bySysadmin, command.DepartmentPut, 0, provincial)
	w.view(func(tx *state.Tx) {
		if got := tx.Serves("th"); !slices.Equal(got, []bus.DivisionCode{"440000", "440106"}) {
			t.Errorf("th serves %v", got)
		}
		if home, _ := tx.Home(provincial); home != "th" {
			t.Errorf("a department of the province is served by %q", home)
		}
	})
}

// What a division's departments had before it was assigned they keep.
func TestAssigningADivisionMovesNoDepartment(t *testing.T) {
	r := newReplica(t)
	for _, a := range founding()[:1] {
		if err := r.ask(a).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r.must(bySysadmin, command.TokenCreate, 0, with(token("t-sz", "sz"), func(k *bus.Token) { k.Division = "440000" }))
	sz := join("t-sz", "sz", key)
	sz.Node = node("sz", "440000")
	r.must(byGZ, command.NodeJoin, 0, sz)
	r.must(bySysadmin, command.DepartmentPut, 0, department(market)) // of the county, served by the city's gz
	r.must(bySysadmin, command.DivisionAssign, 0, command.Assign{Division: "440106", Node: "sz"})
	r.must(bySysadmin, command.DepartmentPut, 0, department(tax))
	r.view(func(tx *state.Tx) {
		for id, want := range map[bus.USCC]bus.NodeID{market: "gz", tax: "sz"} {
			d, _ := tx.Department(id)
			if home, _ := tx.Home(d); home != want {
				t.Errorf("%s is served by %s, want %s", id, home, want)
			}
		}
	})
}
