package exchange

import (
	"context"
	"strconv"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

// The type of the events that carry queries between nodes.
const queryType = "cn.gxbus.query.v1"

// On the event of a query.
const (
	attrRequest = "gxbusrequest" // the caller's request id
	attrTimeout = "gxbustimeout" // milliseconds left: the clocks of two nodes differ
)

// returning is the part of the caller's time, at most, that the way back is left: the
// provider's node gives up before this one does, and has it on record as late too.
const returning = 250 * time.Millisecond

// event is the query as it travels to the provider's node.
func (a *asking) event(ctx context.Context) (cloudevent.Event, error) {
	e := cloudevent.New()
	e.SetID(a.record.Correlation)
	e.SetType(queryType)
	e.SetSource(sourceOf(a.by.System))
	e.SetSubject(string(a.query.Resource))
	e.SetTime(a.began)
	e.SetExtension(attrRequest, a.request)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		left -= min(left/20, returning)
		e.SetExtension(attrTimeout, strconv.FormatInt(left.Milliseconds(), 10))
	}
	return e, e.SetData(cloudevent.ApplicationJSON, a.query)
}

const systemSource = "/systems/"

func sourceOf(id bus.SystemID) string { return systemSource + string(id) }

func systemOf(source string) bus.SystemID {
	if len(source) <= len(systemSource) || source[:len(systemSource)] != systemSource {
		return ""
	}
	return bus.SystemID(source[len(systemSource):])
}

// until gives the context of an answer: it ends when the one who asks gives up.
func (a *asking) until(ctx context.Context, e cloudevent.Event) (context.Context, context.CancelFunc) {
	text, _ := event.Extension(e, attrTimeout).(string)
	if left, err := strconv.Atoi(text); err == nil {
		return context.WithTimeout(ctx, time.Duration(left)*time.Millisecond)
	}
	return context.WithCancel(ctx)
}
