package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	maxWeight       = 4_000 // see scales
	elementsAWeight = 64    // scalar elements that weigh as much as one nested value
	repetition      = 8     // what a comprehension or a partial rule counts for
)

// scales weighs the values that modules write down, every name replaced by what
// it stands for.
//
// `a1 := [a0, a0]`, `a2 := [a1, a1]` and so on share their parts: thirty such
// lines cost nothing to build. But comparing two of them visits 2^30 leaves, in
// OPA's type checker as in its evaluator, and neither can be interrupted there.
// The weight of a value is about the number of values nested in it.
//
// It is an upper bound by name, for values whose size the text decides: of
// several definitions of a name the heaviest counts, and where `=` may bind
// either side to the other, both are taken to be bound, so that a composite on
// one side seems to grow for ever; `:=` says which side is meant. What grows with the input
// is left to the deadline.
type scales struct {
	definitions map[name][]meaning
	weights     map[name]int
	weighed     map[name]bool // in this round
	changed     bool          // in this round
}

// rounds is how often names are weighed. One round does unless names lead back
// to themselves; what still grows after the last is too heavy.
const rounds = 16

// name is a rule (scope nil) or a variable of a rule.
type name struct {
	scope *ast.Rule
	of    ast.Var
}

// meaning is a term that a name stands for, seen from a rule.
type meaning struct {
	term  *ast.Term
	scope *ast.Rule
	times int
}

// tooHeavy returns the rules of modules whose values weigh over maxWeight.
func tooHeavy(modules []*ast.Module) []*ast.Rule {
	s := &scales{definitions: map[name][]meaning{}, weights: map[name]int{}}
	for _, m := range modules {
		for _, rule := range m.Rules {
			s.define(rule)
		}
	}
	for range rounds {
		s.weighed, s.changed = map[name]bool{}, false
		for n := range s.definitions {
			s.weighName(n)
		}
		if !s.changed {
			break
		}
	}
	var heavy []*ast.Rule
	for _, m := range modules {
		for _, rule := range m.Rules {
			if s.changed || s.weighRule(rule) > maxWeight {
				heavy = append(heavy, rule)
			}
		}
	}
	return heavy
}

// define notes what the names of a rule stand for.
func (s *scales) define(rule *ast.Rule) {
	ast.WalkRules(rule, func(r *ast.Rule) bool { // the rule and its else branches
		times := 1
		if k := r.Head.RuleKind(); k == ast.MultiValue || r.Head.Key != nil || len(r.Head.Ref()) > 1 {
			times = repetition
		}
		self := name{nil, ruleName(rule)}
		for _, t := range []*ast.Term{r.Head.Key, r.Head.Value} {
			if t != nil {
				s.definitions[self] = append(s.definitions[self], meaning{t, rule, times})
			}
		}
		return false
	})
	b := &binding{s, rule}
	ast.WalkExprs(rule, func(e *ast.Expr) bool {
		switch terms := e.Terms.(type) {
		case []*ast.Term:
			b.call(terms)
		case *ast.SomeDecl:
			if call, ok := terms.Symbols[0].Value.(ast.Call); ok {
				for _, target := range call[1 : len(call)-1] {
					b.stand(target, call[len(call)-1])
				}
			}
		case *ast.Every:
			for _, target := range []*ast.Term{terms.Key, terms.Value} {
				if target != nil {
					b.stand(target, terms.Domain)
				}
			}
		}
		return false
	})
}

// binding notes what the variables of a rule stand for.
type binding struct {
	*scales
	rule *ast.Rule
}

// call reads an assignment, a unification, or a call whose last operand is its
// result.
func (b *binding) call(terms []*ast.Term) {
	last := len(terms) - 1
	switch operator := terms[0].String(); {
	case operator == "assign" && last == 2:
		b.pair(terms[1], terms[2], b.stand)
	case operator == "eq" && last == 2:
		b.pair(terms[1], terms[2], func(x, y *ast.Term) {
			b.stand(x, y)
			b.stand(y, x)
		})
	case last > 1:
		if _, ok := terms[last].Value.(ast.Var); ok {
			b.stand(terms[last], ast.CallTerm(terms[:last]...))
		}
	}
}

// pair calls each with x and y, or with their elements where both are arrays of
// one length.
func (b *binding) pair(x, y *ast.Term, each func(x, y *ast.Term)) {
	left, leftIsArray := x.Value.(*ast.Array)
	right, rightIsArray := y.Value.(*ast.Array)
	if !leftIsArray || !rightIsArray || left.Len() != right.Len() {
		each(x, y)
		return
	}
	for i := range left.Len() {
		b.pair(left.Elem(i), right.Elem(i), each)
	}
}

// stand lets every variable that target binds stand for t.
func (b *binding) stand(target, t *ast.Term) {
	ast.WalkTerms(target, func(part *ast.Term) bool {
		switch v := part.Value.(type) {
		case ast.Var:
			key := name{b.rule, v}
			b.definitions[key] = append(b.definitions[key], meaning{t, b.rule, 1})
		case ast.Ref, ast.Call: // looked up or computed, not bound
			return true
		}
		return false
	})
}

// weighRule is the weight of the heaviest value that rule makes.
func (s *scales) weighRule(rule *ast.Rule) int {
	heaviest := s.weighName(name{nil, ruleName(rule)})
	ast.WalkTerms(rule, func(t *ast.Term) bool {
		heaviest = max(heaviest, s.weigh(t, rule))
		return heaviest > maxWeight
	})
	return heaviest
}

func (s *scales) weighName(n name) int {
	if s.weighed[n] {
		return max(1, s.weights[n])
	}
	s.weighed[n] = true
	heaviest := 1
	for _, m := range s.definitions[n] {
		heaviest = max(heaviest, capped(m.times*s.weigh(m.term, m.scope)))
	}
	if heaviest > s.weights[n] {
		s.weights[n] = heaviest
		s.changed = s.changed || len(s.definitions[n]) > 0
	}
	return heaviest
}

func (s *scales) weigh(t *ast.Term, scope *ast.Rule) int {
	switch v := t.Value.(type) {
	case ast.Var:
		return s.weighVar(v, scope)
	case ast.Ref:
		return s.weighRef(v, scope)
	case ast.Call:
		return s.weighCall(v, scope)
	case *ast.Array:
		return s.weighParts(v.Foreach, v.Len(), scope)
	case ast.Set:
		return s.weighParts(v.Foreach, v.Len(), scope)
	case ast.Object:
		both := func(f func(*ast.Term)) { v.Foreach(func(k, v *ast.Term) { f(k); f(v) }) }
		return s.weighParts(both, v.Len(), scope)
	case *ast.ArrayComprehension:
		return capped(repetition * s.weigh(v.Term, scope))
	case *ast.SetComprehension:
		return capped(repetition * s.weigh(v.Term, scope))
	case *ast.ObjectComprehension:
		return capped(repetition * (s.weigh(v.Key, scope) + s.weigh(v.Value, scope)))
	}
	return 0
}

func (s *scales) weighParts(each func(func(*ast.Term)), n int, scope *ast.Rule) int {
	sum := 1 + n/elementsAWeight
	each(func(t *ast.Term) { sum = capped(sum + s.weigh(t, scope)) })
	return sum
}

func (s *scales) weighVar(v ast.Var, scope *ast.Rule) int {
	return max(s.weighName(name{scope, v}), s.weighName(name{nil, v}))
}

// weighRef: a part of a value weighs at most what the value does. Below data
// any word may be a rule's name.
func (s *scales) weighRef(ref ast.Ref, scope *ast.Rule) int {
	head, _ := ref[0].Value.(ast.Var)
	heaviest := max(1, s.weigh(ref[0], scope))
	if !ast.DefaultRootDocument.Value.(ast.Var).Equal(head) {
		return heaviest
	}
	for _, part := range ref[1:] {
		if word, ok := part.Value.(ast.String); ok {
			heaviest = max(heaviest, s.weighName(name{nil, ast.Var(word)}))
		}
	}
	return heaviest
}

// weighCall: a function can put each operand in every place of its result, a
// built-in at most joins them.
func (s *scales) weighCall(call ast.Call, scope *ast.Rule) int {
	operands := 0
	for _, t := range call[1:] {
		operands = capped(operands + s.weigh(t, scope))
	}
	return capped(max(1, s.weigh(call[0], scope)) * max(1, operands))
}

func capped(weight int) int { return min(weight, maxWeight+1) }

// ruleName is the first word of a rule's head.
func ruleName(rule *ast.Rule) ast.Var {
	v, _ := rule.Head.Ref()[0].Value.(ast.Var)
	return v
}
