package state

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// planGrantPut registers an agreement that was there before the bus (存量协议): to
// drop it would be a stop without a reason (decree 809 art. 27). New consents come
// of applications. It may carry no condition that the resource's directory entry
// lacks (art. 15).
func planGrantPut(tx *Tx, r request[bus.Grant]) ([]Change, error) {
	g := r.body
	g.Shown = nil
	res, ok := tx.Resource(g.Resource)
	if r.Principal.Role == bus.RoleReviewer {
		if authority, _ := tx.Authority(res.Provider); r.Principal.Department != authority {
			return nil, bus.E(bus.CodeForbidden)
		}
	}
	defects := g.Check()
	if strings.TrimSpace(g.Agreement) == "" {
		defects = append(defects, bus.Defect{
			Field: "agreement", Problem: bus.Text{ZH: "仅登记存量协议，须写明文号；新的共享请提出申请", EN: "only an agreement from before the bus is registered, by its reference; for anything new there is the application"},
			Allowed: "a document number, or gxbus application create",
		})
	}
	switch {
	case g.Resource != "" && !ok:
		defects = append(defects, unknown("resource", string(g.Resource)))
	case ok && res.Sharing.Type == bus.NotShared:
		defects = append(defects, bus.Defect{Field: "resource", Problem: bus.Text{ZH: "不予共享的资源不能授权", EN: "a resource that is not shared cannot be granted"}})
	case ok:
		defects = append(append(defects, grantOutside(g, res)...), tx.unkept(res, g.Division)...)
	}
	if _, ok := tx.Department(g.Consumer); g.Consumer != "" && !ok {
		defects = append(defects, unknown("consumer", string(g.Consumer)))
	}
	if _, ok := tx.Division(g.Division); g.Division != "" && !ok {
		defects = append(defects, unknown("division", string(g.Division)))
	}
	have, _ := tx.Grant(g.ID)
	defects = append(defects, standing(&g, have)...)
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if err := expect(r.Expect, have.Revision, "grant", string(g.ID)); err != nil {
		return nil, err
	}
	if have.Revision != 0 && (have.Resource != g.Resource || have.Consumer != g.Consumer || have.Consent != nil) {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field:   "grant",
			Problem: bus.Text{ZH: "授权的资源与使用方不可变更，经申请取得的授权不可改写", EN: "a grant's resource and consumer never change, and one that an application led to is not written over"},
			Allowed: "an application",
		})
	}
	if have.Revoked != "" {
		return nil, bus.E(bus.CodeInUse, bus.Defect{Field: "grant", Problem: bus.Text{ZH: "已撤销的授权不能恢复", EN: "a revoked grant does not come back"}, Allowed: "a new grant"})
	}
	g.Revision = r.index
	return set(Grants, string(g.ID), g)
}

// standing gives a grant that is put what only its life changes, and lists what it
// says of that and is not so (threat S28).
func standing(g *bus.Grant, have bus.Grant) []bus.Defect {
	said := []struct {
		field     string
		put, have any
		silent    bool
	}{
		{"suspended", g.Suspended, have.Suspended, g.Suspended == ""},
		{"revoked", g.Revoked, have.Revoked, g.Revoked == ""},
		{"consent", g.Consent, have.Consent, g.Consent == nil},
		{"delivered", g.Delivered, have.Delivered, g.Delivered == nil},
		{"stops", g.Stops, have.Stops, g.Stops == nil},
	}
	var defects []bus.Defect
	for _, s := range said {
		put, errPut := json.Marshal(s.put)
		is, errIs := json.Marshal(s.have)
		if s.silent || errPut == nil && errIs == nil && string(put) == string(is) {
			continue
		}
		defects = append(defects, bus.Defect{Field: s.field, Problem: bus.Text{ZH: "不能直接写入", EN: "is not written like this"}, Allowed: "as it is, or left out"})
	}
	g.Suspended, g.Revoked, g.Consent, g.Delivered, g.Stops = have.Suspended, have.Revoked, have.Consent, have.Delivered, have.Stops
	return defects
}

// grantOutside lists what a grant has that its resource does not.
func grantOutside(g bus.Grant, res bus.Resource) []bus.Defect {
	var defects []bus.Defect
	for i, id := range g.Items {
		if _, ok := res.Item(id); !ok {
			defects = append(defects, unknown(fmt.Sprintf("items[%d]", i), string(id)))
		}
	}
	for i, p := range g.Purposes {
		if res.Sharing.Type == bus.Conditional && !slices.Contains(res.Sharing.Purposes, p) {
			defects = append(defects, bus.Defect{
				Field:   fmt.Sprintf("purposes[%d]", i),
				Problem: bus.Text{ZH: "超出目录载明的使用用途：" + string(p), EN: "not among the purposes of the directory entry: " + string(p)},
				Allowed: fmt.Sprint(res.Sharing.Purposes),
			})
		}
	}
	return defects
}

// planGrantRevoke ends a grant. The provider and its data authority terminate it
// (终止), the consumer gives it back; a security administrator may cut it off.
func planGrantRevoke(tx *Tx, r request[command.Revoke]) ([]Change, error) {
	g, ok := tx.Grant(r.body.Grant)
	if !ok || !bySecurityAdministrator(r.Principal) && !tx.SeesGrant(r.Principal, g) {
		return nil, bus.NotFound("grant", string(r.body.Grant))
	}
	stop := bus.Stop{Step: bus.GrantTerminate, Reason: r.body.Reason, By: r.Principal, At: r.At}
	stop.Authority, _ = tx.Authority(tx.Provider(g.Resource))
	switch p := r.Principal; {
	case bySecurityAdministrator(p):
	case (bySystem(p) || byReviewer(p)) && p.Department == tx.Provider(g.Resource):
	case byReviewer(p) && p.Department == stop.Authority:
	case byDepartment(p) && p.Department == g.Consumer:
		stop.Step = bus.GrantGiveBack
	default:
		return nil, bus.E(bus.CodeForbidden)
	}
	if err := bus.Invalid(stop.Check()); err != nil {
		return nil, err
	}
	if g.Revoked != "" {
		return nil, nil // once is enough, and the first reason stands
	}
	return stopped(r.index, g, stop)
}

// planGrantStop suspends a grant, orders a rectification or resumes it, with the
// reason on file (decree 809 art. 27). What the data authority has stopped only the
// data authority resumes.
func planGrantStop(tx *Tx, r request[command.Stop]) ([]Change, error) {
	g, ok := tx.Grant(r.body.Grant)
	if !ok || !tx.SeesGrant(r.Principal, g) {
		return nil, bus.NotFound("grant", string(r.body.Grant))
	}
	provider := tx.Provider(g.Resource)
	authority, _ := tx.Authority(provider)
	may := []bus.USCC{provider, authority}
	held, isHeld := g.Held()
	if r.body.Step == bus.GrantResume && isHeld && held.By.Department == authority {
		may = []bus.USCC{authority}
	}
	if !slices.Contains(may, r.Principal.Department) {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "由提供部门或数据主管部门的审核人办理", EN: "a reviewer of the provider or of its data authority does"}, Allowed: fmt.Sprint(may),
		})
	}
	stop := bus.Stop{Step: r.body.Step, Reason: r.body.Reason, By: r.Principal, At: r.At, Days: r.body.Days, Authority: authority}
	defects := stop.Check()
	if stop.Step == bus.GrantTerminate || stop.Step == bus.GrantGiveBack {
		defects = append(defects, bus.Defect{Field: "step", Problem: bus.Text{ZH: "终止与退回请用撤销", EN: "a grant is ended by revoking it"}, Allowed: "suspend, rectify, resume"})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	return stopped(r.index, g, stop)
}

func stopped(index bus.Revision, g bus.Grant, stop bus.Stop) ([]Change, error) {
	g, err := g.After(stop)
	if err != nil {
		return nil, err
	}
	g.Revision = index
	return set(Grants, string(g.ID), g)
}

// planGrantDelivered records the first exchange under a grant, at the word of the
// node that serves the provider. It may repeat it: the first word stands.
func planGrantDelivered(tx *Tx, r request[command.Delivered]) ([]Change, error) {
	g, ok := tx.Grant(r.body.Grant)
	if !ok {
		return nil, bus.NotFound("grant", string(r.body.Grant))
	}
	provider, _ := tx.Department(tx.Provider(g.Resource))
	if home, ok := tx.Home(provider); !ok || home != r.Principal.Node {
		return nil, bus.E(bus.CodeForbidden)
	}
	if g.Delivered != nil {
		return nil, nil
	}
	if r.body.At.IsZero() || r.body.At.After(r.At) {
		r.body.At = r.At // a clock that is ahead of the leader's
	}
	g.Delivered, g.Revision = &r.body.At, r.index
	return set(Grants, string(g.ID), g)
}
