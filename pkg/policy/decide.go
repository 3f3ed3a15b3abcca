package policy

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Decide answers in with the layers that apply to it: base, the provider's
// division chain and department, the consumer's division chain and department.
// It never fails: whatever is odd denies, and the reason names the layer. The
// same answer holds until an input or a layer changes. Decision.Layers has the
// layers that apply; base is at revision 0. Decision.Grounds has what each said.
func (e *Engine) Decide(ctx context.Context, in Input) bus.Decision {
	layers, known := e.applying(in)
	return e.decide(ctx, in, layers, known)
}

// applying returns the layers that apply to in; known is false before the first Load.
func (e *Engine) applying(in Input) (layers []*layer, known bool) {
	known = e.refused.Load() != nil // first: Load sets it when the layers are there
	return e.layers.Load().applying(in), known
}

func (e *Engine) decide(ctx context.Context, in Input, layers []*layer, known bool) bus.Decision {
	start := time.Now()
	d := bus.Decision{ID: e.newID(), Action: string(in.Action), At: in.Time.UTC(), Index: in.Directory.Index,
		Layers: map[bus.LayerID]bus.Revision{}}
	if in.Action == ActionDiscover {
		in = in.discovery()
	}
	if !known {
		d.Layers[bus.BaseLayer] = 0
		d.Reasons = layers[0].refuse(CodeLayerUnavailable).Reasons
		return d
	}
	for _, l := range layers {
		d.Layers[l.id] = l.revision
	}
	verdicts := e.ask(ctx, layers, in)
	d.Allow, d.Reasons, d.Obligations = Unite(in, verdicts)
	d.Grounds = &bus.Grounds{Input: in, Base: named(layers[0].digest), Verdicts: verdicts, Took: time.Since(start)}
	return d
}

// Unite makes one answer of what each layer says to in.
func Unite(in Input, verdicts []bus.Verdict) (allow bool, reasons []bus.Reason, ob bus.Obligations) {
	allow, reasons, ob = bus.Combine(in.requested(), verdicts)
	if !allow && len(reasons) == 0 {
		reasons = []bus.Reason{{Layer: bus.BaseLayer, Code: CodeNotGranted, Message: refusals[CodeNotGranted]}}
	}
	return allow, reasons, ob
}

// applying returns the layers that apply to in, each once, base first.
func (set layerSet) applying(in Input) []*layer {
	applying := []*layer{set[bus.BaseLayer]}
	add := func(id bus.LayerID) {
		if l, ok := set[id]; ok && !slices.Contains(applying, l) && !(in.Action == ActionDiscover && l.silent()) {
			applying = append(applying, l)
		}
	}
	for _, party := range []Party{in.Provider, in.Consumer} {
		for _, code := range slices.Backward(party.Divisions) { // province first
			add(bus.DivisionLayer(code))
		}
		add(bus.DivisionLayer(party.Division))
		add(bus.DepartmentLayer(party.Department))
	}
	return applying
}

// ask asks each layer in turn until the deadline. Nobody waits to discover a
// resource: a layer that holds says nothing of that.
func (e *Engine) ask(ctx context.Context, layers []*layer, in Input) []bus.Verdict {
	verdicts := e.verdicts(ctx, layers, in)
	if in.Action == ActionDiscover {
		for i, v := range verdicts {
			verdicts[i].Reasons = slices.DeleteFunc(v.Reasons, func(r bus.Reason) bool { return r.Hold })
		}
	}
	return verdicts
}

func (e *Engine) verdicts(ctx context.Context, layers []*layer, in Input) []bus.Verdict {
	input, err := valueOf(in)
	if err != nil {
		return []bus.Verdict{layers[0].refuse(CodeError)}
	}
	return e.round(ctx, layers, input)
}

// round asks each layer in turn about an input, until the deadline.
func (e *Engine) round(ctx context.Context, layers []*layer, input ast.Value) []bus.Verdict {
	ctx, stop := context.WithTimeout(ctx, e.deadline)
	defer stop()
	a := &asking{layers: layers, deadline: e.deadline, cancel: topdown.NewCancel(), answered: make(chan struct{})}
	e.hands.give(func() { a.run(ctx, input) })
	select {
	case <-a.answered:
		return a.verdicts
	case <-ctx.Done():
	}
	a.cancel.Cancel()
	return a.abandon(e.deadline / grace)
}

// grace is the part of a deadline that a cancelled round is waited for.
const grace = 4

// asking is one round of questions. It runs in a goroutine of its own, because
// what OPA does between two looks at its cancel flag can in principle take
// longer than anybody wants to wait; see DESIGN.md.
type asking struct {
	layers   []*layer
	deadline time.Duration
	cancel   topdown.Cancel
	verdicts []bus.Verdict // of the layers in turn; one says that the time was over, unless all were asked
	at       atomic.Int32  // the layer being asked
	state    atomic.Int32  // running, ended or abandoned
	answered chan struct{} // closed when every layer was asked, or one was not in time
}

const (
	running = iota
	ended
	abandoned
)

func (a *asking) run(ctx context.Context, input ast.Value) {
	var verdicts []bus.Verdict
	began := time.Now()
	last, slow := began, slowest{}
	for i, l := range a.layers {
		a.at.Store(int32(i))
		v := l.ask(ctx, input, a.cancel, last)
		now := time.Now()
		verdicts = append(verdicts, v)
		late := a.cancel.Cancelled() || ctx.Err() != nil && timedOut(v)
		if slow.see(l, now.Sub(last)); late && now.Sub(began) >= a.deadline {
			slow.layer.strain.missed(began, now, a.deadline)
		}
		if last = now; late {
			if i+1 < len(a.layers) && !timedOut(v) { // it was in time and the next one cannot be: a layer that is not asked denies
				verdicts = append(verdicts, a.layers[i+1].refuse(CodeTimeout))
			}
			break
		}
	}
	a.verdicts = verdicts
	if !a.state.CompareAndSwap(running, ended) {
		a.layers[a.at.Load()].hangs(-1)
	}
	close(a.answered)
}

func timedOut(v bus.Verdict) bool { return len(v.Reasons) == 1 && v.Reasons[0].Code == CodeTimeout }

// slowest is the layer that took most of a round.
type slowest struct {
	layer *layer
	took  time.Duration
}

func (s *slowest) see(l *layer, took time.Duration) {
	if s.layer == nil || took > s.took {
		s.layer, s.took = l, took
	}
}

// abandon waits a little for the cancelled round to end; if it does not, the
// layer that hangs is unavailable until it stops, unless it is base.
func (a *asking) abandon(grace time.Duration) []bus.Verdict {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-a.answered:
		return a.verdicts
	case <-timer.C:
	}
	hanging := a.layers[a.at.Load()]
	hanging.hangs(+1)
	if !a.state.CompareAndSwap(running, abandoned) { // it ended just now
		hanging.hangs(-1)
		<-a.answered
		return a.verdicts
	}
	return []bus.Verdict{hanging.refuse(CodeTimeout)}
}

// within runs f and waits for it at most limit. Where done is false, f runs on
// by itself, and what it returns is lost.
func within[T any](limit time.Duration, f func() T) (result T, done bool) {
	answer := make(chan T, 1)
	go func() { answer <- f() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case result = <-answer:
		return result, true
	case <-timer.C:
		return result, false
	}
}
