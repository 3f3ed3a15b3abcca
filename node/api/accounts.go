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
		return a.handOut(ctx, p, have.Revision, have)
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
	expect, err := in.revision()
	if err != nil {
		return nil, err
	}
	account, err := in.decode()
	if err != nil {
		return nil, err
	}
	if account.Name != "" && account.Name != in.ID {
		return nil, notOfPath(in.ID)
	}
	account.Name = in.ID
	if expect == 0 {
		return a.handOut(ctx, p, 0, account)
	}
	have, err := a.account(in.ID)
	if err != nil {
		return nil, err
	}
	account.PasswordHash, account.MustChange = have.PasswordHash, have.MustChange
	if _, err := a.write(ctx, p, command.AccountPut, expect, account, in.ID); err != nil {
		return nil, err
	}
	return a.accountAnswer(in.ID, account.PasswordHash, "")
}

// handOut writes an account with a new one-time password.
func (a *API) handOut(ctx context.Context, p bus.Principal, expect bus.Revision, account bus.Account) (*answer[client.AccountAnswer], error) {
	if err := bus.Invalid(account.Check()); err != nil { // before the costly hash
		return nil, err
	}
	password := string(identity.NewOneTimePassword())
	hash, err := a.passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	account.PasswordHash, account.MustChange = hash, true
	if _, err := a.write(ctx, p, command.AccountPut, expect, account, account.Name+" "+string(account.Role)); err != nil {
		return nil, err
	}
	return a.accountAnswer(account.Name, hash, password)
}

// accountAnswer shows an account, with the password that was made for it.
func (a *API) accountAnswer(name, hash, password string) (*answer[client.AccountAnswer], error) {
	out := &answer[client.AccountAnswer]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		account, _ := tx.Account(name)
		if password != "" && account.PasswordHash != hash {
			return shownOnce() // the repeat of a request that made another
		}
		account.PasswordHash = ""
		out.ETag = etag(account.Revision)
		out.Body = client.AccountAnswer{Account: account, Password: password}
		return nil
	})
	return out, err
}
