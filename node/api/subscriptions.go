package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
)

type eventStream struct {
	ByID
	LastID string `header:"Last-Event-ID" doc:"number of the newest event that was processed: it acknowledges all up to it"`
}

// eventsAtOnce is how many events a stream writes at once, and eventsAStream how many
// in all: who comes back with the number of the last one has acknowledged them.
const (
	eventsAtOnce  = 100
	eventsAStream = 1000
)

// addSubscriptionSteps serves what is done with a subscription that stands.
func (a *API) addSubscriptionSteps(h huma.API, subscriptions noun[bus.Subscription]) {
	stream := huma.Operation{
		OperationID: "stream-events", Method: http.MethodGet, Path: "/api/v1/subscriptions/{id}/stream", Tags: []string{"exchange"},
		Summary: "Stream events",
		Description: "Server-sent events: each message is a CloudEvent, its id the number that acknowledges it and all before. The stream begins with the oldest that is not acknowledged " +
			"and ends after " + strconv.Itoa(eventsAStream) + "; a client that reconnects with Last-Event-ID, as browsers do by themselves, acknowledges up to there.",
		Responses: map[string]*huma.Response{"200": {Description: "events", Content: map[string]*huma.MediaType{sseType: {}}}},
	}
	handle(a, h, stream, func(ctx context.Context, p bus.Principal, in *eventStream) (*huma.StreamResponse, error) {
		f, err := a.streaming(ctx, p, in)
		if err != nil {
			return nil, err
		}
		running, release, err := a.streams.begin(ctx, p)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			defer release()
			_, w := humago.Unwrap(hc)
			f.stream(running, w)
		}}, nil
	})
	type step struct {
		ByID
		Sent[client.SubscriptionStep]
	}
	stepping := huma.Operation{
		OperationID: "step-subscription", Method: http.MethodPost, Path: "/api/v1/subscriptions/{id}/step", Tags: []string{"exchange"},
		Summary: "Pause, resume or replay a subscription",
		Description: "While it is paused nothing leaves for it and nothing is handed out; its events wait at the provider's node. A replay begins anew from now, the beginning or a time (RFC 3339) " +
			"with what the provider's node still keeps; what waits unacknowledged goes.",
	}
	handle(a, h, describes[client.SubscriptionStep](a, h, stepping), func(ctx context.Context, p bus.Principal, in *step) (*answer[bus.Subscription], error) {
		s, err := in.decode()
		if err != nil {
			return nil, err
		}
		body := command.SubscriptionStepped{Subscription: bus.SubscriptionID(in.ID), Step: s.Step, From: s.From}
		if _, err := a.write(ctx, p, command.SubscriptionStep, 0, body, in.ID+" "+string(s.Step)); err != nil {
			return nil, err
		}
		return subscriptions.showing(a, p, in.ID)
	})
}

// streaming begins a stream of events, and acknowledges those that its reader has.
func (a *API) streaming(ctx context.Context, p bus.Principal, in *eventStream) (*following, error) {
	id := bus.SubscriptionID(in.ID)
	if err := a.Exchange.May(p, id); err != nil {
		return nil, err
	}
	if in.LastID != "" {
		last, err := strconv.ParseUint(in.LastID, 10, 64)
		if err != nil {
			return nil, bus.Invalid([]bus.Defect{notAn("Last-Event-ID")})
		}
		// A subscription that began anew has not handed that out: it is told all of it.
		if err := a.Exchange.Acknowledge(ctx, p, id, last); err != nil && bus.CodeOf(err) != bus.CodeInvalid {
			return nil, err
		}
	}
	f := &following{api: a, by: p, asked: callerOf(ctx).http, most: eventsAStream}
	f.wait = func(ctx context.Context, from bus.Revision) (func() ([]told, bus.Revision, error), error) {
		err := a.Exchange.Await(ctx, id, uint64(from))
		return func() ([]told, bus.Revision, error) {
			out, err := a.Exchange.Next(f.asked.Context(), p, id, uint64(from), min(eventsAtOnce, f.most))
			news := make([]told, len(out.Events))
			for i, e := range out.Events {
				news[i] = told{bus.Revision(out.Numbers[i]), e}
			}
			return news, max(from, bus.Revision(out.Last)), err
		}, err
	}
	return f, nil
}

// pull hands events out, and waits for some where that is asked for. The caller is
// asked for again before each answer (threat S20).
func (a *API) pull(ctx context.Context, p bus.Principal, in *pull) (out exchange.Handout, err error) {
	id := bus.SubscriptionID(in.ID)
	out, err = a.Exchange.Next(ctx, p, id, 0, in.Limit)
	if err != nil || len(out.Events) > 0 || in.Wait == 0 {
		return out, err
	}
	running, release, err := a.streams.begin(ctx, p)
	if err != nil {
		return out, err
	}
	defer release()
	running, cancel := context.WithTimeout(running, time.Duration(in.Wait)*time.Second)
	defer cancel()
	for len(out.Events) == 0 && running.Err() == nil {
		waiting, stop := context.WithTimeout(running, pulse)
		err := a.Exchange.Await(waiting, id, 0)
		stop()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return out, err
		}
		if by, err := callerOf(ctx).again(); err != nil || by != p {
			return out, cmp.Or(err, error(bus.E(bus.CodeUnauthenticated)))
		}
		if out, err = a.Exchange.Next(ctx, p, id, 0, in.Limit); err != nil {
			return out, err
		}
	}
	return out, nil
}
