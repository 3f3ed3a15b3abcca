package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/decision"
)

// DecisionQuery says which recorded decisions of the node are wanted. The zero
// value wants all, newest first.
type DecisionQuery struct {
	Since, Until time.Time   // from, and up to but not including; zero: no bound
	Outcome      string      // allow, deny; both where empty
	Layer        bus.LayerID // it applied; of denials, it denied
	Resource     bus.ResourceID
	Department   bus.USCC // on either side
	Limit        int      // on a page; 100 where 0, 1000 at most
	Cursor       string   // Next of the page before
}

// Decisions returns a page of the decisions of this node that the caller may read:
// security administrators and auditors all, a department those that it is a party
// of.
func (c *Client) Decisions(ctx context.Context, q DecisionQuery) (decision.EventPage, error) {
	values := url.Values{}
	for name, value := range map[string]string{
		"since": instantOf(q.Since), "until": instantOf(q.Until), "outcome": q.Outcome, "layer": string(q.Layer),
		"resource": string(q.Resource), "department": string(q.Department), "cursor": q.Cursor,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	return do[decision.EventPage](ctx, c, call{method: http.MethodGet, path: []string{"decisions"}, query: values})
}

func instantOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Decision returns one recorded decision of this node, with each rule named that
// can be found out. CodeNotFound also where the caller may not read it.
func (c *Client) Decision(ctx context.Context, id string) (decision.Event, error) {
	return do[decision.Event](ctx, c, call{method: http.MethodGet, path: []string{"decisions", id}})
}

// ReplayRequest asks what a draft of a layer would have changed.
type ReplayRequest struct {
	Layer  bus.Layer `json:"layer" doc:"the draft; its revision does not matter"`
	Since  time.Time `json:"since,omitzero" doc:"decisions from then on"`
	Until  time.Time `json:"until,omitzero" doc:"and up to, not including, then"`
	Cursor string    `json:"cursor,omitempty" doc:"next of the answer before"`
}

// Replay evaluates a draft over the recorded decisions of this node, as many as
// the node does at a time: security administrators only. Go on with Next as Cursor
// until it is empty. CodePolicyRefused where the draft does not compile,
// CodeRateLimited while another replay runs.
func (p Policies) Replay(ctx context.Context, r ReplayRequest) (decision.Replayed, error) {
	return post[decision.Replayed](ctx, p.c, call{path: []string{p.noun, "replay"}}, r)
}
