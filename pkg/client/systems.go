package client

import (
	"context"
	"net/http"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Systems are the information systems of departments that call the bus (业务系统).
type Systems struct {
	Readable[bus.SystemID, bus.System]
}

// Systems returns the systems.
func (c *Client) Systems() Systems {
	return Systems{Readable[bus.SystemID, bus.System]{c, "systems"}}
}

// Put creates a system where Revision is 0, and then answers its first bearer, once;
// otherwise it changes the system and Bearer is empty. Its credentials are not sent.
func (s Systems) Put(ctx context.Context, system bus.System) (NewCredential, error) {
	system.SecretHash, system.Credentials = nil, nil
	return put[NewCredential](ctx, s.c, call{path: s.at(system.ID), dialOnly: true}, system.Revision, system)
}

// Credentials lists a system's credentials, as the node knows them.
func (s Systems) Credentials(ctx context.Context, id bus.SystemID) ([]CredentialState, error) {
	answer, err := do[items[CredentialState]](ctx, s.c, call{method: http.MethodGet, path: s.at(id, "credentials")})
	return answer.Items, err
}

// AddCredential gives the system one more credential, whose secret is shown once. The
// other one of its kind goes on for the overlap.
func (s Systems) AddCredential(ctx context.Context, id bus.SystemID, asked CredentialRequest) (NewCredential, error) {
	return post[NewCredential](ctx, s.c, call{path: s.at(id, "credentials"), dialOnly: true}, asked)
}

// Rotate gives the system a new bearer, shown once; the one before goes on for so many
// hours.
func (s Systems) Rotate(ctx context.Context, id bus.SystemID, overlapHours int) (NewCredential, error) {
	return s.AddCredential(ctx, id, CredentialRequest{Kind: bus.CredentialBearer, OverlapHours: &overlapHours})
}

// Retire ends a credential at once.
func (s Systems) Retire(ctx context.Context, id bus.SystemID, credential bus.CredentialID) error {
	_, err := do[nothing](ctx, s.c, call{method: http.MethodDelete, path: s.at(id, "credentials", string(credential))})
	return err
}
