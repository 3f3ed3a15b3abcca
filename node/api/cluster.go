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
	"github.com/gxbus/gxbus/pkg/identity"
)

const tokenHours = 24

// addCluster registers sessions, status, join tokens and joining.
func (a *API) addCluster(h huma.API, mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.Ready(); err != nil {
			a.writeProblem(w, r, err)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary, Tags: []string{"cluster"}}
	}
	type release struct {
		Version string `json:"version"`
	}
	public(a, h, op("version", http.MethodGet, "/version", "Show the release"), func(context.Context, *struct{}) (*answer[release], error) {
		return &answer[release]{Body: release{a.Version}}, nil
	})
	type asked struct {
		Hash bool `query:"hash" doc:"include the SHA-256 of the directory's state"`
	}
	handle(a, h, op("status", http.MethodGet, "/status", "Show the state of the bus"), func(ctx context.Context, _ bus.Principal, in *asked) (*answer[client.Status], error) {
		s, err := a.Cluster.Status(ctx, in.Hash)
		return &answer[client.Status]{Body: s}, err
	})
	handle(a, h, describes[client.TokenRequest](a, h, op("create-token", http.MethodPost, "/tokens", "Create a join token")), func(ctx context.Context, p bus.Principal, in *Sent[client.TokenRequest]) (*answer[client.JoinToken], error) {
		request, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.createToken(ctx, p, request)
	})
	public(a, h, describes[client.JoinRequest](a, h, op("join", http.MethodPost, "/join", "Redeem a join token")), func(ctx context.Context, in *Sent[client.JoinRequest]) (*answer[client.JoinAnswer], error) {
		request, err := in.decode()
		if err != nil {
			return nil, err
		}
		joined, err := a.Cluster.Join(ctx, request)
		return &answer[client.JoinAnswer]{Body: joined}, err
	})
}

func (a *API) createToken(ctx context.Context, p bus.Principal, in client.TokenRequest) (*answer[client.JoinToken], error) {
	if in.Hours < 0 || in.Hours > 168 {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "hours", Problem: bus.Text{ZH: "有效期超出范围", EN: "out of range"}, Allowed: "1–168, 0 for 24"})
	}
	if in.Hours == 0 {
		in.Hours = tokenHours
	}
	token := identity.JoinToken{
		Cluster: a.Cluster.ID(), ID: bus.TokenID(strings.ToLower(rand.Text())), CA: a.Cluster.Fingerprint(), Secret: identity.NewSecret(),
	}
	expires := a.Now().Add(time.Duration(in.Hours) * time.Hour).UTC()
	before, _ := a.Directory.Applied()
	result, err := a.write(ctx, p, command.TokenCreate, 0, bus.Token{
		ID: token.ID, Node: in.Node, Division: in.Division, Voter: in.Voter, SecretHash: token.Secret.Hash(), Expires: expires,
	}, string(in.Node))
	if err != nil {
		return nil, err
	}
	if result.Index <= before {
		return nil, shownOnce() // the repeat of a request that made another
	}
	return &answer[client.JoinToken]{Body: client.JoinToken{ID: token.ID, Token: token.Reveal(), Expires: expires}}, nil
}
