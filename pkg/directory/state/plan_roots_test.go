package state_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// rooted is a replica of two nodes, of which gz has the key of the first root.
func rooted(t *testing.T) (r *replica, first string) {
	t.Helper()
	r = newReplica(t)
	a := founding()[0]
	init := a.body.(command.Init)
	init.Node.CA = true
	init.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("root 1")}))
	a.body = init
	if err := r.ask(a).Err(); err != nil {
		t.Fatal(err)
	}
	r.must(bySysadmin, command.TokenCreate, 0, token("t-th", "th"))
	r.must(byGZ, command.NodeJoin, 0, join("t-th", "th", key))
	return r, digest("root 1")
}

func digest(certificate string) string {
	sum := sha256.Sum256([]byte(certificate))
	return hex.EncodeToString(sum[:])
}

// told has a node tell which root its certificate is under.
func told(r *replica, n bus.NodeID, root string) {
	r.t.Helper()
	var have bus.Node
	r.view(func(tx *state.Tx) { have, _ = tx.Node(n) })
	revision := have.Revision
	have.Root, have.Expires = root, noon
	r.must(bus.Principal{Node: n}, command.NodePut, revision, have)
}

func TestARootIsReplacedWithOverlap(t *testing.T) {
	r, first := rooted(t)
	w := &world{r, nil}
	second := digest("root 2")
	add := ask{by: bySysadmin, typ: command.RootAdd, body: bus.Root{Certificate: []byte("root 2"), Holder: "th", Fingerprint: "a lie", Cross: []byte("another")}}
	cross := func(by bus.Principal, of string) ask {
		return ask{by: by, typ: command.RootCross, body: command.Cross{Fingerprint: of, Certificate: []byte("cross")}}
	}
	retire := func(of string, force bool) ask {
		return ask{by: bySysadmin, typ: command.RootRetire, body: command.RetireRoot{Fingerprint: of, Force: force}}
	}
	by := func(a ask, p bus.Principal) ask { a.by = p; return a }
	checkRefusals(t, w, []refusal{
		{"added by the node", by(add, byGZ), bus.CodeForbidden, ""},
		{"added by the security administrator", by(add, bySecurity), bus.CodeForbidden, ""},
		{"no such holder, no certificate", ask{by: bySysadmin, typ: command.RootAdd, body: bus.Root{Holder: "nowhere"}}, bus.CodeInvalid, "certificate holder"},
		{"the same root", ask{by: bySysadmin, typ: command.RootAdd, body: bus.Root{Holder: "gz", Certificate: []byte("root 1")}}, bus.CodeExists, "root"},
		{"the only one retired", retire(first, true), bus.CodeNotFound, "root"},
		{"S24 a token redeemed by a node that does not certify", ask{by: byTH, typ: command.NodeJoin, body: join("t-new", "new", key)}, bus.CodeForbidden, "node"},
	})
	if err := r.ask(add).Err(); err != nil {
		t.Fatal(err)
	}
	checkRefusals(t, w, []refusal{
		{"a third root", ask{by: bySysadmin, typ: command.RootAdd, body: bus.Root{Holder: "gz", Certificate: []byte("root 3")}}, bus.CodeInUse, "root"},
		{"S24 a token redeemed by a node that certifies no more", ask{by: byGZ, typ: command.NodeJoin, body: join("t-new", "new", key)}, bus.CodeForbidden, "node"},
		{"crossed by the new holder", cross(byTH, second), bus.CodeForbidden, ""},
		{"crossed by the administrator", cross(bySysadmin, second), bus.CodeForbidden, ""},
		{"the older one crossed", cross(byGZ, first), bus.CodeNotFound, "root"},
		{"nothing told yet", retire(first, false), bus.CodeInUse, "root"},
		{"the newer one retired", retire(second, true), bus.CodeNotFound, "root"},
		{"retired by the node", by(retire(first, true), byGZ), bus.CodeForbidden, ""},
	})
	r.must(byGZ, command.RootCross, 0, cross(byGZ, second).body)
	told(r, "gz", second)
	told(r, "th", first)
	result := r.ask(retire(first, false))
	if result.Refusal == nil || !strings.Contains(result.Err().Error(), "under the new root yet: th") {
		t.Errorf("retired while th is outside: %v", result.Err())
	}
	r.view(func(tx *state.Tx) {
		roots := tx.Roots()
		if len(roots) != 2 || roots[0].Fingerprint != first || roots[0].Holder != "gz" || roots[1].Fingerprint != second || roots[1].Holder != "th" || string(roots[1].Cross) != "cross" {
			t.Errorf("the roots are %+v", roots)
		}
		gz, _ := tx.Node("gz")
		th, _ := tx.Node("th")
		if gz.CA || !th.CA {
			t.Error("th does not hold the signing key")
		}
	})
	told(r, "th", second)
	r.must(bySysadmin, command.RootRetire, 0, retire(first, false).body)
	r.view(func(tx *state.Tx) {
		if roots := tx.Roots(); len(roots) != 1 || roots[0].Fingerprint != second || roots[0].Cross != nil {
			t.Errorf("the roots are %+v", roots)
		}
	})
	checkRefusals(t, w, []refusal{
		{"the old root again", ask{by: bySysadmin, typ: command.RootAdd, body: bus.Root{Holder: "gz", Certificate: []byte("root 1")}}, bus.CodeInvalid, "id"},
	})
}

func TestForceRetiresARootThatANodeIsStillUnder(t *testing.T) {
	r, first := rooted(t)
	r.must(bySysadmin, command.RootAdd, 0, bus.Root{Certificate: []byte("root 2"), Holder: "gz"})
	told(r, "gz", digest("root 2"))
	r.must(bySysadmin, command.RootRetire, 0, command.RetireRoot{Fingerprint: first, Force: true})
	r.view(func(tx *state.Tx) {
		if left := tx.Outside(digest("root 2")); len(left) != 1 || left[0] != "th" {
			t.Errorf("outside are %v", left)
		}
	})
}
