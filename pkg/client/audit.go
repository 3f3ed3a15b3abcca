package client

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// AuditExport streams this node's evidence log as JSON Lines; auditors only.
// An export that breaks off ends in an error other than io.EOF. The caller
// closes it.
func (c *Client) AuditExport(ctx context.Context) (io.ReadCloser, error) {
	return c.AuditExportWindow(ctx, time.Time{}, time.Time{})
}

// AuditExportWindow is AuditExport of what was recorded from from on and before to, of
// which either may be zero. It verifies as the whole log does.
func (c *Client) AuditExportWindow(ctx context.Context, from, to time.Time) (io.ReadCloser, error) {
	resp, err := c.send(ctx, call{
		method: http.MethodGet, path: []string{"audit", "export"}, query: given(map[string]string{"from": moment(from), "to": moment(to)}), stream: true,
	})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Checkpoints returns the heads of all nodes' evidence logs that the directory holds.
func (c *Client) Checkpoints(ctx context.Context) ([]bus.Checkpoint, error) {
	list, err := do[items[bus.Checkpoint]](ctx, c, call{method: http.MethodGet, path: []string{"audit", "checkpoints"}})
	return list.Items, err
}

// TraceQuery says what is looked for in the evidence of all nodes. With Event the rest
// stays empty; else what is empty does not limit, and something but To is given.
type TraceQuery struct {
	Event      string // CloudEvents id
	Case       string // 办件号
	Grant      bus.GrantID
	Matter     string   // 实施清单编码
	Department bus.USCC // on either side, or who asked
	From, To   time.Time
	Limit      int // steps of a page; 0: 1,000
}

// AuditTrace returns the way of one event, by its CloudEvents id, across the nodes, as
// far as the caller may see it: the auditor all, a department and its data authority
// what is about it. Silent names nodes that did not answer. CodeWrongNode where the
// node asked cannot speak for the caller to the others: an auditor asks a voter.
func (c *Client) AuditTrace(ctx context.Context, eventID string) (Trace, error) {
	var trace Trace
	for page, err := range c.AuditTimeline(ctx, TraceQuery{Event: eventID}) {
		if err != nil {
			return page, err
		}
		trace = page // an event has one
	}
	return trace, nil
}

// AuditTimeline yields the pages of one timeline of what all nodes recorded, as
// AuditTrace does of an event. A page can be empty. A node that did not answer for one
// page is left out of those that follow, and stays in Silent.
func (c *Client) AuditTimeline(ctx context.Context, q TraceQuery) iter.Seq2[Trace, error] {
	filter := map[string]string{
		"event": q.Event, "case": q.Case, "grant": string(q.Grant), "matter": q.Matter, "department": string(q.Department),
		"from": moment(q.From), "to": moment(q.To),
	}
	if q.Limit > 0 {
		filter["limit"] = strconv.Itoa(q.Limit)
	}
	return nextPages(ctx, c, []string{"audit", "trace"}, filter, func(t Trace) string { return t.Next })
}

// AuditWatermark returns what a watermark stands for: the steps of the batch, or of the
// query whose answer carries it, in time order, the decision with that watermark among them; auditors
// only. CodeNotFound for one that the node asked did not set.
func (c *Client) AuditWatermark(ctx context.Context, mark string) (Trace, error) {
	return do[Trace](ctx, c, call{method: http.MethodGet, path: []string{"audit", "watermarks", mark}})
}

// Witness tells how far a node's evidence log is cosigned by another node.
type Witness struct {
	Node    bus.NodeID `json:"node,omitempty"`    // that is asked to cosign; empty where there is no other
	Size    int64      `json:"size"`              // leaves that are cosigned
	At      time.Time  `json:"at,omitzero"`       // when, by the witness's clock
	Leaves  int64      `json:"leaves"`            // of the log
	Since   time.Time  `json:"since,omitzero"`    // of the first leaf that is not
	Late    bool       `json:"late,omitempty"`    // for longer than it should be
	Refused bus.Code   `json:"refused,omitempty"` // evidence-not-verified: the witness knows another log by this name
}

// ProofFile is a file that proves what is recorded of an event to whoever has the
// nodes' public keys.
type ProofFile struct {
	File string `json:"file"` // the whole file
}

// AuditProof makes the proof of one event, by its CloudEvents id; auditors only.
// Package audit's CheckProof, or gxbus audit check, verifies it anywhere.
func (c *Client) AuditProof(ctx context.Context, eventID string) (ProofFile, error) {
	return do[ProofFile](ctx, c, call{method: http.MethodGet, path: []string{"audit", "proofs", eventID}})
}

// Trace is what nodes recorded: the way of one event, or a timeline.
type Trace struct {
	Event    string       `json:"event"` // CloudEvents id
	Steps    []TraceStep  `json:"steps"` // in time order
	Silent   []bus.NodeID `json:"silent,omitempty"`
	Resource string       `json:"resource,omitempty"`
	Next     string       `json:"next,omitempty"` // page to go on with; empty: that was all
}

// TraceStep is one leaf of one node's evidence log.
type TraceStep struct {
	Node   bus.NodeID      `json:"node"`
	Leaf   int64           `json:"leaf"`
	Record json.RawMessage `json:"record"`
}

// Segment is a sealed file with older evidence of a node.
type Segment struct {
	File    string    `json:"file"`
	First   int64     `json:"first"` // leaf
	End     int64     `json:"end"`   // leaf that it ends before
	From    time.Time `json:"from"`  // of its first leaf
	To      time.Time `json:"to"`    // of its last leaf
	Bytes   int64     `json:"bytes"`
	Digest  string    `json:"digest"`            // of the file
	Problem bus.Code  `json:"problem,omitempty"` // evidence-not-verified: it is missing or damaged
}

// AuditSegments lists the sealed segments of the node's evidence; auditors only.
func (c *Client) AuditSegments(ctx context.Context) ([]Segment, error) {
	list, err := do[items[Segment]](ctx, c, call{method: http.MethodGet, path: []string{"audit", "segments"}})
	return list.Items, err
}

// Pruning says which segments are to be deleted.
type Pruning struct {
	Before time.Time `json:"before"` // those whose last leaf was recorded before
}

// AuditPrune deletes segments that are past their retention, on record, and returns
// them; auditors only. CodeInvalid for a time that is not past it.
func (c *Client) AuditPrune(ctx context.Context, before time.Time) ([]Segment, error) {
	list, err := post[items[Segment]](ctx, c, call{path: []string{"audit", "segments", "prune"}}, Pruning{before})
	return list.Items, err
}
