package due_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/due"
)

func TestAnApplicationGoesFromHandToHand(t *testing.T) {
	w := newWorld(t)
	own := bus.Principal{Account: "own", Role: bus.RoleReviewer, Department: market}
	w.write(security, command.AccountPut, 0, bus.Account{Name: "own", Role: bus.RoleReviewer, Department: market})
	content := bus.ApplicationContent{
		Department: housing, Resource: "registrations", Version: 1, Basis: "样例", Scenario: "样例", Items: []bus.ItemID{"uscc"}, Division: "440100",
		Mode: "batch", Purposes: []bus.Purpose{bus.PurposeReference}, Until: w.now.AddDate(1, 0, 0),
	}
	r := w.write(consumer, command.ApplicationPut, 0, command.Application{ID: "a1", Content: content})
	w.expect(own)
	r = w.write(consumer, command.ApplicationSubmit, r, command.Key{ID: "a1"})
	w.expect(own, "application/a1")
	r = w.write(own, command.ApplicationAnswer, r, command.Answer{Application: "a1", Verdict: command.VerdictReturn, Opinion: "样例"})
	w.expect(own)
	w.expect(consumer, "application-edit/a1")
	r = w.write(consumer, command.ApplicationPut, r, command.Application{ID: "a1", Content: content})
	r = w.write(consumer, command.ApplicationSubmit, r, command.Key{ID: "a1"})
	r = w.write(own, command.ApplicationExtend, r, command.MoreTime{Application: "a1", Days: 10, Reason: "样例"})
	w.expect(reviewer, "answer-consent/a1")
	r = w.write(reviewer, command.ApplicationConsent, r, command.MoreTimeConsent{Application: "a1", Approve: true})
	w.expect(reviewer)
	if left := due.Of(own, w.tasks())[0].Left; left.Days != 20 {
		t.Errorf("%d working days with the extension", left.Days)
	}
	w.write(own, command.ApplicationAnswer, r, command.Answer{Application: "a1", Verdict: command.VerdictApprove, Opinion: "样例"})
	w.expect(own)
	got := due.Of(provider, w.tasks())
	if len(got) != 1 || got[0].Kind != bus.TaskDelivery || got[0].Left.Days != bus.DeliveryDays {
		t.Fatalf("after the consent the provider has %+v", got)
	}
	w.write(node, command.GrantDelivered, 0, command.Delivered{Grant: bus.GrantID(got[0].Subject), At: w.now})
	w.expect(provider)
}

func TestARefusedApplicationCanBeDisputed(t *testing.T) {
	w := newWorld(t)
	own := bus.Principal{Account: "own", Role: bus.RoleReviewer, Department: market}
	w.write(security, command.AccountPut, 0, bus.Account{Name: "own", Role: bus.RoleReviewer, Department: market})
	r := w.write(consumer, command.ApplicationPut, 0, command.Application{ID: "a1", Content: bus.ApplicationContent{
		Department: housing, Resource: "registrations", Version: 1, Basis: "样例", Scenario: "样例", Items: []bus.ItemID{"uscc"}, Division: "440100",
		Mode: "batch", Purposes: []bus.Purpose{bus.PurposeReference}, Until: w.now.AddDate(1, 0, 0),
	}})
	r = w.write(consumer, command.ApplicationSubmit, r, command.Key{ID: "a1"})
	w.write(own, command.ApplicationAnswer, r, command.Answer{Application: "a1", Verdict: command.VerdictRefuse, Opinion: "样例"})
	w.write(consumer, command.DisputeRaise, 0, command.DisputeRaised{ID: "d1", About: bus.Subject{Kind: bus.SubjectApplication, ID: "a1"}, Reason: "样例"})
	w.expect(consumer, "dispute-negotiate/d1/"+string(housing))
}

func TestARectificationIsTheConsumersToDo(t *testing.T) {
	w := newWorld(t)
	own := bus.Principal{Account: "own", Role: bus.RoleReviewer, Department: market}
	w.write(security, command.AccountPut, 0, bus.Account{Name: "own", Role: bus.RoleReviewer, Department: market})
	w.write(own, command.GrantStop, 0, command.Stop{Grant: "g1", Step: bus.GrantRectify, Reason: "样例", Days: 5})
	got := due.Of(consumer, w.tasks())
	if len(got) != 1 || got[0].ID != "rectification/g1" || got[0].Left.Days != 5 {
		t.Fatalf("the consumer has %+v", got)
	}
	w.expect(security) // no restore has suspended it: it is not the security administrator's
	w.write(own, command.GrantStop, 0, command.Stop{Grant: "g1", Step: bus.GrantResume, Reason: "样例"})
	w.expect(consumer)
}
