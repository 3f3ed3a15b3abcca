package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Bounds of the built-in functions that could otherwise outlast a deadline or
// fill the memory. Going over one is an error, and an error denies.
const (
	maxText     = 64 << 10 // bytes of a text that is made, or of the operands it is made from
	maxNodes    = 10_000   // values within the operands
	maxDigits   = 64       // bytes of a number that is multiplied or parsed
	maxPattern  = 128      // bytes of a regular expression
	maxSubject  = 4 << 10  // bytes that a regular expression is matched against
	maxElements = 10_000   // elements of an array that is made
	maxSearch   = 1 << 20  // bytes searched times bytes searched for
)

// boundedBuiltins may be called with operands that pass their check. OPA
// prefers its own implementation of a known name, so modules are compiled with
// the call renamed (see bound) and the policy's author never sees it.
var boundedBuiltins = map[string]func(operands []*ast.Term) error{
	"concat":       boundText,
	"sprintf":      boundFormat,
	"split":        boundText,
	"array.concat": boundArrays,
	"mul":          boundNumbers,
	"div":          boundNumbers,
	"to_number":    boundNumbers,
	"regex.match":  boundRegex,
	"indexof":      boundSearch,
	"trim":         boundSearch,
	"trim_left":    boundSearch,
	"trim_right":   boundSearch,
}

func boundedName(name string) string { return "bounded." + name }

// bound renames the calls of bounded built-ins in a parsed module.
func bound(module *ast.Module) {
	rename := func(operator *ast.Term) {
		ref, ok := operator.Value.(ast.Ref)
		if !ok {
			return
		}
		if _, ok := boundedBuiltins[ref.String()]; ok {
			operator.Value = append(ast.Ref{ast.VarTerm("bounded")}, asStrings(ref)...)
		}
	}
	ast.WalkExprs(module, func(e *ast.Expr) bool {
		if terms, ok := e.Terms.([]*ast.Term); ok {
			rename(terms[0])
		}
		return false
	})
	ast.WalkTerms(module, func(t *ast.Term) bool {
		if call, ok := t.Value.(ast.Call); ok {
			rename(call[0])
		}
		return false
	})
}

// asStrings gives ref as the tail of a longer one.
func asStrings(ref ast.Ref) ast.Ref {
	tail := ref.Copy()
	if head, ok := tail[0].Value.(ast.Var); ok {
		tail[0] = ast.StringTerm(string(head))
	}
	return tail
}

// boundedFunctions implement the renamed calls.
func boundedFunctions() []*tester.Builtin {
	var functions []*tester.Builtin
	for name, check := range boundedBuiltins {
		original, implementation := ast.BuiltinMap[name], topdown.GetBuiltin(name)
		declaration := &rego.Function{Name: boundedName(name), Decl: original.Decl}
		functions = append(functions, &tester.Builtin{
			Decl: &ast.Builtin{Name: declaration.Name, Decl: original.Decl},
			Func: rego.FunctionDyn(declaration, func(c rego.BuiltinContext, operands []*ast.Term) (*ast.Term, error) {
				if err := check(operands); err != nil {
					return nil, err
				}
				var result *ast.Term
				err := implementation(c, operands, func(t *ast.Term) error { result = t; return nil })
				if err == nil && result != nil {
					err = boundResult(result)
				}
				return result, err
			}),
		})
	}
	return functions
}

func boundResult(t *ast.Term) error {
	if s, ok := t.Value.(ast.String); ok && len(s) > maxText {
		return fmt.Errorf("makes a text longer than %d bytes", maxText)
	}
	return nil
}

// boundText caps the operands' bytes and values, however they are nested.
func boundText(operands []*ast.Term) error {
	bytes, nodes := maxText, maxNodes
	for _, t := range operands {
		if !spend(t, &bytes, &nodes) {
			return fmt.Errorf("operands over %d bytes or %d values", maxText, maxNodes)
		}
	}
	return nil
}

// spend takes t's size off the budget and reports whether it sufficed. It
// stops as soon as it does not, so shared subterms cost no more than the budget.
func spend(t *ast.Term, bytes, nodes *int) bool {
	if *nodes--; *nodes < 0 || *bytes < 0 {
		return false
	}
	each := func(t *ast.Term) bool { return !spend(t, bytes, nodes) } // Until stops on true
	switch v := t.Value.(type) {
	case ast.String:
		*bytes -= len(v)
	case ast.Number:
		*bytes -= len(v)
	case *ast.Array:
		return !v.Until(each)
	case ast.Set:
		return !v.Until(each)
	case ast.Object:
		return !v.Until(func(k, v *ast.Term) bool { return each(k) || each(v) })
	}
	return *bytes >= 0
}

// wide matches a width or precision of three digits, or one taken from the
// operands: "%1000000d" would make a megabyte of one digit.
var wide = regexp.MustCompile(`%[^a-zA-Z%]*(\d{3}|\*)`)

func boundFormat(operands []*ast.Term) error {
	if format, ok := operands[0].Value.(ast.String); ok && wide.MatchString(string(format)) {
		return errors.New("width or precision over 99")
	}
	return boundText(operands)
}

func boundArrays(operands []*ast.Term) error {
	n := 0
	for _, t := range operands {
		if a, ok := t.Value.(*ast.Array); ok {
			n += a.Len()
		}
	}
	if n > maxElements {
		return fmt.Errorf("makes more than %d elements", maxElements)
	}
	return nil
}

func boundNumbers(operands []*ast.Term) error {
	for _, t := range operands {
		var digits string
		switch v := t.Value.(type) {
		case ast.Number:
			digits = string(v)
		case ast.String:
			digits = string(v)
		}
		if len(digits) > maxDigits || strings.ContainsAny(digits, "eE") {
			return fmt.Errorf("number over %d digits or with an exponent", maxDigits)
		}
	}
	return nil
}

// boundRegex keeps automaton size times subject length low. Go's expressions
// are linear in the subject; counted repetition is what multiplies the states.
func boundRegex(operands []*ast.Term) error {
	pattern, _ := operands[0].Value.(ast.String)
	subject, _ := operands[1].Value.(ast.String)
	if len(pattern) > maxPattern || strings.Contains(string(pattern), "{") {
		return fmt.Errorf("pattern over %d bytes or with counted repetition", maxPattern)
	}
	if len(subject) > maxSubject {
		return fmt.Errorf("subject over %d bytes", maxSubject)
	}
	return nil
}

// boundSearch: each place of the one text may be compared with all of the other.
func boundSearch(operands []*ast.Term) error {
	text, _ := operands[0].Value.(ast.String)
	part, _ := operands[1].Value.(ast.String)
	if len(text)*len(part) > maxSearch {
		return fmt.Errorf("texts of %d and %d bytes, over %d multiplied", len(text), len(part), maxSearch)
	}
	return nil
}
