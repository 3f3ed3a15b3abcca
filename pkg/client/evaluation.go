package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// EvaluationOrder asks for a report about whole days in Shanghai, [From, To).
type EvaluationOrder struct {
	ID   string    `json:"id"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// EvaluationHead names a report.
type EvaluationHead struct {
	ID          string     `json:"id"`
	From        time.Time  `json:"from"`
	To          time.Time  `json:"to"`
	At          time.Time  `json:"at"`
	Node        bus.NodeID `json:"node"` // that computed and signed it
	Provisional bool       `json:"provisional,omitempty"`
	Digest      string     `json:"digest"`
}

// CaseQuery asks what is behind a figure. Empty: the caller's department; the present
// quarter. Days are as "2026-01-01", To exclusive.
type CaseQuery struct {
	Department bus.USCC
	Indicator  string
	From, To   string
}

// Reports and their parts come as JSON, signed as it is: package evaluation reads it.

// EvaluationRun has a report made, signed and kept; for auditors and reviewers of a
// data authority. It may take minutes: nodes are asked for what they have not yet
// reported.
func (c *Client) EvaluationRun(ctx context.Context, order EvaluationOrder) (json.RawMessage, error) {
	return post[json.RawMessage](ctx, c, call{method: http.MethodPost, path: []string{"evaluation", "reports"}, stream: true}, order)
}

// Evaluations lists the reports that the node keeps.
func (c *Client) Evaluations(ctx context.Context) ([]EvaluationHead, error) {
	list, err := do[items[EvaluationHead]](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "reports"}})
	return list.Items, err
}

// Evaluation returns a report; a department gets its own part, which is not signed.
func (c *Client) Evaluation(ctx context.Context, id string) (json.RawMessage, error) {
	return do[json.RawMessage](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "reports", id}})
}

// EvaluationLive returns how the present quarter stands, provisionally.
func (c *Client) EvaluationLive(ctx context.Context) (json.RawMessage, error) {
	return do[json.RawMessage](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "live"}, stream: true})
}

// EvaluationCases lists what is behind a figure, what was missed first.
func (c *Client) EvaluationCases(ctx context.Context, q CaseQuery) (json.RawMessage, error) {
	query := url.Values{"indicator": {q.Indicator}}
	for key, value := range map[string]string{"department": string(q.Department), "from": q.From, "to": q.To} {
		if value != "" {
			query.Set(key, value)
		}
	}
	list, err := do[items[json.RawMessage]](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "cases"}, query: query, stream: true})
	if err != nil {
		return nil, err
	}
	return json.Marshal(list.Items)
}

// EvaluationMaterial returns what the directory says that a report is made of, for
// verifying it elsewhere; auditors only.
func (c *Client) EvaluationMaterial(ctx context.Context) (json.RawMessage, error) {
	return do[json.RawMessage](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "material"}, stream: true})
}
