package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// addPolicies registers policy layers. They are named by kind and what they are
// of: /policies/division/440100.
func (a *API) addPolicies(h huma.API) {
	type LayerPath struct {
		Kind string `path:"kind" enum:"division,department"`
		Of   string `path:"of" maxLength:"64" pattern:"^[0-9A-Za-z]+$"`
	}
	type put struct {
		LayerPath
		Expected
		Sent[bus.Layer]
	}
	type del struct {
		LayerPath
		Expected
	}
	id := func(p LayerPath) bus.LayerID { return bus.LayerID(p.Kind + "/" + p.Of) }
	op := func(name, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: name, Method: method, Path: "/api/v1/policies" + path, Summary: summary, Tags: []string{"policies"}}
	}
	layers := noun[bus.Layer]{tag: "layer", table: state.Layers, list: (*state.Tx).Layers}
	follow(a, layers)
	handle(a, h, op("list-layers", http.MethodGet, "", "List policy layers"), func(_ context.Context, _ bus.Principal, _ *struct{}) (*answer[list[bus.Layer]], error) {
		return layers.listed(a, bus.Principal{})
	})
	handle(a, h, op("show-layer", http.MethodGet, "/{kind}/{of}", "Show a policy layer"), func(_ context.Context, _ bus.Principal, in *LayerPath) (*answer[bus.Layer], error) {
		return a.layer(id(*in))
	})
	check := describes[bus.Layer](a, h, op("check-layer", http.MethodPost, "/check", "Check and test a policy layer without storing it"))
	handle(a, h, check, func(ctx context.Context, p bus.Principal, in *Sent[bus.Layer]) (*answer[bus.LayerReport], error) {
		if err := only(bus.RoleSecurityAdministrator, p); err != nil {
			return nil, err
		}
		layer, err := in.decode()
		if err != nil {
			return nil, err
		}
		return &answer[bus.LayerReport]{Body: a.Policy.Check(ctx, layer)}, nil
	})
	handle(a, h, describes[bus.Layer](a, h, op("put-layer", http.MethodPut, "/{kind}/{of}", "Put a policy layer in force")), func(ctx context.Context, p bus.Principal, in *put) (*answer[bus.Layer], error) {
		layer, err := in.decode()
		if err != nil {
			return nil, err
		}
		layer.ID = id(in.LayerPath)
		return a.putLayer(ctx, p, in.Expected, layer)
	})
	handle(a, h, op("delete-layer", http.MethodDelete, "/{kind}/{of}", "Withdraw a policy layer"), func(ctx context.Context, p bus.Principal, in *del) (*deleted, error) {
		expect, err := in.revision()
		if err != nil {
			return nil, err
		}
		key := string(id(in.LayerPath))
		result, err := a.write(ctx, p, command.LayerDelete, expect, command.Key{ID: key}, key)
		return &deleted{result.Index}, err
	})
}

func (a *API) layer(id bus.LayerID) (*answer[bus.Layer], error) {
	out := &answer[bus.Layer]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		var ok bool
		if out.Body, ok = tx.Layer(id); !ok {
			return bus.NotFound("layer", string(id))
		}
		return nil
	})
	out.ETag = etag(out.Body.Revision)
	return out, err
}

func (a *API) putLayer(ctx context.Context, p bus.Principal, e Expected, layer bus.Layer) (*answer[bus.Layer], error) {
	if err := only(bus.RoleSecurityAdministrator, p); err != nil {
		return nil, err
	}
	expect, err := e.revision()
	if err != nil {
		return nil, err
	}
	if report := a.Policy.Check(ctx, layer); !report.OK {
		refusal := bus.E(bus.CodePolicyRefused)
		for _, problem := range report.Problems {
			refusal.Defects = append(refusal.Defects, bus.Defect{Field: cmp.Or(problem.Where(), "modules"), Problem: problem.Message})
		}
		for _, t := range report.Tests {
			if !t.Pass {
				refusal.Defects = append(refusal.Defects, bus.Defect{Field: t.Name, Problem: bus.Text{ZH: "测试未通过", EN: "the test fails"}})
			}
		}
		return nil, refusal
	}
	if _, err := a.write(ctx, p, command.LayerPut, expect, layer, string(layer.ID)); err != nil {
		return nil, err
	}
	return a.layer(layer.ID)
}
