package client

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Accounts are people's accounts.
type Accounts struct {
	Readable[string, bus.Account]
}

// Accounts returns the accounts.
func (c *Client) Accounts() Accounts {
	return Accounts{Readable[string, bus.Account]{c, "accounts"}}
}

// Put creates an account where Revision is 0, and then answers its one-time
// password, once; otherwise it disables or enables the account. Its password is
// the node's own: it is not sent.
func (a Accounts) Put(ctx context.Context, account bus.Account) (AccountAnswer, error) {
	account.PasswordHash = ""
	return put[AccountAnswer](ctx, a.c, call{path: a.at(account.Name), dialOnly: true}, account.Revision, account)
}

// ResetPassword gives the account a new one-time password, shown once; its open
// sessions end.
func (a Accounts) ResetPassword(ctx context.Context, name string) (AccountAnswer, error) {
	return post[AccountAnswer](ctx, a.c, call{path: a.at(name, "password"), dialOnly: true}, nothing{})
}
