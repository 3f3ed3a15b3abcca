package api_test

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/decision/replay"
	"github.com/gxbus/gxbus/pkg/policy"
)

// subscribed is the id of the decision by which the consumer has its subscription.
func (w *world) subscribed() string {
	w.t.Helper()
	for _, r := range w.leaves() {
		if r.Kind == audit.KindDecision && r.Decision.Action == "subscribe" {
			return r.Decision.ID
		}
	}
	w.t.Fatal("no subscription was decided on")
	return ""
}

// S27: a decision is read by the departments on either side, by security
// administrators and by auditors; for others it is not there.
func TestADecisionIsReadByItsPartiesOnly(t *testing.T) {
	w := newWorld(t)
	id := w.subscribed()
	absent := w.ask(request{method: "GET", path: "/api/v1/decisions/" + strings.Repeat("a", 26), who: stranger})
	for who, want := range map[string]int{provider: 200, consumer: 200, secadmin: 200, auditor: 200, stranger: 404, sysadmin: 404, operator: 200} {
		got := w.ask(request{method: "GET", path: "/api/v1/decisions/" + id, who: who})
		if got.status != want {
			t.Errorf("%s is answered %d, want %d: %s", who, got.status, want, got.body)
		}
		if want == 404 && got.problem.Code != absent.problem.Code {
			t.Errorf("%s is told %s", who, got.body)
		}
	}
	for who, want := range map[string]int{provider: 1, consumer: 1, secadmin: 1, stranger: 0, sysadmin: 0} {
		page, err := w.First.Client(w.bearers[who]).Decisions(context.Background(), client.DecisionQuery{Resource: registration})
		check(t, err)
		if len(page.Items) != want {
			t.Errorf("%s lists %d decisions, want %d", who, len(page.Items), want)
		}
	}
}

// Who is not to find a resource does not find it in the record of that either.
func TestAHiddenResourceIsNotFoundInDecisions(t *testing.T) {
	w := newWorld(t)
	w.putLayer(bus.Layer{ID: "division/440300", Modules: map[string]string{
		"a.rego": "package gxbus.division.d440300\n\n" + `deny contains {"code": "hidden", "zh": "不可见", "en": "hidden"} if input.action == "discover"` + "\n",
		"a_test.rego": "package gxbus.division.d440300_test\n\nimport data.gxbus.division.d440300 as layer\n\n" +
			"test_hidden if count(layer.deny) == 1 with input as {\"action\": \"discover\"}\n",
	}})
	if got := w.ask(request{method: "GET", path: "/api/v1/resources/" + string(registration), who: stranger}); got.status != 404 {
		t.Fatalf("not hidden: %d %s", got.status, got.body)
	}
	list := func(who string) []decision.Event {
		page, err := w.First.Client(w.bearers[who]).Decisions(context.Background(), client.DecisionQuery{Outcome: "deny"})
		check(t, err)
		return page.Items
	}
	seen := list(secadmin)
	if len(seen) != 1 || seen[0].Custom.Action != "discover" || seen[0].Custom.Consumer != sample.GuangzhouHealth.ID {
		t.Fatalf("the security administrator reads %+v", seen)
	}
	if theirs := list(stranger); len(theirs) != 0 {
		t.Errorf("the stranger reads %+v", theirs)
	}
	if got := w.ask(request{method: "GET", path: "/api/v1/decisions/" + seen[0].DecisionID, who: stranger}); got.status != 404 {
		t.Errorf("the stranger reads it by its id: %d", got.status)
	}
}

func TestAReplayOnTheNode(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	draft := bus.Layer{ID: "division/440106", Modules: map[string]string{
		"a.rego": "package gxbus.division.d440106\n\n" + `deny contains {"code": "no-basis", "zh": "禁止", "en": "forbidden"} if input.purpose == "administrative-basis"` + "\n",
	}}
	ask := w.First.Client(w.bearers[secadmin]).Policies()
	part, err := ask.Replay(ctx, client.ReplayRequest{Layer: draft})
	check(t, err)
	if part.ToDeny != 1 || len(part.Flips) != 1 || part.Flips[0].Consumer != sample.TianheServices.ID || part.Undecided != 0 || part.Next != "" {
		t.Errorf("%+v", part)
	}
	if offline := w.offline(draft); !reflect.DeepEqual(offline.Flips, part.Flips) || offline.Counts != part.Counts {
		t.Errorf("on the export: %+v\non the node: %+v", offline, part)
	}
	page, err := w.First.Client(w.bearers[secadmin]).Decisions(ctx, client.DecisionQuery{})
	check(t, err)
	if len(page.Items) != part.Decisions {
		t.Errorf("the draft was put in force, or the replay left a decision: %d, %d", len(page.Items), part.Decisions)
	}
	if removal, err := ask.Replay(ctx, client.ReplayRequest{Layer: bus.Layer{ID: draft.ID}}); err != nil || removal.Decisions != part.Decisions || removal.Flipped() != 0 {
		t.Errorf("the removal of a layer that is not there: %+v, %v", removal, err)
	}
	draft.Modules["a.rego"] = "package gxbus.division.d440106\n\nallow := true\n"
	if _, err := ask.Replay(ctx, client.ReplayRequest{Layer: draft}); !client.IsCode(err, bus.CodePolicyRefused) {
		t.Errorf("a draft that grants: %v", err)
	}
	if _, err := ask.Replay(ctx, client.ReplayRequest{Layer: draft, Cursor: "x"}); err == nil {
		t.Error("any cursor is taken")
	}
}

// What the replay of a pushed draft says of queries is what its activation does to them.
func TestActivationDoesToQueriesWhatTheReplayOfThePushSaid(t *testing.T) {
	w := newWorld(t)
	w.bind(registration)
	w.AddAccount(bus.Account{Name: sample.Second, Role: bus.RoleSecurityAdministrator})
	ctx, system := context.Background(), w.First.Client(w.bearers[consumer])
	purposes := []bus.Purpose{bus.PurposeVerification, bus.PurposeCollaboration}
	ask := func(p bus.Purpose) (client.QueryAnswer, error) {
		return system.Query(ctx, registration, client.Query{Grant: "grant-1", Purpose: p, Matter: "440106001000", Case: "办件-1"})
	}
	before := map[string]bus.Purpose{} // by decision of the consumer's node
	for _, p := range purposes {
		answer, err := ask(p)
		check(t, err)
		before[answer.Decision] = p
	}
	draft := bus.Layer{ID: "division/440106", Modules: map[string]string{
		"a.rego": "package gxbus.division.d440106\n\n" +
			`deny contains {"code": "no-queries", "zh": "禁止", "en": "forbidden"} if { input.action == "query"; input.purpose == "collaboration" }` + "\n",
		"a_test.rego": "package gxbus.division.d440106_test\n\nimport data.gxbus.division.d440106 as layer\n\n" +
			"test_denied if count(layer.deny) == 1 with input as {\"action\": \"query\", \"purpose\": \"collaboration\"}\n",
	}}
	policies := w.First.Client(w.bearers[secadmin]).Policies()
	pushed, err := policies.Push(ctx, draft.ID, 0, bus.LayerPush{Modules: draft.Modules, Note: "样例"})
	check(t, err)
	part, err := policies.Replay(ctx, client.ReplayRequest{Layer: draft})
	check(t, err)
	flips := map[bus.Purpose]bool{}
	for _, f := range part.Flips {
		flips[before[f.DecisionID]] = true
	}
	if part.ToDeny != 2 || len(part.Flips) != 2 || part.Undecided != 0 { // one at each node's stage
		t.Errorf("the replay says %+v", part)
	}
	_, err = w.Client(sample.Second).Policies().Activate(ctx, draft.ID, pushed.Revision, "")
	check(t, err)
	for _, p := range purposes {
		_, err := ask(p)
		if denied := client.IsCode(err, bus.CodeDenied); denied != flips[p] || err != nil && !denied {
			t.Errorf("for %s, of which the replay says %v: %v", p, flips[p], err)
		}
	}
	if !flips[bus.PurposeCollaboration] || flips[bus.PurposeVerification] {
		t.Errorf("the replay tells of %v", flips)
	}
}

func (w *world) putLayer(l bus.Layer) {
	w.t.Helper()
	w.Enact(l)
}

// offline replays the node's export.
func (w *world) offline(draft bus.Layer) (part decision.Replayed) {
	w.t.Helper()
	export := w.ask(request{method: "GET", path: "/api/v1/audit/export", who: auditor})
	engine, err := policy.New(policy.Options{Deadline: time.Minute, CompileLimit: time.Minute})
	check(w.t, err)
	candidate, problems := engine.Candidate(context.Background(), draft)
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	log, err := audit.OpenExport(strings.NewReader(export.body))
	check(w.t, err)
	for {
		leaf, err := log.Next()
		if err == io.EOF {
			return part
		}
		check(w.t, err)
		check(w.t, (&replay.Replayer{Draft: candidate}).Add(context.Background(), &part, leaf, log))
	}
}
