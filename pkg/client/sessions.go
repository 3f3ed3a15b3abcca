package client

import (
	"context"
	"net/http"
)

// SignIn opens a session of an account. It fails with CodePasswordChange where
// a one-time password must be replaced: set NewPassword.
func (c *Client) SignIn(ctx context.Context, in SignIn) (Session, error) {
	return post[Session](ctx, c, call{path: []string{"sessions"}, dialOnly: true}, in)
}

// SignOut ends the session whose token the client carries.
func (c *Client) SignOut(ctx context.Context) error {
	_, err := do[nothing](ctx, c, call{method: http.MethodDelete, path: []string{"sessions"}})
	return err
}
