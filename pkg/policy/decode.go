package policy

import (
	"regexp"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Caps of one layer's answer.
const (
	maxReasons  = 64
	maxMessage  = 2_000  // bytes in one language
	maxAnswered = 10_000 // items or masks
	maxRows     = 64     // row conditions
	maxValues   = 1_000  // values of one condition
	maxValue    = 256    // bytes of one
	maxLimits   = 64
	maxKept     = 64 // characters kept at one end of a masked value
)

var reasonCode = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// decode reads a layer's answer into v, strictly. It returns the code of the
// refusal that a missing or malformed answer leads to, or "".
func decode(answer ast.Object, v *bus.Verdict) string {
	allow, hasAllow := only(answer, "allow")
	if v.Layer == bus.BaseLayer {
		if !hasAllow {
			return CodeUndefined
		}
		b, ok := allow.Value.(ast.Boolean)
		if !ok {
			return CodeResultInvalid
		}
		v.Allow = bool(b)
	} else if hasAllow {
		return CodeResultInvalid
	}
	for _, export := range narrowing {
		if t, has := only(answer, export.name); has && !export.decode(t, v) {
			return CodeResultInvalid
		}
	}
	return ""
}

// narrowing are the exports that any layer may define.
var narrowing = []struct {
	name   string
	decode func(*ast.Term, *bus.Verdict) bool
}{
	{"deny", func(t *ast.Term, v *bus.Verdict) bool { return decodeReasons(t, v, false) }},
	{"hold", func(t *ast.Term, v *bus.Verdict) bool { return decodeReasons(t, v, true) }},
	{"items", func(t *ast.Term, v *bus.Verdict) (ok bool) {
		v.Items, ok = decodeItems(t)
		return ok
	}},
	{"masks", func(t *ast.Term, v *bus.Verdict) (ok bool) {
		v.Masks, ok = decodeMasks(t)
		return ok
	}},
	{"rows", decodeRows},
	{"limits", decodeLimits},
	{"watermark", func(t *ast.Term, v *bus.Verdict) bool {
		wanted, ok := t.Value.(ast.Boolean)
		v.Watermark = bool(wanted)
		return ok
	}},
}

// only returns the value a layer gives to an export: the answer holds it in an
// array, which is empty where the export is undefined.
func only(answer ast.Object, export string) (*ast.Term, bool) {
	t := answer.Get(ast.StringTerm(export))
	if t == nil {
		return nil, false
	}
	values, ok := t.Value.(*ast.Array)
	if !ok || values.Len() != 1 {
		return nil, false
	}
	return values.Elem(0), true
}

// decodeReasons reads the set of reasons to deny, or to hold.
func decodeReasons(t *ast.Term, v *bus.Verdict, hold bool) bool {
	elements, ok := setOf(t, maxReasons)
	for _, element := range elements {
		o, isObject := element.Value.(ast.Object)
		if !isObject || o.Len() != 3 {
			return false
		}
		code, zh, en := text(o, "code"), text(o, "zh"), text(o, "en")
		if zh == "" || en == "" || len(zh) > maxMessage || len(en) > maxMessage || len(code) > 64 || !reasonCode.MatchString(code) {
			return false
		}
		v.Reasons = append(v.Reasons, bus.Reason{Layer: v.Layer, Code: code, Message: bus.Text{ZH: zh, EN: en}, Hold: hold})
	}
	return ok
}

// setOf gives the elements of a set of at most limit.
func setOf(t *ast.Term, limit int) ([]*ast.Term, bool) {
	set, ok := t.Value.(ast.Set)
	if !ok || set.Len() > limit {
		return nil, false
	}
	return set.Slice(), true
}

// decodeItems reads a set or an array of item ids. Its result is never nil.
func decodeItems(t *ast.Term) ([]bus.ItemID, bool) {
	var elements []*ast.Term
	switch v := t.Value.(type) {
	case ast.Set:
		elements = v.Slice()
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { elements = append(elements, t) })
	default:
		return nil, false
	}
	if len(elements) > maxAnswered {
		return nil, false
	}
	items := make([]bus.ItemID, 0, len(elements))
	for _, element := range elements {
		s, ok := element.Value.(ast.String)
		if !ok || !bus.ItemID(s).Valid() {
			return nil, false
		}
		items = append(items, bus.ItemID(s))
	}
	return items, true
}

func decodeMasks(t *ast.Term) (map[bus.ItemID]bus.Mask, bool) {
	o, ok := t.Value.(ast.Object)
	if !ok || o.Len() > maxAnswered {
		return nil, false
	}
	masks := make(map[bus.ItemID]bus.Mask, o.Len())
	ok = true
	o.Foreach(func(k, v *ast.Term) {
		id, isText := k.Value.(ast.String)
		mask, isMask := decodeMask(v)
		if !isText || !isMask || !bus.ItemID(id).Valid() {
			ok = false
			return
		}
		masks[bus.ItemID(id)] = mask
	})
	return masks, ok
}

func decodeMask(t *ast.Term) (mask bus.Mask, ok bool) {
	o, isObject := t.Value.(ast.Object)
	if !isObject {
		return mask, false
	}
	ok = true
	o.Foreach(func(k, v *ast.Term) {
		switch k.Value {
		case ast.String("method"):
			method, isText := v.Value.(ast.String)
			mask.Method, ok = bus.MaskMethod(method), ok && isText
		case ast.String("head"):
			ok = kept(v, &mask.Head) && ok
		case ast.String("tail"):
			ok = kept(v, &mask.Tail) && ok
		default:
			ok = false
		}
	})
	if mask.Method != bus.MaskKeep && (mask.Head != 0 || mask.Tail != 0) {
		return mask, false
	}
	return mask, ok && mask.Valid()
}

func kept(t *ast.Term, n *int) bool {
	number, ok := t.Value.(ast.Number)
	if !ok {
		return false
	}
	*n, ok = number.Int()
	return ok && *n >= 0 && *n <= maxKept
}

func text(o ast.Object, key string) string {
	t := o.Get(ast.StringTerm(key))
	if t == nil {
		return ""
	}
	s, _ := t.Value.(ast.String)
	return string(s)
}
