package api_test

import (
	"context"
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// caseworkMatrix is who may do what about corrections, disputes and tasks.
func caseworkMatrix(known [7]int, plain func(string) func(*world, int) request) map[string]route {
	seen := [7]int{401, 200, 200, 404, 200, 200, 200}
	deciding := [7]int{401, 403, 403, 403, 403, 403, 403}
	return map[string]route{
		"GET /api/v1/corrections": {known, nil},
		"GET /api/v1/corrections/{id}": {seen, func(w *world, _ int) request {
			return request{path: "/api/v1/corrections/" + string(w.doubt().ID)}
		}},
		"POST /api/v1/corrections": {[7]int{401, 403, 200, 403, 403, 403, 403}, func(w *world, cell int) request {
			return request{body: text(asJSON(w.t, report(fmt.Sprint("matrix-", cell))))}
		}},
		"POST /api/v1/corrections/{id}/steps": {[7]int{401, 200, 403, 404, 403, 403, 403}, func(w *world, _ int) request {
			c := w.doubt()
			return changing("/api/v1/corrections/"+string(c.ID)+"/steps", c.Revision, client.CorrectionStep{Step: bus.CorrectionExplain, Text: "样例"})
		}},
		"GET /api/v1/disputes": {known, nil},
		"GET /api/v1/disputes/{id}": {seen, func(w *world, _ int) request {
			return request{path: "/api/v1/disputes/" + string(w.dispute().ID)}
		}},
		"POST /api/v1/disputes": {[7]int{401, 403, 200, 404, 403, 403, 403}, func(w *world, cell int) request {
			c := w.explained()
			return request{body: text(asJSON(w.t, client.DisputeRaise{ID: bus.DisputeID(fmt.Sprint("matrix-", cell)), About: bus.Subject{Kind: bus.SubjectCorrection, ID: string(c.ID)}, Reason: "样例"}))}
		}},
		"POST /api/v1/disputes/{id}/steps": {[7]int{401, 200, 200, 404, 403, 403, 403}, func(w *world, _ int) request {
			d := w.dispute()
			return changing("/api/v1/disputes/"+string(d.ID)+"/steps", d.Revision, client.DisputeStep{Step: bus.DisputeNegotiate, Text: "样例"})
		}},
		"POST /api/v1/disputes/{id}/decision": {deciding, func(w *world, _ int) request {
			d := w.submittedDispute()
			return changing("/api/v1/disputes/"+string(d.ID)+"/decision", d.Revision, client.DisputeVerdict{Upheld: true, Opinion: "样例"})
		}},
		"GET /api/v1/tasks":               {known, nil},
		"GET /api/v1/reminders":           {[7]int{401, 200, 200, 200, 403, 403, 403}, plain("/api/v1/reminders?wait=0")},
		"GET /api/v1/resources/{id}/uses": {[7]int{401, 200, 403, 403, 403, 403, 200}, plain("/api/v1/resources/enterprise-registration/uses")},
		"GET /api/v1/exchanges":           {[7]int{401, 200, 200, 200, 403, 403, 200}, nil},
	}
}

func report(id string) client.CorrectionReport {
	return client.CorrectionReport{ID: bus.CorrectionID(id), Resource: registration, Items: []bus.ItemID{"phone"}, Record: "row-12", Description: "样例：号码与登记不符"}
}

// doubt is a correction that the consumer has just opened.
func (w *world) doubt() bus.Correction {
	w.t.Helper()
	c, err := w.First.Client(w.bearers[consumer]).Corrections().Report(context.Background(), report(""))
	check(w.t, err)
	return c
}

func (w *world) explained() bus.Correction {
	w.t.Helper()
	c, err := w.First.Client(w.bearers[provider]).Corrections().Step(context.Background(), w.doubt(), client.CorrectionStep{Step: bus.CorrectionExplain, Text: "样例：以登记为准"})
	check(w.t, err)
	return c
}

func (w *world) dispute() bus.Dispute {
	w.t.Helper()
	c := w.explained()
	d, err := w.First.Client(w.bearers[consumer]).Disputes().Raise(context.Background(), client.DisputeRaise{About: bus.Subject{Kind: bus.SubjectCorrection, ID: string(c.ID)}, Reason: "样例"})
	check(w.t, err)
	return d
}

func (w *world) submittedDispute() bus.Dispute {
	w.t.Helper()
	d, err := w.First.Client(w.bearers[provider]).Disputes().Step(context.Background(), w.dispute(), client.DisputeStep{Step: bus.DisputeNegotiate, Text: "样例"})
	check(w.t, err)
	d, err = w.First.Client(w.bearers[consumer]).Disputes().Step(context.Background(), d, client.DisputeStep{Step: bus.DisputeSubmit, Text: "样例"})
	check(w.t, err)
	return d
}
