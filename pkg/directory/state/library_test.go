package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func TestLibraryRefusals(t *testing.T) {
	w := newWorld(t)
	revision := w.must(bySysadmin, command.LibraryPut, 0, theme("health", "2031"))
	put := func(expect bus.Revision, l bus.Library) ask {
		return ask{by: bySysadmin, typ: command.LibraryPut, expect: expect, body: l}
	}
	population := bus.BaseLibraries()[0]
	checkRefusals(t, w, []refusal{
		{"everything missing", put(0, bus.Library{}), bus.CodeInvalid, "id kind name prefix"},
		{"a base library", put(0, bus.Library{ID: "more", Kind: bus.LibraryBase, Name: "样例", Prefix: "106"}), bus.CodeInvalid, "kind prefix"},
		{"of another class", put(0, theme("x", "301")), bus.CodeInvalid, "prefix"},
		{"too short", put(0, theme("x", "20")), bus.CodeInvalid, "prefix"},
		{"within another", put(0, theme("x", "20312")), bus.CodeInvalid, "prefix"},
		{"around another", put(0, theme("x", "203")), bus.CodeInvalid, "prefix"},
		{"led by nobody", put(0, with(theme("x", "204"), func(l *bus.Library) { l.Lead = freeDepartment })), bus.CodeInvalid, "lead"},
		{"the base library's prefix", put(1, with(population, func(l *bus.Library) { l.Prefix = "109" })), bus.CodeInvalid, "id"},
		{"the base library away", ask{by: bySysadmin, typ: command.LibraryDelete, expect: 1, body: command.Key{ID: "population"}}, bus.CodeInUse, "library"},
		{"none away", ask{by: bySysadmin, typ: command.LibraryDelete, body: command.Key{ID: "nothing"}}, bus.CodeNotFound, "library"},
	})
	w.must(bySysadmin, command.LibraryPut, revision, theme("health", "203")) // wider: it overlaps with none but itself
	w.must(bySysadmin, command.LibraryPut, 1, with(population, func(l *bus.Library) { l.Lead = market }))
}

func TestALibraryHoldsWhatIsInForce(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.LibraryPut, 0, theme("theme", "203"))
	count := func() (n int) {
		w.view(func(tx *state.Tx) {
			l, _ := tx.Library("theme")
			for range tx.InLibrary(l) {
				n++
			}
		})
		return n
	}
	w.submit(byMarket, resource("new", "203001/1", "203001/2", "307009/1"))
	if count() != 0 {
		t.Error("a draft is counted")
	}
	w.must(byReviewer, command.DraftReview, 0, approval("new", int(w.draftRevision("new"))))
	w.publish(byMarket, resource("more", "203002/1"))
	w.publish(byMarket, resource("other", "204002/1"))
	w.submit(byMarket, resource("licences", "307002/1", "203009/1")) // its version in force is none
	if got := count(); got != 2 {
		t.Errorf("%d resources, want 2", got)
	}
}
