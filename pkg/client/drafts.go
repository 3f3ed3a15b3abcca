package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Drafts are the catalogue entries on their way to publication (编制稿).
type Drafts struct {
	Readable[bus.ResourceID, bus.Draft]
}

// Drafts returns the drafts.
func (c *Client) Drafts() Drafts {
	return Drafts{Readable[bus.ResourceID, bus.Draft]{c, "drafts"}}
}

// DraftFilter says which drafts are listed: what is empty does not limit.
type DraftFilter struct {
	State    bus.EntryState
	Provider bus.USCC
}

// List returns the drafts that the caller may see, in the order of their ids.
func (d Drafts) List(ctx context.Context, f DraftFilter) ([]bus.Draft, error) {
	const pageSize = 1000
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if f.State != "" {
		query.Set("state", string(f.State))
	}
	if f.Provider != "" {
		query.Set("provider", string(f.Provider))
	}
	var all []bus.Draft
	for {
		page, err := do[DraftPage](ctx, d.c, call{method: http.MethodGet, path: []string{"drafts"}, query: query})
		if err != nil {
			return all, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		query.Set("after", string(page.Next))
	}
}

// Put creates the draft of a resource, where Revision is 0, or changes the one
// that still has that Revision. Its Resource and Clearance are what is put.
func (d Drafts) Put(ctx context.Context, draft bus.Draft) (bus.Draft, error) {
	content := bus.DraftContent{Resource: draft.Resource, Clearance: draft.Clearance}
	return put[bus.Draft](ctx, d.c, call{path: []string{"drafts", string(draft.Resource.ID)}}, draft.Revision, content)
}

// Delete throws a draft away; a version in force stays in force.
func (d Drafts) Delete(ctx context.Context, id bus.ResourceID, revision bus.Revision) error {
	_, err := do[nothing](ctx, d.c, call{method: http.MethodDelete, path: []string{"drafts", string(id)}, header: expecting(revision)})
	return err
}

// Submit puts drafts up for review. A single one is refused as an error; of
// several each is answered in its row.
func (d Drafts) Submit(ctx context.Context, drafts ...bus.DraftRef) ([]bus.ImportRow, error) {
	return d.rows(ctx, "submit", drafts, func(batch []bus.DraftRef) any { return DraftSubmission{batch} })
}

// Review approves drafts, or returns them with an opinion. They are answered as by
// Submit.
func (d Drafts) Review(ctx context.Context, approve bool, opinion string, drafts ...bus.DraftRef) ([]bus.ImportRow, error) {
	return d.rows(ctx, "review", drafts, func(batch []bus.DraftRef) any { return DraftReview{batch, approve, opinion} })
}

// perBatch is how many drafts are named in one request: a reviewed one becomes
// several changes, and all of a request is written at once.
const perBatch = 1000

func (d Drafts) rows(ctx context.Context, verb string, drafts []bus.DraftRef, body func([]bus.DraftRef) any) ([]bus.ImportRow, error) {
	var rows []bus.ImportRow
	for len(drafts) > 0 {
		n := min(len(drafts), perBatch)
		answer, err := post[Rows](ctx, d.c, call{path: []string{"drafts", verb}}, body(drafts[:n]))
		rows = append(rows, answer.Rows...)
		if err != nil {
			return rows, err
		}
		drafts = drafts[n:]
	}
	return rows, nil
}

// importBytes leaves room for what surrounds the drafts in a log entry of 512 KiB.
const importBytes = 480 << 10

// ImportDrafts takes in many drafts, in as many requests as they need, and
// returns a row for each in their order; after an error, those of the requests
// that went through. To send all again is safe: what is there is left as it is.
func (c *Client) ImportDrafts(ctx context.Context, in DraftImport) ([]bus.ImportRow, error) {
	var rows []bus.ImportRow
	send := func(batch []bus.DraftContent) error {
		answer, err := post[Rows](ctx, c, call{path: []string{"drafts", "import"}}, DraftImport{batch, in.Submit, in.DryRun})
		rows = append(rows, answer.Rows...)
		return err
	}
	first, size := 0, 0
	for i, draft := range in.Drafts {
		data, err := json.Marshal(draft)
		if err != nil {
			return rows, err
		}
		if size += len(data) + 1; size > importBytes && i > first {
			if err := send(in.Drafts[first:i]); err != nil {
				return rows, err
			}
			first, size = i, len(data)+1
		}
	}
	if first == len(in.Drafts) {
		return rows, nil
	}
	return rows, send(in.Drafts[first:])
}
