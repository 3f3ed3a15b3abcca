package policy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Sight is what one caller may discover, for lists: it answers as Decide does for
// ActionDiscover, most of the time without asking a policy. It is good for one list,
// and is not recorded.
type Sight struct {
	engine *Engine
	layers *layerSet
	input  Input // without provider and resource
	admits bool  // the base layer lets the caller discover anything at all
}

// Sight returns what caller may discover at a time, on a replica that stands as
// described.
func (e *Engine) Sight(ctx context.Context, caller Party, at time.Time, replica DirectoryState) Sight {
	known := e.refused.Load() != nil // first: Load sets it when the layers are there
	s := Sight{engine: e, layers: e.layers.Load()}
	if !known {
		return s // which layers there are is not known yet: nothing is seen
	}
	s.input = Input{Version: InputVersion, Action: ActionDiscover, Stage: StageConsumer, Time: Instant{at}, Consumer: caller, Directory: replica}
	// The base layer looks at the parties only: one resource stands for all, which a
	// test holds it to. Whether a provider is one is looked at in Provider.
	in := s.input
	in.Provider, in.Resource = sampleProvider, Resource{ID: "sample-resource", Provider: sampleProvider.Department}
	key := sightingOf(in)
	if admits, ok := e.sights.recall(s.layers, key); ok {
		s.admits = admits
		return s
	}
	verdicts := e.ask(ctx, []*layer{(*s.layers)[bus.BaseLayer]}, in)
	s.admits, _, _ = bus.Combine(nil, verdicts)
	if !gaveUp(verdicts) {
		e.sights.keep(s.layers, key, s.admits)
	}
	return s
}

// Provider says whether the resources of a department may be discovered, where that
// is the same for all: sure is false where each has to be asked for.
func (s Sight) Provider(p Party) (seen, sure bool) {
	whole := p.Department != "" && len(p.Divisions) > 0 && p.Divisions[0] == p.Division
	if !s.admits || !whole {
		return false, true
	}
	return true, len(s.outspoken(p)) == 0
}

// outspoken are the layers beside base that may deny.
func (s Sight) outspoken(p Party) []*layer {
	in := s.input
	in.Provider = p
	return s.layers.applying(in)[1:]
}

// Resource says whether one resource may be discovered.
func (s Sight) Resource(ctx context.Context, p Party, r bus.Resource) bool {
	if seen, sure := s.Provider(p); !seen || sure {
		return seen
	}
	layers := s.outspoken(p)
	in := s.input
	in.Provider, in.Resource = p, ResourceOf(r)
	key := sightingOf(in)
	timeless := !slices.ContainsFunc(layers, func(l *layer) bool { return !l.discovery.timeless })
	if timeless {
		if seen, ok := s.engine.sights.recall(s.layers, key); ok {
			return seen
		}
	}
	verdicts := s.engine.ask(ctx, layers, in)
	seen := len(verdicts) == len(layers) && !slices.ContainsFunc(verdicts, func(v bus.Verdict) bool { return len(v.Reasons) > 0 })
	if timeless && !gaveUp(verdicts) {
		s.engine.sights.keep(s.layers, key, seen)
	}
	return seen
}

// gaveUp reports whether a layer did not answer in time, or is not to be asked now:
// another time it may.
func gaveUp(verdicts []bus.Verdict) bool {
	return slices.ContainsFunc(verdicts, func(v bus.Verdict) bool {
		return slices.ContainsFunc(v.Reasons, func(r bus.Reason) bool { return r.Code == CodeTimeout || r.Code == CodeLayerUnavailable })
	})
}

// sights remembers what timeless layers said, so that a list that needs a thousand
// answers does not ask a thousand times again.
type sights struct {
	mu    sync.Mutex
	of    *layerSet // by which layers; others forget all
	known map[sighting]bool
}

// sighting is what an answer depends on, beside the layers.
type sighting struct {
	parties  [16]byte // digest of all that policies see of them
	resource bus.ResourceID
	revision bus.Revision
}

func sightingOf(in Input) sighting {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", in.Consumer, in.Provider))
	return sighting{[16]byte(sum[:16]), in.Resource.ID, in.Resource.Revision}
}

const maxSights = 200_000 // about 20 MB

func (s *sights) recall(layers *layerSet, key sighting) (seen, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of != layers {
		return false, false
	}
	seen, ok = s.known[key]
	return seen, ok
}

func (s *sights) keep(layers *layerSet, key sighting, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of != layers || len(s.known) >= maxSights {
		s.of, s.known = layers, map[sighting]bool{}
	}
	s.known[key] = seen
}
