package sample

import (
	"context"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Application is a department's complete application for all items of a resource,
// for every purpose it lists, for a year. Its range is the province: no item of the
// samples tells which division a row is about.
func Application(id bus.ApplicationID, r bus.Resource, consumer bus.Department) bus.Application {
	return bus.Application{ID: id, Content: bus.ApplicationContent{
		Department: consumer.ID, Resource: r.ID, Version: max(r.Version, 1),
		Basis: "样例条例第一条", Scenario: "样例事项办理", Items: Items(r), Division: "440000", Mode: r.Modes[0], Purposes: r.Sharing.Purposes,
		Until: time.Now().AddDate(1, 0, 0).UTC(),
	}}
}

// Apply has an operator of the applying department write and submit an application,
// and a reviewer of the provider consent to it; each speaks to their own node. It
// comes back approved, with its grant.
func Apply(ctx context.Context, applicant, sharing *client.Client, a bus.Application) (bus.Application, error) {
	written, err := applicant.Applications().Put(ctx, a)
	if err != nil {
		return a, err
	}
	filed, err := applicant.Applications().Submit(ctx, written)
	if err != nil || filed.State == bus.ApplicationApproved {
		return filed, err
	}
	return sharing.Applications().Answer(ctx, filed, client.ApplicationAnswer{Verdict: client.VerdictApprove})
}
