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

// addAccounts registers people's accounts. A one-time password is made here,
// shown once, and kept as a hash; its holder replaces it at the first sign-in.
func (a *API) addAccounts(h huma.API) {
	addNoun(a, h, noun[bus.Account]{
		path: "accounts", tag: "account",
		list:     (*state.Tx).Accounts,
		find:     func(tx *state.Tx, id string) (bus.Account, bool) { return tx.Account(id) },
		revision: func(v bus.Account) bus.Revision { return v.Revision },
		visible:  func(_ *state.Tx, p bus.Principal, v bus.Account) bool { return administrator(p) || p.Account == v.Name },
		shown: func(v bus.Account) bus.Account {
			v.PasswordHash = ""
			return v
		},
	})
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/accounts/{id}" + path, Tags: []string{"accounts"}, Summary: summary, Description: description}
	}
	put := op("put-account", http.MethodPut, "", "Create, disable or enable account", "The answer to a creation holds a one-time password, this once.")
	handle(a, h, describes[bus.Account](a, h, put), func(ctx context.Context, p bus.Principal, in *putOf[bus.Account]) (*answer[client.AccountAnswer], error) {
		return a.putAccount(ctx, p, in)
	})
	reset := op("reset-password", http.MethodPost, "/password", "Replace an account's password", "The answer holds a one-time password, this once; open sessions end.")
	handle(a, h, reset, func(ctx context.Context, p bus.Principal, in *ByID) (*answer[client.AccountAnswer], error) {
		if err := only(bus.RoleSecurityAdministrator, p); err != nil {
			return nil, err
		}
		have, err := a.account(in.ID)
		if err != nil {
			return nil, err
		}
		return a.handOutPassword(ctx, p, have.Revision, have)
	})
}

func (a *API) account(name string) (have bus.Account, err error) {
	err = a.Directory.View(func(tx *state.Tx) error {
		var ok bool
		if have, ok = tx.Account(name); !ok {
			return bus.NotFound("account", name)
		}
		return nil
	})
	return have, err
}

func (a *API) putAccount(ctx context.Context, p bus.Principal, in *putOf[bus.Account]) (*answer[client.AccountAnswer], error) {
	if err := only(bus.RoleSecurityAdministrator, p); err != nil {
		return nil, err
	}
	expect, account, err := named(in, func(v *bus.Account) *string { return &v.Name })
	if err != nil {
		return nil, err
	}
	if account.PasswordHash != "" {
		return nil, notSent("password_hash")
	}
	if expect == 0 {
		return a.handOutPassword(ctx, p, 0, account)
	}
	have, err := a.account(in.ID)
	if err != nil {
		return nil, err
	}
	account.PasswordHash, account.MustChange = have.PasswordHash, have.MustChange
	return handOut(ctx, a, p, accountWrite(expect, account, "", in.ID))
}

// handOutPassword writes an account with a new one-time password.
func (a *API) handOutPassword(ctx context.Context, p bus.Principal, expect bus.Revision, account bus.Account) (*answer[client.AccountAnswer], error) {
	if err := bus.Invalid(account.Check()); err != nil { // before the costly hash
		return nil, err
	}
	password := identity.NewOneTimePassword()
	hash, err := a.SignIn.Passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	account.PasswordHash, account.MustChange = hash, true
	return handOut(ctx, a, p, accountWrite(expect, account, password, account.Name+" "+string(account.Role)))
}

// accountWrite writes an account, with the password that was made for it.
func accountWrite(expect bus.Revision, account bus.Account, password, detail string) handing[client.AccountAnswer] {
	return handing[client.AccountAnswer]{
		write: command.AccountPut, expect: expect, body: account, detail: detail,
		shown: func(tx *state.Tx) (client.AccountAnswer, bus.Revision, bool) {
			stored, _ := tx.Account(account.Name)
			made := password == "" || stored.PasswordHash == account.PasswordHash
			stored.PasswordHash = ""
			return client.AccountAnswer{Account: stored, Password: password}, stored.Revision, made
		},
	}
}

// notSent refuses a field that the node alone fills in (threat S28).
func notSent(field string) error {
	return bus.E(bus.CodeInvalid, bus.Defect{Field: field, Problem: bus.Text{ZH: "由节点填写，不可提交", EN: "the node fills this in; it is not sent"}, Allowed: "left out"})
}
