package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// EvaluationOrder asks for a report about whole days in Shanghai, [From, To), or for
// a restatement of a published one, whose window that has.
type EvaluationOrder struct {
	ID       string    `json:"id"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	Restates string    `json:"restates,omitempty"` // id of the published report
}

// EvaluationHead names a report.
type EvaluationHead struct {
	ID          string     `json:"id"`
	From        time.Time  `json:"from"`
	To          time.Time  `json:"to"`
	At          time.Time  `json:"at"`
	Node        bus.NodeID `json:"node"` // that computed and signed it
	Provisional bool       `json:"provisional,omitempty"`
	Scheme      int        `json:"scheme"` // version; 0: the one that ships with the release
	Digest      string     `json:"digest"`
	Restates    string     `json:"restates,omitempty"`  // id of the published report
	Published   *time.Time `json:"published,omitempty"` // when
}

// EvaluationStage is a part of making a report that takes its time.
type EvaluationStage string

// The stages, in their order.
const (
	StageCollect EvaluationStage = "collect" // the nodes are asked for rollups that have not come yet; a step is a day of a node
	StageRead    EvaluationStage = "read"    // rollups are read; a step is one of them
	StageCompute EvaluationStage = "compute" // figures are added up; nobody counts the steps
	StageName    EvaluationStage = "name"    // the nodes are asked for the exchanges behind differences; a step is an answer, of nobody knows how many
)

// EvaluationProgress is how far a report has come that is being made.
type EvaluationProgress struct {
	Stage EvaluationStage `json:"stage"` // empty: it has only just begun
	Done  int             `json:"done"`  // steps of the stage
	Of    int             `json:"of"`    // 0: nobody knows how many
}

// EvaluationPublication says why a report is published.
type EvaluationPublication struct {
	Note string `json:"note,omitempty"`
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

// EvaluationProgress tells how far a report has come that the node is making; CodeNotFound
// for one that it is not, or no longer.
func (c *Client) EvaluationProgress(ctx context.Context, id string) (EvaluationProgress, error) {
	return do[EvaluationProgress](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "reports", id, "progress"}})
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

// EvaluationExport streams a report as a file: "xlsx", "html", "csv" or "json", in words
// of lang; for auditors and reviewers of a data authority. The caller closes it.
func (c *Client) EvaluationExport(ctx context.Context, id, format string, lang bus.Lang) (io.ReadCloser, error) {
	resp, err := c.send(ctx, call{
		method: http.MethodGet, path: []string{"evaluation", "reports", id, "export"}, query: given(map[string]string{"format": format, "lang": string(lang)}), stream: true,
	})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// EvaluationLive returns how the present quarter stands, provisionally.
func (c *Client) EvaluationLive(ctx context.Context) (json.RawMessage, error) {
	return do[json.RawMessage](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "live"}, stream: true})
}

// EvaluationAlarms lists what has so many working days left at most, or none, and the
// indicators that it costs, as JSON that package evaluation reads as Alarms: of one's
// own department, and of all for auditors and reviewers of a data authority.
func (c *Client) EvaluationAlarms(ctx context.Context, within int) (json.RawMessage, error) {
	list, err := do[items[json.RawMessage]](ctx, c, call{method: http.MethodGet, path: []string{"evaluation", "alarms"}, query: url.Values{"within": {strconv.Itoa(within)}}})
	if err != nil {
		return nil, err
	}
	return json.Marshal(list.Items)
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
