package api_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const cityLayer bus.LayerID = "division/440100"

// A layer's life over the API; the parts build on each other.
func TestAPolicyLayerOverTheAPI(t *testing.T) {
	w := newWorld(t)
	w.bearers[sample.Second] = w.AddAccount(bus.Account{Name: sample.Second, Role: bus.RoleSecurityAdministrator})
	for _, part := range []struct {
		name string
		run  func(*world, *testing.T)
	}{
		{"a push that fails its check is refused with all that is wrong", refusedPush},
		{"a draft is checked, and nothing of it is in force", draftBeside},
		{"S30 nobody activates what they pushed", ownActivation},
		{"what was replaced since is not activated", replacedDraft},
		{"a second administrator activates, and it is kept who and why", secondActivates},
		{"S35 a rollback is a new revision of what was kept", rolledBack},
		{"a removal goes the same way", removed},
		{"each step left its evidence", layerEvidence},
	} {
		if !t.Run(part.name, func(t *testing.T) { w.t = t; part.run(w, t) }) {
			return
		}
	}
}

// push is what is pushed in these tests: the sample layer, with a comment.
func (w *world) push(comment string) bus.LayerPush {
	modules := maps.Clone(nodetest.SampleLayer(w.t, "440100").Modules)
	modules["note.rego"] = "# " + comment + "\npackage gxbus.division.d440100\n"
	return bus.LayerPush{Modules: modules, Note: comment}
}

func (w *world) policies(account string) client.Policies {
	return w.First.Client(w.bearers[account]).Policies()
}

func refusedPush(w *world, t *testing.T) {
	push := w.push("odd")
	push.Modules["a.rego"] = "package gxbus.division.d440100\n\nallow := true\n\nx := http.send({})\n"
	_, err := w.policies(secadmin).Push(context.Background(), cityLayer, 0, push)
	problem := problemOf(t, err)
	if problem.Code != bus.CodePolicyRefused || len(problem.Defects) != 2 || problem.Defects[0].Field != "a.rego:3:1" || !strings.Contains(problem.Defects[1].Problem.EN, "http.send") {
		t.Errorf("%+v", problem)
	}
	if _, err := w.policies(secadmin).Draft(context.Background(), cityLayer); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("a draft after a refusal: %v", err)
	}
	for field, push := range map[string]bus.LayerPush{
		"modules":  {Note: "n"},
		"note":     {Modules: push.Modules},
		"revision": {Rollback: 12, Note: "n"},
		"layer":    {Remove: true, Note: "n"},
	} {
		_, err := w.policies(secadmin).Push(context.Background(), cityLayer, 0, push)
		if p := problemOf(t, err); len(p.Defects) != 1 || p.Defects[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func draftBeside(w *world, t *testing.T) {
	ctx := context.Background()
	draft, err := w.policies(secadmin).Push(ctx, cityLayer, 0, w.push("first"))
	check(t, err)
	covered, lines := draft.Report.Covered()
	if draft.Pushed.By.Account != "secadmin" || draft.Pushed.Note != "first" || draft.Pushed.Node != "guangdong" || !draft.Report.OK || len(draft.Report.Tests) == 0 || covered == 0 || covered > lines {
		t.Errorf("%+v", draft)
	}
	if _, err := w.policies(secadmin).Read(ctx, cityLayer); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("in force: %v", err)
	}
	if found, err := w.policies(auditor).Drafts(ctx); err != nil || len(found) != 1 || found[0].ID != cityLayer {
		t.Errorf("the auditor lists %+v, %v", found, err)
	}
	if found, err := w.policies(provider).Drafts(ctx); err != nil || len(found) != 0 {
		t.Errorf("a department lists %+v, %v", found, err)
	}
	if events, _ := w.changes(provider, "kind=layer-draft&wait=0&from=0"); len(events) != 0 {
		t.Errorf("a department is told of %+v", events)
	}
}

func ownActivation(w *world, t *testing.T) {
	draft, err := w.policies(secadmin).Draft(context.Background(), cityLayer)
	check(t, err)
	_, err = w.policies(secadmin).Activate(context.Background(), cityLayer, draft.Revision, "")
	if p := problemOf(t, err); p.Code != bus.CodeForbidden || len(p.Defects) != 1 || p.Defects[0].Field != "by" {
		t.Errorf("%+v", p)
	}
}

func replacedDraft(w *world, t *testing.T) {
	ctx := context.Background()
	looked, err := w.policies(sample.Second).Draft(ctx, cityLayer)
	check(t, err)
	again, err := w.policies(secadmin).Push(ctx, cityLayer, looked.Revision, w.push("second"))
	check(t, err)
	if _, err := w.policies(sample.Second).Activate(ctx, cityLayer, looked.Revision, ""); !client.IsCode(err, bus.CodeRevision) {
		t.Errorf("activated what was replaced: %v", err)
	}
	check(t, w.policies(sample.Second).Discard(ctx, cityLayer, again.Revision))
	if _, err := w.policies(sample.Second).Activate(ctx, cityLayer, again.Revision, ""); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("activated what was discarded: %v", err)
	}
}

func secondActivates(w *world, t *testing.T) {
	ctx := context.Background()
	draft, err := w.policies(secadmin).Push(ctx, cityLayer, 0, w.push("third"))
	check(t, err)
	activate := func() reply {
		return w.ask(request{method: "POST", path: "/api/v1/policies/division/440100/draft/activate", who: sample.Second, body: text(`{"note":"looked at"}`),
			header: map[string]string{change: fmt.Sprintf(`"%d"`, draft.Revision), "Idempotency-Key": "activate-3"}})
	}
	first := activate()
	if again := activate(); first.status != http.StatusOK || again.body != first.body {
		t.Errorf("answered %d %s, repeated %d %s", first.status, first.body, again.status, again.body)
	}
	layer, err := w.policies(consumer).Read(ctx, cityLayer)
	check(t, err)
	if !maps.Equal(layer.Modules, draft.Modules) || layer.Revision <= draft.Revision {
		t.Errorf("in force at %d, the draft was %d", layer.Revision, draft.Revision)
	}
	r, err := w.policies(auditor).Revision(ctx, cityLayer, layer.Revision)
	check(t, err)
	if r.Draft.Pushed.By.Account != "secadmin" || r.Draft.Pushed.Note != "third" || r.Activated.By.Account != sample.Second || r.Activated.Note != "looked at" || r.Draft.Report == nil {
		t.Errorf("%+v", r)
	}
}

func rolledBack(w *world, t *testing.T) {
	ctx := context.Background()
	first, err := w.policies(secadmin).Read(ctx, cityLayer)
	check(t, err)
	w.Enact(bus.Layer{ID: cityLayer, Modules: w.push("fourth").Modules})
	draft, err := w.policies(sample.Second).Push(ctx, cityLayer, 0, bus.LayerPush{Rollback: first.Revision, Note: "back"})
	check(t, err)
	r, err := w.policies(secadmin).Activate(ctx, cityLayer, draft.Revision, "")
	check(t, err)
	revisions, err := w.policies(secadmin).Revisions(ctx, cityLayer)
	check(t, err)
	if len(revisions) != 3 || revisions[2].Revision != r.Revision || revisions[2].Draft.Rollback != first.Revision ||
		!slices.IsSortedFunc(revisions, func(a, b bus.LayerRevision) int { return int(a.Revision) - int(b.Revision) }) || revisions[0].Draft.Modules != nil {
		t.Errorf("%+v", revisions)
	}
	if now, err := w.policies(secadmin).Read(ctx, cityLayer); err != nil || !maps.Equal(now.Modules, first.Modules) || now.Revision != r.Revision {
		t.Errorf("in force %+v, %v", now, err)
	}
}

func removed(w *world, t *testing.T) {
	ctx := context.Background()
	draft, err := w.policies(secadmin).Push(ctx, cityLayer, 0, bus.LayerPush{Remove: true, Note: "no more"})
	check(t, err)
	if _, err := w.policies(secadmin).Activate(ctx, cityLayer, draft.Revision, ""); !client.IsCode(err, bus.CodeForbidden) {
		t.Errorf("removed by one person: %v", err)
	}
	_, err = w.policies(sample.Second).Activate(ctx, cityLayer, draft.Revision, "")
	check(t, err)
	if _, err := w.policies(secadmin).Read(ctx, cityLayer); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("still there: %v", err)
	}
	if kept, err := w.policies(secadmin).Revisions(ctx, cityLayer); err != nil || len(kept) != 4 || !kept[3].Draft.Remove {
		t.Errorf("%+v, %v", kept, err)
	}
}

func layerEvidence(w *world, t *testing.T) {
	told := map[string]int{}
	for _, leaf := range w.leaves() {
		word, rest, _ := strings.Cut(leaf.Detail, " ")
		if leaf.Kind == audit.KindAdministered && strings.HasPrefix(word, "layer.") {
			told[word+" by "+leaf.Principal.Account]++
			if !strings.HasPrefix(rest, string(cityLayer)+" draft ") {
				t.Errorf("%s", leaf.Detail)
			}
		}
	}
	want := map[string]int{
		"layer.push by secadmin": 5, "layer.push by secadmin-2": 1, "layer.discard by secadmin-2": 1,
		"layer.activate by secadmin-2": 4, "layer.activate by secadmin": 1, // one of them repeated
	}
	if !maps.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// problemOf is the refusal that err is.
func problemOf(t *testing.T, err error) *client.Problem {
	t.Helper()
	p, ok := errors.AsType[*client.Problem](err)
	if !ok {
		t.Fatalf("not refused: %v", err)
	}
	return p
}
