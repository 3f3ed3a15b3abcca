package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// applications has two departments apply, each at its own node, and the provider's
// sharing office answer. One is told first, and at once, all that it lacks.
func (s *story) applications(ctx context.Context) (told bus.Text, err error) {
	account := func(at bus.NodeID, name string, role bus.Role, of bus.Department) (*client.Client, error) {
		return s.fleet.AddAccount(ctx, s.fleet.Node(at), bus.Account{Name: name, Role: role, Department: of.ID})
	}
	sharing, err := account("shenzhen", "shenzhen-sharing", bus.RoleReviewer, sample.ShenzhenMarket)
	if err != nil {
		return told, err
	}
	tianhe, err := account("tianhe", "tianhe-operator", bus.RoleOperator, sample.TianheServices)
	if err != nil {
		return told, err
	}
	health, err := account("guangzhou", "health-operator", bus.RoleOperator, sample.GuangzhouHealth)
	if err != nil {
		return told, err
	}
	resource := sample.EnterpriseRegistration()
	first := sample.Application("grant-tianhe", resource, sample.TianheServices)
	lacking := first
	lacking.Content.Basis, lacking.Content.Scenario = "", ""
	draft, err := tianhe.Applications().Put(ctx, lacking)
	if err != nil {
		return told, err
	}
	_, err = tianhe.Applications().Submit(ctx, draft)
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Code != bus.CodeIncomplete {
		return told, fmt.Errorf("an incomplete application should be refused: %w", errOr(err))
	}
	first.Revision = draft.Revision
	approved, err := sample.Apply(ctx, tianhe, sharing, first)
	if err != nil {
		return told, err
	}
	if _, err := sample.Apply(ctx, health, sharing, sample.Application("grant-health", resource, sample.GuangzhouHealth)); err != nil {
		return told, err
	}
	due := approved.Shown.Delivery.Due.Add(-1).UTC().Format("2006-01-02")
	return bus.Text{
		ZH: fmt.Sprintf("天河的申请缺 %d 项，一次告知；补正后由深圳共享工作机构同意，供数期限 %s", len(p.Defects), due),
		EN: fmt.Sprintf("Tianhe's application is told all %d things it lacks at once; Shenzhen's sharing office consents to it complete, and delivery is due by %s", len(p.Defects), due),
	}, nil
}
