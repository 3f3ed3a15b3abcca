package sample

import (
	"context"
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Reviewer is the account that reviews for the sample province's data authority.
const Reviewer = "reviewer"

// Review makes ProvinceData, which must be in the directory, the data authority of
// the province and of all below it, and gives it a reviewer; the answer holds the
// one-time password. The clients are a system and a security administrator's.
func Review(ctx context.Context, system, security *client.Client) (client.AccountAnswer, error) {
	province, err := system.Divisions().Read(ctx, ProvinceData.Division)
	if err != nil {
		return client.AccountAnswer{}, err
	}
	province.Authority = ProvinceData.ID
	if _, err := system.Divisions().Put(ctx, province); err != nil {
		return client.AccountAnswer{}, err
	}
	return security.Accounts().Put(ctx, bus.Account{Name: Reviewer, Role: bus.RoleReviewer, Department: ProvinceData.ID})
}

// Content is the draft of a resource with a clearance that lacks nothing.
func Content(r bus.Resource) bus.DraftContent {
	return bus.DraftContent{Resource: r, Clearance: bus.Clearance{
		SecrecyReview: "保密审查〔2026〕样例第 1 号", Assessment: "影响评估〔2026〕样例第 1 号", Consent: "样例负责人签批",
	}}
}

// Publish puts resources through their life: compiled and submitted by one client,
// approved by another.
func Publish(ctx context.Context, compiler, reviewer *client.Client, resources ...bus.Resource) error {
	drafts := make([]bus.DraftContent, len(resources))
	for i, r := range resources {
		drafts[i] = Content(r)
	}
	rows, err := compiler.ImportDrafts(ctx, client.DraftImport{Drafts: drafts, Submit: true})
	if err != nil {
		return err
	}
	refs := make([]bus.DraftRef, 0, len(rows))
	for _, row := range rows {
		if row.State != bus.StateInReview {
			return fmt.Errorf("draft %s: %s, %s: %w", row.ID, row.Outcome, row.State, bus.E(row.Code, row.Defects...))
		}
		refs = append(refs, bus.DraftRef{ID: row.ID, Revision: row.Revision})
	}
	rows, err = reviewer.Drafts().Review(ctx, true, "", refs...)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.State != bus.StatePublished {
			return fmt.Errorf("draft %s was not approved: %w", row.ID, bus.E(row.Code, row.Defects...))
		}
	}
	return nil
}
