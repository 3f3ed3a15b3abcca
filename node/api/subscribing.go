package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// addSubscribing serves the putting of subscriptions: a CloudEvents Subscriptions object
// with what sharing needs beside it.
func (a *API) addSubscribing(h huma.API, subscriptions noun[bus.Subscription]) {
	op := huma.Operation{
		OperationID: "put-subscription", Method: http.MethodPut, Path: "/api/v1/subscriptions/{id}", Tags: []string{"subscriptions"},
		Summary: "Create or change subscription",
		Description: "A CloudEvents Subscriptions object. With a sink it is as if that were put afterwards: the endpoint is asked, and …/sink shows what it said. " +
			"sink and sinkcredential are never shown here.",
	}
	handle(a, h, describes[client.SubscriptionRequest](a, h, op), func(ctx context.Context, p bus.Principal, in *putOf[client.SubscriptionRequest]) (*answer[bus.Subscription], error) {
		expect, r, err := named(in, func(r *client.SubscriptionRequest) *string { return (*string)(&r.ID) })
		if err != nil {
			return nil, err
		}
		sink, pushed, err := a.subscribing(ctx, p, &r)
		if err != nil {
			return nil, err
		}
		if _, err := a.write(ctx, p, command.SubscriptionPut, expect, r.Subscription, in.ID); err != nil {
			return nil, err
		}
		if pushed {
			if _, err := a.Exchange.PutSink(ctx, p, requestOf(ctx), r.ID, sink); err != nil {
				return nil, err
			}
		}
		return subscriptions.showing(a, p, in.ID)
	})
}

// subscribing completes and checks a subscription, and gives the sink that goes with it.
func (a *API) subscribing(ctx context.Context, p bus.Principal, r *client.SubscriptionRequest) (sink bus.Sink, pushed bool, err error) {
	s := &r.Subscription
	if p.System == "" {
		return sink, false, bus.E(bus.CodeForbidden, bus.Defect{Problem: bus.Text{ZH: "仅业务系统可订阅", EN: "only an agency system subscribes"}, Allowed: "a system credential"})
	}
	if s.System == "" {
		s.System = p.System
	}
	if s.Consumer != "" && s.Consumer != p.Department {
		return sink, false, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "consumer", Problem: bus.Text{ZH: "只能为本部门订阅", EN: "a system subscribes for its own department"}, Allowed: string(p.Department),
		})
	}
	s.Consumer = p.Department
	sink, pushed, defects := r.Wanted()
	if pushed && s.System != p.System {
		defects = append(defects, bus.Defect{
			Field: "sink", Problem: bus.Text{ZH: "推送地址只能由接收数据的系统设置", EN: "is put by the system that the events are for"}, Allowed: "put by " + string(s.System),
		})
	}
	if err := bus.Invalid(append(s.Check(), defects...)); err != nil {
		return sink, false, err
	}
	if pushed {
		if err := a.Exchange.CheckSink(ctx, sink); err != nil {
			return sink, false, err
		}
	}
	a.Cluster.CatchUp(ctx) // the grant may be a moment old, and made elsewhere
	if err := a.found(ctx, p, string(s.Resource)); err != nil {
		return sink, false, err
	}
	return sink, pushed, a.Exchange.Subscribe(ctx, p, requestOf(ctx), *s)
}
