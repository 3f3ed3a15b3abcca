package api

import (
	"context"
	"encoding/hex"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
)

const publicationCap = 8 << 20 // bytes of a publication

// publication is a request of the CloudEvents HTTP binding, headers and all.
type publication struct {
	ByID
	RawBody []byte
	header  http.Header
}

// Resolve keeps the headers: in binary mode they are the event's attributes.
func (p *publication) Resolve(ctx huma.Context) []error {
	p.header = http.Header{}
	ctx.EachHeader(func(name, value string) { p.header.Add(name, value) })
	return nil
}

type pull struct {
	ByID
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"events at most"`
	Wait  int `query:"wait" minimum:"0" maximum:"30" default:"0" doc:"seconds to wait for an event where none waits"`
}

type pulled struct {
	ContentType string `header:"Content-Type"`
	Last        uint64 `header:"Gxbus-Last" doc:"sequence number that acknowledges these events; absent where there are none"`
	Body        []byte
}

func (a *API) addEvents(h huma.API) {
	publish := huma.Operation{
		OperationID: "publish-events", Method: http.MethodPost, Path: "/api/v1/resources/{id}/events", Tags: []string{"exchange"},
		Summary:       "Publish events",
		Description:   "CloudEvents 1.0.2 in binary, structured or batched mode. Answers 202 once every event is on the disk; all events of a request are taken or none.",
		DefaultStatus: http.StatusAccepted, MaxBodyBytes: publicationCap, SkipValidateBody: true,
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			event.ContentTypeEvent: {}, event.ContentTypeBatch: {}, "*/*": {},
		}},
	}
	handle(a, h, publish, func(ctx context.Context, p bus.Principal, in *publication) (*answer[client.Receipts], error) {
		return a.publish(ctx, p, in)
	})
	handle(a, h, huma.Operation{
		OperationID: "pull-events", Method: http.MethodGet, Path: "/api/v1/subscriptions/{id}/events", Tags: []string{"exchange"},
		Summary:     "Pull events",
		Description: "The oldest events that are not acknowledged, as a CloudEvents batch; the same again until they are.",
	}, func(ctx context.Context, p bus.Principal, in *pull) (*pulled, error) {
		out, err := a.pull(ctx, p, in)
		if err != nil {
			return nil, err
		}
		batch, err := event.MarshalBatch(out.Events)
		return &pulled{event.ContentTypeBatch, out.Last, batch}, err
	})
	type acknowledgement struct {
		ByID
		Sent[client.Ack]
	}
	ack := huma.Operation{
		OperationID: "acknowledge-events", Method: http.MethodPost, Path: "/api/v1/subscriptions/{id}/ack", Tags: []string{"exchange"},
		Summary: "Acknowledge all events up to a sequence number", DefaultStatus: http.StatusNoContent,
	}
	handle(a, h, describes[client.Ack](a, h, ack), func(ctx context.Context, p bus.Principal, in *acknowledgement) (*struct{}, error) {
		upTo, err := in.decode()
		if err != nil {
			return nil, err
		}
		return nil, a.Exchange.Acknowledge(ctx, p, bus.SubscriptionID(in.ID), upTo.Last)
	})
}

func (a *API) publish(ctx context.Context, p bus.Principal, in *publication) (*answer[client.Receipts], error) {
	if p.System == "" {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Problem: bus.Text{ZH: "仅业务系统可发布事件", EN: "only an agency system publishes"}, Allowed: "a system credential",
		})
	}
	if err := a.found(ctx, p, in.ID); err != nil {
		return nil, err
	}
	events, _, err := event.Decode(in.header, in.RawBody, event.Limits{Request: publicationCap})
	if err != nil {
		return nil, err
	}
	if err := a.events.keep(ctx, a, p, max(len(events), 1)); err != nil {
		callerOf(ctx).recorded = true
		return nil, err
	}
	receipts, err := a.Exchange.Publish(ctx, p, requestOf(ctx), bus.ResourceID(in.ID), events)
	if err != nil {
		callerOf(ctx).recorded = true // by the exchange
		return nil, err
	}
	out := &answer[client.Receipts]{Body: client.Receipts{Receipts: make([]client.Receipt, len(receipts))}}
	for i, r := range receipts {
		out.Body.Receipts[i] = client.Receipt{
			Source: r.Source, ID: r.ID, Resource: bus.ResourceID(in.ID), Sequence: r.Sequence,
			Digest: hex.EncodeToString(r.Digest[:]), Duplicate: r.Duplicate,
		}
	}
	return out, nil
}
