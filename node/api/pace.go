package api

import (
	"context"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/rate"
)

// pace is how much one system may do in a second (threat S15).
type pace struct {
	rates  *rate.Buckets[bus.SystemID]
	second int
	what   bus.Text // is counted
	events bool     // it is events
}

func newPace(now func() time.Time, second int, events bool) pace {
	what := bus.Text{ZH: "请求", EN: "requests"}
	if events {
		what = bus.Text{ZH: "发布事件", EN: "events"}
	}
	return pace{rate.New[bus.SystemID](now, second), second, what, events}
}

// keep refuses n of a system that floods, all of it. What is refused is counted, and told
// of together.
func (p pace) keep(ctx context.Context, a *API, by bus.Principal, n int) error {
	wait, tell := p.rates.Take(by.System, n)
	if tell > 0 {
		refusal := audit.Record{
			Kind: audit.KindRefused, Principal: by, Request: requestOf(ctx), Code: bus.CodeRateLimited, Detail: fmt.Sprintf("%s refused: %d", p.what.EN, tell),
		}
		if p.events {
			refusal.Events = tell
		}
		if err := a.Exchange.Record(ctx, refusal); err != nil {
			return err
		}
	}
	if wait == 0 {
		return nil
	}
	return bus.E(bus.CodeRateLimited, bus.Defect{
		Problem: bus.Text{ZH: "本系统" + p.what.ZH + "过于频繁", EN: "too many " + p.what.EN + " of this system"},
		Allowed: fmt.Sprintf("%d a second, twice as many at once", p.second),
	}).After(wait)
}
