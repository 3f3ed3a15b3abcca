package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// letterOf names one dead letter.
type letterOf struct {
	ByID
	Number uint64 `path:"number" doc:"of the event in its resource's log"`
}

// lettersOf names a page of dead letters.
type lettersOf struct {
	ByID
	Page  uint64 `query:"page" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// addSinks serves where the events of a subscription are taken to, and what could not
// be taken there. All of it stands at the consumer's node, for the system that
// subscribed.
func (a *API) addSinks(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/subscriptions/{id}" + path, Tags: []string{"exchange"}, Summary: summary, Description: description,
		}
	}
	type putting struct {
		ByID
		Sent[bus.Sink]
	}
	put := op("put-sink", http.MethodPut, "/sink", "Have events taken to a webhook",
		"The endpoint is asked first (OPTIONS, WebHook-Request-Origin) and has to answer WebHook-Allowed-Origin; else the sink is kept and stays inactive, and why is shown. "+
			"Its secrets are encrypted at this node and never shown.")
	handle(a, h, describes[bus.Sink](a, h, put), func(ctx context.Context, p bus.Principal, in *putting) (*answer[bus.SinkState], error) {
		s, err := in.decode()
		if err != nil {
			return nil, err
		}
		out := &answer[bus.SinkState]{}
		out.Body, err = a.Exchange.PutSink(ctx, p, requestOf(ctx), bus.SubscriptionID(in.ID), s)
		return out, err
	})
	handle(a, h, op("show-sink", http.MethodGet, "/sink", "Show the webhook of a subscription", "And the attempts at the event that is tried again."),
		func(_ context.Context, p bus.Principal, in *ByID) (*answer[bus.SinkState], error) {
			out := &answer[bus.SinkState]{}
			var err error
			out.Body, err = a.Exchange.Sink(p, bus.SubscriptionID(in.ID))
			return out, err
		})
	handle(a, h, op("delete-sink", http.MethodDelete, "/sink", "End the deliveries to a webhook", "What waits is pulled again."),
		func(ctx context.Context, p bus.Principal, in *ByID) (*struct{}, error) {
			return nil, a.Exchange.DeleteSink(ctx, p, requestOf(ctx), bus.SubscriptionID(in.ID))
		})
	handle(a, h, op("list-dead-letters", http.MethodGet, "/dead-letters", "List dead letters", "Events that the webhook did not take after all attempts, with each attempt; without their data. Oldest first; next, where it is there, is the page that follows."),
		func(_ context.Context, p bus.Principal, in *lettersOf) (*answer[client.DeadLetterPage], error) {
			letters, more, err := a.Exchange.DeadLetters(p, bus.SubscriptionID(in.ID), in.Page, in.Limit)
			out := &answer[client.DeadLetterPage]{Body: client.DeadLetterPage{Items: letters}}
			if more {
				out.Body.Next = strconv.FormatUint(letters[len(letters)-1].Number, 10)
			}
			return out, err
		})
	handle(a, h, op("show-dead-letter", http.MethodGet, "/dead-letters/{number}", "Show a dead letter", "With each attempt and why it failed; without its data."),
		func(_ context.Context, p bus.Principal, in *letterOf) (*answer[bus.DeadLetter], error) {
			letter, err := a.Exchange.DeadLetter(p, bus.SubscriptionID(in.ID), in.Number)
			return &answer[bus.DeadLetter]{Body: letter}, err
		})
	redrive := op("redrive-dead-letter", http.MethodPost, "/dead-letters/{number}/redrive", "Deliver a dead letter after all", "It is decided on again, and comes first.")
	redrive.DefaultStatus = http.StatusNoContent
	handle(a, h, redrive, func(ctx context.Context, p bus.Principal, in *letterOf) (*struct{}, error) {
		return nil, a.Exchange.Redrive(ctx, p, bus.SubscriptionID(in.ID), in.Number)
	})
	handle(a, h, op("discard-dead-letter", http.MethodDelete, "/dead-letters/{number}", "Discard a dead letter", "For good, on record."),
		func(ctx context.Context, p bus.Principal, in *letterOf) (*struct{}, error) {
			return nil, a.Exchange.Discard(ctx, p, bus.SubscriptionID(in.ID), in.Number)
		})
}
