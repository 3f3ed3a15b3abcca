package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Resources are the data resources of the directory (数据资源): the versions in
// force. They change by drafts and their review.
type Resources struct {
	Readable[bus.ResourceID, bus.Resource]
}

// Resources returns the resources.
func (c *Client) Resources() Resources {
	return Resources{Readable[bus.ResourceID, bus.Resource]{c, "resources"}}
}

// Versions returns every published version of a resource, the first one first.
func (r Resources) Versions(ctx context.Context, id bus.ResourceID) ([]bus.Version, error) {
	list, err := do[items[bus.Version]](ctx, r.c, call{method: http.MethodGet, path: r.at(id, "versions")})
	return list.Items, err
}

// Version returns one published version, numbered from 1.
func (r Resources) Version(ctx context.Context, id bus.ResourceID, number int) (bus.Version, error) {
	return do[bus.Version](ctx, r.c, call{method: http.MethodGet, path: r.at(id, "versions", strconv.Itoa(number))})
}

// Schema returns the JSON Schema of the data of events that were published under a
// version of a resource.
func (r Resources) Schema(ctx context.Context, id bus.ResourceID, number int) (json.RawMessage, error) {
	return do[json.RawMessage](ctx, r.c, call{method: http.MethodGet, path: r.at(id, "versions", strconv.Itoa(number), "schema")})
}

// Withdraw asks for the withdrawal of the version that has this revision; the data
// authority decides.
func (r Resources) Withdraw(ctx context.Context, id bus.ResourceID, revision bus.Revision, reason string) (bus.Draft, error) {
	return post[bus.Draft](ctx, r.c, call{path: r.at(id, "withdraw"), header: expecting(revision)}, WithdrawalRequest{reason})
}
