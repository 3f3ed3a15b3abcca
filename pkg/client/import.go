package client

import (
	"context"
	"encoding/json"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ImportEncoded is one request of ImportDrafts with drafts that are already
// JSON of bus.DraftContent, for those who have many. Together they are below
// 480 KiB.
func (c *Client) ImportEncoded(ctx context.Context, drafts []json.RawMessage, submit, dryRun bool) ([]bus.ImportRow, error) {
	body := struct {
		Drafts []json.RawMessage `json:"drafts"`
		Submit bool              `json:"submit,omitempty"`
		DryRun bool              `json:"dry_run,omitempty"`
	}{drafts, submit, dryRun}
	answer, err := post[Rows](ctx, c, call{path: []string{"drafts", "import"}}, body)
	return answer.Rows, err
}
