package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Policies are the policy layers of divisions and departments. Reading gives those
// in force. One security administrator pushes a draft beside the one in force, and
// another activates it.
type Policies struct {
	Readable[bus.LayerID, bus.Layer]
}

// Policies returns the policy layers.
func (c *Client) Policies() Policies {
	return Policies{Readable[bus.LayerID, bus.Layer]{c, "policies"}}
}

// Check compiles a layer on the node, runs its tests and tries what it costs, as
// Push does; nothing is stored.
func (p Policies) Check(ctx context.Context, layer bus.Layer) (bus.LayerReport, error) {
	return post[bus.LayerReport](ctx, p.c, call{path: []string{p.noun, "check"}}, layer)
}

// Drafts returns the drafts of all layers, in the order of their ids.
func (p Policies) Drafts(ctx context.Context) ([]bus.LayerDraft, error) {
	answer, err := do[items[bus.LayerDraft]](ctx, p.c, call{method: http.MethodGet, path: []string{p.noun, "drafts"}})
	return answer.Items, err
}

// Draft returns the draft of a layer.
func (p Policies) Draft(ctx context.Context, id bus.LayerID) (bus.LayerDraft, error) {
	return do[bus.LayerDraft](ctx, p.c, call{method: http.MethodGet, path: p.at(id, "draft")})
}

// Push makes the draft of a layer, where revision is 0, or replaces the one that
// still has that revision. It fails with CodePolicyRefused where Check finds
// anything.
func (p Policies) Push(ctx context.Context, id bus.LayerID, revision bus.Revision, push bus.LayerPush) (bus.LayerDraft, error) {
	return put[bus.LayerDraft](ctx, p.c, call{path: p.at(id, "draft")}, revision, push)
}

// Activate puts the draft that still has a revision in force, as a new revision of
// the layer. Nobody activates what they pushed: CodeForbidden.
func (p Policies) Activate(ctx context.Context, id bus.LayerID, revision bus.Revision, note string) (bus.LayerRevision, error) {
	return post[bus.LayerRevision](ctx, p.c, call{path: p.at(id, "draft", "activate"), header: expecting(revision)}, LayerActivation{note})
}

// Discard throws the draft away that still has a revision.
func (p Policies) Discard(ctx context.Context, id bus.LayerID, revision bus.Revision) error {
	_, err := do[nothing](ctx, p.c, call{method: http.MethodDelete, path: p.at(id, "draft"), header: expecting(revision)})
	return err
}

// Revisions returns the revisions that are or were in force, the first one first,
// without their texts and reports.
func (p Policies) Revisions(ctx context.Context, id bus.LayerID) ([]bus.LayerRevision, error) {
	answer, err := do[items[bus.LayerRevision]](ctx, p.c, call{method: http.MethodGet, path: p.at(id, "revisions")})
	return answer.Items, err
}

// Revision returns one revision with its text.
func (p Policies) Revision(ctx context.Context, id bus.LayerID, revision bus.Revision) (bus.LayerRevision, error) {
	return do[bus.LayerRevision](ctx, p.c, call{method: http.MethodGet, path: p.at(id, "revisions", strconv.FormatUint(uint64(revision), 10))})
}
