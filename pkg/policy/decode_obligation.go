package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/pkg/bus"
)

// decodeRows reads the set of conditions that every row must meet.
func decodeRows(t *ast.Term, v *bus.Verdict) bool {
	elements, ok := setOf(t, maxRows)
	for _, element := range elements {
		o, isObject := element.Value.(ast.Object)
		if !isObject || o.Len() != 2 {
			return false
		}
		c := bus.RowCondition{Item: bus.ItemID(text(o, "item"))}
		within, okWithin := values[bus.DivisionCode](o, "within")
		equals, okEquals := values[string](o, "equals")
		c.Within, c.Equals = within, equals
		if !okWithin || !okEquals || !c.Valid() {
			return false
		}
		v.Rows = append(v.Rows, c)
	}
	return ok
}

// values reads a set or an array of texts, none where the key is absent.
func values[T ~string](o ast.Object, key string) (list []T, ok bool) {
	t := o.Get(ast.StringTerm(key))
	if t == nil {
		return nil, true
	}
	ok = true
	add := func(t *ast.Term) {
		s, isText := t.Value.(ast.String)
		ok = ok && isText && len(s) <= maxValue && len(list) < maxValues
		list = append(list, T(s))
	}
	switch v := t.Value.(type) {
	case ast.Set:
		v.Foreach(add)
	case *ast.Array:
		v.Foreach(add)
	default:
		return nil, false
	}
	return list, ok
}

// decodeLimits reads the set of limits.
func decodeLimits(t *ast.Term, v *bus.Verdict) bool {
	elements, ok := setOf(t, maxLimits)
	for _, element := range elements {
		o, isObject := element.Value.(ast.Object)
		if !isObject || o.Len() != 3 {
			return false
		}
		l := bus.Limit{Per: bus.Window(text(o, "per")), Key: bus.LimitKey(text(o, "key"))}
		if n := o.Get(ast.StringTerm("limit")); n != nil {
			number, _ := n.Value.(ast.Number)
			l.Limit, _ = number.Int()
		}
		if !l.Valid() {
			return false
		}
		v.Limits = append(v.Limits, l)
	}
	return ok
}
