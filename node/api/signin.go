package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/signin"
)

// addSignIn registers how people begin and end a session.
func (a *API) addSignIn(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/sessions" + path, Summary: summary, Description: description, Tags: []string{"sessions"}}
	}
	public(a, h, describes[client.SignIn](a, h, op("sign-in", http.MethodPost, "", "Sign in", "")), func(ctx context.Context, in *Sent[client.SignIn]) (*answer[client.Session], error) {
		credentials, err := in.decode()
		if err != nil {
			return nil, err
		}
		s, err := a.signIn(ctx, credentials)
		return &answer[client.Session]{Body: s}, err
	})
	handle(a, h, op("sign-out", http.MethodDelete, "", "Sign out", ""), func(ctx context.Context, _ bus.Principal, _ *struct{}) (*struct{}, error) {
		a.sessions.end(bearer(callerOf(ctx).http))
		return nil, nil
	})
	begin := op("begin-oidc", http.MethodPost, "/oidc", "Begin to sign in at the identity provider",
		"Open authorization_url in a browser; it comes back to redirect_url with state and code. Keep flow: it completes the sign-in.")
	public(a, h, describes[client.OIDCRequest](a, h, begin), func(ctx context.Context, in *Sent[client.OIDCRequest]) (*answer[client.OIDCBegun], error) {
		request, err := in.decode()
		if err != nil {
			return nil, err
		}
		begun, err := a.beginFederated(ctx, request.RedirectURL)
		return &answer[client.OIDCBegun]{Body: begun}, err
	})
	complete := op("complete-oidc", http.MethodPost, "/oidc/complete", "Complete a sign-in at the identity provider",
		"The provider says who it is; what the account may do, and that there is one, the directory says.")
	public(a, h, describes[client.OIDCAnswer](a, h, complete), func(ctx context.Context, in *Sent[client.OIDCAnswer]) (*answer[client.Session], error) {
		came, err := in.decode()
		if err != nil {
			return nil, err
		}
		s, err := a.completeFederated(ctx, came)
		return &answer[client.Session]{Body: s}, err
	})
}

// attempt is a sign-in on its way.
type attempt struct {
	api *API
	*signin.Attempt
}

// beginAttempt refuses where there were too many failures. The lock was put on record
// when it began; what it turns away is not, or anybody could fill the evidence.
func (a *API) beginAttempt(ctx context.Context, account string) (attempt, error) {
	begun, wait := a.SignIn.Memory.Begin(account, signin.Origin(callerOf(ctx).http.RemoteAddr))
	if begun == nil {
		return attempt{}, bus.E(bus.CodeLocked, bus.Defect{
			Field: "account", Problem: bus.Text{ZH: "请稍后再试", EN: "try again later"}, Allowed: "after " + (wait + time.Second - 1).Truncate(time.Second).String(),
		}).After(wait)
	}
	return attempt{a, begun}, nil
}

// failed counts a failure, and puts a lock that begins on record.
func (t attempt) failed(ctx context.Context) error {
	began, err := t.Failed()
	if err != nil {
		t.api.Logger.Error("remember a failed sign-in", "error", err)
	}
	by := callerOf(ctx).known
	for _, lock := range began {
		t.api.Logger.Warn("sign-in locked", "account", lock.Account, "address", lock.Address, "until", lock.Until)
		who := bus.Principal{Node: t.api.Self}
		if lock.Account != "" {
			who = cmp.Or(by, who)
		}
		if err := t.api.record(ctx, who, audit.KindRefused, bus.CodeLocked, lock.String()); err != nil {
			return err
		}
	}
	return nil
}

// accountOf gives the account of a name, the zero one where there is none. A replica
// that is still empty knows none of them, and holds that against nobody.
func (a *API) accountOf(name string) (account bus.Account, err error) {
	if index, _ := a.Directory.Applied(); index == 0 {
		return account, a.Ready()
	}
	err = a.Directory.View(func(tx *state.Tx) error {
		account, _ = tx.Account(name)
		return nil
	})
	return account, err
}

// signIn opens a session for an account. A one-time password opens none until it
// is replaced. Wrong name and wrong password look and take the same.
func (a *API) signIn(ctx context.Context, in client.SignIn) (client.Session, error) {
	try, err := a.beginAttempt(ctx, in.Account)
	if err != nil {
		return client.Session{}, err
	}
	account, err := a.accountOf(in.Account)
	if err != nil {
		try.Abandoned()
		return client.Session{}, err
	}
	good, err := a.SignIn.Passwords.Verify(ctx, cmp.Or(account.PasswordHash, a.decoy), in.Password)
	if err != nil {
		try.Abandoned()
		return client.Session{}, err
	}
	if account.Name != "" {
		callerOf(ctx).known = account.Principal()
	}
	if !good || account.Name == "" || account.Disabled {
		wrong := bus.E(bus.CodeUnauthenticated, bus.Defect{Field: "password", Problem: bus.Text{ZH: "账号或口令错误", EN: "wrong account or password"}})
		return client.Session{}, cmp.Or(try.failed(ctx), error(wrong))
	}
	if err := try.Succeeded(account.Name); err != nil {
		a.Logger.Error("remember a sign-in", "error", err)
	}
	if in.NewPassword == "" && account.MustChange {
		return client.Session{}, bus.E(bus.CodePasswordChange, bus.Defect{Field: "new_password", Problem: bus.Text{ZH: "必填", EN: "required"}, Allowed: "at least 12 characters, not the present one"})
	}
	if in.NewPassword != "" {
		if account.Revision, err = a.changePassword(ctx, account.Principal(), account, in); err != nil {
			return client.Session{}, err
		}
	}
	return a.openSession(ctx, account, "sign-in")
}

func (a *API) openSession(ctx context.Context, account bus.Account, how string) (client.Session, error) {
	if err := a.record(ctx, account.Principal(), audit.KindAdministered, "", how); err != nil {
		return client.Session{}, err
	}
	token, expires, err := a.sessions.begin(account)
	return client.Session{Token: token, Account: account.Name, Role: account.Role, Department: account.Department, Expires: expires}, err
}

// changePassword returns the account's new revision.
func (a *API) changePassword(ctx context.Context, p bus.Principal, account bus.Account, in client.SignIn) (bus.Revision, error) {
	defects := identity.CheckPassword("new_password", account.Name, in.NewPassword)
	if in.NewPassword == in.Password {
		defects = append(defects, bus.Defect{Field: "new_password", Problem: bus.Text{ZH: "不能与原口令相同", EN: "must differ from the present one"}})
	}
	if err := bus.Invalid(defects); err != nil {
		return 0, err
	}
	hash, err := a.SignIn.Passwords.Hash(ctx, in.NewPassword)
	if err != nil {
		return 0, err
	}
	expect := account.Revision
	account.PasswordHash, account.MustChange = hash, false
	result, err := a.write(ctx, p, command.AccountPut, expect, account, "change own password")
	return result.Revision, err
}

func (a *API) beginFederated(ctx context.Context, redirect string) (client.OIDCBegun, error) {
	if a.SignIn.Federation == nil {
		return client.OIDCBegun{}, noFederation()
	}
	begun, err := a.SignIn.Federation.Begin(ctx, redirect)
	if bus.CodeOf(err) == bus.CodeUnavailable {
		a.Logger.Warn("identity provider", "error", err)
	}
	return client.OIDCBegun{AuthorizationURL: begun.URL, Flow: begun.Flow, Expires: begun.Expires}, err
}

// completeFederated opens a session for the account that the provider vouches for, if
// the directory has it.
func (a *API) completeFederated(ctx context.Context, came client.OIDCAnswer) (client.Session, error) {
	if a.SignIn.Federation == nil {
		return client.Session{}, noFederation()
	}
	try, err := a.beginAttempt(ctx, "")
	if err != nil {
		return client.Session{}, err
	}
	name, err := a.SignIn.Federation.Complete(ctx, came.Flow, came.State, came.Code)
	if err != nil {
		a.Logger.Warn("identity provider", "error", err)
		if bus.CodeOf(err) != bus.CodeUnauthenticated {
			try.Abandoned()
			return client.Session{}, err
		}
		return client.Session{}, cmp.Or(try.failed(ctx), err)
	}
	account, err := a.accountOf(name)
	if err != nil {
		try.Abandoned()
		return client.Session{}, err
	}
	if account.Name != "" {
		callerOf(ctx).known = account.Principal()
	}
	if account.Name == "" || account.Disabled {
		wrong := bus.E(bus.CodeUnauthenticated, bus.Defect{
			Field: "account", Problem: bus.Text{ZH: "统一身份认证的用户在本总线没有可用账户", EN: "the identity provider's user has no account here that may sign in"},
			Allowed: "an account of that name, made by a security administrator",
		})
		return client.Session{}, cmp.Or(try.failed(ctx), error(wrong))
	}
	if err := try.Succeeded(account.Name); err != nil {
		a.Logger.Error("remember a sign-in", "error", err)
	}
	return a.openSession(ctx, account, "sign-in by the identity provider")
}

func noFederation() error {
	return bus.E(bus.CodeNotFound, bus.Defect{
		Field: "oidc", Problem: bus.Text{ZH: "本节点未配置统一身份认证", EN: "this node has no identity provider"}, Allowed: "sign in with a password",
	})
}
