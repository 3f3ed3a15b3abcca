package policy

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Options configures an Engine. The zero value is usable.
type Options struct {
	// Deadline is how long all layers together may take for one decision;
	// 200 ms where it is 0, many times what a decision takes: it is for a machine out of breath.
	Deadline time.Duration
	// CompileLimit is how long a layer is waited for while it compiles; 2 s where it is 0.
	// From then on it denies, until it is compiled.
	CompileLimit time.Duration
	// NewID makes decision ids, unique across the bus; 128 random bits in
	// lower-case base32 where it is nil.
	NewID func() string
}

// Engine holds the compiled layers and decides. Its methods may be called from
// any goroutine. It needs no closing.
type Engine struct {
	deadline     time.Duration
	compileLimit time.Duration
	newID        func() string
	language     *language
	hands        hands

	loading sync.Mutex                   // one Load at a time
	seen    map[bus.LayerID]bus.Revision // newest revision ever loaded, also of unloaded layers
	layers  atomic.Pointer[layerSet]
	refused atomic.Pointer[map[bus.LayerID]string] // why the last Load did not take a layer; nil before the first
	sights  sights
}

// layerSet is the layers that decisions are made with. It does not change.
type layerSet map[bus.LayerID]*layer

// Status tells how a layer stands.
type Status struct {
	Layer    bus.LayerID  `json:"layer"`
	Revision bus.Revision `json:"revision"`        // in use; 0 for base
	Digest   string       `json:"digest"`          // of its text, see Digest
	Error    string       `json:"error,omitempty"` // why it denies everything, or why the newer text was not taken
}

// New returns an engine with the base layer of this release. It denies all until it
// is told of the other layers: see Load.
func New(opts Options) (*Engine, error) {
	e := &Engine{
		deadline: opts.Deadline, compileLimit: opts.CompileLimit, newID: opts.NewID,
		language: newLanguage(), hands: make(hands),
		seen: map[bus.LayerID]bus.Revision{},
	}
	if e.deadline <= 0 {
		e.deadline = 200 * time.Millisecond
	}
	if e.compileLimit <= 0 {
		e.compileLimit = 2 * time.Second
	}
	if e.newID == nil {
		e.newID = randomID
	}
	base, err := Base()
	if err != nil {
		return nil, err
	}
	compiled := e.compiled(base) // it ships with the release: no limit
	if compiled.problem != "" {
		return nil, fmt.Errorf("base policy: %s", compiled.problem)
	}
	e.layers.Store(&layerSet{bus.BaseLayer: compiled})
	return e, nil
}

// Load makes layers the ones in use beside base, in one step: a decision sees
// either all of the old or all of the new. What did not change is kept; what is
// not listed any more is unloaded. It never fails as a whole: a layer that
// cannot be compiled denies every request it applies to (layer-unavailable), a
// layer at an older revision than one seen before is not taken, and base cannot
// be replaced. Status tells. While it compiles, decisions go on with what was in use
// before: nobody waits, and nothing is denied because a layer changes.
func (e *Engine) Load(layers []bus.Layer) {
	e.loading.Lock()
	defer e.loading.Unlock()
	old := *e.layers.Load()
	next := layerSet{bus.BaseLayer: old[bus.BaseLayer]}
	refused := map[bus.LayerID]string{}
	for _, l := range layers {
		if l.ID == bus.BaseLayer {
			refused[l.ID] = "the base policy ships with the release and cannot be replaced"
			continue
		}
		have, ok := next[l.ID]
		if !ok {
			have = old[l.ID]
		}
		next[l.ID] = e.take(l, have, refused)
	}
	e.layers.Store(&next)
	e.refused.Store(&refused)
}

// take returns what is to be used for l, given what is in use for it, if
// anything; refused is told why it is not l.
func (e *Engine) take(l bus.Layer, have *layer, refused map[bus.LayerID]string) *layer {
	if l.Revision < e.seen[l.ID] {
		refused[l.ID] = fmt.Sprintf("revision %d is older than %d, seen before; revisions only grow", l.Revision, e.seen[l.ID])
		if have != nil {
			return have
		}
		return &layer{id: l.ID, revision: l.Revision, digest: digestOf(l.Modules), problem: refused[l.ID]}
	}
	e.seen[l.ID] = l.Revision
	digest := digestOf(l.Modules)
	if have == nil || have.revision != l.Revision {
		return e.compile(l)
	}
	if have.digest == digest {
		return have
	}
	return &layer{id: l.ID, revision: l.Revision, digest: digest, problem: "another text under a revision seen before"}
}

// compile returns l ready to be asked, or broken. Nothing interrupts a compiler: a
// layer that is not ready in time is broken until it is.
func (e *Engine) compile(l bus.Layer) *layer {
	compiled := make(chan *layer, 1)
	go func() { compiled <- e.compiled(l) }()
	limit := time.NewTimer(e.compileLimit)
	defer limit.Stop()
	select {
	case ready := <-compiled:
		return ready
	case <-limit.C:
		late := &layer{id: l.ID, revision: l.Revision, digest: digestOf(l.Modules), problem: "does not compile in time"}
		go func() { e.replace(late, <-compiled) }()
		return late
	}
}

// replace puts ready where late still is in use.
func (e *Engine) replace(late, ready *layer) {
	e.loading.Lock()
	defer e.loading.Unlock()
	next := maps.Clone(*e.layers.Load())
	if next[late.id] == late {
		next[late.id] = ready
		e.layers.Store(&next)
	}
}

// compiled is compile that takes as long as it takes.
func (e *Engine) compiled(l bus.Layer) (made *layer) {
	made = &layer{id: l.ID, revision: l.Revision, digest: digestOf(l.Modules)}
	defer func() {
		if r := recover(); r != nil {
			made.problem = fmt.Sprintf("the compiler failed: %v", r)
		}
	}()
	if l.ID != bus.BaseLayer {
		made.strain = &strain{}
	}
	src, problems := e.language.read(bus.Layer{ID: l.ID, Modules: withoutTests(l.Modules)})
	if len(problems) > 0 {
		made.problem = problems[0].String()
	} else if err := made.compile(context.Background(), src); err != nil {
		made.problem = problemsOf(ProblemCompile, "", err)[0].String()
	}
	return made
}

func withoutTests(modules map[string]string) map[string]string {
	kept := make(map[string]string, len(modules))
	for file, text := range modules {
		if !strings.HasSuffix(file, "_test.rego") {
			kept[file] = text
		}
	}
	return kept
}

// Status lists the layers in use, sorted, base first.
func (e *Engine) Status() []Status {
	var refused map[bus.LayerID]string
	if told := e.refused.Load(); told != nil {
		refused = *told
	}
	var all []Status
	for id, l := range *e.layers.Load() {
		s := Status{Layer: id, Revision: l.revision, Digest: hex.EncodeToString(l.digest[:]), Error: l.problem}
		switch {
		case l.stuck.Load() > 0:
			s.Error = "an evaluation did not stop at its deadline and still runs"
		case l.strain.resting():
			s.Error = "it was not in time for its deadline, and rests"
		}
		if why, ok := refused[id]; ok && s.Error == "" {
			s.Error = why
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Status) int {
		if (a.Layer == bus.BaseLayer) != (b.Layer == bus.BaseLayer) {
			return map[bool]int{true: -1, false: 1}[a.Layer == bus.BaseLayer]
		}
		return strings.Compare(string(a.Layer), string(b.Layer))
	})
	return all
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func randomID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return base32Lower.EncodeToString(id[:])
}
