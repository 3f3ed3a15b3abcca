package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
)

const (
	overlapHours = 7 * 24
	overlapMost  = 365 * 24
)

// credentialOf is the path of one credential.
type credentialOf struct {
	ByID
	Credential string `path:"credential" maxLength:"64" pattern:"^[0-9a-z-]+$"`
}

// addCredentials registers how systems prove who they are, and how that changes
// without a gap.
func (a *API) addCredentials(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/systems/{id}/credentials" + path, Tags: []string{"systems"}, Summary: summary, Description: description}
	}
	handle(a, h, op("list-credentials", http.MethodGet, "", "List a system's credentials", "Without secrets. last_used is as this node knows it."),
		func(_ context.Context, p bus.Principal, in *ByID) (*answer[list[client.CredentialState]], error) {
			return a.listCredentials(p, in.ID)
		})
	add := op("add-credential", http.MethodPost, "", "Add a credential to a system",
		"Beside the others. The system's other credential of this kind ends after overlap_hours. The answer holds the secret, this once.")
	type request struct {
		ByID
		Sent[client.CredentialRequest]
	}
	handle(a, h, describes[client.CredentialRequest](a, h, add), func(ctx context.Context, p bus.Principal, in *request) (*answer[credential], error) {
		if err := only(bus.RoleSystemAdministrator, p); err != nil {
			return nil, err
		}
		asked, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.addCredential(ctx, p, in.ID, asked)
	})
	end := op("retire-credential", http.MethodDelete, "/{credential}", "End a credential at once", "Open streams of it end within two seconds.")
	handle(a, h, end, func(ctx context.Context, p bus.Principal, in *credentialOf) (*deleted, error) {
		body := command.EndCredential{System: bus.SystemID(in.ID), Credential: bus.CredentialID(in.Credential)}
		result, err := a.write(ctx, p, command.CredentialEnd, 0, body, in.ID+" "+in.Credential)
		return &deleted{result.Index}, err
	})
}

func (a *API) listCredentials(p bus.Principal, id string) (*answer[list[client.CredentialState]], error) {
	out := &answer[list[client.CredentialState]]{Body: list[client.CredentialState]{Items: []client.CredentialState{}}}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		s, ok := tx.System(bus.SystemID(id))
		if !ok || !administrator(p) && p.Department != s.Department {
			return bus.NotFound("system", id)
		}
		out.ETag = etag(s.Revision)
		for _, c := range s.Credentials {
			out.Body.Items = append(out.Body.Items, client.CredentialState{Credential: c.Shown(), Live: c.Live(a.Now()), LastUsed: a.SignIn.Memory.LastUse(s.ID, c.ID)})
		}
		return nil
	})
	return out, err
}

func (a *API) addCredential(ctx context.Context, p bus.Principal, id string, asked client.CredentialRequest) (*answer[credential], error) {
	system, err := a.system(id)
	if err != nil {
		return nil, err
	}
	overlap, err := a.overlap(asked.OverlapHours)
	if err != nil {
		return nil, err
	}
	made, err := a.newCredential(system, asked)
	if err != nil {
		return nil, err
	}
	fresh := made.Credential
	return handOut(ctx, a, p, handing[credential]{
		write: command.CredentialAdd, detail: id + " " + string(fresh.Kind) + " " + string(fresh.ID),
		body: command.NewCredential{System: system.ID, Credential: fresh, Overlap: overlap},
		shown: func(tx *state.Tx) (credential, bus.Revision, bool) {
			stored, _ := tx.System(system.ID)
			c, ok := stored.Credential(fresh.ID)
			made.System, made.Credential = stored.Shown(), c.Shown()
			return made, stored.Revision, ok
		},
	})
}

// overlap is until when the other credentials of a kind stay good.
func (a *API) overlap(hours *int) (time.Time, error) {
	switch {
	case hours == nil:
		return a.Now().Add(overlapHours * time.Hour).UTC(), nil
	case *hours < 0 || *hours > overlapMost:
		return time.Time{}, bus.E(bus.CodeInvalid, bus.Defect{Field: "overlap_hours", Problem: bus.Text{ZH: "超出范围", EN: "out of range"}, Allowed: "0–8760"})
	case *hours == 0:
		return time.Unix(0, 0).UTC(), nil // over, whatever the leader's clock says
	}
	return a.Now().Add(time.Duration(*hours) * time.Hour).UTC(), nil
}

// newCredential makes a credential of the kind that is asked for, with its secret.
func (a *API) newCredential(system bus.System, asked client.CredentialRequest) (credential, error) {
	made := credential{Credential: bus.Credential{ID: bus.CredentialID(strings.ToLower(rand.Text()[:8])), Kind: asked.Kind, Expires: asked.Expires}}
	c := &made.Credential
	if (asked.Certificate != "") != (asked.Kind == bus.CredentialCertificate) {
		return made, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "certificate", Problem: bus.Text{ZH: "仅证书类凭证须附证书", EN: "goes with the kind certificate, and no other"}, Allowed: "one certificate in PEM",
		})
	}
	switch asked.Kind {
	case bus.CredentialBearer:
		fresh := identity.Credential{System: system.ID, Secret: identity.NewSecret()}
		c.Hash, made.Bearer = fresh.Secret.Hash(), fresh.Reveal()
	case bus.CredentialSigning:
		if err := a.serves(system); err != nil {
			return made, err
		}
		c.Node, made.SigningKey = a.Self, identity.DeriveSigningKey(a.SignIn.Root, system.ID, c.ID).Reveal()
	case bus.CredentialCertificate:
		certificate, err := identity.ParseClientCertificate(asked.Certificate, a.Now())
		if err != nil {
			return made, err
		}
		c.Hash = identity.KeyHash(certificate.RawSubjectPublicKeyInfo)
		if ends := certificate.NotAfter.UTC(); c.Expires.IsZero() && ends.Before(a.Now().AddDate(9, 0, 0)) {
			c.Expires = ends // a later end is beyond what the directory takes, and far away
		}
	}
	return made, nil
}

// serves refuses to make a signing key for a system that calls another node: only the
// node that made one can check it.
func (a *API) serves(system bus.System) error {
	return a.Directory.View(func(tx *state.Tx) error {
		d, _ := tx.Department(system.Department)
		home, _ := tx.Home(d)
		if home == a.Self || d.Move != nil && d.Move.To == a.Self {
			return nil
		}
		node, _ := tx.Node(home)
		return bus.E(bus.CodeWrongNode, bus.Defect{
			Field: "kind", Problem: bus.Text{ZH: "签名密钥须由服务该部门的节点 " + string(home) + " 生成", EN: "a signing key is made by the node that serves the department: " + string(home)},
			Allowed: string(home) + " at " + node.APIAddress,
		})
	})
}
