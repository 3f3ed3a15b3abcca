package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/schema"
)

// draftsOf asks for a page of drafts.
type draftsOf struct {
	State    string `query:"state" enum:"draft,in-review,returned,withdrawal-in-review" doc:"only those in this state"`
	Provider string `query:"provider" maxLength:"18" pattern:"^[0-9A-Z]*$" doc:"only those of this department"`
	After    string `query:"after" maxLength:"64" pattern:"^[0-9a-z-]*$" doc:"only those after this id: next of the page before"`
	Limit    int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"how many at most"`
}

// addDrafts registers the drafts of catalogue entries: their department compiles
// and submits them, the data authority reviews them.
func (a *API) addDrafts(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/drafts" + path, Summary: summary, Description: description, Tags: []string{"drafts"}}
	}
	a.followDrafts()
	handle(a, h, op("list-drafts", http.MethodGet, "", "List drafts", "Those that the caller may see, by id."),
		func(_ context.Context, p bus.Principal, in *draftsOf) (*answer[client.DraftPage], error) {
			return a.drafts(p, in)
		})
	handle(a, h, op("show-draft", http.MethodGet, "/{id}", "Show draft", "With all that keeps it from publication."),
		func(_ context.Context, p bus.Principal, in *ByID) (*answer[bus.Draft], error) {
			return a.draft(p, in.ID)
		})
	put := op("put-draft", http.MethodPut, "/{id}", "Create or change draft", "What is there must be well-formed; what is missing may come later.")
	handle(a, h, describes[bus.DraftContent](a, h, put), func(ctx context.Context, p bus.Principal, in *putOf[bus.DraftContent]) (*answer[bus.Draft], error) {
		return a.putDraft(ctx, p, in)
	})
	handle(a, h, op("delete-draft", http.MethodDelete, "/{id}", "Delete draft", "A version in force stays in force."),
		func(ctx context.Context, p bus.Principal, in *deleteOf) (*deleted, error) {
			expect, err := in.revision()
			if err != nil {
				return nil, err
			}
			result, err := a.write(ctx, p, command.DraftDelete, expect, command.Key{ID: in.ID}, in.ID)
			return &deleted{result.Index}, err
		})
	submit := op("submit-drafts", http.MethodPost, "/submit", "Submit drafts for review", "One is refused as such; of several each is answered in its row.")
	handle(a, h, describes[client.DraftSubmission](a, h, submit), func(ctx context.Context, p bus.Principal, in *Sent[client.DraftSubmission]) (*answer[client.Rows], error) {
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.writeRows(ctx, p, command.DraftSubmit, command.Submission{Drafts: body.Drafts}, "")
	})
	review := op("review-drafts", http.MethodPost, "/review", "Approve or return drafts", "One is refused as such; of several each is answered in its row.")
	handle(a, h, describes[client.DraftReview](a, h, review), func(ctx context.Context, p bus.Principal, in *Sent[client.DraftReview]) (*answer[client.Rows], error) {
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		verdict := "returned: "
		if body.Approve {
			verdict = "approved: "
		}
		value := command.Review{Drafts: body.Drafts, Approve: body.Approve, Opinion: body.Opinion}
		return a.writeRows(ctx, p, command.DraftReview, value, verdict+body.Opinion)
	})
	imports := op("import-drafts", http.MethodPost, "/import", "Take in many drafts",
		"Each is answered in its row; one that is refused stops none of the others, and one that says what is there already writes nothing.")
	imports.MaxBodyBytes = command.MaxSize
	handle(a, h, describes[client.DraftImport](a, h, imports), func(ctx context.Context, p bus.Principal, in *Sent[client.DraftImport]) (*answer[client.Rows], error) {
		return a.importDrafts(ctx, p, in)
	})
}

func (a *API) drafts(p bus.Principal, in *draftsOf) (*answer[client.DraftPage], error) {
	out := &answer[client.DraftPage]{Body: client.DraftPage{Items: []bus.Draft{}}}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		days := tx.Calendar()
		for d := range tx.DraftsAfter(bus.ResourceID(in.After)) {
			if in.State != "" && string(d.State) != in.State || in.Provider != "" && string(d.Resource.Provider) != in.Provider || !tx.Sees(p, d.Resource.Provider) {
				continue
			}
			if len(out.Body.Items) == in.Limit {
				out.Body.Next = out.Body.Items[in.Limit-1].ID
				return nil
			}
			out.Body.Items = append(out.Body.Items, a.shownDraft(tx, days, d))
		}
		return nil
	})
	return out, err
}

// followDrafts has the changes of drafts told to who sees them, as they are listed.
func (a *API) followDrafts() {
	a.followed[state.Drafts] = followed{"draft", func(tx *state.Tx, p bus.Principal, stored []byte) (any, bool, error) {
		var d bus.Draft
		if err := json.Unmarshal(stored, &d); err != nil {
			return nil, false, fmt.Errorf("read a stored draft: %w", err)
		}
		if !tx.Sees(p, d.Resource.Provider) {
			return nil, false, nil
		}
		return a.shownDraft(tx, tx.Calendar(), d), true, nil
	}}
}

// shownDraft is a draft with who has to review it until when, and whose claims it
// meets.
func (a *API) shownDraft(tx *state.Tx, days calendar.Calendar, d bus.Draft) bus.Draft {
	d.Authority, _ = tx.Authority(d.Resource.Provider)
	d.Conflicts = tx.Conflicts(d)
	if d.Submitted != nil && (d.State == bus.StateInReview || d.State == bus.StateWithdrawing) {
		deadline := days.Deadline(d.Submitted.At, bus.ReviewDays).At(a.Now())
		d.Deadline = &deadline
	}
	return d
}

// draft answers what is not there and what is not to be seen alike.
func (a *API) draft(p bus.Principal, id string) (*answer[bus.Draft], error) {
	out := &answer[bus.Draft]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		d, ok := tx.Draft(bus.ResourceID(id))
		if !ok || !tx.Sees(p, d.Resource.Provider) {
			return bus.NotFound("draft", id)
		}
		d = a.shownDraft(tx, tx.Calendar(), d)
		if d.State != bus.StateWithdrawing { // what leaves need not be complete
			d.Missing = d.Gate()
		}
		out.Body, out.ETag = d, etag(d.Revision)
		return nil
	})
	return out, err
}

func (a *API) putDraft(ctx context.Context, p bus.Principal, in *putOf[bus.DraftContent]) (*answer[bus.Draft], error) {
	expect, err := in.revision()
	if err != nil {
		return nil, err
	}
	content, err := in.decode()
	if err != nil {
		return nil, err
	}
	switch id := &content.Resource.ID; string(*id) {
	case "", in.ID:
		*id = bus.ResourceID(in.ID)
	default:
		return nil, notOfPath(in.ID)
	}
	if content.Resource.Secrecy != "" { // what is secret does not even get into the log
		return nil, content.Resource.Form()
	}
	if err := schema.Supplied(content.Resource.Schema); err != nil {
		return nil, err
	}
	if _, err := a.write(ctx, p, command.DraftPut, expect, content, in.ID); err != nil {
		return nil, err
	}
	return a.draft(p, in.ID)
}

func (a *API) importDrafts(ctx context.Context, p bus.Principal, in *Sent[client.DraftImport]) (*answer[client.Rows], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	for i, d := range body.Drafts {
		if d.Resource.Secrecy != "" { // it is refused all the same, and no more of it gets into the log
			body.Drafts[i] = bus.DraftContent{Resource: bus.Resource{ID: d.Resource.ID, Provider: d.Resource.Provider, Secrecy: d.Resource.Secrecy}}
		}
		if err := schema.Supplied(d.Resource.Schema); err != nil {
			return nil, err
		}
	}
	value := command.Import{Drafts: body.Drafts, Submit: body.Submit}
	if !body.DryRun {
		return a.writeRows(ctx, p, command.DraftImport, value, "")
	}
	entry, err := command.New(command.DraftImport, p, "", 0, value)
	if err != nil {
		return nil, err
	}
	entry.At, entry.Node = a.Now().UTC(), a.Self
	if _, err := entry.Encode(); err != nil { // what would be too large to write
		return nil, err
	}
	out := &answer[client.Rows]{}
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		out.Body.Rows, err = state.Preview(tx, entry)
		return err
	})
	return out, err
}

// writeRows writes a bulk entry, with how it ended and what is to be said of it on
// record.
func (a *API) writeRows(ctx context.Context, p bus.Principal, t command.Type, value any, remark string) (*answer[client.Rows], error) {
	result, err := a.put(ctx, p, t, 0, value)
	if err != nil {
		return nil, err
	}
	counts := map[bus.Outcome]int{}
	for _, row := range result.Rows {
		counts[row.Outcome]++
	}
	detail := fmt.Sprintf("%d rows: %d created, %d changed, %d unchanged, %d refused", len(result.Rows),
		counts[bus.OutcomeCreated], counts[bus.OutcomeChanged], counts[bus.OutcomeUnchanged], counts[bus.OutcomeRefused])
	if len(result.Rows) == 1 {
		detail = string(result.Rows[0].ID) + " " + string(result.Rows[0].Outcome)
	}
	if err := a.administered(ctx, p, t, strings.TrimSpace(detail+" "+remark)); err != nil {
		return nil, err
	}
	return &answer[client.Rows]{Body: client.Rows{Rows: result.Rows}}, nil
}
