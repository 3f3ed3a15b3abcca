package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// tracedQuery asks for a page of a timeline.
type tracedQuery struct {
	Event      string    `query:"event" maxLength:"1024" doc:"CloudEvents id; nothing else is given with it"`
	Case       string    `query:"case" maxLength:"512" doc:"only what names this case number (办件号)"`
	Grant      string    `query:"grant" maxLength:"63" pattern:"^[0-9a-z-]*$" doc:"only what is under this grant"`
	Matter     string    `query:"matter" maxLength:"512" doc:"only what names this matter (实施清单编码)"`
	Department string    `query:"department" maxLength:"18" pattern:"^[0-9A-Z]*$" doc:"only what this department provides, uses or asked for"`
	From       time.Time `query:"from" doc:"only what was recorded from then on"`
	To         time.Time `query:"to" doc:"only what was recorded before then"`
	Page       string    `query:"page" maxLength:"32768" doc:"next of the page before"`
	Limit      int       `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"steps at most; a page may have fewer, or none, and still be followed by another"`
}

// addTrace registers the timeline of what all nodes recorded. That somebody read it is
// recorded at each of them.
func (a *API) addTrace(h huma.API, op huma.Operation) {
	op.Description = "What all nodes recorded, in the order of time: for the auditor all, for a department what is about it, for a data authority what is about the departments in its division and below. Each node judges that for itself; silent names those that did not answer. The node asked must be one that can speak for the caller: the department's own, for an auditor a voter."
	handle(a, h, op, func(ctx context.Context, p bus.Principal, in *tracedQuery) (*answer[client.Trace], error) {
		q := client.TraceQuery{
			Event: in.Event, Case: in.Case, Grant: bus.GrantID(in.Grant), Matter: in.Matter, Department: bus.USCC(in.Department), From: in.From, To: in.To, Limit: in.Limit,
		}
		if alone := (client.TraceQuery{Event: q.Event, Limit: q.Limit}); q.Event != "" && q != alone {
			return nil, bus.Invalid([]bus.Defect{{
				Field: "event", Problem: bus.Text{ZH: "按事件溯源时不得再给其他条件", EN: "an event is traced by nothing else beside its id"}, Allowed: "event alone",
			}})
		}
		trace, err := a.Cluster.Trace(ctx, p, requestOf(ctx), q, in.Page)
		return &answer[client.Trace]{Body: trace}, err
	})
}
