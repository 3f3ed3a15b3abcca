package policy

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/gxbus/gxbus/pkg/bus"
)

// discovery is what is known of a layer's say on ActionDiscover before it is asked:
// found by partial evaluation of its deny rules over an input of which only the
// action is known, not by how it is written. What is not proven is false.
type discovery struct {
	never    bool // it denies it to nobody
	timeless bool // its answer changes with neither the time nor the replica's age
}

// discoveryLimit is how long the proof may take.
const discoveryLimit = 500 * time.Millisecond

// The keys of the input, as a decision on ActionDiscover has them: what is neither
// known nor unknown is absent.
var (
	discoveryKnown   = map[string]any{"version": InputVersion, "action": string(ActionDiscover), "stage": string(StageConsumer)}
	discoveryUnknown = []string{"time", "consumer", "provider", "resource", "directory"}
)

// discovery gives the input without what is about a use of the data.
func (in Input) discovery() Input {
	in.Stage = StageConsumer
	in.Grant, in.Purpose, in.Matter, in.Case, in.Basis, in.Operator, in.Items, in.Event = nil, "", "", "", "", "", nil, nil
	return in
}

// discovery evaluates the deny rules of the compiled source as far as that goes.
func (s *source) discovery(ctx context.Context, compiler *ast.Compiler) discovery {
	ctx, stop := context.WithTimeout(ctx, discoveryLimit)
	defer stop()
	var unknown []string
	for _, key := range discoveryUnknown {
		unknown = append(unknown, "input."+key)
	}
	options := []func(*rego.Rego){
		rego.Compiler(compiler),
		rego.Store(s.language.data),
		rego.Query("layer.deny[_]"),
		rego.ParsedImports([]*ast.Import{{Path: ast.NewTerm(s.path), Alias: "layer"}}),
		rego.Input(discoveryKnown),
		rego.Unknowns(unknown),
	}
	for _, f := range s.language.functions {
		options = append(options, f.Func)
	}
	left, err := rego.New(options...).Partial(ctx)
	if err != nil {
		return discovery{}
	}
	d := discovery{never: len(left.Queries) == 0, timeless: true}
	for _, body := range left.Queries {
		ast.WalkRefs(body, d.look)
	}
	for _, module := range left.Support {
		ast.WalkRefs(module, d.look)
	}
	return d
}

// look notes what a reference looks at: it stays timeless only while every look at
// the input names a key that is.
func (d *discovery) look(ref ast.Ref) bool {
	if !ref[0].Equal(ast.InputRootDocument) {
		return false
	}
	key := ast.String("")
	if len(ref) > 1 {
		key, _ = ref[1].Value.(ast.String)
	}
	switch key {
	case "consumer", "provider", "resource":
	default:
		d.timeless = false
	}
	return false
}

// silent reports whether the layer can be left out of decisions on ActionDiscover.
// One that is broken cannot: it denies.
func (l *layer) silent() bool {
	return l.id != bus.BaseLayer && l.discovery.never && l.problem == "" && l.stuck.Load() == 0
}
