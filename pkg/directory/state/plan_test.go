package state_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// refusal is a write that is refused: with which code, and naming which fields.
type refusal struct {
	name   string
	ask    ask
	code   bus.Code
	fields string // sorted, with a space between
}

// checkRefusals asks each of w, and looks that nothing has changed.
func checkRefusals(t *testing.T, w *world, refusals []refusal) {
	t.Helper()
	before := w.contents()
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			result := w.ask(r.ask)
			if result.Refusal == nil {
				t.Fatal("it was not refused")
			}
			if result.Refusal.Code != r.code {
				t.Errorf("refused as %s, want %s: %v", result.Refusal.Code, r.code, result.Err())
			}
			if got := strings.Join(fields(result), " "); got != r.fields {
				t.Errorf("the refusal names %q, want %q: %v", got, r.fields, result.Err())
			}
			for _, d := range result.Refusal.Defects {
				if d.Problem.ZH == "" || d.Problem.EN == "" {
					t.Errorf("%s is not said in both languages: %+v", d.Field, d)
				}
			}
			if result.Index != bus.Revision(w.index) || result.Revision != 0 {
				t.Errorf("a refusal at %d gives index %d, revision %d", w.index, result.Index, result.Revision)
			}
			if after := w.contents(); !maps.Equal(before, after) {
				t.Error("a refused write changed the directory")
			}
		})
	}
}

// one gives a good write of every type in the sample world, by somebody who may
// ask for it, and who else may.
type one struct {
	ask  ask
	also []bus.Principal
}

func ones(w *world) map[command.Type]one {
	r := w.revision
	compilers := []bus.Principal{bySysadmin, byOperator}
	return map[command.Type]one{
		command.TokenCreate:      {ask{by: bySysadmin, body: token("t2", "other")}, nil},
		command.NodeJoin:         {ask{by: byGZ, body: join("t-new", "new", key)}, []bus.Principal{byTH}},
		command.NodePut:          {ask{by: byTH, expect: r["th"], body: with(node("th", "440106"), func(n *bus.Node) { n.APIAddress = "10.0.0.9:1" })}, nil},
		command.NodePlace:        {ask{by: bySysadmin, expect: r["th"], body: command.Place{Node: "th", Voter: true, Draining: true}}, nil},
		command.DivisionAssign:   {ask{by: bySysadmin, body: command.Assign{Division: "440000", Node: "gz"}}, nil},
		command.RootAdd:          {ask{by: bySysadmin, body: bus.Root{Certificate: []byte("root"), Holder: "th"}}, nil},
		command.DepartmentPut:    {ask{by: bySysadmin, expect: r[string(tax)], body: department(tax)}, nil},
		command.DepartmentDelete: {ask{by: bySysadmin, expect: r["gone"], body: command.Key{ID: string(freeDepartment)}}, nil},
		command.DepartmentMove:   {ask{by: bySysadmin, body: command.Move{Department: tax, To: "gz"}}, nil},
		command.DepartmentAbort:  {ask{by: bySysadmin, body: command.Key{ID: string(housing)}}, nil},
		command.DepartmentMoved:  {ask{by: byGZ, body: command.Moved{Department: housing, Epoch: r["moving"]}}, nil},
		command.SystemPut:        {ask{by: bySysadmin, expect: r["sample-tax"], body: system("sample-tax", tax)}, nil},
		command.DivisionPut:      {ask{by: bySysadmin, expect: r["440100"], body: guangzhou}, nil},
		command.DraftPut:         {ask{by: byMarket, expect: r["drafted"], body: content(resource("drafted", "307011/1"))}, compilers},
		command.DraftDelete:      {ask{by: byMarket, expect: r["drafted"], body: command.Key{ID: "drafted"}}, compilers},
		command.DraftSubmit:      {ask{by: byMarket, body: submission("drafted", int(r["drafted"]))}, compilers},
		command.DraftReview:      {ask{by: byReviewer, body: approval("submitted", int(r["submitted"]))}, nil},
		command.DraftImport: {ask{by: byMarket, body: command.Import{Drafts: []bus.DraftContent{content(resource("", "307013/1"))}}},
			append(compilers, byHousing, byTax, byApplicant)}, // each row for itself
		command.ResourceWithdraw: {ask{by: byMarket, expect: r["licences"], body: command.Withdrawal{Resource: "licences", Reason: "样例"}}, compilers},
		command.ClaimDecide: {ask{by: byReviewer, expect: r["claim"], body: command.Decision{
			Entity: "firm", Item: "uscc", Resource: "second", Reason: "样例",
		}}, nil},
		command.TriggerRecord: {ask{by: byMarket, body: command.Trigger{Resource: "licences", Kind: bus.TriggerLaw, At: noon, Description: "样例"}}, compilers},
		command.TriggerExtend: {ask{by: byMarket, expect: r["trigger 1"], body: command.Extension{
			Resource: "registrations", Number: 1, Days: 5, Reason: "样例",
		}}, compilers},
		command.TriggerConsent:   {ask{by: byReviewer, expect: r["trigger 2"], body: command.Consent{Resource: "registrations", Number: 2, Approve: true}}, nil},
		command.CalendarPut:      {ask{by: bySysadmin, body: command.Days{Days: []calendar.Day{{Date: "2027-10-01", Name: "国庆节", Kind: calendar.KindOff}}}}, nil},
		command.LibraryPut:       {ask{by: bySysadmin, body: theme("health", "204")}, nil},
		command.LibraryDelete:    {ask{by: bySysadmin, expect: r["theme"], body: command.Key{ID: "theme"}}, nil},
		command.GrantPut:         {ask{by: bySecurity, body: grant("g2")}, []bus.Principal{bySecond, byReviewer}},
		command.GrantConfirm:     {ask{by: bySecurity, body: command.Confirm{Grants: []bus.GrantID{"g1"}}}, []bus.Principal{bySecond}},
		command.GrantRevoke:      {ask{by: byMarket, body: command.Revoke{Grant: "g1", Reason: "样例"}}, []bus.Principal{bySecurity, bySecond, byReviewer, bySharing, byApplicant}},
		command.SubscriptionStep: {ask{by: byHousing, body: command.SubscriptionStepped{Subscription: "s1", Step: bus.SubscriptionPause}}, nil},
		command.SubscriptionPut:  {ask{by: byHousing, body: subscription("s2")}, nil},
		command.SubscriptionDelete: {
			ask{by: byHousing, expect: r["s1"], body: command.Key{ID: "s1"}}, nil,
		},
		command.LayerPush:     {ask{by: bySecurity, body: push(bus.DepartmentLayer(market))}, []bus.Principal{bySecond}},
		command.LayerActivate: {ask{by: bySecond, expect: r["pushed"], body: command.Activation{Layer: "division/440106"}}, nil},
		command.LayerDiscard:  {ask{by: bySecurity, expect: r["pushed"], body: command.Key{ID: "division/440106"}}, []bus.Principal{bySecond}},
		command.AccountPut:    {ask{by: bySecurity, body: account("deputy", bus.RoleAuditor)}, []bus.Principal{bySecond}},
		command.CheckpointPut: {ask{by: byTH, body: checkpoint("th", 5, 1)}, nil},
		command.Tick:          {ask{by: byGZ, body: command.Empty{}}, []bus.Principal{byTH}},
		command.CredentialAdd: {ask{by: bySysadmin, body: newCredential("sample-tax", bearer("b2", 9))}, nil},
		command.CredentialEnd: {ask{by: bySysadmin, body: command.EndCredential{System: "sample-tax", Credential: bus.FirstCredential}}, nil},

		command.ApplicationPut:      {ask{by: byApplicant, expect: r["a-draft"], body: applied("a-draft")}, nil},
		command.ApplicationDelete:   {ask{by: byApplicant, expect: r["a-draft"], body: command.Key{ID: "a-draft"}}, nil},
		command.ApplicationSubmit:   {ask{by: byApplicant, expect: r["a-draft"], body: command.Key{ID: "a-draft"}}, nil},
		command.ApplicationAnswer:   {ask{by: bySharing, expect: r["a-filed"], body: command.Answer{Application: "a-filed", Verdict: command.VerdictApprove}}, nil},
		command.ApplicationWithdraw: {ask{by: byApplicant, expect: r["a-filed"], body: command.ApplicationWithdrawal{Application: "a-filed"}}, nil},
		command.ApplicationExtend:   {ask{by: bySharing, expect: r["a-filed"], body: command.MoreTime{Application: "a-filed", Days: 10, Reason: "样例"}}, nil},
		command.ApplicationConsent: {
			ask{by: byReviewer, expect: r["a-extended"], body: command.MoreTimeConsent{Application: "a-extended", Approve: true}}, nil,
		},
		command.GrantStop:      {ask{by: bySharing, body: command.Stop{Grant: "g1", Step: bus.GrantSuspend, Reason: "样例"}}, []bus.Principal{byReviewer}},
		command.GrantDelivered: {ask{by: byTH, body: command.Delivered{Grant: "g1", At: noon}}, nil},
		command.AttachmentPut:  {ask{by: byTH, body: bus.Attachment{Resource: "registrations", State: bus.Attached}}, nil},
	}
}

var guangzhou = bus.Division{Code: "440100", Name: "广州市", Level: bus.LevelCity, Parent: "440000", Authority: tax}

const freeDepartment bus.USCC = "11441300007188069T"

func onesWorld(t testing.TB) *world {
	w := newWorld(t)
	w.revision["gone"] = w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	w.revision["440100"] = w.must(bySysadmin, command.DivisionPut, 1, guangzhou)
	w.revision["drafted"] = w.must(byMarket, command.DraftPut, 0, content(resource("drafted", "307011/1")))
	w.revision["submitted"] = w.submit(byMarket, resource("submitted", "307012/1"))
	w.publish(byMarket, claiming(resource("first", "307014/1")))
	w.submit(byHousing, with(claiming(resource("second", "307015/1")), func(r *bus.Resource) { r.Provider = housing }))
	record := command.Trigger{Resource: "registrations", Kind: bus.TriggerLaw, At: noon, Description: "样例"}
	w.revision["trigger 1"] = w.must(byMarket, command.TriggerRecord, 0, record)
	second := w.must(byMarket, command.TriggerRecord, 0, record)
	extension := command.Extension{Resource: "registrations", Number: 2, Days: 5, Reason: "样例"}
	w.revision["trigger 2"] = w.must(byMarket, command.TriggerExtend, second, extension)
	w.revision["theme"] = w.must(bySysadmin, command.LibraryPut, 0, theme("theme", "203"))
	w.view(func(tx *state.Tx) {
		c, _ := tx.Claim("firm", "uscc")
		w.revision["claim"] = c.Revision
	})
	w.revision["a-draft"] = w.must(byApplicant, command.ApplicationPut, 0, applied("a-draft"))
	w.revision["a-filed"] = w.fileApplication(applied("a-filed"))
	w.revision["a-extended"] = w.must(bySharing, command.ApplicationExtend, w.fileApplication(applied("a-extended")), command.MoreTime{
		Application: "a-extended", Days: 10, Reason: "样例",
	})
	w.revision["pushed"] = w.must(bySecurity, command.LayerPush, 0, push("division/440106"))
	w.revision["moving"] = w.must(bySysadmin, command.DepartmentMove, 0, command.Move{Department: housing, To: "gz"})
	return w
}

// claiming is a resource that claims to be the source of a firm's code.
func claiming(r bus.Resource) bus.Resource {
	r.Entity, r.Items[0].Source = "firm", true
	return r
}

func theme(id bus.LibraryID, prefix string) bus.Library {
	return bus.Library{ID: id, Kind: bus.LibraryTheme, Name: "样例主题", Prefix: prefix}
}

// S28–S30: every kind of principal against every type of write. What is allowed
// is listed; all else is refused and changes nothing.
func TestEveryPrincipalAgainstEveryType(t *testing.T) {
	principals := []bus.Principal{
		{}, bySysadmin, bySecurity, bySecond, byAuditor, byOperator, byReviewer, byMarket, byHousing, byTax, byGZ, byTH, byApplicant, bySharing,
		{Account: "nobody", Role: bus.RoleSystemAdministrator},    // no such account
		{Account: "auditor", Role: bus.RoleSecurityAdministrator}, // another's role
		{Account: "sysadmin"},                                                        // no role
		{Account: "operator", Role: bus.RoleOperator},                                // no department
		{Account: "operator", Role: bus.RoleOperator, Department: housing},           // another department
		{Account: "operator", Role: bus.RoleReviewer, Department: market},            // another role
		{Account: "sysadmin", Role: bus.RoleSystemAdministrator, Department: market}, // an administrator of a department
		{Account: "reviewer", Role: bus.RoleReviewer, Department: tax, System: "sample-tax"},
		{Role: bus.RoleSystemAdministrator},                                                 // a role of nobody
		{Role: bus.RoleSystemAdministrator, Node: "gz"},                                     // a node with a role
		{System: "sample-ghost", Department: market},                                        // no such system
		{System: "sample-housing", Department: market},                                      // another department
		{System: "sample-market", Department: market, Role: bus.RoleSecurityAdministrator},  // a system with a role
		{System: "sample-market", Department: market, Node: "gz"},                           // a system and a node
		{Account: "security", Role: bus.RoleSecurityAdministrator, System: "sample-market"}, // an account and a system
		{Account: "security", Role: bus.RoleSecurityAdministrator, Node: "gz"},              // an account and a node
		{Department: market}, {Department: market, Node: "gz"}, {Account: "gz", Node: "gz"}, // no one thing
		{System: "sample-market"}, {System: "sample-market", Role: bus.RoleAuditor, Node: "", Department: housing},
	}
	w := onesWorld(t)
	before := w.contents()
	types := slices.Sorted(maps.Keys(ones(w)))
	if len(types) != 50 { // all but cluster.init, node.remove, root.cross and root.retire, which have tests of their own
		t.Fatalf("%d types are tried", len(types))
	}
	for _, typ := range types {
		o := ones(w)[typ]
		for _, p := range principals {
			may := p == o.ask.by || slices.Contains(o.also, p)
			a := o.ask
			a.by, a.typ = p, typ
			if may { // on a world of its own, for it changes it
				fresh := w.copy()
				if err := fresh.ask(a).Err(); err != nil {
					t.Errorf("%s by %+v: %v", typ, p, err)
				}
				continue
			}
			want := bus.CodeForbidden
			if (typ == command.SubscriptionDelete || typ == command.SubscriptionStep) && (p == byMarket || p == byTax) {
				want = bus.CodeNotFound // S27: another's subscription looks like none
			}
			if (typ == command.DraftDelete || typ == command.DraftSubmit || typ == command.TriggerExtend) && (p == byHousing || p == byApplicant) {
				want = bus.CodeNotFound // and so does another's draft
			}
			if (typ == command.ApplicationDelete || typ == command.ApplicationSubmit) && p == byOperator {
				want = bus.CodeNotFound // one that is not submitted is its department's own
			}
			if got := bus.CodeOf(w.ask(a).Err()); got != want {
				t.Errorf("%s by %+v: %q, want %q", typ, p, got, want)
			}
		}
	}
	if !maps.Equal(before, w.contents()) {
		t.Error("a refused write changed the directory")
	}
}

func TestADisabledSystemMayNothing(t *testing.T) {
	w := onesWorld(t)
	for _, s := range []bus.System{system("sample-market", market), system("sample-housing", housing)} {
		w.must(bySysadmin, command.SystemPut, w.revision[string(s.ID)], with(s, func(s *bus.System) { s.Disabled = true }))
	}
	var refusals []refusal
	for typ, o := range ones(w) {
		if o.ask.by.System != "" {
			a := o.ask
			a.typ = typ
			refusals = append(refusals, refusal{string(typ), a, bus.CodeForbidden, ""})
		}
	}
	checkRefusals(t, w, refusals)
}

// Every write of a thing that has a revision is refused at any other.
func TestAWriteIsRefusedAtAnotherRevision(t *testing.T) {
	w := onesWorld(t)
	var refusals []refusal
	own := []command.Type{
		command.NodeJoin, command.GrantRevoke, command.GrantConfirm, command.CheckpointPut, command.Tick, command.TokenCreate,
		command.CredentialAdd, command.CredentialEnd,
		command.DivisionAssign, command.RootAdd,
		command.DepartmentMove, command.DepartmentAbort, command.DepartmentMoved,
		command.DraftSubmit, command.DraftReview, command.DraftImport, command.TriggerRecord, command.CalendarPut,
		command.GrantStop, command.GrantDelivered, command.AttachmentPut, command.SubscriptionStep,
	}
	for typ, o := range ones(w) {
		a := o.ask
		a.typ = typ
		field, _, _ := strings.Cut(string(typ), ".")
		if field == "layer" {
			field = "draft" // a layer is written by its draft
		}
		switch {
		case slices.Contains(own, typ):
			continue // these have rules of their own
		case a.expect == 0:
			a.expect = 5
			refusals = append(refusals, refusal{fmt.Sprint(typ, " of a thing that is not there"), a, bus.CodeNotFound, field})
		default:
			a.expect++
			refusals = append(refusals, refusal{fmt.Sprint(typ, " a revision ahead"), a, bus.CodeRevision, field})
			a.expect -= 2
			refusals = append(refusals, refusal{fmt.Sprint(typ, " a revision behind"), a, bus.CodeRevision, field})
			a.expect = 0
			refusals = append(refusals, refusal{fmt.Sprint(typ, " as if it were new"), a, bus.CodeExists, field})
		}
	}
	checkRefusals(t, w, refusals)
}

func TestARevisionIsTheIndexOfTheWrite(t *testing.T) {
	w := newWorld(t)
	result := w.ask(ask{by: bySysadmin, typ: command.DepartmentPut, expect: w.revision[string(tax)], body: department(tax)})
	if result.Index != bus.Revision(w.index) || result.Revision != result.Index {
		t.Errorf("written at %d: %+v", w.index, result)
	}
	w.view(func(tx *state.Tx) {
		if d, _ := tx.Department(tax); d.Revision != result.Revision {
			t.Errorf("the department is at %d, want %d", d.Revision, result.Revision)
		}
		if got := tx.Revision(state.Departments); got != result.Revision {
			t.Errorf("its table is at %d, want %d", got, result.Revision)
		}
		if got := tx.Revision(state.Systems); got >= result.Revision {
			t.Errorf("another table is at %d", got)
		}
	})
}

// An identifier that bbolt would not take as a key must be refused: as an error
// it would stop every node, again after every start.
func TestNoIdentifierStopsTheNode(t *testing.T) {
	w := newWorld(t)
	long := bus.ResourceCode("307009/" + strings.Repeat("9", 40_000))
	checkRefusals(t, w, []refusal{
		{"a code of 40 kB", ask{by: byMarket, typ: command.DraftPut, body: content(resource("long", long))}, bus.CodeInvalid, "codes[0]"},
	})
	long = "204001" + bus.ResourceCode(strings.Repeat("9", 40_000))
	checkRefusals(t, w, []refusal{
		{"a prefix of 40 kB", ask{by: bySysadmin, typ: command.LibraryPut, body: theme("long", string(long))}, bus.CodeInvalid, "prefix"},
		{"an id of 2 kB", ask{by: byMarket, typ: command.DraftPut, body: content(resource(bus.ResourceID(long[:2000]), "307009/1"))}, bus.CodeInvalid, "id"},
	})
	rows := w.ask(ask{by: byMarket, typ: command.DraftImport, body: command.Import{Drafts: []bus.DraftContent{content(resource("", long)), content(resource("", "307009/1"))}}}).Rows
	wantRows(t, "one too long among others", rows, "refused  invalid-argument", "created draft ")
	w.must(bySysadmin, command.DepartmentPut, w.revision[string(tax)], department(tax))
	result := w.ask(ask{by: bySysadmin, typ: command.DepartmentPut, body: department(freeDepartment), request: strings.Repeat("r", 100_000)})
	if err := result.Err(); err != nil {
		t.Errorf("a request id of 100 kB: %v", err)
	}
	fresh := newReplica(t)
	empty := ask{by: byGZ, typ: command.ClusterInit, body: command.Init{Cluster: "gd", Node: node("", "440100")}}
	if got := bus.CodeOf(fresh.ask(empty).Err()); got != bus.CodeInvalid {
		t.Errorf("a node without an id: %q", got)
	}
}
