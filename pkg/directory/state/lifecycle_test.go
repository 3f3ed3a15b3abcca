package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"pgregory.net/rapid"
)

// Whatever is asked, by whoever, in whatever order: what is in force has passed
// the gate, was approved by a reviewer of its data authority, and not by whoever
// submitted it; and what was published once stays as it was.
func TestNothingIsPublishedPastTheGate(t *testing.T) {
	if testing.Short() {
		t.Skip("writes many files")
	}
	seed := newWorld(t)
	seed.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "tax-operator", Role: bus.RoleOperator, Department: tax})
	seed.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "second", Role: bus.RoleReviewer, Department: tax})
	start := seed.snapshot()
	replica := newReplica(t)
	replica.store.NoSync()
	rapid.Check(t, func(rt *rapid.T) {
		replica.restoreFrom(start)
		replica.store.NoSync()
		w := &world{replica, map[string]bus.Revision{}}
		w.index, w.now = seed.index, noon
		kept := map[string]string{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			w.ask(lifecycleAsk(rt, w))
			w.checkCatalogue(rt, kept)
		}
	})
}

var lifecycleIDs = []bus.ResourceID{"licences", "r1", "r2"}

func lifecycleAsk(rt *rapid.T, w *world) ask {
	id := rapid.SampledFrom(lifecycleIDs).Draw(rt, "id")
	var d bus.Draft
	var r bus.Resource
	w.view(func(tx *state.Tx) { d, _ = tx.Draft(id); r, _ = tx.Resource(id) })
	by := rapid.SampledFrom([]bus.Principal{
		bySysadmin, byOperator, byOperator, byMarket, byHousing, byReviewer, byReviewer, byReviewer, bySecurity,
		{Account: "second", Role: bus.RoleReviewer, Department: tax}, {Account: "tax-operator", Role: bus.RoleOperator, Department: tax},
	}).Draw(rt, "by")
	refs := []bus.DraftRef{{ID: id, Revision: d.Revision}}
	switch rapid.SampledFrom([]string{"put", "put", "import", "submit", "submit", "review", "review", "withdraw", "delete"}).Draw(rt, "act") {
	case "put", "import":
		c := randomContent(rt)
		c.Resource.ID, c.Resource.Codes = id, []bus.ResourceCode{"30700" + bus.ResourceCode(id[len(id)-1:]) + "/1"}
		if id == "licences" {
			c.Resource.Codes[0] = "307002/1"
		}
		if rapid.Bool().Draw(rt, "bulk") {
			return ask{by: by, typ: command.DraftImport, body: command.Import{Drafts: []bus.DraftContent{c}, Submit: true}}
		}
		return ask{by: by, typ: command.DraftPut, expect: d.Revision, body: c}
	case "submit":
		return ask{by: by, typ: command.DraftSubmit, body: command.Submission{Drafts: refs}}
	case "review":
		return ask{by: by, typ: command.DraftReview, body: command.Review{Drafts: refs, Approve: rapid.Bool().Draw(rt, "approve"), Opinion: "样例"}}
	case "withdraw":
		return ask{by: by, typ: command.ResourceWithdraw, expect: r.Revision, body: command.Withdrawal{Resource: id, Reason: "样例"}}
	default:
		return ask{by: by, typ: command.DraftDelete, expect: d.Revision, body: command.Key{ID: string(id)}}
	}
}

func (w *world) checkCatalogue(rt *rapid.T, kept map[string]string) {
	w.view(func(tx *state.Tx) {
		for _, id := range lifecycleIDs {
			count := 0
			for v := range tx.Versions(id) {
				count++
				gate := bus.Draft{ID: id, Resource: v.Resource, Clearance: v.Clearance}.Gate()
				if len(gate) > 0 {
					rt.Fatalf("%s version %d was published without %+v", id, count, gate)
				}
				if v.Resource.Version != count || v.Submitted.By == v.Approved.By || v.Approved.By.Role != bus.RoleReviewer || v.Approved.By.Department != tax {
					rt.Fatalf("%s version %d: %+v", id, count, v)
				}
			}
			r, inForce := tx.Resource(id)
			if inForce && r.Version != count {
				rt.Fatalf("%s: version %d of %d is in force", id, r.Version, count)
			}
			if s := tx.EntryState(id); !inForce && (s == bus.StatePublished || s == bus.StateWithdrawing) || inForce && s == bus.StateWithdrawn {
				rt.Fatalf("%s: state %q, in force %v", id, s, inForce)
			}
		}
	})
	for key, value := range w.contents() {
		if len(key) < 9 || key[:9] != "versions/" {
			continue
		}
		if before, ok := kept[key]; ok && before != value && !withdrawnOnly(before, value) {
			rt.Fatalf("%s was changed:\n%s\n%s", key, before, value)
		}
		kept[key] = value
	}
}

// withdrawnOnly reports whether a version has become the last one, and no other.
func withdrawnOnly(before, after string) bool {
	head := before[:len(before)-1]
	return len(after) > len(head) && after[:len(head)] == head && after[len(head):len(head)+12] == `,"withdrawn"`
}
