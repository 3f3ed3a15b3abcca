package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/schema"
)

// addVersions registers the history of resources, and how one leaves the
// directory.
func (a *API) addVersions(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/resources/{id}" + path, Tags: []string{"resources"}, Summary: summary, Description: description}
	}
	handle(a, h, op("list-versions", http.MethodGet, "/versions", "List versions", "Every version that was published, of a withdrawn resource too."),
		func(ctx context.Context, p bus.Principal, in *ByID) (*answer[list[bus.Version]], error) {
			if err := a.found(ctx, p, in.ID); err != nil {
				return nil, err
			}
			return a.versions(p, in.ID)
		})
	type numbered struct {
		ByID
		Number int `path:"number" minimum:"1" maximum:"999999"`
	}
	handle(a, h, op("show-version", http.MethodGet, "/versions/{number}", "Show version", ""),
		func(ctx context.Context, p bus.Principal, in *numbered) (*answer[bus.Version], error) {
			err := a.found(ctx, p, in.ID)
			if bus.CodeOf(err) == bus.CodeNotFound {
				err = bus.NotFound("version", in.ID+"/"+strconv.Itoa(in.Number))
			}
			if err != nil {
				return nil, err
			}
			out := &answer[bus.Version]{}
			out.Stamp, err = a.read(func(tx *state.Tx) error {
				v, ok := tx.Version(bus.ResourceID(in.ID), in.Number)
				if !ok {
					return bus.NotFound("version", in.ID+"/"+strconv.Itoa(in.Number))
				}
				out.Body = shownVersion(tx, p, v)
				return nil
			})
			return out, err
		})
	handle(a, h, op("show-schema", http.MethodGet, "/versions/{number}/schema", "Show schema", "The JSON Schema (2020-12) of the data of events that were published under this version: what dataschema names."),
		func(ctx context.Context, p bus.Principal, in *numbered) (*schemaAnswer, error) {
			return a.schema(ctx, p, in.ID, in.Number)
		})
	type asked struct {
		ByID
		Expected
		Sent[client.WithdrawalRequest]
	}
	withdraw := op("withdraw-resource", http.MethodPost, "/withdraw", "Ask for a withdrawal", "The data authority decides; until then the version in force stays in force.")
	handle(a, h, describes[client.WithdrawalRequest](a, h, withdraw), func(ctx context.Context, p bus.Principal, in *asked) (*answer[bus.Draft], error) {
		expect, err := in.revision()
		if err != nil {
			return nil, err
		}
		why, err := in.decode()
		if err != nil {
			return nil, err
		}
		if err := a.foundToChange(ctx, p, in.ID); err != nil {
			return nil, err
		}
		body := command.Withdrawal{Resource: bus.ResourceID(in.ID), Reason: why.Reason}
		if _, err := a.write(ctx, p, command.ResourceWithdraw, expect, body, in.ID); err != nil {
			return nil, err
		}
		return a.draft(p, in.ID)
	})
}

type schemaAnswer struct {
	Stamp
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (a *API) schema(ctx context.Context, p bus.Principal, id string, number int) (*schemaAnswer, error) {
	if err := a.found(ctx, p, id); err != nil {
		return nil, err
	}
	out := &schemaAnswer{ContentType: "application/schema+json"}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) (err error) {
		v, ok := tx.Version(bus.ResourceID(id), number)
		if ok {
			out.Body, err = schema.Of(v.Resource)
		}
		if len(out.Body) == 0 && err == nil {
			err = bus.NotFound("schema", id+"/"+strconv.Itoa(number))
		}
		return err
	})
	return out, err
}

func (a *API) versions(p bus.Principal, id string) (*answer[list[bus.Version]], error) {
	out := &answer[list[bus.Version]]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		for v := range tx.Versions(bus.ResourceID(id)) {
			out.Body.Items = append(out.Body.Items, shownVersion(tx, p, v))
		}
		if len(out.Body.Items) == 0 {
			return bus.NotFound("resource", id)
		}
		return nil
	})
	return out, err
}

// shownVersion keeps who compiled and reviewed it, and on what ground, among those
// who saw the draft.
func shownVersion(tx *state.Tx, p bus.Principal, v bus.Version) bus.Version {
	if tx.Sees(p, v.Resource.Provider) {
		return v
	}
	shown := bus.Version{Resource: v.Resource}
	if v.Withdrawn != nil {
		shown.Withdrawn = &bus.Withdrawal{}
		shown.Withdrawn.Approved.At = v.Withdrawn.Approved.At
	}
	return shown
}
