package state_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func TestDepartmentRefusals(t *testing.T) {
	w := newWorld(t)
	put := func(change func(*bus.Department)) ask {
		return ask{by: bySysadmin, typ: command.DepartmentPut, body: with(department(freeDepartment), change)}
	}
	remove := func(id bus.USCC) ask {
		return ask{by: bySysadmin, typ: command.DepartmentDelete, expect: w.revision[string(id)], body: command.Key{ID: string(id)}}
	}
	checkRefusals(t, w, []refusal{
		{"everything missing", put(func(d *bus.Department) { *d = bus.Department{} }), bus.CodeInvalid, "division id name"},
		{"unknown division and node", put(func(d *bus.Department) { d.Division, d.Node = "990000", "nowhere" }), bus.CodeInvalid, "division node"},
		{"one that is there", put(func(d *bus.Department) { d.ID = tax }), bus.CodeExists, "department"},
		{"delete one with a resource and a system", remove(market), bus.CodeInUse, "department"},
		{"delete one with a system", remove(tax), bus.CodeInUse, "department"},
		{"delete none", remove(freeDepartment), bus.CodeNotFound, "department"},
		{"delete nothing", remove(""), bus.CodeNotFound, "department"},
	})
}

func TestDepartmentInUseByADraftOrAGrantAlone(t *testing.T) {
	w := newWorld(t)
	revision := w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	remove := refusal{"", ask{by: bySysadmin, typ: command.DepartmentDelete, expect: revision, body: command.Key{ID: string(freeDepartment)}}, bus.CodeInUse, "department"}
	w.must(bySecurity, command.GrantPut, 0, with(grant("g2"), func(g *bus.Grant) { g.Consumer = freeDepartment }))
	remove.name = "a grant"
	checkRefusals(t, w, []refusal{remove})

	w = newWorld(t)
	revision = w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	w.must(bySysadmin, command.DraftPut, 0, content(with(resource("own", "307008/1"), func(r *bus.Resource) { r.Provider = freeDepartment })))
	remove.name, remove.ask.expect = "a draft", revision
	checkRefusals(t, w, []refusal{remove})
}

func TestADeletedDepartmentIsGoneAndMayComeBack(t *testing.T) {
	w := newWorld(t)
	revision := w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	w.must(bySysadmin, command.DepartmentDelete, revision, command.Key{ID: string(freeDepartment)})
	w.view(func(tx *state.Tx) {
		if _, ok := tx.Department(freeDepartment); ok {
			t.Error("it is still there")
		}
	})
	w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment)) // its id is no choice of anybody
}

func TestSystemRefusals(t *testing.T) {
	w := newWorld(t)
	put := func(expect bus.Revision, change func(*bus.System)) ask {
		return ask{by: bySysadmin, typ: command.SystemPut, expect: expect, body: with(system("sample-new", tax), change)}
	}
	checkRefusals(t, w, []refusal{
		{"everything missing", put(0, func(s *bus.System) { *s = bus.System{} }), bus.CodeInvalid, "department id name secret_hash"},
		{"unknown department", put(0, func(s *bus.System) { s.Department = freeDepartment }), bus.CodeInvalid, "department"},
		{"a short hash", put(0, func(s *bus.System) { s.SecretHash = s.SecretHash[:31] }), bus.CodeInvalid, "secret_hash"},
		{"moved to another department", put(w.revision["sample-tax"], func(s *bus.System) { s.ID, s.Department = "sample-tax", housing }), bus.CodeInvalid, "department"},
	})
}

// Queues are keyed by ids: what comes later under a used id would get what was
// meant for another.
func TestADeletedSubscriptionDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	w.must(byHousing, command.SubscriptionDelete, w.revision["s1"], command.Key{ID: "s1"})
	w.reopen()
	checkRefusals(t, w, []refusal{
		{"put again", ask{by: byHousing, typ: command.SubscriptionPut, body: subscription("s1")}, bus.CodeInvalid, "id"},
	})
	w.must(byMarket, command.DraftPut, 0, content(resource("s1", "307005/1"))) // another table's id
}

// An earlier build remembered of a subscription that it was deleted, and no more.
func TestASubscriptionThatWasDeletedLongAgoHasEnded(t *testing.T) {
	w := newWorld(t)
	w.must(byHousing, command.SubscriptionDelete, w.revision["s1"], command.Key{ID: "s1"})
	for _, known := range []bool{true, false} {
		w.view(func(tx *state.Tx) {
			if of, ok := tx.Ended("s1"); !ok || (of.Resource != "") != known {
				t.Errorf("%+v, %t", of, ok)
			}
		})
		if err := w.store.Corrupt("retired", "subscriptions/s1", "true"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGrantRefusals(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.DepartmentPut, 0, department("114420000073327379"))
	bySomebody := bus.Principal{System: "sample-somebody", Department: "114420000073327379"}
	w.must(bySysadmin, command.SystemPut, 0, system(bySomebody.System, bySomebody.Department))
	w.publish(bySysadmin, with(resource("tax-returns", "307007/1"), func(r *bus.Resource) { r.Provider = tax }))
	w.publish(byMarket, with(resource("closed", "307006/1"), func(r *bus.Resource) {
		r.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "样例", Basis: &bus.Basis{Kind: "law", Citation: "样例法第一条"}}
	}))
	put := func(by bus.Principal, expect bus.Revision, change func(*bus.Grant)) ask {
		return ask{by: by, typ: command.GrantPut, expect: expect, body: with(grant("g2"), change)}
	}
	revoke := func(by bus.Principal, id bus.GrantID, reason string) ask {
		return ask{by: by, typ: command.GrantRevoke, body: command.Revoke{Grant: id, Reason: reason}}
	}
	checkRefusals(t, w, []refusal{
		{"for oneself", put(byHousing, 0, func(*bus.Grant) {}), bus.CodeForbidden, ""},
		{"by a system of its provider: it applies", put(byMarket, 0, func(*bus.Grant) {}), bus.CodeForbidden, ""},
		{"by its provider's sharing office", put(bySharing, 0, func(*bus.Grant) {}), bus.CodeForbidden, ""},
		{"without the agreement that it registers", put(bySecurity, 0, func(g *bus.Grant) { g.Agreement = " " }), bus.CodeInvalid, "agreement"},
		{"S28: born with a life of its own", put(bySecurity, 0, func(g *bus.Grant) {
			g.Suspended, g.Revoked, g.Delivered = "x", "y", &noon
			g.Consent, g.Stops = &bus.Consent{}, []bus.Stop{{}}
		}), bus.CodeInvalid, "consent delivered revoked stops suspended"},
		{"of nothing", put(bySecurity, 0, func(g *bus.Grant) { g.Resource = "nothing" }), bus.CodeInvalid, "resource"},
		{"everything missing", put(bySecurity, 0, func(g *bus.Grant) { *g = bus.Grant{} }), bus.CodeInvalid, "agreement consumer id items not_after purposes resource"},
		{"of what is not shared", put(bySecurity, 0, func(g *bus.Grant) { g.Resource = "closed" }), bus.CodeInvalid, "resource"},
		{"an item that it lacks", put(bySecurity, 0, func(g *bus.Grant) { g.Items = append(g.Items, "phone") }), bus.CodeInvalid, "items[1]"},
		{"art. 15: a purpose beyond the entry", put(bySecurity, 0, func(g *bus.Grant) { g.Purposes = append(g.Purposes, bus.PurposeCollaboration) }), bus.CodeInvalid, "purposes[1]"},
		{"an unknown consumer", put(bySecurity, 0, func(g *bus.Grant) { g.Consumer = freeDepartment }), bus.CodeInvalid, "consumer"},
		{"another's, written over", put(bySecurity, w.revision["g1"], func(g *bus.Grant) { g.ID, g.Resource = "g1", "tax-returns" }), bus.CodeInvalid, "grant"},
		{"handed to another consumer", put(bySecurity, w.revision["g1"], func(g *bus.Grant) { g.ID, g.Consumer = "g1", tax }), bus.CodeInvalid, "grant"},
		{"revoked by its consumer", revoke(byHousing, "g1", "样例"), bus.CodeForbidden, ""},
		{"revoked by a third", revoke(bySomebody, "g1", "样例"), bus.CodeNotFound, "grant"},
		{"art. 27: revoked without a reason", revoke(byMarket, "g1", " \t"), bus.CodeInvalid, "reason"},
		{"one revoked that is not there", revoke(byMarket, "g9", "样例"), bus.CodeNotFound, "grant"},
	})
}

func TestARevokedGrantStaysRevoked(t *testing.T) {
	w := newWorld(t)
	revision := w.must(byMarket, command.GrantRevoke, 0, command.Revoke{Grant: "g1", Reason: "first"})
	w.must(bySecurity, command.GrantRevoke, 0, command.Revoke{Grant: "g1", Reason: "second"})
	w.view(func(tx *state.Tx) {
		if g, _ := tx.Grant("g1"); g.Revoked != "first" || g.Revision != revision {
			t.Errorf("the grant: %+v", g)
		}
	})
	checkRefusals(t, w, []refusal{
		{"put again", ask{by: bySecurity, typ: command.GrantPut, expect: revision, body: grant("g1")}, bus.CodeInUse, "grant"},
	})
}

// An unconditional resource names no purposes, so that any may be granted.
func TestAnUnconditionalResourceIsGrantedForAnyPurpose(t *testing.T) {
	w := newWorld(t)
	w.publish(byMarket, with(resource("open", "307006/1"), func(r *bus.Resource) {
		r.Sharing = bus.Sharing{Type: bus.Unconditional}
	}))
	w.must(bySecurity, command.GrantPut, 0, with(grant("g2"), func(g *bus.Grant) {
		g.Resource, g.Purposes = "open", []bus.Purpose{bus.PurposeCollaboration}
	}))
}

func TestSubscriptionRefusals(t *testing.T) {
	w := newWorld(t)
	w.must(bySecurity, command.GrantPut, 0, with(grant("g-tax"), func(g *bus.Grant) { g.Consumer = tax }))
	w.must(bySecurity, command.GrantPut, 0, with(grant("g-licences"), func(g *bus.Grant) { g.Resource = "licences" }))
	put := func(by bus.Principal, expect bus.Revision, change func(*bus.Subscription)) ask {
		return ask{by: by, typ: command.SubscriptionPut, expect: expect, body: with(subscription("s2"), change)}
	}
	remove := func(by bus.Principal, id string) ask {
		return ask{by: by, typ: command.SubscriptionDelete, expect: w.revision["s1"], body: command.Key{ID: id}}
	}
	checkRefusals(t, w, []refusal{
		{"everything missing", put(byHousing, 0, func(s *bus.Subscription) { *s = bus.Subscription{} }), bus.CodeInvalid, "id purpose resource system"},
		{"nothing that is there", put(byHousing, 0, func(s *bus.Subscription) { s.System, s.Resource, s.Grant = "ghost", "nothing", "g9" }), bus.CodeInvalid, "grant resource system"},
		{"for another's system", put(byHousing, 0, func(s *bus.Subscription) { s.System = "sample-tax" }), bus.CodeForbidden, ""},
		{"for another department", put(byTax, 0, func(*bus.Subscription) {}), bus.CodeForbidden, ""},
		{"an item that the resource lacks", put(byHousing, 0, func(s *bus.Subscription) { s.Items = append(s.Items, "phone") }), bus.CodeInvalid, "items[1]"},
		{"another's grant", put(byHousing, 0, func(s *bus.Subscription) { s.Grant = "g-tax" }), bus.CodeInvalid, "grant"},
		{"a grant of another resource", put(byHousing, 0, func(s *bus.Subscription) { s.Grant = "g-licences" }), bus.CodeInvalid, "grant"},
		{"another's taken over", put(byTax, w.revision["s1"], func(s *bus.Subscription) {
			s.ID, s.Consumer, s.System, s.Grant = "s1", tax, "sample-tax", ""
		}), bus.CodeForbidden, ""},
		{"moved to another resource", put(byHousing, w.revision["s1"], func(s *bus.Subscription) {
			s.ID, s.Resource, s.Grant = "s1", "licences", "g-licences"
		}), bus.CodeInvalid, "resource"},
		{"with other filters", put(byHousing, w.revision["s1"], func(s *bus.Subscription) {
			s.ID, s.Filters = "s1", []bus.Filter{{SQL: "TRUE"}}
		}), bus.CodeInvalid, "filters"},
		{"with a filter that says nothing", put(byHousing, 0, func(s *bus.Subscription) { s.Filters = []bus.Filter{{}} }), bus.CodeInvalid, "filters[0]"},
		{"S27: delete another's", remove(byTax, "s1"), bus.CodeNotFound, "subscription"},
		{"delete none", remove(byTax, "s9"), bus.CodeNotFound, "subscription"},
	})
}

// Events that arrive from its creation on are for a subscription: a change must
// not move that time.
func TestASubscriptionKeepsItsCreation(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(time.Hour)
	w.must(byHousing, command.SubscriptionPut, w.revision["s1"], with(subscription("s1"), func(s *bus.Subscription) {
		s.Created, s.Purpose = noon.Add(-time.Hour), bus.PurposeVerification
	}))
	w.view(func(tx *state.Tx) {
		if s, _ := tx.Subscription("s1"); !s.Created.Equal(noon) || s.Purpose != bus.PurposeVerification {
			t.Errorf("the subscription: %+v", s)
		}
	})
}

func TestASubscriptionIsPausedAndBeginsAnew(t *testing.T) {
	w := newWorld(t)
	step := func(by bus.Principal, step bus.SubscriptionStep, from string) ask {
		return ask{by: by, typ: command.SubscriptionStep, body: command.SubscriptionStepped{Subscription: "s1", Step: step, From: from}}
	}
	checkRefusals(t, w, []refusal{
		{"S27: another's", step(byTax, bus.SubscriptionPause, ""), bus.CodeNotFound, "subscription"},
		{"an unknown step", step(byHousing, "stop", ""), bus.CodeInvalid, "step"},
		{"a replay from nowhere", step(byHousing, bus.SubscriptionReplay, ""), bus.CodeInvalid, "from"},
		{"a replay from what is no time", step(byHousing, bus.SubscriptionReplay, "yesterday"), bus.CodeInvalid, "from"},
		{"a pause from a time", step(byHousing, bus.SubscriptionPause, "now"), bus.CodeInvalid, "from"},
	})
	w.now = noon.Add(time.Hour)
	for _, s := range []ask{step(byHousing, bus.SubscriptionPause, ""), step(byHousing, bus.SubscriptionReplay, bus.StartNow)} {
		w.must(s.by, s.typ, 0, s.body)
	}
	// A change of something else leaves that as it is.
	w.must(byHousing, command.SubscriptionPut, bus.Revision(w.index), with(subscription("s1"), func(s *bus.Subscription) { s.Purpose = bus.PurposeVerification }))
	w.view(func(tx *state.Tx) {
		if s, _ := tx.Subscription("s1"); !s.Paused || s.Replays != 1 || !s.Since().Equal(w.now) || !s.Created.Equal(noon) || s.Purpose != bus.PurposeVerification {
			t.Errorf("the subscription: %+v", s)
		}
	})
	w.must(byHousing, command.SubscriptionStep, 0, step(byHousing, bus.SubscriptionResume, "").body)
	w.must(byHousing, command.SubscriptionStep, 0, step(byHousing, bus.SubscriptionReplay, bus.StartBeginning).body)
	w.view(func(tx *state.Tx) {
		if s, _ := tx.Subscription("s1"); s.Paused || s.Replays != 2 || !s.Since().IsZero() {
			t.Errorf("the subscription: %+v", s)
		}
	})
}

// S36.
