package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// SchemeList is the versions of the evaluation scheme. The first is version 0, the one
// that ships with the release.
type SchemeList struct {
	InForce int                 `json:"in_force"` // version
	Items   []bus.SchemeVersion `json:"items"`
}

// SchemeActivation says why a version comes into force.
type SchemeActivation struct {
	Note string `json:"note,omitempty"`
}

// SchemePreview asks what a scheme would have made of whole days in Shanghai,
// [From, To); of the last published period where both are zero, else of the quarter
// before the present one.
type SchemePreview struct {
	Scheme bus.Scheme `json:"scheme"`
	From   time.Time  `json:"from,omitzero"`
	To     time.Time  `json:"to,omitzero"`
}

// Schemes are the versions of the evaluation scheme.
type Schemes struct{ c *Client }

// Schemes returns the versions of the evaluation scheme.
func (c *Client) Schemes() Schemes { return Schemes{c} }

func (s Schemes) at(rest ...string) []string {
	return append([]string{"evaluation", "schemes"}, rest...)
}

// List returns all versions and which is in force.
func (s Schemes) List(ctx context.Context) (SchemeList, error) {
	return do[SchemeList](ctx, s.c, call{method: http.MethodGet, path: s.at()})
}

// Read returns a version; 0 is the one that ships with the release.
func (s Schemes) Read(ctx context.Context, version int) (bus.SchemeVersion, error) {
	return do[bus.SchemeVersion](ctx, s.c, call{method: http.MethodGet, path: s.at(strconv.Itoa(version))})
}

// Propose keeps a scheme as the next version, not in force; for operators and reviewers
// of the topmost division's data authority.
func (s Schemes) Propose(ctx context.Context, p bus.SchemeProposal) (bus.SchemeVersion, error) {
	return post[bus.SchemeVersion](ctx, s.c, call{path: s.at()}, p)
}

// Activate puts the version that still has that revision in force; for reviewers of
// that authority, other than who proposed it.
func (s Schemes) Activate(ctx context.Context, of bus.SchemeVersion, note string) (bus.SchemeVersion, error) {
	return post[bus.SchemeVersion](ctx, s.c, call{path: s.at(strconv.Itoa(of.Version), "activate"), header: expecting(of.Revision)}, SchemeActivation{note})
}

// Preview tells what a scheme would have made of a period, as JSON that package
// evaluation reads as an Effect; for auditors and reviewers of a data authority.
func (s Schemes) Preview(ctx context.Context, p SchemePreview) (json.RawMessage, error) {
	return post[json.RawMessage](ctx, s.c, call{path: s.at("preview"), stream: true}, p)
}

// EvaluationPublish publishes a report that the node keeps, for good; for reviewers of
// the topmost division's data authority.
func (c *Client) EvaluationPublish(ctx context.Context, id, note string) (bus.PublishedReport, error) {
	return post[bus.PublishedReport](ctx, c, call{path: []string{"evaluation", "reports", id, "publish"}}, EvaluationPublication{note})
}

// PublishedEvaluations lists the reports that were published.
func (c *Client) PublishedEvaluations(ctx context.Context) ([]bus.PublishedReport, error) {
	list, err := do[items[bus.PublishedReport]](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "published"}})
	return list.Items, err
}
