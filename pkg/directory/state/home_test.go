package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// A county's departments are tenants of its city's node until the county has one
// of its own; those that were there before stay, those that come after do not.
func TestANewNodeTakesNoDepartmentFromTheOneThatServesIt(t *testing.T) {
	r := newReplica(t)
	for _, a := range founding()[:1] {
		if err := r.ask(a).Err(); err != nil {
			t.Fatal(err)
		}
	}
	inCity := with(department(housing), func(d *bus.Department) { d.Division = "440100" })
	r.must(bySysadmin, command.DepartmentPut, 0, department(market))
	r.must(bySysadmin, command.DepartmentPut, 0, inCity)
	r.must(bySysadmin, command.TokenCreate, 0, token("t-th", "th"))
	joined := r.must(byGZ, command.NodeJoin, 0, join("t-th", "th", key))
	r.must(bySysadmin, command.DepartmentPut, 0, department(tax))

	r.view(func(tx *state.Tx) {
		for id, want := range map[bus.USCC]struct {
			home   bus.NodeID
			pinned bus.NodeID
		}{
			market:  {"gz", "gz"}, // was there before: stays, and says so
			housing: {"gz", ""},   // in the city, which has its node as before
			tax:     {"th", ""},   // came after
		} {
			d, _ := tx.Department(id)
			if home, _ := tx.Home(d); home != want.home || d.Node != want.pinned {
				t.Errorf("%s is served by %q, pinned to %q; want %+v", id, home, d.Node, want)
			}
			if moved := d.Revision == joined; moved != (want.pinned != "") {
				t.Errorf("%s has revision %d, the join is %d", id, d.Revision, joined)
			}
		}
	})

	// The same join once more changes nothing of that.
	again := join("t-th", "th", key)
	r.must(byGZ, command.NodeJoin, 0, again)
	r.view(func(tx *state.Tx) {
		if d, _ := tx.Department(tax); d.Node != "" {
			t.Errorf("a repeated join pinned a department to %s", d.Node)
		}
	})
}
