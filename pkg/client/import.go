package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ImportEncoded is one request of ImportDrafts with drafts that are already
// JSON of bus.DraftContent, for those who have many. Together they are below
// 480 KiB.
func (c *Client) ImportEncoded(ctx context.Context, drafts []json.RawMessage, submit, dryRun bool) ([]bus.ImportRow, error) {
	// Joined by hand: to encode what is encoded would read it once more.
	text := []byte(`{"drafts":[`)
	for i, d := range drafts {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, d...)
	}
	text = fmt.Appendf(text, `],"submit":%t,"dry_run":%t}`, submit, dryRun)
	answer, err := do[Rows](ctx, c, call{method: http.MethodPost, path: []string{"drafts", "import"}, body: text})
	return answer.Rows, err
}
