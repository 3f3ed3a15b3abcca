package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/gxbus/gxbus/pkg/bus"
)

// exports are the rules by which a layer says something, as they are written.
type exports struct {
	rules    []bus.Rule
	computed bool // a rule's reasons are worked out as it runs: no code tells which rule gave it
}

// exportsOf finds them in the text; it must see it before it is compiled.
func exportsOf(src *source) (x exports) {
	for _, file := range slices.Sorted(maps.Keys(src.modules)) {
		for _, r := range src.modules[file].Rules {
			for ; r != nil; r = r.Else {
				x.add(r)
			}
		}
	}
	return x
}

func (x *exports) add(r *ast.Rule) {
	name := nameOf(r)
	if name == "" || r.Location == nil {
		return
	}
	rule := bus.Rule{Name: name, File: r.Location.File, Row: r.Location.Row}
	if reasoned(name) {
		if rule.Code = codeOf(r.Head.Key); rule.Code == "" {
			x.computed = true
		}
	}
	x.rules = append(x.rules, rule)
}

// reasoned reports whether an export gives reasons.
func reasoned(export string) bool { return export == "deny" || export == "hold" }

// nameOf is the name of a rule that says something in the layer's name.
func nameOf(r *ast.Rule) string {
	head, ok := r.Head.Ref()[0].Value.(ast.Var)
	if !ok || r.Default {
		return ""
	}
	for _, export := range narrowing {
		if export.name == string(head) {
			return export.name
		}
	}
	return ""
}

// codeOf reads the code out of a reason as it is written.
func codeOf(reason *ast.Term) string {
	if reason == nil {
		return ""
	}
	o, ok := reason.Value.(ast.Object)
	if !ok {
		return ""
	}
	return text(o, "code")
}

// fired lists the rules that said v, so far as that is known: all of the
// candidates that ran, where that was watched, else those without another to say
// the same.
func (x exports) fired(v bus.Verdict, ran map[bus.Rule]bool) (fired []bus.Rule) {
	add := func(open bool, fits func(bus.Rule) bool) {
		var found []bus.Rule
		for _, r := range x.rules {
			if fits(r) && (ran == nil || ran[bus.Rule{File: r.File, Row: r.Row}]) {
				found = append(found, r)
			}
		}
		if ran != nil || len(found) == 1 && !open {
			fired = append(fired, found...)
		}
	}
	for _, code := range codesOf(v.Reasons) {
		add(x.computed, func(r bus.Rule) bool { return reasoned(r.Name) && (r.Code == code || r.Code == "") })
	}
	for _, said := range []struct {
		export string
		spoken bool
	}{
		{"items", v.Items != nil}, {"masks", len(v.Masks) > 0}, {"rows", len(v.Rows) > 0},
		{"limits", len(v.Limits) > 0}, {"watermark", v.Watermark},
	} {
		if said.spoken {
			add(false, func(r bus.Rule) bool { return r.Name == said.export })
		}
	}
	return fired
}

func codesOf(reasons []bus.Reason) (codes []string) {
	for _, r := range reasons {
		codes = append(codes, r.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Fired completes the rules of verdicts that were recorded of in. It asks the
// layers in use again, watched, and takes their word where they are the same as
// then and say the same. It is for explaining: it costs several decisions.
func (e *Engine) Fired(ctx context.Context, in Input, base string, said []bus.Verdict) []bus.Verdict {
	said = slices.Clone(said)
	input, err := valueOf(in)
	if err != nil {
		return said
	}
	for i, v := range said {
		l, ok := (*e.layers.Load())[v.Layer]
		if !ok || l.revision != v.Revision || l.problem != "" || l.stuck.Load() > 0 || v.Layer == bus.BaseLayer && named(l.digest) != base {
			continue
		}
		watching, stop := context.WithTimeout(ctx, 10*e.deadline)
		again, done := within(10*e.deadline, func() bus.Verdict { return l.watched(watching, input) })
		if stop(); done && sameWords(again, v) {
			said[i].Fired = again.Fired
		}
	}
	return said
}

func sameWords(a, b bus.Verdict) bool {
	a.Fired, b.Fired = nil, nil
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// watched asks the layer with a look at each rule that holds.
func (l *layer) watched(ctx context.Context, input ast.Value) (v bus.Verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = l.refuse(CodeError)
		}
	}()
	w := &watch{ran: map[bus.Rule]bool{}}
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	results, err := l.query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalQueryTracer(w), rego.EvalExternalCancel(cancel))
	if err != nil || len(results) != 1 || len(results[0].Expressions) != 1 {
		return l.refuse(CodeError)
	}
	answer, ok := results[0].Expressions[0].Value.(ast.Object)
	v = bus.Verdict{Layer: l.id, Revision: l.revision}
	if !ok || decode(answer, &v) != "" {
		return l.refuse(CodeError)
	}
	v.Fired = l.exports.fired(v, w.ran)
	return v
}

// watch notes which rules held.
type watch struct{ ran map[bus.Rule]bool }

// Enabled implements [topdown.QueryTracer].
func (*watch) Enabled() bool { return true }

// Config implements [topdown.QueryTracer].
func (*watch) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements [topdown.QueryTracer].
func (w *watch) TraceEvent(e topdown.Event) {
	if r, ok := e.Node.(*ast.Rule); ok && e.Op == topdown.ExitOp && r.Location != nil {
		w.ran[bus.Rule{File: r.Location.File, Row: r.Location.Row}] = true
	}
}
