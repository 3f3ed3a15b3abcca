package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// usesQuery asks for a page of use records.
type usesQuery struct {
	ByID
	Grant    string `query:"grant" maxLength:"63" pattern:"^[0-9a-z-]*$" doc:"only those under this grant"`
	Consumer string `query:"consumer" maxLength:"18" pattern:"^[0-9A-Z]*$" doc:"only those of this department"`
	LeafWindow
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"how many at most; a page may have fewer and still be followed by another"`
}

// LeafWindow asks for what is recorded within a time, from a leaf on.
type LeafWindow struct {
	From  time.Time `query:"from" doc:"only those from then on"`
	To    time.Time `query:"to" doc:"only those before then"`
	After int64     `query:"after" minimum:"-1" default:"-1" doc:"leaf to go on after: next of the page before"`
}

func (w LeafWindow) span(limit int) exchange.Span {
	return exchange.Span{From: w.From, To: w.To, After: w.After, Limit: limit}
}

// addUses registers the inspection of use records (decree 809 art. 29). It is
// itself recorded.
func (a *API) addUses(h huma.API) {
	op := huma.Operation{
		OperationID: "inspect-uses", Method: http.MethodGet, Path: "/api/v1/resources/{id}/uses", Tags: []string{"audit"}, Summary: "Inspect how a resource was used",
		Description: "From this node's evidence, for the provider, the data authorities above it and the auditor. The provider's node has all that left it.",
	}
	handle(a, h, op, func(ctx context.Context, p bus.Principal, in *usesQuery) (*answer[client.UsePage], error) {
		if err := a.found(ctx, p, in.ID); err != nil {
			return nil, err
		}
		out := &answer[client.UsePage]{Body: client.UsePage{Node: a.Self, Items: []bus.UseRecord{}}}
		id := bus.ResourceID(in.ID)
		var provider bus.USCC
		var err error
		out.Stamp, err = a.read(func(tx *state.Tx) error {
			provider = tx.Provider(id)
			d, _ := tx.Department(provider)
			if home, ok := tx.Home(d); ok && home != a.Self {
				out.Body.Home = home
			}
			return exchange.Inspects(tx, p, id)
		})
		if err != nil {
			return nil, err
		}
		q := exchange.Inspection{
			Resource: id, Grant: bus.GrantID(in.Grant), Consumer: bus.USCC(in.Consumer), Span: in.span(in.Limit),
		}
		err = a.Exchange.Record(ctx, audit.Record{ // before anything is told
			Kind: audit.KindInspected, Principal: p, Request: requestOf(ctx), Resource: id, Grant: q.Grant, Provider: provider, Consumer: q.Consumer,
			Detail: "use records after leaf " + strconv.FormatInt(in.After, 10),
		})
		if err != nil {
			return nil, err
		}
		uses, next, err := a.Exchange.Uses(q)
		if err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, uses...)
		if next >= 0 {
			out.Body.Next = &next
		}
		return out, nil
	})
}
