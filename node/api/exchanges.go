package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// exchangesQuery asks for a page of the operational record.
type exchangesQuery struct {
	Resource string `query:"resource" maxLength:"63" pattern:"^[0-9a-z-]*$" doc:"only those of this resource"`
	Status   string `query:"status" enum:"accepted,held,forwarded,received,delivered,acknowledged,filtered,expired,withheld,denied,refused,failed" doc:"only those that stand so"`
	Fault    string `query:"fault" enum:"policy,caller,provider,network,bus" doc:"only those that went wrong, by whose fault"`
	LeafWindow
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many at most; a page may have fewer and still be followed by another"`
}

// addExchanges registers the operational record. That somebody read it is recorded.
func (a *API) addExchanges(h huma.API) {
	op := huma.Operation{
		OperationID: "list-exchanges", Method: http.MethodGet, Path: "/api/v1/exchanges", Tags: []string{"exchange"}, Summary: "List exchanges",
		Description: "Publications and batches of subscriptions as this node's evidence has them: a department's own, for a data authority those of the departments in its division and below, for the auditor all.",
	}
	handle(a, h, op, func(ctx context.Context, p bus.Principal, in *exchangesQuery) (*answer[client.ExchangePage], error) {
		out := &answer[client.ExchangePage]{Body: client.ExchangePage{Node: a.Self, Items: []bus.ExchangeRecord{}}}
		var watched func(bus.USCC) bool
		var err error
		out.Stamp, err = a.read(func(tx *state.Tx) (err error) {
			watched, err = exchange.Watched(tx, p)
			return err
		})
		if err != nil {
			return nil, err
		}
		q := exchange.Search{
			Resource: bus.ResourceID(in.Resource), Status: bus.ExchangeStatus(in.Status), Fault: bus.Fault(in.Fault), Span: in.span(in.Limit),
		}
		err = a.Exchange.Record(ctx, audit.Record{ // before anything is told
			Kind: audit.KindInspected, Principal: p, Request: requestOf(ctx), Resource: q.Resource,
			Detail: "exchanges after leaf " + strconv.FormatInt(in.After, 10),
		})
		if err != nil {
			return nil, err
		}
		records, next, err := a.Exchange.Exchanges(q, watched)
		if err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, records...)
		if next >= 0 {
			out.Body.Next = &next
		}
		return out, nil
	})
}
