package state_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"pgregory.net/rapid"
)

const city bus.LayerID = "division/440100" // in force in the sample world

// text is a push of a text of its own.
func text(id bus.LayerID, source string) command.Push {
	return with(push(id), func(p *command.Push) { p.Modules = map[string]string{"layer.rego": source} })
}

func rollback(id bus.LayerID, to bus.Revision) command.Push {
	return with(push(id), func(p *command.Push) { p.Modules, p.Rollback = nil, to })
}

func removal(id bus.LayerID) command.Push {
	return with(push(id), func(p *command.Push) { p.Modules, p.Report, p.Remove = nil, nil, true })
}

// enact pushes by one and activates by another; it returns the revision in force.
func (w *world) enact(p command.Push) bus.Revision {
	w.t.Helper()
	draft := w.must(bySecurity, command.LayerPush, 0, p)
	return w.must(bySecond, command.LayerActivate, draft, command.Activation{Layer: p.Layer})
}

func TestLayerRefusals(t *testing.T) {
	w := newWorld(t)
	pushed := w.must(bySecurity, command.LayerPush, 0, push("division/440106"))
	gone := w.enact(removal(city))
	var refusals []refusal
	add := func(name string, typ command.Type, by bus.Principal, expect bus.Revision, body any, code bus.Code, fields string) {
		refusals = append(refusals, refusal{name, ask{by: by, typ: typ, expect: expect, body: body}, code, fields})
	}
	refuse := func(name string, p command.Push, code bus.Code, fields string) {
		add(name, command.LayerPush, bySecurity, 0, p, code, fields)
	}
	for _, id := range []bus.LayerID{
		"", "base", "base/", "/", "division", "division/", "division/990000", "division/440106/x", "Division/440106", "division/../440106",
		"department/", "department/440106", bus.DepartmentLayer(freeDepartment), "node/gz",
	} {
		refuse("layer "+string(id), push(id), bus.CodeInvalid, "id")
	}
	refuse("nothing", with(push(city), func(p *command.Push) { p.Modules = nil }), bus.CodeInvalid, "modules")
	refuse("two things", with(push(city), func(p *command.Push) { p.Rollback = 3 }), bus.CodeInvalid, "modules")
	refuse("no reason", with(push(city), func(p *command.Push) { p.Note = "" }), bus.CodeInvalid, "note")
	refuse("endless reason", with(push(city), func(p *command.Push) { p.Note = strings.Repeat("x", 2001) }), bus.CodeInvalid, "note")
	refuse("not checked", with(push(city), func(p *command.Push) { p.Report = nil }), bus.CodePolicyRefused, "report")
	refuse("check failed", with(push(city), func(p *command.Push) { p.Report.OK = false }), bus.CodePolicyRefused, "report")
	refuse("another's check", with(push(city), func(p *command.Push) { p.Report.Layer = "division/440106" }), bus.CodePolicyRefused, "report")
	refuse("removal of none", removal("division/440000"), bus.CodeNotFound, "layer")
	refuse("removal of one removed", removal(city), bus.CodeNotFound, "layer")
	refuse("a draft is there", push("division/440106"), bus.CodeExists, "draft")
	add("draft of before", command.LayerPush, bySecurity, pushed-1, push("division/440106"), bus.CodeRevision, "draft")
	add("no such draft", command.LayerPush, bySecurity, pushed, push(city), bus.CodeNotFound, "draft")

	// S35: an older, tampered or foreign revision.
	refuse("S35 rollback to a revision that never was", rollback(city, 1), bus.CodeNotFound, "revision")
	refuse("S35 rollback to a draft's", rollback(city, gone-1), bus.CodeNotFound, "revision")
	refuse("S35 rollback to another layer's", rollback("division/440000", w.revision[string(city)]), bus.CodeNotFound, "revision")
	refuse("S35 rollback with a text", with(rollback(city, w.revision[string(city)]), func(p *command.Push) {
		p.Modules = map[string]string{"layer.rego": "package tampered"}
	}), bus.CodeInvalid, "modules")
	refuse("S35 rollback to a removal", rollback(city, gone), bus.CodeInvalid, "rollback")

	// S30: nobody activates what they pushed; and only what was looked at.
	activate := command.Activation{Layer: "division/440106"}
	add("S30 one's own", command.LayerActivate, bySecurity, pushed, activate, bus.CodeForbidden, "by")
	add("draft of before it", command.LayerActivate, bySecond, pushed-1, activate, bus.CodeRevision, "draft")
	add("any draft", command.LayerActivate, bySecond, 0, activate, bus.CodeExists, "draft")
	add("no draft", command.LayerActivate, bySecond, pushed, command.Activation{Layer: city}, bus.CodeNotFound, "draft")
	add("discard of before", command.LayerDiscard, bySecond, pushed-1, command.Key{ID: "division/440106"}, bus.CodeRevision, "draft")
	add("discard of none", command.LayerDiscard, bySecond, pushed, command.Key{ID: string(city)}, bus.CodeNotFound, "draft")
	checkRefusals(t, w, refusals)
}

func TestADraftStandsBesideWhatIsInForceUntilASecondPersonActivatesIt(t *testing.T) {
	w := newWorld(t)
	first := w.revision[string(city)]
	draft := w.must(bySecurity, command.LayerPush, 0, text(city, "package layer # 2"))
	w.view(func(tx *state.Tx) {
		if l, _ := tx.Layer(city); l.Revision != first || l.Modules["layer.rego"] != "package layer" {
			t.Errorf("a draft is in force: %+v", l)
		}
	})
	second := w.must(bySecond, command.LayerActivate, draft, command.Activation{Layer: city, Note: "reviewed"})
	w.view(func(tx *state.Tx) {
		if l, _ := tx.Layer(city); l.Revision != second || l.Modules["layer.rego"] != "package layer # 2" {
			t.Errorf("in force is %+v", l)
		}
		if _, ok := tx.LayerDraft(city); ok {
			t.Error("the draft is still there")
		}
		r, ok := tx.LayerRevision(city, second)
		if !ok || r.Draft.Pushed.By != bySecurity || r.Draft.Pushed.Note != "样例" || r.Draft.Report == nil || r.Draft.Revision != draft ||
			r.Activated.By != bySecond || r.Activated.Note != "reviewed" || !r.Activated.At.Equal(w.now) || r.Activated.Node != "gz" {
			t.Errorf("kept is %+v", r)
		}
	})
}

func TestWhoReplacesADraftIsWhoPushedIt(t *testing.T) {
	w := newWorld(t)
	mine := w.must(bySecurity, command.LayerPush, 0, text(city, "package layer # mine"))
	theirs := w.must(bySecond, command.LayerPush, mine, text(city, "package layer # theirs"))
	activate := func(by bus.Principal, draft bus.Revision) bus.Code {
		return bus.CodeOf(w.ask(ask{by: by, typ: command.LayerActivate, expect: draft, body: command.Activation{Layer: city}}).Err())
	}
	if code := activate(bySecond, mine); code != bus.CodeRevision {
		t.Errorf("what was replaced is activated: %q", code)
	}
	if code := activate(bySecond, theirs); code != bus.CodeForbidden {
		t.Errorf("whoever replaced it activates it: %q", code)
	}
	if code := activate(bySecurity, theirs); code != "" {
		t.Errorf("the first may not: %q", code)
	}
}

func TestRollbackIsANewRevisionOfTheOldText(t *testing.T) {
	w := newWorld(t)
	first := w.revision[string(city)]
	second := w.enact(text(city, "package layer # 2"))
	third := w.enact(rollback(city, first))
	if third <= second {
		t.Errorf("revision %d after %d", third, second)
	}
	w.view(func(tx *state.Tx) {
		if l, _ := tx.Layer(city); l.Revision != third || l.Modules["layer.rego"] != "package layer" {
			t.Errorf("in force is %+v", l)
		}
		var kept []string
		for r := range tx.LayerRevisions(city) {
			kept = append(kept, fmt.Sprint(r.Revision, " ", r.Draft.Rollback, " ", r.Draft.Modules["layer.rego"]))
		}
		want := []string{
			fmt.Sprint(first, " 0 package layer"), fmt.Sprint(second, " 0 package layer # 2"), fmt.Sprint(third, " ", first, " package layer"),
		}
		if strings.Join(kept, "; ") != strings.Join(want, "; ") {
			t.Errorf("kept is %q, want %q", kept, want)
		}
	})
}

func TestALayerThatWasRemovedComesBackAsANewRevision(t *testing.T) {
	w := newWorld(t)
	first := w.revision[string(city)]
	gone := w.enact(removal(city))
	w.view(func(tx *state.Tx) {
		if _, ok := tx.Layer(city); ok {
			t.Error("the layer is still in force")
		}
	})
	if back := w.enact(rollback(city, first)); back <= gone {
		t.Errorf("revision %d after %d", back, gone)
	}
}

// A department that is gone leaves its layer, which can be removed and not renewed.
func TestALayerOfADepartmentThatIsGone(t *testing.T) {
	w := newWorld(t)
	revision := w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	id := bus.DepartmentLayer(freeDepartment)
	w.enact(push(id))
	draft := w.must(bySecurity, command.LayerPush, 0, push(id))
	w.must(bySysadmin, command.DepartmentDelete, revision, command.Key{ID: string(freeDepartment)})
	result := w.ask(ask{by: bySecond, typ: command.LayerActivate, expect: draft, body: command.Activation{Layer: id}})
	if bus.CodeOf(result.Err()) != bus.CodeInvalid {
		t.Errorf("activated: %v", result.Err())
	}
	w.must(bySecurity, command.LayerDiscard, draft, command.Key{ID: string(id)})
	w.enact(removal(id))
}

func TestARestoredDirectoryHasNoDraftsOfLayers(t *testing.T) {
	w := newWorld(t)
	w.must(bySecurity, command.LayerPush, 0, text(city, "package layer # 2"))
	if _, err := w.store.Refound(refounding()); err != nil {
		t.Fatal(err)
	}
	w.view(func(tx *state.Tx) {
		if _, ok := tx.LayerDraft(city); ok {
			t.Error("the draft was restored")
		}
		if l, ok := tx.Layer(city); !ok || l.Revision != w.revision[string(city)] {
			t.Errorf("in force is %+v", l)
		}
	})
}

func TestFaultsNamesALayerThatNobodyActivated(t *testing.T) {
	for name, corrupt := range map[string]func(w *world) error{
		"another text": func(w *world) error {
			return w.store.Corrupt(state.Layers, string(city), fmt.Sprintf(`{"id":%q,"modules":{"layer.rego":"package tampered"},"revision":%d}`, city, w.revision[string(city)]))
		},
		"another revision": func(w *world) error {
			return w.store.Corrupt(state.Layers, string(city), fmt.Sprintf(`{"id":%q,"modules":{"layer.rego":"package layer"},"revision":1}`, city))
		},
		"gone": func(w *world) error { return w.store.Corrupt(state.Layers, string(city), "") },
		"another name": func(w *world) error {
			return w.store.Corrupt(state.Layers, "division/440106", `{"id":"division/440106"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := corrupt(w); err != nil {
				t.Fatal(err)
			}
			if faults := faultsOf(w); !strings.Contains(faults, "layer division/4401") {
				t.Errorf("found %q", faults)
			}
		})
	}
}

// Whatever is asked, by whoever, in whatever order: what is in force was activated
// by a security administrator other than the one who pushed it, revisions only grow,
// and what was in force once is kept as it was.
func TestNoLayerComesIntoForceByOnePerson(t *testing.T) {
	if testing.Short() {
		t.Skip("writes many files")
	}
	seed := newWorld(t)
	start := seed.snapshot()
	replica := newReplica(t)
	rapid.Check(t, func(rt *rapid.T) {
		replica.restoreFrom(start)
		replica.store.NoSync()
		w := &world{replica, map[string]bus.Revision{}}
		w.index, w.now = seed.index, noon
		kept := map[string]string{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			w.ask(layerAsk(rt, w))
			w.checkLayers(rt, kept)
		}
	})
}

func layerAsk(rt *rapid.T, w *world) ask {
	id := rapid.SampledFrom([]bus.LayerID{city, "division/440106", bus.DepartmentLayer(market)}).Draw(rt, "layer")
	by := rapid.SampledFrom([]bus.Principal{bySecurity, bySecurity, bySecond, bySecond, bySysadmin, byAuditor, byMarket, byGZ}).Draw(rt, "by")
	var draft bus.LayerDraft
	var inForce bus.Layer
	known := []bus.Revision{1, 999}
	w.view(func(tx *state.Tx) {
		draft, _ = tx.LayerDraft(id)
		inForce, _ = tx.Layer(id)
		for r := range tx.LayerRevisions(id) {
			known = append(known, r.Revision)
		}
	})
	revision := rapid.SampledFrom([]bus.Revision{draft.Revision, draft.Revision, draft.Revision, 0, inForce.Revision}).Draw(rt, "expect")
	switch rapid.SampledFrom([]string{"push", "push", "rollback", "remove", "activate", "activate", "activate", "discard"}).Draw(rt, "act") {
	case "push":
		source := rapid.SampledFrom([]string{"package layer", "package layer # 2", "package layer # 3"}).Draw(rt, "text")
		return ask{by: by, typ: command.LayerPush, expect: revision, body: text(id, source)}
	case "rollback":
		to := rapid.SampledFrom(known).Draw(rt, "to")
		return ask{by: by, typ: command.LayerPush, expect: revision, body: rollback(id, to)}
	case "remove":
		return ask{by: by, typ: command.LayerPush, expect: revision, body: removal(id)}
	case "activate":
		return ask{by: by, typ: command.LayerActivate, expect: revision, body: command.Activation{Layer: id}}
	default:
		return ask{by: by, typ: command.LayerDiscard, expect: revision, body: command.Key{ID: string(id)}}
	}
}

// checkLayers looks at every revision; kept has those that were there before.
func (w *world) checkLayers(rt *rapid.T, kept map[string]string) {
	texts := map[string]map[string]string{} // by layer and revision
	w.view(func(tx *state.Tx) {
		if faults := tx.Faults(); len(faults) > 0 {
			rt.Fatal(faults)
		}
		for _, id := range []bus.LayerID{city, "division/440106", bus.DepartmentLayer(market)} {
			var last bus.LayerRevision
			for r := range tx.LayerRevisions(id) {
				at := fmt.Sprint(id, "@", r.Revision)
				pusher, activator := r.Draft.Pushed.By, r.Activated.By
				if pusher.Account == activator.Account || pusher.Role != bus.RoleSecurityAdministrator || activator.Role != bus.RoleSecurityAdministrator {
					rt.Fatalf("%s was pushed by %+v, activated by %+v", at, pusher, activator)
				}
				if r.Revision <= last.Revision || r.Revision <= r.Draft.Revision || r.Revision <= r.Draft.Rollback {
					rt.Fatalf("%s comes after %d, its draft is %d, its text that of %d", at, last.Revision, r.Draft.Revision, r.Draft.Rollback)
				}
				if r.Draft.Rollback != 0 && !maps.Equal(r.Draft.Modules, texts[fmt.Sprint(id, "@", r.Draft.Rollback)]) {
					rt.Fatalf("%s is not the text of %d", at, r.Draft.Rollback)
				}
				texts[at], last = r.Draft.Modules, r
			}
			want, ok := last.Layer()
			have, inForce := tx.Layer(id)
			if inForce != (ok && last.Revision != 0) || inForce && (have.Revision != want.Revision || !maps.Equal(have.Modules, want.Modules)) {
				rt.Fatalf("%s: in force is %+v, activated last %+v", id, have, last)
			}
		}
	})
	now := w.contents()
	for key, before := range kept {
		if now[key] != before {
			rt.Fatalf("%s was changed:\n%s\n%s", key, before, now[key])
		}
	}
	for key, value := range now {
		if strings.HasPrefix(key, string(state.LayerHistory)+"/") {
			kept[key] = value
		}
	}
}
