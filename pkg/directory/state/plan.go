package state

import (
	"encoding/json"
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// request is an entry with its body decoded and its place in the log.
type request[B any] struct {
	command.Entry
	index bus.Revision
	body  B
}

// planner answers an entry with changes, or with a *bus.Error that refuses it.
// Any other error is a fault of this node, which then stops.
type planner func(tx *Tx, index bus.Revision, entry command.Entry) ([]Change, error)

// plan finds the planner of an entry. Who may ask for what stands here, once:
// every node enforces it, whatever the node did where the entry came in.
func plan(tx *Tx, index bus.Revision, entry command.Entry) ([]Change, error) {
	if entry.Version != 1 {
		return nil, fmt.Errorf("%w: %s version %d", command.ErrUnknown, entry.Type, entry.Version)
	}
	var may permission
	var run planner
	switch entry.Type {
	case command.ClusterInit:
		may, run = byNode, decoded(planInit)
	case command.TokenCreate:
		may, run = bySystemAdministrator, decoded(planTokenCreate)
	case command.NodeJoin:
		may, run = byNode, decoded(planNodeJoin)
	case command.NodePut:
		may, run = byNode, decoded(planNodePut)
	case command.DepartmentPut:
		may, run = bySystemAdministrator, decoded(planDepartmentPut)
	case command.DepartmentDelete:
		may, run = bySystemAdministrator, decoded(planDepartmentDelete)
	case command.SystemPut:
		may, run = bySystemAdministrator, decoded(planSystemPut)
	case command.ResourcePut:
		may, run = bySystemAdministratorOrSystem, decoded(planResourcePut)
	case command.ResourceDelete:
		may, run = bySystemAdministratorOrSystem, decoded(planResourceDelete)
	case command.GrantPut:
		may, run = bySecurityAdministratorOrSystem, decoded(planGrantPut)
	case command.GrantRevoke:
		may, run = bySecurityAdministratorOrSystem, decoded(planGrantRevoke)
	case command.SubscriptionPut:
		may, run = bySystem, decoded(planSubscriptionPut)
	case command.SubscriptionDelete:
		may, run = bySystem, decoded(planSubscriptionDelete)
	case command.LayerPut:
		may, run = bySecurityAdministrator, decoded(planLayerPut)
	case command.LayerDelete:
		may, run = bySecurityAdministrator, decoded(planLayerDelete)
	case command.AccountPut:
		may, run = byAccount, decoded(planAccountPut)
	case command.CheckpointPut:
		may, run = byNode, decoded(planCheckpointPut)
	case command.Tick:
		may, run = byNode, planTick
	default:
		return nil, fmt.Errorf("%w: %s", command.ErrUnknown, entry.Type)
	}
	if !may(entry.Principal) || !genuine(tx, entry.Principal) {
		return nil, bus.E(bus.CodeForbidden)
	}
	return run(tx, index, entry)
}

// decoded turns a planner of a typed body into one of an entry.
func decoded[B any](plan func(*Tx, request[B]) ([]Change, error)) planner {
	return func(tx *Tx, index bus.Revision, entry command.Entry) ([]Change, error) {
		r := request[B]{Entry: entry, index: index}
		if err := json.Unmarshal(entry.Body, &r.body); err != nil {
			return nil, fmt.Errorf("%w: body of %s: %w", command.ErrUnknown, entry.Type, err)
		}
		return plan(tx, r)
	}
}

type permission func(bus.Principal) bool

func bySystemAdministrator(p bus.Principal) bool   { return p.Role == bus.RoleSystemAdministrator }
func bySecurityAdministrator(p bus.Principal) bool { return p.Role == bus.RoleSecurityAdministrator }
func byAccount(p bus.Principal) bool               { return p.Account != "" }
func bySystem(p bus.Principal) bool                { return p.System != "" }

func byNode(p bus.Principal) bool { return p.Node != "" && p.Account == "" && p.System == "" }

func bySystemAdministratorOrSystem(p bus.Principal) bool {
	return bySystemAdministrator(p) || bySystem(p)
}

func bySecurityAdministratorOrSystem(p bus.Principal) bool {
	return bySecurityAdministrator(p) || bySystem(p)
}

// genuine reports whether p is one thing only, and still what it says it is: the
// account has the role, the system belongs to the department and is not disabled.
func genuine(tx *Tx, p bus.Principal) bool {
	switch {
	case p.Account != "":
		a, ok := tx.Account(p.Account)
		return ok && a.Role == p.Role && p.System == "" && p.Node == ""
	case p.System != "":
		s, ok := tx.System(p.System)
		return ok && s.Department == p.Department && !s.Disabled && p.Role == "" && p.Node == ""
	default:
		return p.Node != "" && p.Role == "" && p.Department == ""
	}
}

// expect refuses a write whose expected revision is not the present one; 0
// stands for "does not exist".
func expect(want, have bus.Revision, field, id string) error {
	switch {
	case want == have:
		return nil
	case want == 0:
		return bus.E(bus.CodeExists, bus.Defect{
			Field: field, Problem: bus.Text{ZH: "已存在：" + id, EN: id + " exists already"},
			Allowed: fmt.Sprintf("a new %s, or the present revision %d to change this one", field, have),
		})
	case have == 0:
		return bus.NotFound(field, id)
	default:
		return bus.E(bus.CodeRevision, bus.Defect{
			Field: field, Problem: bus.Text{ZH: "修订号不是当前值", EN: "not the present revision"},
			Allowed: fmt.Sprintf("%d", have),
		})
	}
}

// set makes the change that writes value.
func set(table Table, key string, value any) ([]Change, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", table, err)
	}
	return []Change{{table, key, data}}, nil
}

// retire makes the changes that delete a value and keep its id from being used
// again.
func retire(table Table, id string) []Change {
	return []Change{{table, id, nil}, {retired, string(table) + "/" + id, []byte("true")}}
}

// spent is the defect of an id that was deleted before.
func spent(tx *Tx, table Table, id string) []bus.Defect {
	if tx.bytes(retired, string(table)+"/"+id) == nil {
		return nil
	}
	return []bus.Defect{{Field: "id", Problem: bus.Text{ZH: "标识已用过且已删除", EN: "this id was used and deleted"}, Allowed: "a new id"}}
}

// unknown is the defect of a reference to something that is not there.
func unknown(field, value string) bus.Defect {
	return bus.Defect{Field: field, Problem: bus.Text{ZH: "不存在：" + value, EN: "does not exist: " + value}}
}

func inUse(field, by string) error {
	return bus.E(bus.CodeInUse, bus.Defect{Field: field, Problem: bus.Text{ZH: "仍被引用：" + by, EN: "still used by " + by}})
}
