package api

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// access explains to a department what it may do with a resource, and to an
// administrator what any department may.
func (a *API) access(ctx context.Context, p bus.Principal, q exchange.Access) (*answer[bus.Access], error) {
	var defects []bus.Defect
	for _, purpose := range q.Purposes {
		defects = append(defects, bus.CheckPurpose("purpose", purpose)...)
	}
	switch {
	case !administrator(p) && q.Department == "":
		q.Department, q.System = p.Department, p.System
	case !administrator(p) && q.Department != p.Department:
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "department", Problem: bus.Text{ZH: "只能查询本部门", EN: "another department's access is not told"}, Allowed: string(p.Department),
		})
	case q.Department == "":
		defects = append(defects, bus.Defect{
			Field: "department", Problem: bus.Text{ZH: "管理员须指定部门", EN: "an administrator names a department"}, Allowed: "a unified social credit code",
		})
	case !administrator(p):
		q.System = p.System
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	a.Cluster.CatchUp(ctx) // a grant may be a moment old, and made elsewhere
	if err := a.found(ctx, p, string(q.Resource)); err != nil {
		return nil, err
	}
	out := &answer[bus.Access]{}
	hidden, err := a.hiddenFrom(ctx, q)
	if err != nil {
		return nil, err
	}
	if out.Body, err = a.Exchange.Explain(ctx, p, requestOf(ctx), q); err != nil {
		return nil, err
	}
	if len(hidden) > 0 {
		out.Body.Missing, out.Body.Uses = hidden, []bus.Use{}
	}
	return out, nil
}

// hiddenFrom says why a department does not find a resource, if it does not.
func (a *API) hiddenFrom(ctx context.Context, q exchange.Access) (missing []bus.Missing, err error) {
	err = a.Directory.View(func(tx *state.Tx) error {
		r, ok := tx.Resource(q.Resource)
		if _, known := tx.Department(q.Department); !ok || !known {
			return nil // Explain says so
		}
		v, err := a.viewer(ctx, tx, bus.Principal{Department: q.Department, System: q.System})
		if err != nil || v.finds(r) {
			return err
		}
		for _, reason := range a.decideDiscovery(ctx, v, r).Reasons {
			missing = append(missing, bus.Missing{Reason: reason, Next: bus.Text{
				ZH: "该部门检索不到此资源：联系制定策略层 " + string(reason.Layer) + " 的部门或其安全管理员",
				EN: "the department does not find this resource: ask whoever wrote layer " + string(reason.Layer) + ", or its security administrator",
			}})
		}
		return nil
	})
	return missing, err
}
