package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/gxbus/gxbus/pkg/bus"
)

// question is what every layer is asked. It is constant text: which layer it
// goes to is decided by what the import binds, never by composing text.
const question = `{
	"allow": [x | x := layer.allow],
	"deny": [x | x := layer.deny],
	"hold": [x | x := layer.hold],
	"items": [x | x := layer.items],
	"masks": [x | x := layer.masks],
	"rows": [x | x := layer.rows],
	"limits": [x | x := layer.limits],
	"watermark": [x | x := layer.watermark],
}`

// layer is a policy layer, ready to be asked or broken.
type layer struct {
	id        bus.LayerID
	revision  bus.Revision
	digest    [sha256.Size]byte // of the source
	problem   string            // why it is broken; empty if it is not
	query     rego.PreparedEvalQuery
	discovery discovery
	reads     []ast.Ref // what it looks at in the input
	exports   exports
	stuck     atomic.Int32 // evaluations that were given up and still run; 0 of base, always
	strain    *strain      // nil of base, which ships with the release, and of what is only tried
}

// compile makes l.query from src, without its tests.
func (l *layer) compile(ctx context.Context, src *source) error {
	l.exports = exportsOf(src)
	compiler, err := src.compile()
	if err != nil {
		return err
	}
	l.reads = readsOf(compiler)
	options := []func(*rego.Rego){
		rego.Compiler(compiler),
		rego.Store(src.language.data),
		rego.Query(question),
		rego.ParsedImports([]*ast.Import{{Path: ast.NewTerm(src.path), Alias: "layer"}}),
		rego.StrictBuiltinErrors(true), // an error is not "undefined": it denies
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
	}
	for _, f := range src.language.functions {
		options = append(options, f.Func)
	}
	l.discovery = src.discovery(ctx, compiler)
	l.query, err = rego.New(options...).PrepareForEval(ctx)
	return err
}

// compile runs OPA's strict compiler over the layer without its tests, calls of
// bounded built-ins renamed. It changes the modules.
func (s *source) compile() (*ast.Compiler, error) {
	for _, m := range s.modules {
		bound(m)
	}
	compiler := s.compiler(s.language.layers)
	if compiler.Compile(s.modules); compiler.Failed() {
		return nil, compiler.Errors
	}
	return compiler, nil
}

// ask evaluates the layer, at a time. It never fails: what is odd is a reason to deny.
func (l *layer) ask(ctx context.Context, input ast.Value, cancel topdown.Cancel, now time.Time) (verdict bus.Verdict) {
	verdict = bus.Verdict{Layer: l.id, Revision: l.revision}
	defer func() {
		if r := recover(); r != nil {
			verdict = l.refuse(CodeError)
		}
	}()
	if l.problem != "" || l.stuck.Load() > 0 || !l.strain.admits(now) {
		return l.refuse(CodeLayerUnavailable)
	}
	defer func() { l.strain.ended(!timedOut(verdict)) }()
	results, err := l.query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalExternalCancel(cancel))
	switch {
	case topdown.IsCancel(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return l.refuse(CodeTimeout)
	case err != nil:
		return l.refuse(CodeError)
	case len(results) != 1 || len(results[0].Expressions) != 1:
		return l.refuse(CodeUndefined)
	}
	answer, ok := results[0].Expressions[0].Value.(ast.Object)
	if !ok {
		return l.refuse(CodeUndefined)
	}
	if code := decode(answer, &verdict); code != "" {
		return l.refuse(code)
	}
	verdict.Fired = l.exports.fired(verdict, nil)
	return verdict
}

// hangs counts an evaluation that was given up in, or out. Base is asked again all the
// same: no rule of it can hang, so it is the machine that had no time for it, and nobody
// but base says yes.
func (l *layer) hangs(by int32) {
	if l.id != bus.BaseLayer {
		l.stuck.Add(by)
	}
}

// refuse is the verdict of a layer that did not give one.
func (l *layer) refuse(code string) bus.Verdict {
	return bus.Verdict{Layer: l.id, Revision: l.revision,
		Reasons: []bus.Reason{{Layer: l.id, Code: code, Message: refusals[code]}}}
}

// The codes of denials that the engine gives itself.
const (
	CodeUndefined        = "policy-undefined"      // the layer gave no answer
	CodeError            = "policy-error"          // evaluation failed, or the input was not usable
	CodeTimeout          = "policy-timeout"        // no answer by the deadline
	CodeResultInvalid    = "policy-result-invalid" // the answer is not of the documented form
	CodeLayerUnavailable = "layer-unavailable"     // the layer could not be compiled, or is still stuck
	CodeNotGranted       = "not-granted"           // the base policy does not allow it and says no more
)

var refusals = map[string]bus.Text{
	CodeUndefined:        {ZH: "策略没有给出结论，按拒绝处理；请联系该层的安全管理员。", EN: "The policy gave no answer, which denies; ask that layer's security administrator."},
	CodeError:            {ZH: "策略执行出错，按拒绝处理；请联系该层的安全管理员。", EN: "The policy failed, which denies; ask that layer's security administrator."},
	CodeTimeout:          {ZH: "策略未在限定时间内给出结论，按拒绝处理；请稍后重试，仍不成功请联系该层的安全管理员。", EN: "The policy gave no answer in time, which denies; try again, then ask that layer's security administrator."},
	CodeResultInvalid:    {ZH: "策略结论的格式不正确，按拒绝处理；请联系该层的安全管理员。", EN: "The policy's answer is malformed, which denies; ask that layer's security administrator."},
	CodeLayerUnavailable: {ZH: "适用的策略层不可用，按拒绝处理；请联系该层的安全管理员启用可用的版本。", EN: "A policy layer that applies is unavailable, which denies; ask its security administrator to activate a working revision."},
	CodeNotGranted:       {ZH: "基础策略不允许该操作；请对照目录核对操作、资源与授权。", EN: "The base policy does not allow this; check action, resource and grant against the directory."},
}

// named gives a digest as evidence names it.
func named(sum [sha256.Size]byte) string { return "sha256:" + hex.EncodeToString(sum[:]) }

// Digest identifies the source text of a layer: SHA-256 in hex.
func Digest(modules map[string]string) string {
	sum := digestOf(modules)
	return hex.EncodeToString(sum[:])
}

// digestOf identifies a layer's source text.
func digestOf(modules map[string]string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintf(h, "%d:%s%d:%s", len(file), file, len(modules[file]), modules[file])
	}
	h.Sum(sum[:0])
	return sum
}
