package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/pkg/bus"
)

// knownBuiltin tells a call of a built-in that is not allowed from a call of a
// function that does not exist.
func knownBuiltin(name string) bool {
	_, ok := ast.BuiltinMap[name]
	return ok
}

// vet returns every breach of the rules for layers in the parsed text. Loading
// and checking share it: a layer that slipped past a check does not load.
func (s *source) vet() []bus.LayerProblem {
	var problems []bus.LayerProblem
	for _, file := range slices.Sorted(maps.Keys(s.modules)) {
		module := s.modules[file]
		problems = append(problems, s.vetPackage(module, s.path)...)
		problems = append(problems, s.vetRules(module)...)
		problems = append(problems, s.vetModule(module, false, s.path)...)
	}
	testPath := testPackage(s.path)
	for _, file := range slices.Sorted(maps.Keys(s.tests)) {
		module := s.tests[file]
		problems = append(problems, s.vetPackage(module, testPath)...)
		problems = append(problems, s.vetModule(module, true, s.path, testPath)...)
	}
	problems = append(problems, s.vetWeight()...)
	problems = append(problems, s.vetNegations()...)
	if len(problems) == 0 && !s.exports() {
		problems = append(problems, bus.LayerProblem{Code: ProblemNoExport, Message: bus.Text{
			ZH: "该层没有定义 deny、hold、items、masks、rows、limits、watermark 中的任何一个，不起作用。",
			EN: "the layer defines none of deny, hold, items, masks, rows, limits, watermark, so it does nothing"}})
	}
	sortProblems(problems)
	return problems
}

// testPackage is the package of a layer's tests: the last word with _test.
func testPackage(path ast.Ref) ast.Ref {
	test := path.Copy()
	last := len(test) - 1
	test[last] = ast.StringTerm(string(test[last].Value.(ast.String)) + "_test")
	return test
}

func (s *source) vetPackage(module *ast.Module, want ast.Ref) []bus.LayerProblem {
	if module.Package.Path.Equal(want) {
		return nil
	}
	name := strings.TrimPrefix(want.String(), "data.")
	return []bus.LayerProblem{at(module.Package.Loc(), ProblemPackage, bus.Text{
		ZH: "包名不正确；此文件的包名应为 " + name, EN: "wrong package; in this file it is " + name})}
}

// vetRules holds layers other than base to denying and narrowing, and all to
// exporting deny and hold as sets.
func (s *source) vetRules(module *ast.Module) []bus.LayerProblem {
	var problems []bus.LayerProblem
	for _, rule := range module.Rules {
		name := ruleName(rule)
		if name == "allow" && s.layer != bus.BaseLayer {
			problems = append(problems, at(rule.Loc(), ProblemRule, bus.Text{
				ZH: "只有基础策略可以允许；本层请定义 deny、hold 或收窄的规则。",
				EN: "only the base policy grants; define deny, hold or what narrows here, not allow"}))
		}
		if (name == "deny" || name == "hold") && (rule.Head.RuleKind() != ast.MultiValue || len(rule.Head.Ref()) != 1) {
			problems = append(problems, at(rule.Loc(), ProblemRule, bus.Text{
				ZH: string(name) + ` 应为集合规则，写作 ` + string(name) + ` contains {"code": …, "zh": …, "en": …} if { … }`,
				EN: string(name) + ` is a set; write ` + string(name) + ` contains {"code": …, "zh": …, "en": …} if { … }`}))
		}
	}
	return problems
}

// vetModule holds a module to the allow-list, to its own package and to the
// input it is given.
func (s *source) vetModule(module *ast.Module, isTest bool, own ...ast.Ref) []bus.LayerProblem {
	v := &vetting{allowed: s.language.allowed(isTest), isTest: isTest, own: own}
	for _, imp := range module.Imports {
		if ref, ok := imp.Path.Value.(ast.Ref); ok {
			v.reference(imp.Loc(), ref)
		}
	}
	for _, rule := range module.Rules {
		ast.WalkExprs(rule, v.expression)
		ast.WalkTerms(rule, v.term)
	}
	return v.problems
}

type vetting struct {
	allowed  *allowList
	isTest   bool
	own      []ast.Ref
	problems []bus.LayerProblem
}

func (v *vetting) expression(e *ast.Expr) bool {
	if terms, ok := e.Terms.([]*ast.Term); ok {
		v.call(terms[0])
	}
	for _, w := range e.With {
		if ref, ok := w.Target.Value.(ast.Ref); v.isTest && ok && ref.HasPrefix(ast.InputRootRef) {
			continue
		}
		v.problems = append(v.problems, at(w.Loc(), ProblemWith, bus.Text{
			ZH: "不允许使用 with；只有测试文件可以用 with input 替换输入。",
			EN: "with is not allowed; only test files may replace the input, by with input"}))
	}
	return false
}

func (v *vetting) term(t *ast.Term) bool {
	switch value := t.Value.(type) {
	case ast.Call:
		v.call(value[0])
	case ast.Ref:
		v.reference(t.Loc(), value)
		for _, part := range value[1:] {
			ast.WalkTerms(part, v.term)
		}
		return true // its head alone says nothing
	case ast.Var:
		if value.Equal(ast.DefaultRootDocument.Value) {
			v.reference(t.Loc(), ast.Ref{t})
		}
	}
	return false
}

func (v *vetting) call(operator *ast.Term) {
	name := operator.String()
	if v.allowed.names[name] || !knownBuiltin(name) {
		return
	}
	v.problems = append(v.problems, at(operator.Loc(), ProblemBuiltin, bus.Text{
		ZH: "不允许调用内置函数 " + name + "；允许的函数见策略文档。",
		EN: "the built-in function " + name + " is not allowed; the policy guide lists those that are"}))
}

// reference refuses any look at data outside the module's own package.
func (v *vetting) reference(location *ast.Location, ref ast.Ref) {
	if len(ref) == 0 || !ref[0].Equal(ast.DefaultRootDocument) {
		return
	}
	for _, own := range v.own {
		if !ref.HasPrefix(own) {
			continue
		}
		if v.isTest && len(ref) == len(own) { // import data.… as layer
			return
		}
		if len(ref) > len(own) && ast.IsScalar(ref[len(own)].Value) { // a rule by its name, not looked up
			return
		}
	}
	v.problems = append(v.problems, at(location, ProblemReference, bus.Text{
		ZH: "不允许引用本层之外的 data；策略只能依据 input 和本层的规则。",
		EN: "data outside the layer's own package may not be referred to; decide from input and the layer's own rules"}))
}

func (s *source) vetWeight() []bus.LayerProblem {
	modules := slices.Concat(slices.Collect(maps.Values(s.modules)), slices.Collect(maps.Values(s.tests)))
	var problems []bus.LayerProblem
	for _, rule := range tooHeavy(modules) {
		problems = append(problems, at(rule.Loc(), ProblemTooHeavy, bus.Text{
			ZH: "该规则的值由自身层层重复而成，过大；请简化，并用 := 而不是 = 赋值。",
			EN: "this rule's value repeats its parts until it is too large; simplify it, and bind with := rather than ="}))
	}
	return problems
}

// exports reports whether the layer defines any name that is asked for.
func (s *source) exports() bool {
	for _, module := range s.modules {
		for _, rule := range module.Rules {
			switch ruleName(rule) {
			case "allow", "deny", "hold", "items", "masks", "rows", "limits", "watermark":
				return true
			}
		}
	}
	return false
}
