package client

import (
	"context"
	"io"
	"net/http"

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
