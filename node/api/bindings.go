package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// addBindings registers the bindings of resources to systems of their providers. They
// are the provider's own, at its node; what they hold is not told again.
func (a *API) addBindings(h huma.API) {
	op := func(method, id, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1" + path, Tags: []string{"bindings"}, Summary: summary}
	}
	type putting struct {
		ByID
		Sent[binding.Binding]
	}
	put := op(http.MethodPut, "put-binding", "/resources/{id}/binding", "Bind a resource to a service of its provider")
	put.Description = "By the provider's department, at its node. Addresses and secrets are kept encrypted at that node and never told again."
	handle(a, h, describes[binding.Binding](a, h, put), func(ctx context.Context, p bus.Principal, in *putting) (*answer[binding.Shown], error) {
		if err := a.binds(ctx, p, in.ID, false); err != nil {
			return nil, err
		}
		b, err := in.decode()
		if err != nil {
			return nil, err
		}
		if b.Resource == "" {
			b.Resource = bus.ResourceID(in.ID)
		}
		if string(b.Resource) != in.ID {
			return nil, notOfPath(in.ID)
		}
		shown, err := a.Bindings.Put(ctx, p, requestOf(ctx), b)
		return &answer[binding.Shown]{Body: shown}, err
	})
	show := op(http.MethodGet, "read-binding", "/resources/{id}/binding", "Read what may be told of a binding")
	handle(a, h, show, func(ctx context.Context, p bus.Principal, in *ByID) (*answer[binding.Shown], error) {
		if err := a.binds(ctx, p, in.ID, true); err != nil {
			return nil, err
		}
		shown, err := a.Bindings.Show(bus.ResourceID(in.ID))
		if err != nil {
			return nil, err
		}
		shown, err = a.attached(shown)
		return &answer[binding.Shown]{Body: shown}, err
	})
	all := op(http.MethodGet, "list-bindings", "/bindings", "List the bindings of this node that are the caller's to see")
	handle(a, h, all, func(ctx context.Context, p bus.Principal, _ *struct{}) (*answer[list[binding.Shown]], error) {
		every, err := a.Bindings.All()
		if err != nil {
			return nil, err
		}
		out := &answer[list[binding.Shown]]{Body: list[binding.Shown]{Items: []binding.Shown{}}}
		for _, b := range every {
			if a.binds(ctx, p, string(b.Resource), true) != nil {
				continue
			}
			if b, err = a.attached(b); err != nil {
				return nil, err
			}
			out.Body.Items = append(out.Body.Items, b)
		}
		return out, nil
	})
	probe := op(http.MethodGet, "probe-binding", "/resources/{id}/binding/probe", "Ask whether the service that a resource is bound to is there")
	probe.DefaultStatus = http.StatusNoContent
	handle(a, h, probe, func(ctx context.Context, p bus.Principal, in *ByID) (*struct{}, error) {
		if err := a.binds(ctx, p, in.ID, false); err != nil {
			return nil, err
		}
		return nil, a.Bindings.Probe(ctx, bus.ResourceID(in.ID))
	})
	remove := op(http.MethodDelete, "delete-binding", "/resources/{id}/binding", "End a binding")
	remove.DefaultStatus = http.StatusNoContent
	handle(a, h, remove, func(ctx context.Context, p bus.Principal, in *ByID) (*struct{}, error) {
		if err := a.binds(ctx, p, in.ID, false); err != nil {
			return nil, err
		}
		return nil, a.Bindings.Delete(ctx, p, requestOf(ctx), bus.ResourceID(in.ID))
	})
}

// attached adds how the service is, as the directory has it.
func (a *API) attached(b binding.Shown) (binding.Shown, error) {
	err := a.Directory.View(func(tx *state.Tx) error {
		b.Attachment = attachment(tx, b.Resource)
		return nil
	})
	return b, err
}

// binds refuses who has nothing to do with the binding of a resource: its provider's
// department has, and administrators may look.
func (a *API) binds(ctx context.Context, p bus.Principal, id string, look bool) error {
	if err := a.found(ctx, p, id); err != nil {
		return err
	}
	provider, err := a.Exchange.Provides(bus.ResourceID(id))
	if err != nil {
		return err
	}
	if p.Department == provider && !administrator(p) || look && administrator(p) {
		return nil
	}
	return bus.E(bus.CodeForbidden, bus.Defect{
		Field: "resource", Problem: bus.Text{ZH: "由提供部门挂接", EN: "its provider's department binds it"}, Allowed: string(provider),
	})
}
