package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
)

type (
	revocation = client.Revocation
	credential = client.Credential
)

// addSystems registers agency systems. Their credential is made here, shown
// once, and kept as a hash.
func (a *API) addSystems(h huma.API) {
	systems := noun[bus.System]{
		path: "systems", tag: "system", table: state.Systems,
		list:     (*state.Tx).Systems,
		find:     func(tx *state.Tx, id string) (bus.System, bool) { return tx.System(bus.SystemID(id)) },
		revision: func(v bus.System) bus.Revision { return v.Revision },
		id:       func(v *bus.System) *string { return (*string)(&v.ID) },
		visible: func(_ *state.Tx, p bus.Principal, v bus.System) bool {
			return administrator(p) || p.Department == v.Department
		},
		shown: func(v bus.System) bus.System {
			v.SecretHash = nil
			return v
		},
	}
	addNoun(a, h, systems)
	put := huma.Operation{
		OperationID: "put-system", Method: http.MethodPut, Path: "/api/v1/systems/{id}", Tags: []string{"systems"},
		Summary: "Create or change system", Description: "The answer to a creation holds the credential, this once.",
	}
	handle(a, h, describes[bus.System](a, h, put), func(ctx context.Context, p bus.Principal, in *putOf[bus.System]) (*answer[credential], error) {
		return a.putSystem(ctx, p, in)
	})
	rotate := huma.Operation{
		OperationID: "rotate-system", Method: http.MethodPost, Path: "/api/v1/systems/{id}/credential", Tags: []string{"systems"},
		Summary: "Replace a system's credential", Description: "The old one stops at once; the answer holds the new one, this once.",
	}
	handle(a, h, rotate, func(ctx context.Context, p bus.Principal, in *ByID) (*answer[credential], error) {
		if err := only(bus.RoleSystemAdministrator, p); err != nil {
			return nil, err
		}
		have, err := a.system(in.ID)
		if err != nil {
			return nil, err
		}
		return a.issue(ctx, p, have.Revision, have)
	})
}

func (a *API) system(id string) (have bus.System, err error) {
	err = a.Directory.View(func(tx *state.Tx) error {
		var ok bool
		if have, ok = tx.System(bus.SystemID(id)); !ok {
			return bus.NotFound("system", id)
		}
		return nil
	})
	return have, err
}

func (a *API) putSystem(ctx context.Context, p bus.Principal, in *putOf[bus.System]) (*answer[credential], error) {
	if err := only(bus.RoleSystemAdministrator, p); err != nil {
		return nil, err
	}
	expect, err := in.revision()
	if err != nil {
		return nil, err
	}
	s, err := in.decode()
	if err != nil {
		return nil, err
	}
	if s.ID != "" && s.ID != bus.SystemID(in.ID) {
		return nil, notOfPath(in.ID)
	}
	s.ID = bus.SystemID(in.ID)
	if expect == 0 {
		return a.issue(ctx, p, 0, s)
	}
	have, err := a.system(in.ID)
	if err != nil {
		return nil, err
	}
	s.SecretHash = have.SecretHash
	if _, err := a.write(ctx, p, command.SystemPut, expect, s, in.ID); err != nil {
		return nil, err
	}
	return a.credential(in.ID, nil)
}

// issue writes a system with a new credential.
func (a *API) issue(ctx context.Context, p bus.Principal, expect bus.Revision, s bus.System) (*answer[credential], error) {
	fresh := identity.Credential{System: s.ID, Secret: identity.NewSecret()}
	s.SecretHash = fresh.Secret.Hash()
	if _, err := a.write(ctx, p, command.SystemPut, expect, s, string(s.ID)); err != nil {
		return nil, err
	}
	return a.credential(string(s.ID), &fresh)
}

// credential shows a system, with the credential that was made for it.
func (a *API) credential(id string, fresh *identity.Credential) (*answer[credential], error) {
	out := &answer[credential]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		s, _ := tx.System(bus.SystemID(id))
		out.ETag = etag(s.Revision)
		if fresh != nil {
			if !fresh.Secret.Matches(s.SecretHash) {
				return shownOnce() // the repeat of a request that made another
			}
			out.Body.Bearer = fresh.Reveal()
		}
		s.SecretHash = nil
		out.Body.System = s
		return nil
	})
	return out, err
}

// shownOnce refuses the repeat of a request whose answer held a secret: that is
// kept nowhere, and a new one would not be valid.
func shownOnce() error {
	return bus.E(bus.CodeExists, bus.Defect{
		Field: client.HeaderRequest, Problem: bus.Text{ZH: "该请求已办理，其凭证只显示一次", EN: "this request was carried out before; its secret is shown once"},
		Allowed: "a new request",
	})
}
