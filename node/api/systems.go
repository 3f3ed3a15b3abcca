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
	credential = client.NewCredential
)

// addSystems registers agency systems. One is created with its first bearer, which is
// shown once and kept as a hash; see addCredentials for the others.
func (a *API) addSystems(h huma.API) {
	addNoun(a, h, noun[bus.System]{
		path: "systems", tag: "system", table: state.Systems,
		list:     (*state.Tx).Systems,
		find:     func(tx *state.Tx, id string) (bus.System, bool) { return tx.System(bus.SystemID(id)) },
		revision: func(v bus.System) bus.Revision { return v.Revision },
		visible: func(_ *state.Tx, p bus.Principal, v bus.System) bool {
			return administrator(p) || p.Department == v.Department
		},
		shown: func(v bus.System) bus.System { return v.Current().Shown() },
	})
	put := huma.Operation{
		OperationID: "put-system", Method: http.MethodPut, Path: "/api/v1/systems/{id}", Tags: []string{"systems"},
		Summary: "Create or change system", Description: "The answer to a creation holds the first bearer, this once.",
	}
	handle(a, h, describes[bus.System](a, h, put), func(ctx context.Context, p bus.Principal, in *putOf[bus.System]) (*answer[credential], error) {
		return a.putSystem(ctx, p, in)
	})
	a.addCredentials(h)
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
	expect, s, err := named(in, func(v *bus.System) *string { return (*string)(&v.ID) })
	switch {
	case err != nil:
		return nil, err
	case len(s.SecretHash) > 0:
		return nil, notSent("secret_hash")
	case len(s.Credentials) > 0:
		return nil, notSent("credentials")
	}
	made := bus.FirstCredential
	var bearer string
	if expect == 0 {
		fresh := identity.Credential{System: s.ID, Secret: identity.NewSecret()}
		s.SecretHash, bearer = fresh.Secret.Hash(), fresh.Reveal()
	} else {
		made = ""
	}
	return handOut(ctx, a, p, handing[credential]{
		write: command.SystemPut, expect: expect, body: s, detail: in.ID,
		shown: func(tx *state.Tx) (credential, bus.Revision, bool) {
			stored, _ := tx.System(s.ID)
			c, _ := stored.Credential(made)
			ours := bearer == "" || string(c.Hash) == string(s.SecretHash)
			return credential{System: stored.Shown(), Credential: c.Shown(), Bearer: bearer}, stored.Revision, ours
		},
	})
}
