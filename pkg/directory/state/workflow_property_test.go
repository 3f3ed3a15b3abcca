package state_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/raced"
	"pgregory.net/rapid"
)

// The workflow against the articles of decree 809: whatever anybody does, in any
// order, no application and no grant comes to be what an article does not let it be,
// and every deadline is the one that counting day by day gives.

// oracle counts working days on its own: by date, from the announced days.
type oracle map[string]string // 2006-01-02 → off, work, normal

func newOracle(t testing.TB) oracle {
	t.Helper()
	file, err := os.Open("../../calendar/holidays.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	o := oracle{}
	for _, row := range rows[1:] {
		o[row[0]] = row[2]
	}
	return o
}

// due is 24:00 in Shanghai of the n-th working day after the day of at; estimated
// where a day on the way is of a year whose National Day is not announced.
func (o oracle) due(at time.Time, n int) (end time.Time, estimated bool) {
	zone := time.FixedZone("UTC+8", 8*60*60)
	y, m, d := at.In(zone).Date()
	for day := time.Date(y, m, d, 0, 0, 0, 0, zone); ; {
		day = day.AddDate(0, 0, 1)
		if o[fmt.Sprintf("%d-10-01", day.Year())] != "off" {
			estimated = true
		}
		working := day.Weekday() != time.Saturday && day.Weekday() != time.Sunday
		switch o[day.Format(time.DateOnly)] {
		case "off":
			working = false
		case "work":
			working = true
		}
		if working {
			n--
		}
		if n == 0 {
			return day.AddDate(0, 0, 1), estimated
		}
	}
}

// Vectors of the law's working days, through the life of an application.
func TestDeadlinesOfApplicationsByTheVectors(t *testing.T) {
	shanghai := func(date string) time.Time {
		at, err := time.Parse(time.RFC3339, date+"T10:00:00+08:00")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		from, last string
		resource   bus.ResourceID
		delivery   bool
	}{
		{"2025-09-26", "2025-10-16", "registrations", false},
		{"2026-02-12", "2026-03-04", "registrations", false},
		{"2026-02-12", "2026-03-18", "open", true},
		{"2025-12-31", "2026-01-04", "open", false},
	} {
		w := newWorld(t)
		w.must(bySysadmin, command.CalendarPut, 0, command.Days{Days: calendar.BuiltIn()})
		w.publish(byMarket, with(resource("open", "307006/1"), func(r *bus.Resource) { r.Sharing = bus.Sharing{Type: bus.Unconditional} }))
		w.now = shanghai(c.from)
		w.fileApplication(changed(applied("a1"), func(a *bus.ApplicationContent) { a.Resource = c.resource }))
		w.view(func(tx *state.Tx) {
			a, _ := tx.Application("a1")
			shown := tx.ShownApplication(tx.Calendar(), a, w.now).Shown
			got := shown.Answer
			if c.delivery {
				got = shown.Delivery
			}
			if got == nil || got.Due.Add(-1).In(calendar.Shanghai).Format(time.DateOnly) != c.last || got.Estimated {
				t.Errorf("%+v: due %+v", c, got)
			}
		})
	}
}

// workflow is the sample world with what a run has seen of it.
type workflow struct {
	*world
	oracle   oracle
	apps     map[bus.ApplicationID]bus.Application // as they were before the last write
	grants   map[bus.GrantID]bus.Grant
	returned map[bus.ApplicationID]int
	version  *int   // of the resource
	prefix   string // of what is this run's
}

// reached counts, over all runs, what they came to: a property of nothing holds too
// easily.
type reached map[string]int

func TestNoReachableStateBreaksAnArticle(t *testing.T) {
	seen := reached{}
	var base *world
	var shared oracle
	version, run := 0, 0
	rapid.Check(t, func(rt *rapid.T) { // one world for ten runs, for a file a run is slow, and so is what all runs left; each has names and a clock of its own
		if run%10 == 0 {
			base, shared, version = workflowWorld(t), newOracle(t), 1
		}
		run++
		base.now = noon
		f := &workflow{
			world: base, oracle: shared, apps: map[bus.ApplicationID]bus.Application{}, grants: map[bus.GrantID]bus.Grant{},
			returned: map[bus.ApplicationID]int{}, version: &version, prefix: fmt.Sprint("r", run, "-"),
		}
		f.must(bySecurity, command.GrantPut, 0, grant(bus.GrantID(f.prefix+"g1")))
		f.look(rt, seen)
		acts := []func(*rapid.T){
			f.write, f.write, f.write, f.submit, f.respond, f.respond, f.extend, f.extend, f.consent, f.consent, f.consent, f.withdraw, f.stop, f.end, f.deliver, f.pass, f.announce, f.revise,
		}
		for range rapid.IntRange(20, 60).Draw(rt, "steps") {
			rapid.SampledFrom(acts).Draw(rt, "act")(rt)
			f.look(rt, seen)
		}
	})
	t.Logf("reached: %v", seen)
	for _, what := range []string{
		"approved by the bus", "approved", "refused", "returned", "withdrawn", "extended", "renewed", "suspended", "rectifying", "terminated", "expired", "delivered", "overdue",
	} {
		if seen[what] == 0 && !raced.Enabled { // there are enough runs then
			t.Errorf("no run came to: %s", what)
		}
	}
}

func workflowWorld(t *testing.T) *world {
	t.Helper()
	base := newWorld(t)
	base.must(bySysadmin, command.CalendarPut, 0, command.Days{Days: calendar.BuiltIn()})
	base.must(bySecurity, command.AccountPut, 0, bus.Account{Name: "housing-sharing", Role: bus.RoleReviewer, Department: housing, PasswordHash: "$argon2id$"})
	base.publish(byMarket, with(resource("open", "307006/1"), func(r *bus.Resource) { r.Sharing = bus.Sharing{Type: bus.Unconditional} }))
	base.publish(byMarket, with(resource("closed", "307009/1"), func(r *bus.Resource) {
		r.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "样例", Basis: &bus.Basis{Kind: "law", Citation: "样例法第一条"}}
	}))
	return base
}

var workflowPrincipals = []bus.Principal{
	byApplicant, byApplicant, bySharing, bySharing, byReviewer, byOperator, byHousing, byMarket, bySecurity, bySysadmin, byAuditor, byTH,
	{Account: "housing-sharing", Role: bus.RoleReviewer, Department: housing},
}

// by is mostly who may, for the runs to get anywhere.
func by(rt *rapid.T, who bus.Principal) bus.Principal {
	if rapid.IntRange(0, 9).Draw(rt, "who") < 8 {
		return who
	}
	return rapid.SampledFrom(workflowPrincipals).Draw(rt, "by")
}

func (f *workflow) anApplication(rt *rapid.T) (id bus.ApplicationID, revision bus.Revision) {
	id = bus.ApplicationID(f.prefix + rapid.SampledFrom([]string{"a1", "a2", "a3"}).Draw(rt, "application"))
	return id, f.apps[id].Revision
}

// waiting is mostly an application that waits for its answer.
func (f *workflow) waiting(rt *rapid.T) (id bus.ApplicationID, revision bus.Revision) {
	for _, id := range slices.Sorted(maps.Keys(f.apps)) {
		if f.apps[id].State == bus.ApplicationPending && rapid.IntRange(0, 9).Draw(rt, "this one") < 8 {
			return id, f.apps[id].Revision
		}
	}
	return f.anApplication(rt)
}

func (f *workflow) aGrant(rt *rapid.T) bus.GrantID {
	ids := slices.Sorted(maps.Keys(f.grants))
	return rapid.SampledFrom(ids).Draw(rt, "grant")
}

func (f *workflow) do(by bus.Principal, t command.Type, expect bus.Revision, body any) {
	f.ask(ask{by: by, typ: t, expect: expect, body: body})
}

func (f *workflow) write(rt *rapid.T) {
	id, revision := f.anApplication(rt)
	c := applied(id).Content
	c.Resource = rapid.SampledFrom([]bus.ResourceID{"registrations", "registrations", "registrations", "registrations", "open", "closed"}).Draw(rt, "resource")
	c.Version = 1
	if c.Resource == "registrations" {
		c.Version = *f.version - rapid.IntRange(0, 4).Draw(rt, "version behind")/4
	}
	c.Items = rapid.SampledFrom([][]bus.ItemID{{"uscc"}, {"uscc"}, {"uscc", "name"}, {"uscc", "name"}, {"uscc", "name"}, {"phone"}, nil}).Draw(rt, "items")
	c.Purposes = rapid.SampledFrom([][]bus.Purpose{{bus.PurposeReference}, {bus.PurposeReference}, {bus.PurposeReference, bus.PurposeVerification}, {bus.PurposeCollaboration}}).Draw(rt, "purposes")
	c.Matters = rapid.SampledFrom([][]string{nil, {"m1"}, {"m1", "m2"}}).Draw(rt, "matters")
	c.Division = rapid.SampledFrom([]bus.DivisionCode{"440106", "440100", "440100", "440100", "440106", ""}).Draw(rt, "division")
	c.Basis = rapid.SampledFrom([]string{"样例条例第一条", "样例条例第一条", "样例条例第一条", "样例条例第一条", "样例条例第一条", " "}).Draw(rt, "basis")
	c.Until = f.now.AddDate(0, 0, rapid.IntRange(1, 90).Draw(rt, "days"))
	if rapid.IntRange(0, 1).Draw(rt, "renewal") == 0 {
		c.Renews = f.aGrant(rt)
		if g, ok := f.grants[c.Renews]; ok {
			c.Resource, c.Items, c.Purposes, c.Matters, c.Until = g.Resource, g.Items, g.Purposes, g.Matters, g.NotAfter.AddDate(0, 0, 30)
			if g.Division != "" {
				c.Division = g.Division
			}
		}
	}
	f.do(by(rt, byApplicant), command.ApplicationPut, revision, command.Application{ID: id, Content: c})
	if rapid.IntRange(0, 2).Draw(rt, "and submit") > 0 {
		var written bus.Application
		f.view(func(tx *state.Tx) { written, _ = tx.Application(id) })
		f.do(byApplicant, command.ApplicationSubmit, written.Revision, command.Key{ID: string(id)})
	}
}

func (f *workflow) submit(rt *rapid.T) {
	id, revision := f.anApplication(rt)
	f.do(by(rt, byApplicant), command.ApplicationSubmit, revision, command.Key{ID: string(id)})
}

func (f *workflow) respond(rt *rapid.T) {
	id, revision := f.waiting(rt)
	a := command.Answer{
		Application: id, Opinion: rapid.SampledFrom([]string{"", "样例", "样例"}).Draw(rt, "opinion"),
		Verdict: rapid.SampledFrom([]command.Verdict{command.VerdictApprove, command.VerdictApprove, command.VerdictRefuse, command.VerdictReturn, command.VerdictReturn}).Draw(rt, "verdict"),
	}
	switch rapid.IntRange(0, 3).Draw(rt, "terms") {
	case 0:
		a.Terms.Items = []bus.ItemID{"uscc"}
	case 1:
		a.Terms.Items = rapid.SampledFrom([][]bus.ItemID{nil, {"uscc"}, {"uscc", "name"}}).Draw(rt, "items")
		a.Terms.Purposes = rapid.SampledFrom([][]bus.Purpose{nil, {bus.PurposeReference}, {bus.PurposeVerification}}).Draw(rt, "purposes")
		a.Terms.Matters = rapid.SampledFrom([][]string{nil, {"m1"}, {"m3"}}).Draw(rt, "matters")
		a.Terms.Division = rapid.SampledFrom([]bus.DivisionCode{"", "440106", "440000"}).Draw(rt, "division")
		a.Terms.Until = rapid.SampledFrom([]time.Time{{}, f.now.AddDate(0, 0, 10), f.now.AddDate(1, 0, 0)}).Draw(rt, "until")
	}
	f.do(by(rt, bySharing), command.ApplicationAnswer, revision, a)
}

func (f *workflow) extend(rt *rapid.T) {
	id, revision := f.waiting(rt)
	f.do(by(rt, bySharing), command.ApplicationExtend, revision, command.MoreTime{
		Application: id, Days: rapid.SampledFrom([]int{1, 5, 10, 11}).Draw(rt, "days"), Reason: rapid.SampledFrom([]string{"样例", "样例", "样例", ""}).Draw(rt, "reason"),
	})
}

func (f *workflow) consent(rt *rapid.T) {
	id, revision := f.waiting(rt)
	f.do(by(rt, byReviewer), command.ApplicationConsent, revision, command.MoreTimeConsent{Application: id, Approve: rapid.IntRange(0, 3).Draw(rt, "approve") > 0})
}

func (f *workflow) withdraw(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "rarely") > 0 {
		return
	}
	id, revision := f.waiting(rt)
	f.do(by(rt, byApplicant), command.ApplicationWithdraw, revision, command.ApplicationWithdrawal{Application: id})
}

func (f *workflow) stop(rt *rapid.T) {
	step := rapid.SampledFrom([]bus.GrantStep{bus.GrantSuspend, bus.GrantRectify, bus.GrantResume, bus.GrantTerminate}).Draw(rt, "step")
	s := command.Stop{Grant: f.aGrant(rt), Step: step, Reason: rapid.SampledFrom([]string{"样例", "样例", " "}).Draw(rt, "reason")}
	if step == bus.GrantRectify {
		s.Days = rapid.IntRange(0, 20).Draw(rt, "days")
	}
	f.do(by(rt, rapid.SampledFrom([]bus.Principal{bySharing, byReviewer}).Draw(rt, "stopper")), command.GrantStop, 0, s)
}

func (f *workflow) end(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "rarely") > 0 {
		return
	}
	who := rapid.SampledFrom(workflowPrincipals).Draw(rt, "by")
	f.do(who, command.GrantRevoke, 0, command.Revoke{Grant: f.aGrant(rt), Reason: rapid.SampledFrom([]string{"样例", ""}).Draw(rt, "reason")})
}

func (f *workflow) deliver(rt *rapid.T) {
	f.do(by(rt, byTH), command.GrantDelivered, 0, command.Delivered{Grant: f.aGrant(rt), At: f.now.Add(time.Duration(rapid.IntRange(-9, 9).Draw(rt, "minutes")) * time.Minute)})
}

func (f *workflow) pass(rt *rapid.T) {
	f.now = f.now.Add(time.Duration(rapid.SampledFrom([]int{1, 6, 12, 24 * 12, 24 * 16}).Draw(rt, "hours")) * time.Hour)
}

// announce changes a day of the calendar: deadlines move with it.
func (f *workflow) announce(rt *rapid.T) {
	day := f.now.AddDate(0, 0, rapid.IntRange(0, 20).Draw(rt, "ahead")).Format(time.DateOnly)
	kind := rapid.SampledFrom([]calendar.Kind{calendar.KindOff, calendar.KindWork, calendar.KindNormal}).Draw(rt, "kind")
	f.must(bySysadmin, command.CalendarPut, 0, command.Days{Days: []calendar.Day{{Date: day, Kind: kind}}})
	f.oracle[day] = string(kind)
}

// revise puts another version of the directory entry in force.
func (f *workflow) revise(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "rarely") > 0 {
		return
	}
	*f.version++
	r := resource("registrations", "307001/1")
	r.Sharing.Range = fmt.Sprint("样例范围", *f.version)
	if rapid.Bool().Draw(rt, "fewer") {
		r.Items, r.Sharing.Purposes = r.Items[:1], r.Sharing.Purposes[:1]
	}
	f.publish(byMarket, r)
}

// look checks all that is there against the articles, and against what it was.
func (f *workflow) look(rt *rapid.T, seen reached) {
	apps, grants := map[bus.ApplicationID]bus.Application{}, map[bus.GrantID]bus.Grant{}
	f.view(func(tx *state.Tx) {
		days := tx.Calendar()
		for a := range tx.Applications() {
			if !strings.HasPrefix(string(a.ID), f.prefix) {
				continue
			}
			f.application(rt, tx, tx.ShownApplication(days, a, f.now), seen)
			apps[a.ID] = a
		}
		for g := range tx.Grants() {
			if !strings.HasPrefix(string(g.ID), f.prefix) {
				continue
			}
			f.grantOf(rt, tx, state.ShownGrant(days, g, f.now), apps, seen)
			grants[g.ID] = g
		}
		for id := range f.grants {
			if _, ok := grants[id]; !ok {
				rt.Fatalf("art. 29: grant %s is gone", id)
			}
		}
	})
	f.apps, f.grants = apps, grants
}

func (f *workflow) application(rt *rapid.T, tx *state.Tx, a bus.Application, seen reached) {
	before, c := f.apps[a.ID], a.Content
	fail := func(article int, why string) { rt.Fatalf("art. %d: %s: %+v (before: %+v)", article, why, a, before) }
	answered := a.State == bus.ApplicationApproved || a.State == bus.ApplicationRefused
	if a.State == bus.ApplicationPending || answered {
		if strings.TrimSpace(c.Basis) == "" || c.Scenario == "" || len(c.Items) == 0 || c.Division == "" || c.Mode == "" || c.Until.IsZero() || len(c.Purposes) == 0 {
			fail(20, "a mandatory content is missing")
		}
		if c.Resource == "closed" {
			fail(14, "what is not shared was applied for")
		}
		if a.Filed == nil || a.Complete == nil || a.Complete.At.Before(a.Filed.At) || a.Complete.By != byApplicant {
			fail(20, "who filed it, and when, is not known")
		}
	}
	if answered != (a.Answer != nil) || answered && a.Answer.Approved != (a.State == bus.ApplicationApproved) {
		fail(21, "the answer is not that of the state")
	}
	if a.State == bus.ApplicationPending && a.Sharing == bus.Unconditional {
		fail(21, "what is shared unconditionally waits for an answer")
	}
	if answered {
		at := a.Answer.By
		switch {
		case at.Node != "":
			if a.Sharing != bus.Unconditional || !a.Answer.At.Equal(a.Complete.At) {
				fail(21, "the bus answered what is the provider's to answer")
			}
			seen["approved by the bus"]++
		case at != bySharing:
			fail(21, "answered by who may not")
		}
		if !a.Answer.Approved && strings.TrimSpace(a.Answer.Opinion) == "" {
			fail(21, "refused without reasons")
		}
		seen[string(a.State)]++
	}
	f.told(a, fail, seen)
	f.clocks(a, fail, seen)
}

// told looks at what may happen once, in time.
func (f *workflow) told(a bus.Application, fail func(int, string), seen reached) {
	before := f.apps[a.ID]
	if a.State == bus.ApplicationReturned && before.State != bus.ApplicationReturned {
		if f.returned[a.ID]++; f.returned[a.ID] > 1 {
			fail(21, "told twice what it lacks")
		}
		if strings.TrimSpace(a.Returned.Opinion) == "" {
			fail(21, "not told what it lacks")
		}
		seen["returned"]++
	}
	if a.State == bus.ApplicationWithdrawn {
		seen["withdrawn"]++
	}
	var due time.Time
	if a.Complete != nil {
		due, _ = f.oracle.due(a.Complete.At, bus.AnswerDays)
	}
	if e := a.Extension; e != nil && before.Extension == nil {
		if e.Days < 1 || e.Days > 10 || e.Reason == "" || e.By != bySharing || !e.At.Before(due) {
			fail(21, "more time was asked for out of order")
		}
	}
	if e := a.Extension; e != nil && e.Consent != nil && (before.Extension == nil || before.Extension.Consent == nil) {
		if e.Consent.By != byReviewer || !e.Consent.At.Before(due) {
			fail(21, "more time was consented to out of order")
		}
		if e.Consent.Approved {
			seen["extended"]++
		}
	}
	if before.Answer != nil && (a.Answer == nil || !a.Answer.At.Equal(before.Answer.At) || a.State != before.State) {
		fail(21, "an answer was changed")
	}
}

// clocks compares every deadline with the oracle's.
func (f *workflow) clocks(a bus.Application, fail func(int, string), seen reached) {
	days := 10
	if a.Sharing == bus.Unconditional {
		days = 1
	} else if e := a.Extension; e != nil && e.Consent != nil && e.Consent.Approved {
		days += e.Days
	}
	if d := a.Shown.Answer; d != nil {
		due, estimated := f.oracle.due(a.Complete.At, days)
		overdue := a.State == bus.ApplicationPending && !f.now.Before(due)
		if !d.Due.Equal(due) || d.Estimated != estimated || d.Overdue != overdue {
			fail(21, fmt.Sprintf("the answer is due %+v, and counted %v %v %v", d, due, estimated, overdue))
		}
		if overdue {
			seen["overdue"]++
		}
	} else if a.State == bus.ApplicationPending {
		fail(21, "no term runs")
	}
}

func (f *workflow) grantOf(rt *rapid.T, tx *state.Tx, g bus.Grant, apps map[bus.ApplicationID]bus.Application, seen reached) {
	before, known := f.grants[g.ID]
	fail := func(article int, why string) { rt.Fatalf("art. %d: %s: %+v (before: %+v)", article, why, g, before) }
	if g.Consent != nil {
		a := apps[g.Consent.Application]
		if a.State != bus.ApplicationApproved || a.Grant != g.ID || a.Content.Resource != g.Resource || a.Content.Department != g.Consumer {
			fail(20, "no application led to it")
		}
		v, ok := tx.Version(g.Resource, g.Consent.Version)
		if !ok || g.Consent.Range != v.Resource.Sharing.Range {
			fail(15, "its conditions are not those of the directory")
		}
		for _, id := range g.Items {
			if _, listed := v.Resource.Item(id); !listed || !slices.Contains(a.Content.Items, id) {
				fail(15, "an item nobody asked for or offers")
			}
		}
		for _, p := range g.Purposes {
			if !slices.Contains(a.Content.Purposes, p) || v.Resource.Sharing.Type == bus.Conditional && !slices.Contains(v.Resource.Sharing.Purposes, p) {
				fail(15, "a purpose nobody asked for or offers")
			}
		}
		if len(a.Content.Matters) == 0 && len(g.Matters) > 0 || len(g.Matters) == 0 && len(a.Content.Matters) > 0 {
			fail(15, "matters are limited otherwise than was applied for")
		}
		if !slices.Contains(tx.Chain(g.Division), a.Content.Division) || g.NotAfter.After(a.Content.Until) {
			fail(15, "wider than was applied for")
		}
		if narrower := len(g.Items) < len(a.Content.Items); narrower && strings.TrimSpace(a.Answer.Opinion) == "" {
			fail(21, "consent to a part without reasons")
		} else if narrower {
			seen["approved in part"]++
		}
		f.delivery(g, fail)
	}
	f.life(g, before, known, apps, fail, seen)
}

func (f *workflow) delivery(g bus.Grant, fail func(int, string)) {
	due, estimated := f.oracle.due(g.Consent.At, 20)
	overdue := g.Delivered == nil && !f.now.Before(due)
	if d := g.Shown.Delivery; d == nil || !d.Due.Equal(due) || d.Estimated != estimated || d.Overdue != overdue {
		fail(22, fmt.Sprintf("delivery is due %+v, and counted %v %v %v", d, due, estimated, overdue))
	}
}

// life looks at what becomes of a grant after it was made.
func (f *workflow) life(g, before bus.Grant, known bool, apps map[bus.ApplicationID]bus.Application, fail func(int, string), seen reached) {
	if g.Delivered != nil {
		seen["delivered"]++
		if g.Delivered.After(f.now) {
			fail(22, "delivered in time to come")
		}
	}
	for _, s := range g.Stops {
		ofProvider, ofAuthority := s.By.Department == market, s.By.Department == tax
		ofConsumer := s.By.Department == housing && s.Step == bus.GrantGiveBack
		bySecurityAdministrator := s.By == bySecurity && s.Step == bus.GrantTerminate
		if strings.TrimSpace(s.Reason) == "" || s.Authority != tax || !ofProvider && !ofAuthority && !ofConsumer && !bySecurityAdministrator {
			fail(27, "a stop by who may not, without a reason, or not on file")
		}
	}
	held, isHeld := g.Held()
	if isHeld != (g.Suspended != "") {
		fail(27, "it is held and stands at once")
	}
	if isHeld && held.Step == bus.GrantRectify && g.Revoked == "" {
		due, estimated := f.oracle.due(held.At, held.Days)
		if d := g.Shown.Rectification; d == nil || !d.Due.Equal(due) || d.Estimated != estimated {
			fail(27, "the rectification is due otherwise")
		}
	}
	seen[string(g.Shown.State)]++
	if !known {
		return
	}
	if before.Revoked != "" && g.Revoked != before.Revoked {
		fail(27, "what had ended came back")
	}
	if len(g.Stops) < len(before.Stops) {
		fail(27, "a filing is gone")
	}
	if before.Delivered != nil && (g.Delivered == nil || !g.Delivered.Equal(*before.Delivered)) {
		fail(22, "the first exchange was moved")
	}
	if n := len(before.Stops); len(g.Stops) > n {
		resumed, was := g.Stops[n], bus.Stop{}
		if was, _ = before.Held(); resumed.Step == bus.GrantResume && was.By.Department == tax && resumed.By.Department != tax {
			fail(27, "the provider resumed what the authority had stopped")
		}
	}
	if g.NotAfter.Equal(before.NotAfter) {
		return
	}
	renewal := apps[g.Consent.Application]
	if !g.NotAfter.After(before.NotAfter) || renewal.Content.Renews != g.ID || !renewal.Complete.At.Before(before.NotAfter) || before.Revoked != "" {
		fail(20, "it runs longer, or less long, without a renewal in time")
	}
	for _, id := range g.Items {
		if !slices.Contains(before.Items, id) {
			fail(25, "a renewal made it wider")
		}
	}
	seen["renewed"]++
}
