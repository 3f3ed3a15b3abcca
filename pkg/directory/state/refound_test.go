package state_test

import (
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func refounding() state.Refounding {
	return state.Refounding{
		Cluster: "gd-2", CA: "new pem", Node: with(node("gz", "440100"), func(n *bus.Node) { n.EvidenceKey = "gz+11111111+BBBB" }),
		Passwords: map[string]string{"sysadmin": "$new1", "security": "$new2"}, Reason: "restored",
	}
}

// What was taken back since the backup must not come to life with it.
func TestARestoredDirectoryLetsNothingPass(t *testing.T) {
	w := newWorld(t)
	w.must(bySecurity, command.GrantPut, 0, grant("g2"))
	w.must(byMarket, command.GrantRevoke, 0, command.Revoke{Grant: "g2", Reason: "ended"})
	w.must(byGZ, command.CheckpointPut, 0, checkpoint("gz", 5, 1))
	w.must(byTH, command.CheckpointPut, 0, checkpoint("th", 5, 1))
	before, _ := w.store.Applied()

	done, err := w.store.Refound(refounding())
	if err != nil {
		t.Fatal(err)
	}
	if done.Index < before+1<<20 || done.Epoch != 1 || !slices.Equal(done.Suspended, []bus.GrantID{"g1"}) || len(done.Systems) != 3 ||
		!slices.Equal(done.Retired, []bus.NodeID{"th"}) || done.Tokens != 1 || len(done.Unserved) != 0 {
		t.Errorf("%+v", done)
	}
	w.view(func(tx *state.Tx) {
		if id, ca := tx.Cluster(); id != "gd-2" || ca != "new pem" || tx.Epoch() != 1 || tx.Index() != done.Index {
			t.Errorf("cluster %s, epoch %d, index %d", id, tx.Epoch(), tx.Index())
		}
		if g, _ := tx.Grant("g1"); g.Suspended != "restored" || g.Revision != done.Index {
			t.Errorf("a grant that stood: %+v", g)
		}
		if g, _ := tx.Grant("g2"); g.Suspended != "" || g.Revoked != "ended" {
			t.Errorf("a revoked grant: %+v", g)
		}
		for s := range tx.Systems() {
			if s.SecretHash != nil {
				t.Errorf("the credential of %s is still good", s.ID)
			}
		}
		for name, want := range map[string]string{"sysadmin": "$new1", "security": "$new2", "auditor": ""} {
			if a, _ := tx.Account(name); a.PasswordHash != want || !a.MustChange {
				t.Errorf("account %+v", a)
			}
		}
		nodes := slices.Collect(tx.Nodes())
		if len(nodes) != 1 || !nodes[0].Voter || !nodes[0].CA || nodes[0].EvidenceKey != "gz+11111111+BBBB" || nodes[0].Revision != done.Index {
			t.Errorf("nodes %+v", nodes)
		}
		if _, ok := tx.Checkpoint("gz"); ok {
			t.Error("the checkpoint of the log's old name is still there")
		}
		if _, ok := tx.Checkpoint("th"); !ok {
			t.Error("what is known of another node's log is gone")
		}
		// All three are of the retired node's division, below that of the one left.
		for d := range tx.Departments() {
			if m := d.Move; d.Node != "th" || m == nil || m.To != "gz" || !m.Abandon || m.Epoch != done.Index {
				t.Errorf("a retired node's department: %+v, %+v", d, m)
			}
		}
	})
	w.index = uint64(done.Index)
	w.must(byGZ, command.DepartmentMoved, 0, command.Moved{Department: tax, Epoch: done.Index})
	w.view(func(tx *state.Tx) {
		d, _ := tx.Department(tax)
		if home, _ := tx.Home(d); home != "gz" || d.Base() == 0 {
			t.Errorf("once it has moved: %+v", d)
		}
	})
	checkRefusals(t, w, []refusal{
		{"an invitation of before", ask{by: byGZ, typ: command.NodeJoin, body: join("t-new", "new", key)}, bus.CodeTokenRefused, ""},
		{"a retired node's write", ask{by: byTH, typ: command.CheckpointPut, body: checkpoint("th", 9, 1)}, bus.CodeNotFound, "node"},
		{"a retired node's id", ask{by: bySysadmin, typ: command.TokenCreate, body: token("t-th2", "th")}, bus.CodeInvalid, "node"},
	})
}

func TestOnlyASecurityAdministratorLiftsASuspension(t *testing.T) {
	w := newWorld(t)
	done, err := w.store.Refound(refounding())
	if err != nil {
		t.Fatal(err)
	}
	w.index = uint64(done.Index)
	w.must(bySecurity, command.GrantPut, 0, grant("g2")) // made since: it stands
	confirm := func(ids ...bus.GrantID) ask {
		return ask{by: bySecurity, typ: command.GrantConfirm, body: command.Confirm{Grants: ids}}
	}
	w.must(bySecurity, command.GrantPut, done.Index, with(grant("g1"), func(g *bus.Grant) { g.Purposes = []bus.Purpose{bus.PurposeVerification} }))
	w.view(func(tx *state.Tx) {
		if g, _ := tx.Grant("g1"); g.Suspended != "restored" {
			t.Error("its provider lifted the suspension by a change")
		}
		if g, _ := tx.Grant("g2"); g.Suspended != "" {
			t.Error("a new grant is suspended")
		}
	})
	w.must(bySecurity, command.GrantPut, 0, grant("g3"))
	w.must(byMarket, command.GrantRevoke, 0, command.Revoke{Grant: "g3", Reason: "ended"})
	checkRefusals(t, w, []refusal{
		{"none", confirm(), bus.CodeInvalid, "grants"},
		{"one that is not there, one revoked, one good", confirm("g1", "g9", "g3"), bus.CodeInvalid, "grants[1] grants[2]"},
	})
	at := w.must(bySecurity, command.GrantConfirm, 0, command.Confirm{Grants: []bus.GrantID{"g1", "g2", "g1"}})
	w.view(func(tx *state.Tx) {
		if g, _ := tx.Grant("g1"); g.Suspended != "" || g.Revision != at {
			t.Errorf("after the confirmation: %+v", g)
		}
		if g, _ := tx.Grant("g2"); g.Revision == at {
			t.Error("a grant that stood was written")
		}
	})
	w.must(bySecurity, command.GrantConfirm, 0, command.Confirm{Grants: []bus.GrantID{"g1"}}) // again
}

func TestRefoundIsAllOrNothing(t *testing.T) {
	w := newWorld(t)
	before := w.hash()
	if _, err := w.store.Refound(with(refounding(), func(r *state.Refounding) { r.Node.ID = "ghost" })); bus.CodeOf(err) != bus.CodeNotFound {
		t.Errorf("as a node that is not there: %v", err)
	}
	if w.hash() != before {
		t.Error("something was changed")
	}
}

func TestARefoundedDirectoryIsRefoundedAgain(t *testing.T) {
	w := newWorld(t)
	first, err := w.store.Refound(refounding())
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.store.Refound(refounding())
	if err != nil || second.Epoch != 2 || second.Index <= first.Index || len(second.Retired) != 0 {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestLeapMovesTheIndexOnly(t *testing.T) {
	w := newWorld(t)
	before := w.contents()
	to, err := w.store.Leap()
	if err != nil || uint64(to) < w.index+1<<20 {
		t.Fatalf("to %d, %v", to, err)
	}
	for k, v := range w.contents() {
		if before[k] != v && k != "meta/changes-floor" { // who follows begins anew
			t.Errorf("%s is another", k)
		}
	}
	w.index = uint64(to)
	w.must(byGZ, command.Tick, 0, command.Empty{})
}
