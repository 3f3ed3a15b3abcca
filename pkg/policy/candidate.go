package policy

import (
	"context"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Candidate is a layer that nothing is decided by: compiled to be asked what it
// would say.
type Candidate struct {
	engine  *Engine
	layer   *layer
	removal bool
}

// Candidate compiles a layer, its tests left out, without taking it into use. It
// is nil where the layer has problems. Whether the layer would be taken, Check
// says. Of a layer without modules it stands for the removal: it applies to nothing.
func (e *Engine) Candidate(ctx context.Context, l bus.Layer) (*Candidate, []bus.LayerProblem) {
	src, problems := e.language.read(bus.Layer{ID: l.ID, Modules: withoutTests(l.Modules)})
	removal := len(l.Modules) == 0
	if removal {
		problems = slices.DeleteFunc(problems, func(p bus.LayerProblem) bool { return p.Code == ProblemNoExport })
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if l.ID == bus.BaseLayer {
		return nil, []bus.LayerProblem{{Code: ProblemLayerID, Message: bus.Text{
			ZH: "基础策略随程序发布，不能替换。", EN: "the base policy ships with the release and cannot be replaced"}}}
	}
	made := &layer{id: l.ID, revision: l.Revision, digest: digestOf(l.Modules)}
	if removal {
		return &Candidate{e, made, true}, nil
	}
	err, done := within(e.compileLimit, func() error { return made.compile(ctx, src) })
	switch {
	case !done:
		return nil, []bus.LayerProblem{{Code: ProblemTooSlow, Message: bus.Text{ZH: "未能在限定时间内编译。", EN: "does not compile in time"}}}
	case err != nil:
		return nil, problemsOf(ProblemCompile, "", err)
	}
	return &Candidate{e, made, false}, nil
}

// Layer names the layer.
func (c *Candidate) Layer() bus.LayerID { return c.layer.id }

// Digest identifies its text: "sha256:…".
func (c *Candidate) Digest() string { return named(c.layer.digest) }

// Applies reports whether a decision on in would ask the layer.
func (c *Candidate) Applies(in Input) bool {
	if c.removal {
		return false
	}
	set := layerSet{bus.BaseLayer: &layer{id: bus.BaseLayer}, c.layer.id: c.layer}
	return len(set.applying(in)) > 1
}

// Ask gives what the layer says to in, within the engine's deadline; like a layer
// in use it denies where it cannot say.
func (c *Candidate) Ask(ctx context.Context, in Input) bus.Verdict {
	if in.Action == ActionDiscover {
		in = in.discovery()
	}
	return c.engine.ask(ctx, []*layer{c.layer}, in)[0]
}

// Reads reports whether the layer may look at a value of the input, named by its
// JSON pointer. It errs to the side of yes: a reference to what the value is part
// of counts, and one that is worked out while the policy runs.
func (c *Candidate) Reads(value string) bool {
	return slices.ContainsFunc(c.layer.reads, func(ref ast.Ref) bool { return touches(ref, pointer(value)) })
}

// readsOf lists the references of compiled rules to the input.
func readsOf(compiler *ast.Compiler) []ast.Ref {
	var refs []ast.Ref
	var look *ast.GenericVisitor
	look = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			if x[0].Equal(ast.InputRootDocument) {
				refs = append(refs, x)
			}
			for _, term := range x[1:] { // what is looked up may itself be looked up
				look.Walk(term)
			}
			return true
		case ast.Var: // input by itself, as an argument
			if x.Equal(ast.InputRootDocument.Value) {
				refs = append(refs, ast.Ref{ast.InputRootDocument})
			}
		}
		return false
	})
	for _, module := range compiler.Modules {
		look.Walk(module)
	}
	return refs
}

// touches reports whether a reference to the input can reach the value at path.
func touches(ref ast.Ref, path []string) bool {
	for i, term := range ref[1:] {
		if i == len(path) {
			return true // it looks into the value
		}
		if key, ok := term.Value.(ast.String); ok && string(key) != path[i] {
			return false
		}
	}
	return true
}
