package state_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func stop(by bus.Principal, step bus.GrantStep, days int) ask {
	return ask{by: by, typ: command.GrantStop, body: command.Stop{Grant: "g1", Step: step, Reason: "样例", Days: days}}
}

// Art. 27: a stop carries a reason, is on file, and ends where it was begun.
func TestASuspensionARectificationAndWhatEndsThem(t *testing.T) {
	w := newWorld(t)
	checkRefusals(t, w, []refusal{
		{"without a reason", ask{by: bySharing, typ: command.GrantStop, body: command.Stop{Grant: "g1", Step: bus.GrantSuspend, Reason: " "}}, bus.CodeInvalid, "reason"},
		{"a rectification without a term", stop(bySharing, bus.GrantRectify, 0), bus.CodeInvalid, "days"},
		{"a suspension with one", stop(bySharing, bus.GrantSuspend, 5), bus.CodeInvalid, "days"},
		{"resumed though it stands", stop(bySharing, bus.GrantResume, 0), bus.CodeWrongState, "step"},
		{"ended by the wrong way", stop(bySharing, bus.GrantTerminate, 0), bus.CodeInvalid, "step"},
		{"by its consumer", stop(bus.Principal{Account: "applicant", Role: bus.RoleOperator, Department: housing}, bus.GrantSuspend, 0), bus.CodeForbidden, ""},
	})
	must := func(a ask) {
		t.Helper()
		if err := w.ask(a).Err(); err != nil {
			t.Fatal(err)
		}
	}
	must(stop(bySharing, bus.GrantSuspend, 0))
	if g := w.grant("g1"); g.State(noon) != bus.GrantSuspended || g.Suspended != "样例" || g.Stops[0].Authority != tax {
		t.Errorf("suspended: %+v", g)
	}
	must(stop(byReviewer, bus.GrantRectify, 5))
	checkRefusals(t, w, []refusal{
		{"the provider lifts what the authority ordered", stop(bySharing, bus.GrantResume, 0), bus.CodeForbidden, "by"},
		{"confirmed, as after a restore, by nobody who ordered it", ask{by: bySecurity, typ: command.GrantConfirm, body: command.Confirm{}}, bus.CodeInvalid, "grants"},
	})
	must(ask{by: bySecurity, typ: command.GrantConfirm, body: command.Confirm{Grants: []bus.GrantID{"g1"}}}) // passed over
	w.view(func(tx *state.Tx) {
		g, _ := tx.Grant("g1")
		shown := state.ShownGrant(tx.Calendar(), g, noon).Shown
		if want := time.Date(2026, 3, 11, 16, 0, 0, 0, time.UTC); shown.State != bus.GrantRectifying || shown.Rectification == nil || !shown.Rectification.Due.Equal(want) {
			t.Errorf("rectifying: %+v", shown)
		}
	})
	must(stop(byReviewer, bus.GrantResume, 0))
	if g := w.grant("g1"); g.State(noon) != bus.GrantInForce || g.Suspended != "" || len(g.Stops) != 3 {
		t.Errorf("resumed: %+v", g)
	}
	w.must(byApplicant, command.GrantRevoke, 0, command.Revoke{Grant: "g1", Reason: "不再需要"})
	if g := w.grant("g1"); g.State(noon) != bus.GrantTerminated || g.Stops[3].Step != bus.GrantGiveBack {
		t.Errorf("given back: %+v", g)
	}
	checkRefusals(t, w, []refusal{{"stopped again", stop(bySharing, bus.GrantSuspend, 0), bus.CodeWrongState, "step"}})
}

// A restore suspends what stood; to confirm that lifts no suspension of its own.
func TestAConfirmationAfterARestoreLeavesASuspensionInPlace(t *testing.T) {
	w := newWorld(t)
	if err := w.ask(stop(bySharing, bus.GrantSuspend, 0)).Err(); err != nil {
		t.Fatal(err)
	}
	done, err := w.store.Refound(refounding())
	if err != nil {
		t.Fatal(err)
	}
	w.index = uint64(done.Index)
	if err := w.ask(stop(bySharing, bus.GrantResume, 0)).Err(); err != nil {
		t.Fatal(err)
	}
	if g := w.grant("g1"); g.Suspended != "restored" || !g.Unconfirmed() {
		t.Errorf("to resume it confirmed it too: %+v", g)
	}
	if err := w.ask(stop(bySharing, bus.GrantSuspend, 0)).Err(); err != nil {
		t.Fatal(err)
	}
	w.must(bySecurity, command.GrantConfirm, 0, command.Confirm{Grants: []bus.GrantID{"g1"}})
	if g := w.grant("g1"); g.Suspended != "样例" || g.Unconfirmed() {
		t.Errorf("to confirm it lifted the suspension: %+v", g)
	}
}

func TestTheProvidersNodeSaysOnceWhenDataFirstCame(t *testing.T) {
	w := newWorld(t)
	first := noon.Add(-time.Minute)
	w.must(byTH, command.GrantDelivered, 0, command.Delivered{Grant: "g1", At: first})
	w.must(byTH, command.GrantDelivered, 0, command.Delivered{Grant: "g1", At: noon.Add(-time.Second)})
	if g := w.grant("g1"); g.Delivered == nil || !g.Delivered.Equal(first) {
		t.Errorf("delivered %v, want %v", g.Delivered, first)
	}
	checkRefusals(t, w, []refusal{
		{"a node that does not serve the provider", ask{by: byGZ, typ: command.GrantDelivered, body: command.Delivered{Grant: "g1", At: noon}}, bus.CodeForbidden, ""},
	})
}

func TestARenewalAddsTimeToTheGrantAndNothingElse(t *testing.T) {
	w := newWorld(t)
	renewal := func(change func(*bus.ApplicationContent)) command.Application {
		return changed(applied("renewal"), func(c *bus.ApplicationContent) {
			c.Renews = "g1"
			change(c)
		})
	}
	g1 := w.grant("g1")
	wider := w.must(byApplicant, command.ApplicationPut, 0, renewal(func(c *bus.ApplicationContent) {
		c.Items, c.Until = []bus.ItemID{"uscc", "name"}, g1.NotAfter
		c.Purposes = []bus.Purpose{bus.PurposeVerification}
	}))
	submit := func(expect bus.Revision) ask {
		return ask{by: byApplicant, typ: command.ApplicationSubmit, expect: expect, body: command.Key{ID: "renewal"}}
	}
	checkRefusals(t, w, []refusal{{"wider, and no longer", submit(wider), bus.CodeIncomplete, "items[1] purposes[0] until"}})
	good := w.must(byApplicant, command.ApplicationPut, wider, renewal(func(*bus.ApplicationContent) {}))
	w.now = g1.NotAfter
	checkRefusals(t, w, []refusal{{"after its end", submit(good), bus.CodeIncomplete, "renews"}})
	w.now = g1.NotAfter.Add(-1)
	if err := w.ask(submit(good)).Err(); err != nil {
		t.Fatal(err)
	}
	w.answer("renewal", command.Answer{Verdict: command.VerdictApprove})
	g := w.grant("g1")
	if !g.NotAfter.Equal(noon.AddDate(1, 0, 0)) || !g.NotBefore.Equal(g1.NotBefore) || g.Agreement != g1.Agreement || g.Consent.Application != "renewal" {
		t.Errorf("renewed: %+v", g)
	}
	if a := w.application("renewal"); a.Grant != "g1" {
		t.Errorf("it renewed %s", a.Grant)
	}
}

// Two renewals may wait for their answers; the shorter one, answered last, takes
// nothing back.
func TestARenewalNeverShortensTheGrant(t *testing.T) {
	w := newWorld(t)
	w.now = w.grant("g1").NotAfter.Add(-1)
	file := func(id bus.ApplicationID, until time.Time) bus.Revision {
		return w.fileApplication(changed(applied(id), func(c *bus.ApplicationContent) { c.Renews, c.Until = "g1", until }))
	}
	longer, shorter := noon.AddDate(0, 8, 0), noon.AddDate(0, 7, 0)
	file("longer", longer)
	late := file("shorter", shorter)
	w.answer("longer", command.Answer{Verdict: command.VerdictApprove})
	checkRefusals(t, w, []refusal{{
		"shorter than it is", ask{by: bySharing, typ: command.ApplicationAnswer, expect: late, body: command.Answer{Application: "shorter", Verdict: command.VerdictApprove}},
		bus.CodeWrongState, "until",
	}})
	if g := w.grant("g1"); !g.NotAfter.Equal(longer) {
		t.Errorf("it ends %v", g.NotAfter)
	}
}
