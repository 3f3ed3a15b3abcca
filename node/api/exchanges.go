package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// exchangesQuery asks for a page of the operational record.
type exchangesQuery struct {
	Resource   string    `query:"resource" maxLength:"63" pattern:"^[0-9a-z-]*$" doc:"only those of this resource"`
	Mode       string    `query:"mode" enum:"publish,subscribe,query" doc:"only those of this mode"`
	Status     string    `query:"status" enum:"accepted,held,delayed,forwarded,received,delivered,acknowledged,filtered,expired,withheld,denied,refused,failed,dead-lettered,discarded,replayed" doc:"only those that stand so"`
	Fault      string    `query:"fault" enum:"policy,caller,provider,network,bus" doc:"only those that went wrong, by whose fault"`
	Department string    `query:"department" maxLength:"18" pattern:"^[0-9A-Z]*$" doc:"only what this department provides or uses"`
	Grant      string    `query:"grant" maxLength:"63" pattern:"^[0-9a-z-]*$" doc:"only what is under this grant"`
	Case       string    `query:"case" maxLength:"512" doc:"only what names this case number (办件号)"`
	Trace      string    `query:"trace" pattern:"^([0-9a-f]{32})?$" doc:"only what is part of the trace with this id (W3C Trace Context)"`
	From       time.Time `query:"from" doc:"only what was put on record from then on"`
	To         time.Time `query:"to" doc:"only what was put on record before then"`
	Here       bool      `query:"here" doc:"only what this node's evidence has: no other is asked"`
	Page       string    `query:"page" maxLength:"32768" doc:"next of the page before"`
	Limit      int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many at most; a page may have fewer, or none, and still be followed by another"`
}

// addExchanges registers the operational record. That somebody read it is recorded, at
// each node that tells of it.
func (a *API) addExchanges(h huma.API) {
	op := huma.Operation{
		OperationID: "list-exchanges", Method: http.MethodGet, Path: "/api/v1/exchanges", Tags: []string{"exchange"}, Summary: "List exchanges",
		Description: "Publications, batches of subscriptions and queries as all nodes have them on record, each once: a department's own, for a data authority those of the departments in its division and below, for the auditor all. Each node judges that for itself; silent names those that did not answer. The node asked must be one that can speak for the caller, as for a trace; with here it tells what it has itself.",
	}
	handle(a, h, op, func(ctx context.Context, p bus.Principal, in *exchangesQuery) (*answer[client.ExchangePage], error) {
		q := client.ExchangeQuery{
			Resource: bus.ResourceID(in.Resource), Mode: bus.ExchangeMode(in.Mode), Status: bus.ExchangeStatus(in.Status), Fault: bus.Fault(in.Fault),
			Department: bus.USCC(in.Department), Grant: bus.GrantID(in.Grant), Case: in.Case, Trace: in.Trace, From: in.From, To: in.To, Here: in.Here, Limit: in.Limit,
		}
		page, err := a.Cluster.Exchanges(ctx, p, requestOf(ctx), q, in.Page)
		return &answer[client.ExchangePage]{Body: page}, err
	})
}
