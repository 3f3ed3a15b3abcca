package state_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
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
	return map[command.Type]one{
		command.TokenCreate:      {ask{by: bySysadmin, body: token("t2", "other")}, nil},
		command.NodeJoin:         {ask{by: byGZ, body: join("t-new", "new", key)}, []bus.Principal{byTH}},
		command.NodePut:          {ask{by: byTH, expect: r["th"], body: with(node("th", "440106"), func(n *bus.Node) { n.APIAddress = "10.0.0.9:1" })}, nil},
		command.DepartmentPut:    {ask{by: bySysadmin, expect: r[string(tax)], body: department(tax)}, nil},
		command.DepartmentDelete: {ask{by: bySysadmin, expect: r["gone"], body: command.Key{ID: string(freeDepartment)}}, nil},
		command.DepartmentMove:   {ask{by: bySysadmin, body: command.Move{Department: tax, To: "gz"}}, nil},
		command.DepartmentAbort:  {ask{by: bySysadmin, body: command.Key{ID: string(housing)}}, nil},
		command.DepartmentMoved:  {ask{by: byGZ, body: command.Moved{Department: housing, Epoch: r["moving"]}}, nil},
		command.SystemPut:        {ask{by: bySysadmin, expect: r["sample-tax"], body: system("sample-tax", tax)}, nil},
		command.ResourcePut:      {ask{by: byMarket, body: resource("new", "307009/1")}, []bus.Principal{bySysadmin}},
		command.ResourceDelete:   {ask{by: byMarket, expect: r["licences"], body: command.Key{ID: "licences"}}, []bus.Principal{bySysadmin}},
		command.GrantPut:         {ask{by: byMarket, body: grant("g2")}, []bus.Principal{bySecurity}},
		command.GrantConfirm:     {ask{by: bySecurity, body: command.Confirm{Grants: []bus.GrantID{"g1"}}}, []bus.Principal{}},
		command.GrantRevoke:      {ask{by: byMarket, body: command.Revoke{Grant: "g1", Reason: "样例"}}, []bus.Principal{bySecurity}},
		command.SubscriptionPut:  {ask{by: byHousing, body: subscription("s2")}, nil},
		command.SubscriptionDelete: {
			ask{by: byHousing, expect: r["s1"], body: command.Key{ID: "s1"}}, nil,
		},
		command.LayerPut:      {ask{by: bySecurity, body: layer(bus.DepartmentLayer(market))}, nil},
		command.LayerDelete:   {ask{by: bySecurity, expect: r["division/440100"], body: command.Key{ID: "division/440100"}}, nil},
		command.AccountPut:    {ask{by: bySecurity, body: account("deputy", bus.RoleAuditor)}, nil},
		command.CheckpointPut: {ask{by: byTH, body: checkpoint("th", 5, 1)}, nil},
		command.Tick:          {ask{by: byGZ, body: command.Empty{}}, []bus.Principal{byTH}},
	}
}

const freeDepartment bus.USCC = "11441300007188069T"

func onesWorld(t testing.TB) *world {
	w := newWorld(t)
	w.revision["gone"] = w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	w.revision["moving"] = w.must(bySysadmin, command.DepartmentMove, 0, command.Move{Department: housing, To: "gz"})
	return w
}

// S28–S30: every kind of principal against every type of write. What is allowed
// is listed; all else is refused and changes nothing.
func TestEveryPrincipalAgainstEveryType(t *testing.T) {
	principals := []bus.Principal{
		{}, bySysadmin, bySecurity, byAuditor, byMarket, byHousing, byTax, byGZ, byTH,
		{Account: "nobody", Role: bus.RoleSystemAdministrator},    // no such account
		{Account: "auditor", Role: bus.RoleSecurityAdministrator}, // another's role
		{Account: "sysadmin"},                                                               // no role
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
	if len(types) != 21 { // all but cluster.init, which TestInit covers
		t.Fatalf("%d types are tried", len(types))
	}
	for _, typ := range types {
		o := ones(w)[typ]
		for _, p := range principals {
			may := p == o.ask.by || slices.Contains(o.also, p)
			a := o.ask
			a.by, a.typ = p, typ
			if may { // on a world of its own, for it changes it
				fresh := onesWorld(t)
				if err := fresh.ask(a).Err(); err != nil {
					t.Errorf("%s by %+v: %v", typ, p, err)
				}
				continue
			}
			want := bus.CodeForbidden
			if typ == command.SubscriptionDelete && (p == byMarket || p == byTax) {
				want = bus.CodeNotFound // S27: another's subscription looks like none
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
	for typ, o := range ones(w) {
		a := o.ask
		a.typ = typ
		field, _, _ := strings.Cut(string(typ), ".")
		switch {
		case typ == command.DepartmentMove || typ == command.DepartmentAbort || typ == command.DepartmentMoved:
			continue // as do these
		case typ == command.NodeJoin || typ == command.GrantRevoke || typ == command.GrantConfirm || typ == command.CheckpointPut || typ == command.Tick || typ == command.TokenCreate:
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
		{"a code of 40 kB", ask{by: byMarket, typ: command.ResourcePut, body: resource("long", long)}, bus.CodeInvalid, ""},
		{"a code of 1 KiB and a byte", ask{by: byMarket, typ: command.ResourcePut, body: resource("long", long[:1025])}, bus.CodeInvalid, ""},
	})
	w.must(byMarket, command.ResourcePut, 0, resource("long", long[:1024]))
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
