package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Authority is what the API asks of the cluster's certificate authority.
type Authority interface {
	// NewRoot has a node, the present holder where holder is empty, make a root.
	NewRoot(ctx context.Context, holder bus.NodeID) (bus.Root, error)
	// Authorities tells which roots are trusted and who is certified under which.
	Authorities() (client.Authority, error)
}

// addAuthority registers the replacement of the cluster's root certificate.
func (a *API) addAuthority(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/ca" + path, Summary: summary, Description: description, Tags: []string{"ca"}}
	}
	handle(a, h, op("show-ca", http.MethodGet, "", "Show the roots and who is certified under which", ""), func(context.Context, bus.Principal, *struct{}) (*answer[client.Authority], error) {
		out, err := a.Authority.Authorities()
		return &answer[client.Authority]{Body: out}, err
	})
	rotate := op("rotate-ca", http.MethodPost, "/rotate", "Begin to replace the root",
		"A new root is trusted beside the old one, and the nodes renew their certificates under it by themselves.")
	handle(a, h, describes[client.Rotation](a, h, rotate), func(ctx context.Context, p bus.Principal, in *Sent[client.Rotation]) (*answer[client.Authority], error) {
		if err := only(bus.RoleSystemAdministrator, p); err != nil {
			return nil, err
		}
		asked, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.rotate(ctx, p, asked.To)
	})
	retire := op("retire-ca", http.MethodPost, "/retire", "End the trust in the old root",
		"Refused while a node is certified under it, unless forced; such a node is then shut out.")
	handle(a, h, describes[client.Retirement](a, h, retire), func(ctx context.Context, p bus.Principal, in *Sent[client.Retirement]) (*answer[client.Authority], error) {
		if err := only(bus.RoleSystemAdministrator, p); err != nil {
			return nil, err
		}
		asked, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.retire(ctx, p, asked.Force)
	})
}

func (a *API) roots() (roots []bus.Root, err error) {
	err = a.Directory.View(func(tx *state.Tx) error {
		roots = tx.Roots()
		return nil
	})
	return roots, err
}

func (a *API) rotate(ctx context.Context, p bus.Principal, to bus.NodeID) (*answer[client.Authority], error) {
	roots, err := a.roots()
	if err != nil {
		return nil, err
	}
	if len(roots) > 1 {
		return nil, bus.E(bus.CodeInUse, bus.Defect{
			Field: "root", Problem: bus.Text{ZH: "上一次根证书更换尚未结束", EN: "the root is being replaced already"}, Allowed: "gxbus ca status, gxbus ca retire",
		})
	}
	if to != "" {
		if _, _, err := a.node(to); err != nil {
			return nil, err
		}
	}
	root, err := a.Authority.NewRoot(ctx, to)
	if err != nil {
		return nil, err
	}
	if _, err := a.write(ctx, p, command.RootAdd, 0, root, root.Fingerprint+" at "+string(root.Holder)); err != nil {
		return nil, err
	}
	out, err := a.Authority.Authorities()
	return &answer[client.Authority]{Body: out}, err
}

func (a *API) retire(ctx context.Context, p bus.Principal, force bool) (*answer[client.Authority], error) {
	roots, err := a.roots()
	if err != nil {
		return nil, err
	}
	if len(roots) < 2 {
		return nil, bus.E(bus.CodeNotFound, bus.Defect{Field: "root", Problem: bus.Text{ZH: "没有正在更换的根证书", EN: "no root is being replaced"}, Allowed: "gxbus ca rotate first"})
	}
	old := roots[0].Fingerprint
	if _, err := a.write(ctx, p, command.RootRetire, 0, command.RetireRoot{Fingerprint: old, Force: force}, old); err != nil {
		return nil, err
	}
	out, err := a.Authority.Authorities()
	return &answer[client.Authority]{Body: out}, err
}
