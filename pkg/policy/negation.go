package policy

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/pkg/bus"
)

// vetNegations refuses a negated call with an operand that may be undefined.
//
// In Rego `not input.purpose in {"reference"}` is not true where purpose is
// absent: the operand is evaluated before the call is negated, and the whole
// expression is undefined. Written in a deny rule it lets an incomplete request
// through. A helper rule that states the positive says what is meant.
// A negated reference, alone or on a side of ==, is not affected, as long as
// nothing within it is looked up first: `not masks[item.id]` is.
func (s *source) vetNegations() []bus.LayerProblem {
	total := s.totalRules()
	var problems []bus.LayerProblem
	for _, file := range slices.Sorted(maps.Keys(s.modules)) {
		ast.WalkExprs(s.modules[file], func(e *ast.Expr) bool {
			if e.Negated && total.skips(e) {
				problems = append(problems, at(e.Loc(), ProblemNegation, bus.Text{
					ZH: "被否定的调用含有可能缺失的值，缺失时该条件不会成立；请把肯定的条件写成单独的规则，再对规则取 not。",
					EN: "a value in this negated call may be absent, and then the condition never holds; state the positive as a rule of its own and negate that rule"}))
			}
			return false
		})
	}
	return problems
}

// rulesOf tells of the rules of a package whether they always have a value.
type rulesOf map[ast.Var]bool

// totalRules finds the rules that are sets or objects built up by parts, have a
// default, or a value that needs nothing else.
func (s *source) totalRules() rulesOf {
	total := rulesOf{}
	for _, module := range s.modules {
		for _, rule := range module.Rules {
			always := rule.Default || rule.Head.RuleKind() == ast.MultiValue || len(rule.Head.Ref()) > 1
			if rule.Head.Value != nil && rule.Body.Equal(ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))) {
				always = always || rule.Head.Value.IsGround() && !hasReference(rule.Head.Value) || ast.IsComprehension(rule.Head.Value.Value)
			}
			total[ruleName(rule)] = total[ruleName(rule)] || always
		}
	}
	return total
}

func hasReference(t *ast.Term) (found bool) {
	ast.WalkTerms(t, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case ast.Ref, ast.Call:
			found = true
		}
		return found
	})
	return found
}

// skips reports whether a negated expression may be skipped for want of a value.
func (total rulesOf) skips(e *ast.Expr) bool {
	switch terms := e.Terms.(type) {
	case *ast.Term:
		return total.within(terms)
	case []*ast.Term:
		if e.IsEquality() || terms[0].String() == "equal" {
			return slices.ContainsFunc(terms[1:], total.within)
		}
		return slices.ContainsFunc(terms[1:], total.mayBeUndefined)
	}
	return false
}

// within is mayBeUndefined for a term whose own absence is what is asked about.
func (total rulesOf) within(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Var:
		return false
	case ast.Ref:
		return slices.ContainsFunc(v[1:], total.mayBeUndefined)
	}
	return total.mayBeUndefined(t)
}

// mayBeUndefined reports whether an operand can be without a value: anything
// looked up in something, a function of one's own, a rule that is not total.
func (total rulesOf) mayBeUndefined(operand *ast.Term) (found bool) {
	ast.WalkTerms(operand, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true // empty at worst
		case ast.Ref:
			found = found || len(v) > 1
			return true
		case ast.Call:
			found = found || !knownBuiltin(v[0].String())
			found = found || slices.ContainsFunc(v[1:], total.mayBeUndefined)
			return true
		case ast.Var:
			always, isRule := total[v]
			found = found || isRule && !always
		}
		return found
	})
	return found
}
