package exchange

import (
	"context"
	"fmt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/event/filter"
	"go.etcd.io/bbolt"
)

// unmatched are the events of a batch that a subscription's filters are not for.
// They are passed over with those that are, and nothing is decided on them.
type unmatched struct {
	events []numbered
	failed int // of them, because an expression could not be evaluated
}

// match leaves those of a batch that the subscription's filters are for. Where that
// is none, it moves the cursor past them all. Filters never change, so they leave
// out the same when a batch is sent again.
func (f *forwarder) match(ctx context.Context, flow flow, events []numbered) (wanted []numbered, err error) {
	f.unmatched = unmatched{}
	if len(flow.subscription.Matching()) == 0 || len(events) == 0 {
		return events, nil
	}
	if f.matcher == nil {
		if f.matcher, err = filter.Compile(flow.subscription.Matching()); err != nil {
			return nil, err
		}
	}
	for _, n := range events {
		e, err := n.event()
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", f.resource, err)
		}
		ok, failed := f.matcher.Match(e)
		switch {
		case ok:
			wanted = append(wanted, n)
			continue
		case failed != nil:
			f.unmatched.failed++
		}
		n.read = nil
		f.unmatched.events = append(f.unmatched.events, n)
	}
	if len(wanted) > 0 {
		return wanted, nil
	}
	return nil, f.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		return f.advance(tx, flow, events[0].Sequence, events[len(events)-1].Sequence, nil)
	})
}

// records tells which events up to last were passed over; what lies behind is told
// with the next batch.
func (u unmatched) records(flow flow, last uint64) []audit.Record {
	n := 0
	for n < len(u.events) && u.events[n].Sequence <= last {
		n++
	}
	if n == 0 {
		return nil
	}
	record := flow.record(u.events[:n])
	record.Kind = audit.KindUnmatched
	if u.failed > 0 {
		record.Detail = fmt.Sprintf("an expression could not be evaluated for %d events of the batch", u.failed)
	}
	return []audit.Record{record}
}
