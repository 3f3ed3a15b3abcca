package api

import (
	"context"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// workdays keeps the calendar of the directory until that changes: long lists work
// out a deadline an entry.
type workdays struct {
	mu   sync.Mutex
	at   bus.Revision
	days calendar.Calendar
}

func (w *workdays) of(tx *state.Tx) calendar.Calendar {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := tx.Revision(state.Calendar); now != w.at || now == 0 {
		w.at, w.days = now, tx.Calendar()
	}
	return w.days
}

// grants serves the grants (共享授权).
func (a *API) grants() noun[bus.Grant] {
	var days workdays
	return noun[bus.Grant]{
		path: "grants", tag: "grant", table: state.Grants,
		list:     (*state.Tx).Grants,
		find:     func(tx *state.Tx, id string) (bus.Grant, bool) { return tx.Grant(bus.GrantID(id)) },
		revision: func(v bus.Grant) bus.Revision { return v.Revision },
		id:       func(v *bus.Grant) *string { return (*string)(&v.ID) },
		visible:  (*state.Tx).SeesGrant,
		worked: func(tx *state.Tx, g bus.Grant) bus.Grant {
			return state.ShownGrant(days.of(tx), g, a.Now())
		},
		put: command.GrantPut,
	}
}

func (a *API) addGrants(h huma.API) {
	grants := a.grants()
	addNoun(a, h, grants)
	op := func(id, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodPost, Path: "/api/v1/grants/{id}" + path, Tags: []string{"grants"}, Summary: summary, Description: description}
	}
	type revoke struct {
		ByID
		Sent[revocation]
	}
	revoking := op("revoke-grant", "/revoke", "End grant",
		"By its provider or the data authority (终止), its consumer (退回) or, in an emergency, a security administrator. "+
			"Once this answers, no event of the grant leaves or is handed out at any node that has applied the answer's index.")
	handle(a, h, describes[revocation](a, h, revoking), func(ctx context.Context, p bus.Principal, in *revoke) (*answer[bus.Grant], error) {
		why, err := in.decode()
		if err != nil {
			return nil, err
		}
		body := command.Revoke{Grant: bus.GrantID(in.ID), Reason: why.Reason}
		return a.steered(ctx, p, grants, in.ID, command.GrantRevoke, body, in.ID)
	})
	type stop struct {
		ByID
		Sent[client.GrantStop]
	}
	stopping := op("stop-grant", "/stop", "Suspend grant, order a rectification or resume",
		"By a reviewer of its provider or of the data authority; the reason is on file (备案, decree 809 art. 27). Data is held meanwhile.")
	handle(a, h, describes[client.GrantStop](a, h, stopping), func(ctx context.Context, p bus.Principal, in *stop) (*answer[bus.Grant], error) {
		s, err := in.decode()
		if err != nil {
			return nil, err
		}
		body := command.Stop{Grant: bus.GrantID(in.ID), Step: s.Step, Reason: s.Reason, Days: s.Days}
		return a.steered(ctx, p, grants, in.ID, command.GrantStop, body, in.ID+" "+string(s.Step))
	})
}

// steered writes an interference with a grant and answers with the grant. Who may
// not see it is told that it is not there.
func (a *API) steered(ctx context.Context, p bus.Principal, grants noun[bus.Grant], id string, t command.Type, body any, detail string) (*answer[bus.Grant], error) {
	_, err := a.write(ctx, p, t, 0, body, detail)
	if bus.CodeOf(err) == bus.CodeForbidden && p.Department != "" {
		if _, hidden := grants.showing(a, p, id); hidden != nil {
			return nil, hidden
		}
	}
	if err != nil {
		return nil, err
	}
	return grants.showing(a, p, id)
}
