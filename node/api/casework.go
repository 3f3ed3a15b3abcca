package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// addCasework registers what departments have to do with each other beside
// applications: corrections, disputes, the inspection of use, and the tasks that
// all of it makes.
func (a *API) addCasework(h huma.API) {
	a.addCorrections(h)
	a.addDisputes(h)
	a.addUses(h)
	a.addTasks(h)
}

// caseStep is a step of a case, which must still have the revision that it names.
type caseStep[T any] struct {
	ByID
	Expected
	Sent[T]
}

// read gives what is needed to write the step.
func (in *caseStep[T]) read() (expect bus.Revision, body T, err error) {
	if expect, err = in.revision(); err != nil {
		return expect, body, err
	}
	body, err = in.decode()
	return expect, body, err
}

func (a *API) addCorrections(h huma.API) {
	var days workdays
	corrections := noun[bus.Correction]{
		path: "corrections", tag: "correction", table: state.Corrections,
		list:     (*state.Tx).Corrections,
		find:     func(tx *state.Tx, id string) (bus.Correction, bool) { return tx.Correction(bus.CorrectionID(id)) },
		revision: func(c bus.Correction) bus.Revision { return c.Revision },
		visible:  (*state.Tx).SeesCorrection,
		worked:   func(tx *state.Tx, c bus.Correction) bus.Correction { return a.shownCorrection(days.of(tx), c) },
	}
	addNoun(a, h, corrections)
	op := func(id, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodPost, Path: "/api/v1/corrections" + path, Tags: []string{"corrections"}, Summary: summary, Description: description}
	}
	report := op("report-correction", "", "Report a doubt about data", "By a department that uses the resource. The provider feeds back within 10 working days; nothing is blocked meanwhile.")
	handle(a, h, describes[client.CorrectionReport](a, h, report), func(ctx context.Context, p bus.Principal, in *Sent[client.CorrectionReport]) (*answer[bus.Correction], error) {
		r, err := in.decode()
		if err != nil {
			return nil, err
		}
		a.Cluster.CatchUp(ctx) // the resource may be a moment old
		if err := a.foundToChange(ctx, p, string(r.Resource)); err != nil {
			return nil, err
		}
		body := command.CorrectionReported{ID: r.ID, Resource: r.Resource, Items: r.Items, Record: r.Record, Description: r.Description, Event: r.Event}
		if _, err := a.write(ctx, p, command.CorrectionReport, 0, body, string(r.ID)+" of "+string(r.Resource)); err != nil {
			return nil, err
		}
		return corrections.showing(a, p, string(r.ID))
	})
	step := op("step-correction", "/{id}/steps", "Take a step of a correction", "confirm, correct and explain are the provider's; pass, fail, accept and withdraw the consumer's.")
	handle(a, h, describes[client.CorrectionStep](a, h, step), func(ctx context.Context, p bus.Principal, in *caseStep[client.CorrectionStep]) (*answer[bus.Correction], error) {
		expect, s, err := in.read()
		if err != nil {
			return nil, err
		}
		body := command.CorrectionStepped{Correction: bus.CorrectionID(in.ID), Step: s.Step, Text: s.Text}
		if _, err := a.write(ctx, p, command.CorrectionStep, expect, body, in.ID+" "+string(s.Step)); err != nil {
			return nil, err
		}
		return corrections.showing(a, p, in.ID)
	})
}

// shownCorrection is a correction with when the provider's feedback is, or was, due.
func (a *API) shownCorrection(days calendar.Calendar, c bus.Correction) bus.Correction {
	if rounds := c.Rounds(); len(rounds) > 0 {
		last, at := rounds[len(rounds)-1], a.Now()
		if last.Answered != nil {
			at = *last.Answered
		}
		deadline := days.Deadline(last.Start, bus.CorrectionDays).At(at)
		c.Deadline = &deadline
	}
	return c
}

func (a *API) addDisputes(h huma.API) {
	disputes := noun[bus.Dispute]{
		path: "disputes", tag: "dispute", table: state.Disputes,
		list:     (*state.Tx).Disputes,
		find:     func(tx *state.Tx, id string) (bus.Dispute, bool) { return tx.Dispute(bus.DisputeID(id)) },
		revision: func(d bus.Dispute) bus.Revision { return d.Revision },
		visible:  (*state.Tx).SeesDispute,
		worked: func(tx *state.Tx, d bus.Dispute) bus.Dispute {
			if d.Open() {
				d.Division, d.Authority, _ = tx.ArbiterBetween(d.Raiser, d.Respondent)
			}
			return d
		},
	}
	addNoun(a, h, disputes)
	op := func(id, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodPost, Path: "/api/v1/disputes" + path, Tags: []string{"disputes"}, Summary: summary, Description: description}
	}
	raise := op("raise-dispute", "", "Raise a dispute", "About a grant that was stopped, a correction that was explained away, or a claim; by a side of it.")
	handle(a, h, describes[client.DisputeRaise](a, h, raise), func(ctx context.Context, p bus.Principal, in *Sent[client.DisputeRaise]) (*answer[bus.Dispute], error) {
		r, err := in.decode()
		if err != nil {
			return nil, err
		}
		body := command.DisputeRaised{ID: r.ID, About: r.About, Reason: r.Reason}
		if _, err := a.write(ctx, p, command.DisputeRaise, 0, body, string(r.ID)+" about "+r.About.String()); err != nil {
			return nil, err
		}
		return disputes.showing(a, p, string(r.ID))
	})
	step := op("step-dispute", "/{id}/steps", "Take a step of a dispute", "Either side keeps a record of the negotiation (negotiate) or asks for a decision once it has failed (submit); the raiser settles.")
	handle(a, h, describes[client.DisputeStep](a, h, step), func(ctx context.Context, p bus.Principal, in *caseStep[client.DisputeStep]) (*answer[bus.Dispute], error) {
		expect, s, err := in.read()
		if err != nil {
			return nil, err
		}
		body := command.DisputeStepped{Dispute: bus.DisputeID(in.ID), Step: s.Step, Text: s.Text}
		if _, err := a.write(ctx, p, command.DisputeStep, expect, body, in.ID+" "+string(s.Step)); err != nil {
			return nil, err
		}
		return disputes.showing(a, p, in.ID)
	})
	decide := op("decide-dispute", "/{id}/decision", "Decide a dispute", "A reviewer of the data authority of the lowest division that both sides are of, never of a side.")
	handle(a, h, describes[client.DisputeVerdict](a, h, decide), func(ctx context.Context, p bus.Principal, in *caseStep[client.DisputeVerdict]) (*answer[bus.Dispute], error) {
		expect, v, err := in.read()
		if err != nil {
			return nil, err
		}
		verdict := " rejected: "
		if v.Upheld {
			verdict = " upheld: "
		}
		body := command.DisputeDecided{Dispute: bus.DisputeID(in.ID), Upheld: v.Upheld, Opinion: v.Opinion}
		if _, err := a.write(ctx, p, command.DisputeDecide, expect, body, in.ID+verdict+v.Opinion); err != nil {
			return nil, err
		}
		return disputes.showing(a, p, in.ID)
	})
}
