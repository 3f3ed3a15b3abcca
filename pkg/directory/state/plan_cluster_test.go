package state_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func TestInit(t *testing.T) {
	w := newWorld(t)
	w.view(func(tx *state.Tx) {
		if id, ca := tx.Cluster(); id != "gd" || ca != "pem" {
			t.Errorf("cluster %q, certificate %q", id, ca)
		}
		n, _ := tx.Node("gz")
		if n.Revision != 1 || !n.Joined.Equal(noon) {
			t.Errorf("the first node: %+v", n)
		}
		if a, _ := tx.Account("security"); a.Revision != 1 || a.Role != bus.RoleSecurityAdministrator {
			t.Errorf("the security administrator: %+v", a)
		}
		if d, ok := tx.Division("440106"); !ok || d.Parent != "440100" {
			t.Errorf("a county: %+v", d)
		}
	})
	again := founding()[0]
	checkRefusals(t, w, []refusal{{"a second time", again, bus.CodeAlreadyInitialized, ""}})

	for _, by := range []bus.Principal{{}, bySysadmin, byMarket, {Node: "gz", Account: "sysadmin"}} {
		a := again
		a.by = by
		if got := bus.CodeOf(newReplica(t).ask(a).Err()); got != bus.CodeForbidden {
			t.Errorf("by %+v: %q", by, got)
		}
	}
}

func TestTokenCreateRefusals(t *testing.T) {
	w := newWorld(t)
	create := func(change func(*bus.Token)) ask {
		return ask{by: bySysadmin, typ: command.TokenCreate, body: with(token("t2", "other"), change)}
	}
	checkRefusals(t, w, []refusal{
		{"bad ids", create(func(k *bus.Token) { k.ID, k.Node = "T 2", "" }), bus.CodeInvalid, "id node"},
		{"unknown division", create(func(k *bus.Token) { k.Division = "990000" }), bus.CodeInvalid, "division"},
		{"expired", create(func(k *bus.Token) { k.Expires = noon }), bus.CodeInvalid, "expires"},
		{"no secret", create(func(k *bus.Token) { k.SecretHash = nil }), bus.CodeInvalid, "secret_hash"},
		{"a node that is in", create(func(k *bus.Token) { k.Node = "th" }), bus.CodeExists, "node"},
		{"a token that is there", create(func(k *bus.Token) { k.ID = "t-new" }), bus.CodeExists, "id"},
	})
}

// S24.
func TestJoinRefusals(t *testing.T) {
	w := newWorld(t)
	redeem := func(change func(*command.Join)) ask {
		return ask{by: byGZ, typ: command.NodeJoin, body: with(join("t-new", "new", key), change)}
	}
	checkRefusals(t, w, []refusal{
		{"no such token", redeem(func(j *command.Join) { j.Token = "t-none" }), bus.CodeTokenRefused, ""},
		{"another secret", redeem(func(j *command.Join) { j.SecretHash = key }), bus.CodeTokenRefused, ""},
		{"no secret", redeem(func(j *command.Join) { j.SecretHash = nil }), bus.CodeTokenRefused, ""},
		{"no key", redeem(func(j *command.Join) { j.KeyHash = nil }), bus.CodeTokenRefused, ""},
		{"another node", redeem(func(j *command.Join) { j.Node.ID = "gz" }), bus.CodeTokenRefused, "node"},
		{"another division", redeem(func(j *command.Join) { j.Node.Division = "440100" }), bus.CodeTokenRefused, "node"},
		{"no addresses", redeem(func(j *command.Join) { j.Node.PeerAddress, j.Node.APIAddress = "x", "" }), bus.CodeInvalid, "api_address peer_address"},
		{"a voter that nobody can dial", redeem(func(j *command.Join) { j.Node.PeerAddress = "" }), bus.CodeInvalid, "peer_address"},
		{"addresses of another", redeem(func(j *command.Join) {
			j.Node.PeerAddress, j.Node.APIAddress = "gz.example:7300", "th.example:7443"
		}), bus.CodeInvalid, "api_address peer_address"},
		{"a token used with another key", ask{by: byTH, typ: command.NodeJoin, body: join("t-th", "th", secret)}, bus.CodeTokenRefused, ""},
	})
	w.now = noon.Add(time.Hour)
	checkRefusals(t, w, []refusal{
		{"late", redeem(func(*command.Join) {}), bus.CodeTokenRefused, ""},
		{"late, by who used it", ask{by: byGZ, typ: command.NodeJoin, body: join("t-th", "th", key)}, bus.CodeTokenRefused, ""},
	})
}

func TestJoinTakesFromTheTokenWhatTheNodeMayNotChoose(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(time.Hour - time.Nanosecond) // the last moment
	greedy := join("t-new", "new", key)
	greedy.Node.CA, greedy.Node.Voter, greedy.Node.Joined, greedy.Node.Revision = true, false, noon.Add(-time.Hour), 99
	revision := w.must(byGZ, command.NodeJoin, 0, greedy)
	w.view(func(tx *state.Tx) {
		n, _ := tx.Node("new")
		if n.CA || !n.Voter || !n.Joined.Equal(w.now) || n.Revision != revision {
			t.Errorf("joined as %+v", n)
		}
	})
}

// A join that was cut off half-way is finished by a repeat, by the same key only.
func TestJoinRepeatedByTheSameKey(t *testing.T) {
	w := newWorld(t)
	w.must(byGZ, command.NodeJoin, 0, join("t-new", "new", key))
	moved := join("t-new", "new", key)
	moved.Node.PeerAddress = "10.0.0.7:7300"
	w.must(byTH, command.NodeJoin, 0, moved)
	w.view(func(tx *state.Tx) {
		if n, _ := tx.Node("new"); n.PeerAddress != "10.0.0.7:7300" {
			t.Errorf("the node is at %s", n.PeerAddress)
		}
	})
	checkRefusals(t, w, []refusal{
		{"another key", ask{by: byGZ, typ: command.NodeJoin, body: join("t-new", "new", secret)}, bus.CodeTokenRefused, ""},
	})
}

// Of two tokens for one node the first redeemed wins.
func TestJoinWithASecondTokenDoesNotReplaceTheNode(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.TokenCreate, 0, token("t-new-2", "new"))
	w.must(byGZ, command.NodeJoin, 0, join("t-new", "new", key))
	checkRefusals(t, w, []refusal{
		{"the second", ask{by: byGZ, typ: command.NodeJoin, body: join("t-new-2", "new", secret)}, bus.CodeExists, "node"},
		{"the second, by the same key", ask{by: byGZ, typ: command.NodeJoin, body: join("t-new-2", "new", key)}, bus.CodeExists, "node"},
	})
}

func TestNodePut(t *testing.T) {
	w := newWorld(t)
	put := func(by bus.Principal, change func(*bus.Node)) ask {
		return ask{by: by, typ: command.NodePut, expect: w.revision["th"], body: with(node("th", "440106"), change)}
	}
	checkRefusals(t, w, []refusal{
		{"another node's", put(byGZ, func(*bus.Node) {}), bus.CodeForbidden, ""},
		{"no such node", put(byTH, func(n *bus.Node) { n.ID = "nowhere" }), bus.CodeNotFound, "node"},
		{"no addresses", put(byTH, func(n *bus.Node) { n.PeerAddress, n.APIAddress = "here", "" }), bus.CodeInvalid, "api_address peer_address"},
		{"addresses of another", put(byTH, func(n *bus.Node) { n.PeerAddress = "gz.example:7300" }), bus.CodeInvalid, "peer_address"},
	})
	w.must(byTH, command.NodePut, w.revision["th"], with(node("th", "440000"), func(n *bus.Node) {
		n.PeerAddress, n.CA, n.Voter, n.EvidenceKey = "10.0.0.8:1", true, false, "other"
	}))
	w.view(func(tx *state.Tx) {
		n, _ := tx.Node("th")
		if n.PeerAddress != "10.0.0.8:1" || n.Division != "440106" || n.CA || !n.Voter || n.EvidenceKey == "other" {
			t.Errorf("a node changed more than its addresses: %+v", n)
		}
	})
}

func TestAccountPut(t *testing.T) {
	w := newWorld(t)
	put := func(by bus.Principal, expect bus.Revision, name string, role bus.Role) ask {
		return ask{by: by, typ: command.AccountPut, expect: expect, body: account(name, role)}
	}
	checkRefusals(t, w, []refusal{
		{"S30: a new account by the system administrator", put(bySysadmin, 0, "deputy", bus.RoleAuditor), bus.CodeForbidden, ""},
		{"S30: another's by the auditor", put(byAuditor, 1, "sysadmin", bus.RoleSystemAdministrator), bus.CodeForbidden, ""},
		{"S30: another role for oneself", put(bySysadmin, 1, "sysadmin", bus.RoleSecurityAdministrator), bus.CodeForbidden, "role"},
		{"S30: another role for another", put(bySecurity, 1, "auditor", bus.RoleSystemAdministrator), bus.CodeForbidden, "role"},
		{"no role", put(bySecurity, 0, "deputy", ""), bus.CodeInvalid, "role"},
		{"no such role", put(bySecurity, 0, "deputy", "root"), bus.CodeInvalid, "role"},
		{"a bad name", put(bySecurity, 0, "De puty", bus.RoleAuditor), bus.CodeInvalid, "name"},
		{"one that is there", put(bySecurity, 0, "auditor", bus.RoleAuditor), bus.CodeExists, "account"},
	})
	w.must(byAuditor, command.AccountPut, 1, account("auditor", bus.RoleAuditor)) // one's own password
	w.must(bySecurity, command.AccountPut, 1, account("sysadmin", bus.RoleSystemAdministrator))
}

// S53: a log that was rolled back or rewritten is not taken for the node's.
func TestS53_CheckpointsOnlyGrow(t *testing.T) {
	w := newWorld(t)
	w.must(byTH, command.CheckpointPut, 0, checkpoint("th", 5, 1))
	put := func(by bus.Principal, n bus.NodeID, size int64, root byte) ask {
		return ask{by: by, typ: command.CheckpointPut, body: checkpoint(n, size, root)}
	}
	checkRefusals(t, w, []refusal{
		{"another node's", put(byGZ, "th", 9, 1), bus.CodeForbidden, ""},
		{"of a node that is not in", put(bus.Principal{Node: "nowhere"}, "nowhere", 1, 1), bus.CodeNotFound, "node"},
		{"shorter", put(byTH, "th", 4, 1), bus.CodeRevision, "size"},
		{"as long, with another root", put(byTH, "th", 5, 2), bus.CodeRevision, "size"},
		{"of a negative size", put(byGZ, "gz", -1, 1), bus.CodeInvalid, "note"},
	})
	w.must(byTH, command.CheckpointPut, 0, checkpoint("th", 5, 1)) // the same again
	w.must(byTH, command.CheckpointPut, 0, checkpoint("th", 6, 2))
	w.must(byGZ, command.CheckpointPut, 0, checkpoint("gz", 0, 0)) // an empty log
	checkRefusals(t, w, []refusal{{"an empty log with another root", put(byGZ, "gz", 0, 1), bus.CodeRevision, "size"}})
	w.view(func(tx *state.Tx) {
		if c, _ := tx.Checkpoint("th"); c.Size != 6 || c.Root[0] != 2 {
			t.Errorf("the checkpoint: %+v", c)
		}
	})
}

// S52: what a node says of its log counts only with the signature of the key that
// it joined with, and no further than the signature goes.
func TestS52_CheckpointsAreSignedWithTheKnownKey(t *testing.T) {
	w := newWorld(t)
	saying := func(change func(*bus.Checkpoint)) ask {
		return ask{by: byTH, typ: command.CheckpointPut, body: with(checkpoint("th", 5, 1), change)}
	}
	checkRefusals(t, w, []refusal{
		{"unsigned", saying(func(c *bus.Checkpoint) { c.Note = "" }), bus.CodeInvalid, "note"},
		{"signed with another's key", saying(func(c *bus.Checkpoint) { c.Note = signed("th", "gz", 5, 1) }), bus.CodeInvalid, "note"},
		{"another's log", saying(func(c *bus.Checkpoint) { c.Note = signed("gz", "gz", 5, 1) }), bus.CodeInvalid, "note"},
		{"its own key for another's log", saying(func(c *bus.Checkpoint) { c.Note = signed("gz", "th", 5, 1) }), bus.CodeInvalid, "note"},
		{"another size than was signed", saying(func(c *bus.Checkpoint) { c.Size = 6 }), bus.CodeInvalid, "note"},
		{"another root than was signed", saying(func(c *bus.Checkpoint) { c.Root = bytes.Repeat([]byte{2}, 32) }), bus.CodeInvalid, "note"},
		{"a byte changed", saying(func(c *bus.Checkpoint) { c.Note = strings.Replace(c.Note, "\n5\n", "\n6\n", 1) }), bus.CodeInvalid, "note"},
		{"larger than a checkpoint is", saying(func(c *bus.Checkpoint) { c.Note += strings.Repeat("x", 20<<10) }), bus.CodeInvalid, "note"},
	})
}

// A tick is the leader's time as it stands in the log, also when a new leader's
// clock is behind.
func TestTickIsTheTimeOfItsEntry(t *testing.T) {
	w := newWorld(t)
	w.view(func(tx *state.Tx) {
		if !tx.Tick().IsZero() {
			t.Error("a tick before the first")
		}
	})
	for _, at := range []time.Time{noon.Add(time.Hour), noon} {
		w.now = at
		w.must(byGZ, command.Tick, 0, command.Empty{})
		w.view(func(tx *state.Tx) {
			if got := tx.Tick(); !got.Equal(at) {
				t.Errorf("tick %v, want %v", got, at)
			}
		})
	}
}
