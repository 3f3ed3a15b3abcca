package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// AuditExport streams this node's evidence log as JSON Lines; auditors only.
// An export that breaks off ends in an error other than io.EOF. The caller
// closes it.
func (c *Client) AuditExport(ctx context.Context) (io.ReadCloser, error) {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: []string{"audit", "export"}, stream: true})
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

// AuditTrace returns the way of one event, by its CloudEvents id, across the
// nodes; auditors only. Silent names nodes that did not answer.
func (c *Client) AuditTrace(ctx context.Context, eventID string) (Trace, error) {
	return do[Trace](ctx, c, call{method: http.MethodGet, path: []string{"audit", "trace", eventID}})
}

// AuditWatermark returns what a watermark stands for: the steps of the batch that
// carries it, in time order, the decision with that watermark among them; auditors
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

// Trace is the way of one event across the nodes.
type Trace struct {
	Event    string       `json:"event"` // CloudEvents id
	Steps    []TraceStep  `json:"steps"` // in time order
	Silent   []bus.NodeID `json:"silent,omitempty"`
	Resource string       `json:"resource,omitempty"`
}

// TraceStep is one leaf of one node's evidence log.
type TraceStep struct {
	Node   bus.NodeID      `json:"node"`
	Leaf   int64           `json:"leaf"`
	Record json.RawMessage `json:"record"`
}
