package exchange

import (
	"context"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Apply decides whether a department may apply for data at all, and records that: a
// decision for each purpose. Whether it gets what it applies for is for its provider to
// answer. It writes nothing to the directory.
func (x *Exchange) Apply(ctx context.Context, by bus.Principal, request string, a bus.Application) error {
	asked := a.Content
	var matter string // a decision is about one; of several none stands for the others
	if len(asked.Matters) == 1 {
		matter = asked.Matters[0]
	}
	var f flow
	err := x.Directory.View(func(tx *state.Tx) error {
		var ok bool
		f, ok = x.flow(tx, bus.Subscription{Resource: asked.Resource, Consumer: asked.Department, Matter: matter, Basis: asked.Basis, Items: asked.Items})
		if !ok {
			return bus.NotFound("resource", string(asked.Resource))
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.input.Action, f.input.Stage = policy.ActionApply, policy.StageConsumer
	if err := x.aged(&f.input); err != nil {
		return err
	}
	record := audit.Record{
		Principal: by, Request: request, Resource: asked.Resource, Provider: f.resource.Provider, Consumer: asked.Department,
		Matter: matter, Basis: asked.Basis, Detail: "application " + string(a.ID),
	}
	for _, purpose := range asked.Purposes {
		f.input.Purpose, record.Purpose = purpose, purpose
		d := x.decide(ctx, f)
		if !d.Allow {
			return x.deny(ctx, record, d)
		}
		if err := x.Record(ctx, decided(record, d)); err != nil {
			return err
		}
	}
	return nil
}
