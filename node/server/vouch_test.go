package server_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
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

// S31: what a node has of departments, of its days and of the key of a root to come it
// tells the nodes that have to do with it, and makes nothing for others.
func TestS31ANodeTellsOthersWhatIsForThem(t *testing.T) {
	county := fleet.Province()[3]
	s := tell(t, fleet.Province()[0], county)
	ctx := context.Background()
	type asked func(node *server.Server, from bus.NodeID) error
	survey := func(n *server.Server, from bus.NodeID) error {
		_, err := n.SurveyHere(ctx, from, sample.ShenzhenMarket.ID)
		return err
	}
	rollups := func(n *server.Server, from bus.NodeID) error {
		_, err := n.RollupsHere(ctx, from, mesh.RollupQuery{First: "2026-01-01", Last: "2026-01-02"})
		return err
	}
	exchanges := func(n *server.Server, from bus.NodeID) error {
		_, err := n.ExchangesHere(ctx, from, mesh.ExchangeQuery{})
		return err
	}
	root := func(n *server.Server, from bus.NodeID) error {
		_, err := n.RootHere(ctx, from)
		return err
	}
	all := []asked{survey, rollups, exchanges, root}
	for i, ask := range all {
		if err := ask(s.First.Server, county.ID); bus.CodeOf(err) != bus.CodeWrongNode {
			t.Errorf("the county asks %d: %v", i, err)
		}
	}
	if _, err := os.Stat(filepath.Join(s.First.Config.DataDir, "ca-next.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
	var refused []string
	for _, r := range leavesOf(t, s.Client("auditor")) {
		if r.Kind == audit.KindRefused && r.Principal.Node == county.ID && r.Code == bus.CodeWrongNode {
			refused = append(refused, r.Detail)
		}
	}
	if len(refused) != len(all) {
		t.Errorf("refusals on record: %q", refused)
	}
	for i, ask := range all {
		if err := ask(s.Nodes[county.ID].Server, s.First.Spec.ID); err != nil {
			t.Errorf("the province asks %d: %v", i, err)
		}
	}
	_, err := s.ClientAt(s.Nodes[county.ID], "auditor").EvaluationRun(ctx, client.EvaluationOrder{ID: "r-1", From: time.Date(2026, 1, 1, 0, 0, 0, 0, calendar.Shanghai), To: time.Date(2026, 2, 1, 0, 0, 0, 0, calendar.Shanghai)})
	if !client.IsCode(err, bus.CodeWrongNode) {
		t.Errorf("a report that could be made of nothing but its own: %v", err)
	}
	_, err = s.ClientAt(s.Nodes[county.ID], "sysadmin").Move(ctx, sample.ShenzhenMarket.ID)
	if !client.IsCode(err, bus.CodeWrongNode) {
		t.Errorf("the move of another's department, shown at the county: %v", err)
	}
}

func firstOf(err error, result state.Result) error {
	if err != nil {
		return err
	}
	return result.Err()
}
