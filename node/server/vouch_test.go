package server_test

import (
	"context"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// S31: whoever has the key of a county's node has it forward entries in the names of
// those who can do most. Each is refused, and on record where the county cannot
// reach.
func TestS31ANodeForwardsNothingInTheNameOfAnother(t *testing.T) {
	county := fleet.Province()[3]
	s := tell(t, fleet.Province()[0], county)
	ctx := context.Background()
	forged := map[string]struct {
		by   bus.Principal
		typ  command.Type
		body any
	}{
		"an administrator makes an account": {
			bus.Principal{Account: "secadmin", Role: bus.RoleSecurityAdministrator}, command.AccountPut,
			bus.Account{Name: "mine", Role: bus.RoleSecurityAdministrator, PasswordHash: "$argon2id$"},
		},
		"an administrator changes a password": {
			bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}, command.AccountPut,
			bus.Account{Name: "sysadmin", Role: bus.RoleSystemAdministrator, PasswordHash: "$argon2id$"},
		},
		"another department's system writes its catalogue": {
			bus.Principal{System: s.system.ID, Department: sample.ShenzhenMarket.ID}, command.DraftPut, sample.Content(s.resource),
		},
		"the data authority's reviewer registers an agreement": {
			bus.Principal{Account: sample.Reviewer, Role: bus.RoleReviewer, Department: sample.ProvinceData.ID}, command.GrantPut,
			sample.Grant("forged", s.resource, sample.TianheServices),
		},
	}
	for name, f := range forged {
		entry, err := command.New(f.typ, f.by, "", 0, f.body)
		check(t, err)
		data, err := entry.Encode()
		check(t, err)
		if _, err := s.First.Server.Accept(ctx, county.ID, data); bus.CodeOf(err) != bus.CodeWrongNode {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused := 0
	for _, r := range leavesOf(t, s.Client("auditor")) {
		if r.Kind == audit.KindRefused && r.Principal.Node == county.ID && r.Code == bus.CodeWrongNode {
			refused++
		}
	}
	if refused != len(forged) {
		t.Errorf("%d refusals on record, want %d", refused, len(forged))
	}
	own, err := command.New(command.DraftPut, bus.Principal{System: sample.SystemOf(sample.TianheServices).ID, Department: sample.TianheServices.ID}, "", 0,
		sample.Content(func() bus.Resource {
			r := s.resource
			r.ID, r.Codes, r.Provider = "own", []bus.ResourceCode{"3010010001/000778"}, sample.TianheServices.ID
			return r
		}()))
	check(t, err)
	data, err := own.Encode()
	check(t, err)
	result, err := s.First.Server.Accept(ctx, county.ID, data)
	if err = firstOf(err, result); err != nil {
		t.Errorf("for a department that it serves: %v", err)
	}
}

func firstOf(err error, result state.Result) error {
	if err != nil {
		return err
	}
	return result.Err()
}
