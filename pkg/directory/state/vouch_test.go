package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// S31: one node's key does not speak for principals of another.
func TestS31ANodeVouchesForWhomItServes(t *testing.T) {
	w := newWorld(t)
	free := bus.Principal{System: "sample-free", Department: freeDepartment}
	w.must(bySysadmin, command.DepartmentPut, 0, with(department(freeDepartment), func(d *bus.Department) { d.Division = "440000" })) // above both nodes
	w.must(bySysadmin, command.DepartmentMove, 0, command.Move{Department: tax, To: "gz"})
	for _, c := range []struct {
		name string
		node bus.NodeID
		by   bus.Principal
		want bus.Code
	}{
		{"a department's system, at its node", "th", byMarket, ""},
		{"its accounts, there", "th", byOperator, ""},
		{"its system, at another", "gz", byMarket, bus.CodeWrongNode},
		{"its reviewer, at another", "gz", bySharing, bus.CodeWrongNode},
		{"one that moves, where it is", "th", byTax, ""},
		{"one that moves, where it goes", "gz", byTax, ""},
		{"one that nobody serves, at a node that does not vote", "gz", free, bus.CodeWrongNode},
		{"one that nobody serves, at one that votes", "th", free, ""},
		{"an administrator, at a node that votes", "th", bySecurity, ""},
		{"an administrator, at one that does not", "gz", bySecurity, bus.CodeWrongNode},
		{"a node for itself", "gz", byGZ, ""},
		{"at no node that is known", "x", bySysadmin, bus.CodeWrongNode},
	} {
		w.view(func(tx *state.Tx) {
			if got := bus.CodeOf(tx.Vouch(c.node, c.by)); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		})
	}
}

// S31: whom a node speaks for is what the directory says he is.
func TestS31ANodeSpeaksForWhoIsWhatHeSays(t *testing.T) {
	w := newWorld(t)
	as := func(p bus.Principal, change func(*bus.Principal)) bus.Principal { change(&p); return p }
	for name, c := range map[string]struct {
		node bus.NodeID
		by   bus.Principal
		want bus.Code
	}{
		"a system":                         {"th", byMarket, ""},
		"an operator":                      {"th", byOperator, ""},
		"an administrator":                 {"th", bySecurity, ""},
		"a system of another node":         {"gz", byMarket, bus.CodeWrongNode},
		"a system with a role":             {"th", as(byMarket, func(p *bus.Principal) { p.Role = bus.RoleAuditor }), bus.CodeForbidden},
		"an operator who audits":           {"th", as(byOperator, func(p *bus.Principal) { p.Role = bus.RoleAuditor }), bus.CodeForbidden},
		"an administrator of another kind": {"th", as(bySecurity, func(p *bus.Principal) { p.Role = bus.RoleAuditor }), bus.CodeForbidden},
		"an account that is a system too":  {"th", as(byOperator, func(p *bus.Principal) { p.System = byMarket.System }), bus.CodeForbidden},
		"an account that nobody has":       {"th", as(byOperator, func(p *bus.Principal) { p.Account = "nobody" }), bus.CodeForbidden},
		"a department alone":               {"th", bus.Principal{Department: byMarket.Department}, bus.CodeForbidden},
		"nobody":                           {"th", bus.Principal{}, bus.CodeForbidden},
	} {
		w.view(func(tx *state.Tx) {
			if got := bus.CodeOf(tx.Speaks(c.node, c.by)); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		})
	}
}

// S31: what a node cannot do for others it can for the systems that it serves: make
// the keys that it alone can check.
func TestS31ASigningKeyIsMadeWhereItIsChecked(t *testing.T) {
	w := newWorld(t)
	w.must(bySysadmin, command.DepartmentMove, 0, command.Move{Department: tax, To: "gz"})
	for _, c := range []struct {
		name   string
		system bus.SystemID
		kind   bus.CredentialKind
		want   bus.Code
	}{
		{"of a system that it is to serve", "sample-tax", bus.CredentialSigning, ""},
		{"of a system of another node", "sample-market", bus.CredentialSigning, bus.CodeWrongNode},
		{"of no system", "sample-x", bus.CredentialSigning, bus.CodeWrongNode},
		{"a bearer, which any node checks", "sample-tax", bus.CredentialBearer, bus.CodeWrongNode},
	} {
		e, err := command.New(command.CredentialAdd, bySysadmin, "", 0, command.NewCredential{System: c.system, Credential: bus.Credential{ID: "k", Kind: c.kind}})
		if err != nil {
			t.Fatal(err)
		}
		w.view(func(tx *state.Tx) {
			if got := bus.CodeOf(tx.VouchEntry("gz", e)); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		})
	}
}
