package policy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/pkg/bus"
)

// DecideEvents is Decide about the first of n events, and says how many, from the
// first on, come out alike. Where no layer that applies reads input.event that is one
// evaluation for all, and event is not called. Otherwise the layers that do are asked
// about each event, the others once, until an event comes out otherwise or the
// deadline of one decision is over: the rest is to be asked about again. The decision
// stands on the input of the first event.
func (e *Engine) DecideEvents(ctx context.Context, in Input, n int, event func(int) Event) (d bus.Decision, alike int) {
	layers, known := e.applying(in)
	var readers []*layer
	for _, l := range layers {
		if l.readsEvents() {
			readers = append(readers, l)
		}
	}
	if len(readers) == 0 || !known || n == 0 {
		return e.decide(ctx, in, layers, known), n
	}
	start := time.Now()
	in.Event = event(0)
	d = e.decide(ctx, in, layers, known)
	same, err := e.sameness(in, readers, d.Grounds.Verdicts)
	if err != nil {
		return d, 1
	}
	for alike = 1; alike < n && time.Since(start) < e.deadline && same.holds(ctx, event(alike)); alike++ {
	}
	return d, alike
}

// sameness tells whether layers say of other events what they said of one.
type sameness struct {
	engine   *Engine
	readers  []*layer
	said     []bus.Verdict // of readers
	document document      // the input without the event
	names    []string      // the attributes that readers look at; nil: any
	known    map[string]bool
}

func (e *Engine) sameness(in Input, readers []*layer, verdicts []bus.Verdict) (*sameness, error) {
	s := &sameness{engine: e, readers: readers, names: attributesRead(readers), known: map[string]bool{}}
	for _, v := range verdicts {
		if slices.ContainsFunc(readers, func(l *layer) bool { return l.id == v.Layer }) {
			s.said = append(s.said, v)
		}
	}
	var err error
	s.document, err = documentOf(in)
	s.known[s.seen(in.Event)] = true
	return s, err
}

// holds asks the readers about an event, unless they were asked about one that is
// the same in all that they look at.
func (s *sameness) holds(ctx context.Context, e Event) bool {
	seen := s.seen(e)
	if s.names != nil && s.known[seen] {
		return true
	}
	again := s.engine.round(ctx, s.readers, s.document.about(e))
	if !slices.EqualFunc(again, s.said, sameWords) {
		return false
	}
	s.known[seen] = true
	return true
}

// seen is what of an event the readers may look at.
func (s *sameness) seen(e Event) string {
	var seen []byte
	for _, name := range s.names {
		value, there := e[name]
		seen = fmt.Appendf(seen, "%q %t ", value, there)
	}
	return string(seen)
}

var eventPath = []string{"event"}

// readsEvents reports whether the layer may look at input.event: read off the
// compiled rules, not off how they are written.
func (l *layer) readsEvents() bool {
	return slices.ContainsFunc(l.reads, func(ref ast.Ref) bool { return touches(ref, eventPath) })
}

// attributesRead lists the attributes that layers look at; nil where it may be any.
func attributesRead(layers []*layer) []string {
	names := []string{}
	for _, l := range layers {
		for _, ref := range l.reads {
			if !touches(ref, eventPath) {
				continue
			}
			if len(ref) < 3 || !eventTerm.Equal(ref[1]) {
				return nil
			}
			name, ok := ref[2].Value.(ast.String)
			if !ok {
				return nil
			}
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var eventTerm = ast.StringTerm("event")
