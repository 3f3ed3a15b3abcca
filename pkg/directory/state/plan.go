package state

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

const maxKey = 1 << 10 // bytes; bbolt takes 32 KiB

// request is an entry with its body decoded and its place in the log.
type request[B any] struct {
	command.Entry
	index bus.Revision
	body  B
}

// planner answers entries of one type.
type planner struct {
	may   permission
	check func(command.Entry) error // whether the body can be read
	run   planning
}

// planning answers an entry with changes, and rows where it is a bulk one, or with
// a *bus.Error that refuses it. Any other error is a fault of this node, which
// then stops.
type planning func(tx *Tx, index bus.Revision, entry command.Entry) ([]Change, []bus.ImportRow, error)

// plannerOf finds the planner of an entry. Who may ask for what stands here,
// once: every node enforces it, whatever the node did where the entry came in.
func plannerOf(entry command.Entry) (planner, error) {
	if entry.Version != 1 {
		return planner{}, fmt.Errorf("%w: %s version %d", command.ErrUnknown, entry.Type, entry.Version)
	}
	switch entry.Type {
	case command.ClusterInit:
		return of(byNode, planInit), nil
	case command.TokenCreate:
		return of(bySystemAdministrator, planTokenCreate), nil
	case command.NodeJoin:
		return of(byNode, planNodeJoin), nil
	case command.NodePut:
		return of(byNode, planNodePut), nil
	case command.NodePlace:
		return of(bySystemAdministrator, planNodePlace), nil
	case command.NodeRemove:
		return of(bySystemAdministrator, planNodeRemove), nil
	case command.DivisionAssign:
		return of(bySystemAdministrator, planDivisionAssign), nil
	case command.RootAdd:
		return of(bySystemAdministrator, planRootAdd), nil
	case command.RootCross:
		return of(byNode, planRootCross), nil
	case command.RootRetire:
		return of(bySystemAdministrator, planRootRetire), nil
	case command.DivisionPut:
		return of(bySystemAdministrator, planDivisionPut), nil
	case command.DepartmentPut:
		return of(bySystemAdministrator, planDepartmentPut), nil
	case command.DepartmentDelete:
		return of(bySystemAdministrator, planDepartmentDelete), nil
	case command.DepartmentMove:
		return of(bySystemAdministrator, planDepartmentMove), nil
	case command.DepartmentAbort:
		return of(bySystemAdministrator, planDepartmentAbort), nil
	case command.DepartmentMoved:
		return of(byNode, planDepartmentMoved), nil
	case command.SystemPut:
		return of(bySystemAdministrator, planSystemPut), nil
	case command.CredentialAdd:
		return of(bySystemAdministrator, planCredentialAdd), nil
	case command.CredentialEnd:
		return of(bySystemAdministrator, planCredentialEnd), nil
	case command.GrantPut:
		return of(byRegistrar, planGrantPut), nil
	case command.GrantRevoke:
		return of(byEnder, planGrantRevoke), nil
	case command.GrantConfirm:
		return of(bySecurityAdministrator, planGrantConfirm), nil
	case command.SubscriptionPut:
		return of(bySystem, planSubscriptionPut), nil
	case command.SubscriptionDelete:
		return of(bySystem, planSubscriptionDelete), nil
	case command.SubscriptionStep:
		return of(bySystem, planSubscriptionStep), nil
	case command.LayerPush:
		return of(bySecurityAdministrator, planLayerPush), nil
	case command.LayerActivate:
		return of(bySecurityAdministrator, planLayerActivate), nil
	case command.LayerDiscard:
		return of(bySecurityAdministrator, planLayerDiscard), nil
	case command.AccountPut:
		return of(byAccount, planAccountPut), nil
	case command.CheckpointPut:
		return of(byNode, planCheckpointPut), nil
	case command.Tick:
		return of(byNode, planTick), nil
	case command.CorrectionReport, command.CorrectionStep, command.DisputeRaise, command.DisputeStep, command.DisputeDecide:
		return caseworkPlannerOf(entry.Type), nil
	case command.SchemePropose:
		return of(byEvaluator, planSchemePropose), nil
	case command.SchemeActivate:
		return of(byReviewer, planSchemeActivate), nil
	case command.ReportPublish:
		return of(byReviewer, planReportPublish), nil
	default:
		return sharingPlannerOf(entry.Type)
	}
}

// sharingPlannerOf is the part of plannerOf that is about applications and the life
// of grants.
func sharingPlannerOf(t command.Type) (planner, error) {
	switch t {
	case command.ApplicationPut:
		return of(byOperator, planApplicationPut), nil
	case command.ApplicationDelete:
		return of(byOperator, planApplicationDelete), nil
	case command.ApplicationSubmit:
		return of(byOperator, planApplicationSubmit), nil
	case command.ApplicationAnswer:
		return of(byReviewer, planApplicationAnswer), nil
	case command.ApplicationWithdraw:
		return of(byDepartment, planApplicationWithdraw), nil
	case command.ApplicationExtend:
		return of(byReviewer, planApplicationExtend), nil
	case command.ApplicationConsent:
		return of(byReviewer, planApplicationConsent), nil
	case command.GrantStop:
		return of(byReviewer, planGrantStop), nil
	case command.GrantDelivered:
		return of(byNode, planGrantDelivered), nil
	case command.AttachmentPut:
		return of(byNode, planAttachmentPut), nil
	default:
		return cataloguePlannerOf(t)
	}
}

// caseworkPlannerOf is the part of plannerOf that is about corrections and disputes.
func caseworkPlannerOf(t command.Type) planner {
	switch t {
	case command.CorrectionReport:
		return of(byHandler, planCorrectionReport)
	case command.CorrectionStep:
		return of(byHandler, planCorrectionStep)
	case command.DisputeRaise:
		return of(byHandler, planDisputeRaise)
	case command.DisputeStep:
		return of(byHandler, planDisputeStep)
	default:
		return of(byReviewer, planDisputeDecide)
	}
}

// cataloguePlannerOf is the part of plannerOf that is about the catalogue.
func cataloguePlannerOf(t command.Type) (planner, error) {
	switch t {
	case command.ResourceWithdraw:
		return of(byCompiler, planResourceWithdraw), nil
	case command.DraftPut:
		return of(byCompiler, planDraftPut), nil
	case command.DraftDelete:
		return of(byCompiler, planDraftDelete), nil
	case command.DraftSubmit:
		return ofRows(byCompiler, planDraftSubmit), nil
	case command.DraftReview:
		return ofRows(byReviewer, planDraftReview), nil
	case command.DraftImport:
		return ofRows(byCompiler, planDraftImport), nil
	case command.ClaimDecide:
		return of(byReviewer, planClaimDecide), nil
	case command.TriggerRecord:
		return of(byCompiler, planTriggerRecord), nil
	case command.TriggerExtend:
		return of(byCompiler, planTriggerExtend), nil
	case command.TriggerConsent:
		return of(byReviewer, planTriggerConsent), nil
	case command.CalendarPut:
		return of(bySystemAdministrator, planCalendarPut), nil
	case command.LibraryPut:
		return of(bySystemAdministrator, planLibraryPut), nil
	case command.LibraryDelete:
		return of(bySystemAdministrator, planLibraryDelete), nil
	default:
		return planner{}, fmt.Errorf("%w: %s", command.ErrUnknown, t)
	}
}

// of makes a planner from one of a typed body.
func of[B any](may permission, plan func(*Tx, request[B]) ([]Change, error)) planner {
	return ofRows(may, func(tx *Tx, r request[B]) ([]Change, []bus.ImportRow, error) {
		changes, err := plan(tx, r)
		return changes, nil, err
	})
}

// ofRows makes a planner from one of a typed body that holds many.
func ofRows[B any](may permission, plan func(*Tx, request[B]) ([]Change, []bus.ImportRow, error)) planner {
	return planner{
		may: may,
		check: func(entry command.Entry) error {
			if entry.Holds(reflect.TypeFor[B]()) {
				return nil
			}
			return entry.DecodeBody(new(B))
		},
		run: func(tx *Tx, index bus.Revision, entry command.Entry) ([]Change, []bus.ImportRow, error) {
			r := request[B]{Entry: entry, index: index}
			if err := entry.DecodeBody(&r.body); err != nil {
				return nil, nil, err
			}
			return plan(tx, r)
		},
	}
}

// Known returns nil for an entry that this release can apply, else an error
// that wraps command.ErrUnknown. Ask before proposing one: in the log it stops
// every node that does not know it.
func Known(entry command.Entry) error {
	p, err := plannerOf(entry)
	if err != nil {
		return err
	}
	return p.check(entry)
}

// plan answers an entry as its planner does. What cannot be written is refused
// here: as an error it would stop every node.
func plan(tx *Tx, index bus.Revision, entry command.Entry) ([]Change, []bus.ImportRow, error) {
	p, err := plannerOf(entry)
	if err != nil {
		return nil, nil, err
	}
	if !p.may(entry.Principal) || !genuine(tx, entry.Principal) {
		return nil, nil, bus.E(bus.CodeForbidden)
	}
	changes, rows, err := p.run(tx, index, entry)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range changes {
		if c.Key == "" || len(c.Key) > maxKey {
			return nil, nil, bus.E(bus.CodeInvalid, bus.Defect{
				Problem: bus.Text{ZH: "标识为空或过长：" + string(c.Table), EN: "an empty or too long identifier: " + string(c.Table)},
				Allowed: fmt.Sprintf("1–%d bytes", maxKey),
			})
		}
	}
	return changes, rows, nil
}

// Preview answers a bulk entry as if it were applied now, and writes nothing.
func Preview(tx *Tx, entry command.Entry) ([]bus.ImportRow, error) {
	_, rows, err := plan(tx, tx.Index()+1, entry)
	return rows, err
}

type permission func(bus.Principal) bool

func bySystemAdministrator(p bus.Principal) bool   { return p.Role == bus.RoleSystemAdministrator }
func bySecurityAdministrator(p bus.Principal) bool { return p.Role == bus.RoleSecurityAdministrator }
func byAccount(p bus.Principal) bool               { return p.Account != "" }
func bySystem(p bus.Principal) bool                { return p.System != "" }

func byNode(p bus.Principal) bool { return p.Node != "" && p.Account == "" && p.System == "" }

// byCompiler and byReviewer let in who may do so for some department; for which
// one, the planners look.
func byCompiler(p bus.Principal) bool {
	return bySystemAdministrator(p) || bySystem(p) || p.Role == bus.RoleOperator
}
func byReviewer(p bus.Principal) bool { return p.Role == bus.RoleReviewer }

// byHandler lets in who acts for a department in what it has to do with another:
// its systems and operators, no separated administrator.
func byHandler(p bus.Principal) bool { return bySystem(p) || p.Role == bus.RoleOperator }

// byEvaluator lets in who may propose a scheme for some department; for which one, the
// planner looks.
func byEvaluator(p bus.Principal) bool { return byOperator(p) || byReviewer(p) }

func byOperator(p bus.Principal) bool   { return p.Role == bus.RoleOperator }
func byDepartment(p bus.Principal) bool { return p.Role.Departmental() }

// byRegistrar lets in who may register an agreement from before the bus, byEnder who
// may end some grant.
func byRegistrar(p bus.Principal) bool { return bySecurityAdministrator(p) || byReviewer(p) }
func byEnder(p bus.Principal) bool {
	return bySecurityAdministrator(p) || bySystem(p) || byDepartment(p)
}

// genuine reports whether p is one thing only, and still what it says it is: the
// account has the role, the system belongs to the department and is not disabled.
func genuine(tx *Tx, p bus.Principal) bool {
	switch {
	case p.Account != "":
		a, ok := tx.Account(p.Account)
		return ok && a.Principal() == p && !a.Disabled
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

// Spent reports whether something with this id was deleted: it is never used again.
func (t *Tx) Spent(table Table, id string) bool { return t.bytes(retired, string(table)+"/"+id) != nil }

// spent is the defect of an id that was deleted before.
func spent(tx *Tx, table Table, id string) []bus.Defect {
	if !tx.Spent(table, id) {
		return nil
	}
	return []bus.Defect{{Field: "id", Problem: bus.Text{ZH: "标识已用过且已删除", EN: "this id was used and deleted"}, Allowed: "a new id"}}
}

// unknown is the defect of a reference to something that is not there.
func unknown(field, value string) bus.Defect {
	return bus.Defect{Field: field, Problem: bus.Text{ZH: "不存在：" + value, EN: "does not exist: " + value}}
}

func wrongHash(field string) bus.Defect {
	return bus.Defect{Field: field, Problem: bus.Text{ZH: "长度不正确", EN: "wrong length"}, Allowed: "32 bytes"}
}

func inUse(field, by string) error {
	return bus.E(bus.CodeInUse, bus.Defect{Field: field, Problem: bus.Text{ZH: "仍被引用：" + by, EN: "still used by " + by}})
}
