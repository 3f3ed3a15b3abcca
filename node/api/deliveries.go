package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// addDeliveries tells a provider what has become of its events.
func (a *API) addDeliveries(h huma.API) {
	type asked struct {
		Event  string `path:"event"`
		Source string `query:"source" doc:"of the event, where several have this id"`
	}
	handle(a, h, huma.Operation{
		OperationID: "list-deliveries", Method: http.MethodGet, Path: "/api/v1/events/{event}/deliveries", Tags: []string{"exchange"},
		Summary:     "Tell how far an event has come to each of its subscriptions",
		Description: "For its provider and administrators, at the provider's node: delivered, denied and why, held, or waiting where. As long as there is evidence of the event: once it has gone itself, source is absent, and a state is unknown where what is on record does not tell. Consumers' nodes are asked for what they recorded; silent names those that did not answer.",
	}, func(ctx context.Context, p bus.Principal, in *asked) (*answer[list[client.Deliveries]], error) {
		out := &answer[list[client.Deliveries]]{}
		var err error
		out.Body.Items, err = a.Deliveries(ctx, p, in.Event, in.Source)
		return out, err
	})
}
