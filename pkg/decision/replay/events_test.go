package replay_test

import (
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/decision/replay"
	"github.com/gxbus/gxbus/pkg/policy"
)

// A record tells of one event's attributes at most. A draft that looks at events is
// replayed over what that suffices for, and over nothing else.
func TestADraftThatReadsEventsIsReplayedOnlyWhereTheyAreKnown(t *testing.T) {
	reads := layer(city, 9, deny("inspections", `input.event.type == "inspected"`))
	for name, c := range map[string]struct {
		action policy.Action
		event  policy.Event
		events int
		draft  bus.Layer
		why    decision.Why
		flips  int
	}{
		"an event that is known":          {policy.ActionForward, policy.Event{"type": "inspected"}, 1, reads, "", 1},
		"another":                         {policy.ActionForward, policy.Event{"type": "registered"}, 1, reads, "", 0},
		"a batch that nobody looked at":   {policy.ActionForward, nil, 3, reads, decision.EventsRead, 0},
		"one event that nobody looked at": {policy.ActionDeliver, nil, 1, reads, decision.EventsRead, 0},
		"several that came out alike":     {policy.ActionForward, policy.Event{"type": "registered"}, 2, reads, decision.EventsRead, 0},
		"what is of no event":             {policy.ActionSubscribe, nil, 0, reads, "", 0},
		"a draft that looks at none":      {policy.ActionForward, nil, 3, layer(city, 9, deny("no", `input.version == 1`)), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			all := calls(50)
			in := all[slices.IndexFunc(all, func(in policy.Input) bool {
				return in.Consumer.System == consumers[0].System && w.engine.Decide(t.Context(), in).Allow
			})]
			in.Action, in.Event, in.Case = c.action, c.event, ""
			d := w.engine.Decide(t.Context(), in)
			w.record(audit.Record{Kind: audit.KindDecision, At: start, Decision: &d, Events: c.events})
			part := w.replay(&replay.Replayer{Draft: w.candidate(c.draft)})
			var why decision.Why
			if len(part.Unclear) == 1 {
				why = part.Unclear[0].Why
			}
			if why != c.why || part.Flipped() != c.flips {
				t.Errorf("%q, %d flips, of allow %v; want %q, %d", why, part.Flipped(), d.Allow, c.why, c.flips)
			}
		})
	}
}
