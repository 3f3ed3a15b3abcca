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

// BeginOIDC begins a sign-in at the node's identity provider, for a browser that is to
// come back to a redirect URL.
func (c *Client) BeginOIDC(ctx context.Context, redirectURL string) (OIDCBegun, error) {
	return post[OIDCBegun](ctx, c, call{path: []string{"sessions", "oidc"}}, OIDCRequest{RedirectURL: redirectURL})
}

// CompleteOIDC opens the session of a sign-in that came back.
func (c *Client) CompleteOIDC(ctx context.Context, came OIDCAnswer) (Session, error) {
	return post[Session](ctx, c, call{path: []string{"sessions", "oidc", "complete"}, dialOnly: true}, came)
}

// SignOut ends the session whose token the client carries.
func (c *Client) SignOut(ctx context.Context) error {
	_, err := do[nothing](ctx, c, call{method: http.MethodDelete, path: []string{"sessions"}})
	return err
}
