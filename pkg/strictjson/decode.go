package strictjson

import (
	"encoding"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Decode checks data as [Check] does and stores it in the value v points to, by
// the rules of encoding/json but for two: a key must be spelt exactly as its
// field, case included, and a key without a field is refused. A text that is
// not strict JSON gives CodeMalformedJSON; a strict one that does not fit v
// gives CodeInvalid with the field. v may be partly filled after an error.
func Decode(data []byte, lim Limits, v any) error {
	s := newScanner(data, lim)
	if err := s.document(shapeOf(reflect.TypeOf(v))); err != nil {
		return err
	}
	if Own(data, v) == nil { // twice as fast as encoding/json, which says better what is wrong
		return nil
	}
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field:   mismatch.Field,
			Problem: bus.Text{ZH: "类型或取值范围不符：" + mismatch.Value, EN: "does not take " + mismatch.Value},
			Allowed: kindName(mismatch.Type),
		})
	}
	if _, ok := errors.AsType[*json.InvalidUnmarshalError](err); ok {
		return bus.E(bus.CodeInternal).Because(err)
	}
	return bus.E(bus.CodeInvalid, badValue("")).Because(err)
}

// Own reads what encoding/json wrote, in half of its time: JSON that the bus keeps or
// that one of its nodes sent, which nobody else can have touched. Keys are spelt exactly, each is there once,
// and one without a field is passed over unless an option says otherwise.
func Own(data []byte, v any, options ...jsonv2.Options) error {
	return jsonv2.Unmarshal(data, v, append(options, jsonv1.FormatDurationAsNano(true))...)
}

func badValue(field string) bus.Defect {
	return bus.Defect{Field: field, Problem: bus.Text{ZH: "值的格式不正确", EN: "has a value of the wrong form"}}
}

// shape is what Decode knows of a type: where in a text what may stand. A nil shape
// takes anything.
type shape struct {
	fields  map[string]*shape // of a struct, by key; nil where any key will do
	element *shape            // of what a slice, an array or a map holds
	itself  reflect.Type      // that decodes itself, such as a time; nil for others
}

// shapes remembers the shape of each type: they are as many as the program has.
var shapes struct {
	sync.Mutex
	of map[reflect.Type]*shape
}

// shapeOf returns the shape of a type.
func shapeOf(t reflect.Type) *shape {
	shapes.Lock()
	defer shapes.Unlock()
	if shapes.of == nil {
		shapes.of = map[reflect.Type]*shape{}
	}
	return shapeIn(shapes.of, t)
}

// shapeIn makes a shape where known has none. A type that contains itself finds
// the shape that is being made.
func shapeIn(known map[reflect.Type]*shape, t reflect.Type) *shape {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return nil
	}
	if s, ok := known[t]; ok {
		return s
	}
	s := &shape{}
	known[t] = s
	pointer := reflect.PointerTo(t)
	if pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		s.itself = t
	}
	switch {
	case pointer.Implements(reflect.TypeFor[json.Unmarshaler]()):
		s.itself = t
	case t.Kind() == reflect.Struct:
		s.fields = map[string]*shape{}
		s.add(known, t)
	case t.Kind() == reflect.Map || t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		s.element = shapeIn(known, t.Elem())
	}
	return s
}

// add puts the fields of struct t into s, those of embedded structs last, so that
// an outer field hides an inner one.
func (s *shape) add(known map[reflect.Type]*shape, t reflect.Type) {
	var embedded []reflect.Type
	for field := range t.Fields() {
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-":
		case field.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			embedded = append(embedded, inner)
		case !field.IsExported():
		case name == "":
			s.fields[field.Name] = shapeIn(known, field.Type)
		default:
			s.fields[name] = shapeIn(known, field.Type)
		}
	}
	for _, inner := range embedded {
		promoted := shape{fields: map[string]*shape{}}
		promoted.add(known, inner)
		for name, field := range promoted.fields {
			if _, hidden := s.fields[name]; !hidden {
				s.fields[name] = field
			}
		}
	}
}

// field returns the shape behind the key that was just read, or the error that
// there is none.
func (s *scanner) field(of *shape, k key) (*shape, *bus.Error) {
	if of == nil || of.fields == nil {
		return of.holds(), nil
	}
	raw := s.raw(k)
	if f, ok := of.fields[string(raw)]; ok {
		return f, nil
	}
	if f, ok := of.fields[string(unescape(nil, raw))]; ok {
		return f, nil
	}
	return nil, bus.E(bus.CodeInvalid, bus.Defect{
		Field:   s.path(),
		Problem: bus.Text{ZH: "未知的字段（区分大小写）", EN: "is not a field here; case matters"},
		Allowed: strings.Join(slices.Sorted(maps.Keys(of.fields)), ", "),
	})
}

// holds is the shape of the elements.
func (s *shape) holds() *shape {
	if s == nil {
		return nil
	}
	return s.element
}

// decodable tries a value whose type decodes itself, while its path is known.
func (s *scanner) decodable(of *shape, start int) *bus.Error {
	if of == nil || of.itself == nil {
		return nil
	}
	var err error
	switch value := s.data[start:s.pos]; v := reflect.New(of.itself).Interface().(type) {
	case json.Unmarshaler:
		err = v.UnmarshalJSON(value)
	case encoding.TextUnmarshaler:
		if text, ok := Text(value); ok {
			err = v.UnmarshalText([]byte(text))
		}
	}
	if err == nil {
		return nil
	}
	return bus.E(bus.CodeInvalid, badValue(s.path())).Because(err)
}

// kindName gives the JSON word for what a Go type takes.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number that fits " + t.Kind().String()
	}
}
