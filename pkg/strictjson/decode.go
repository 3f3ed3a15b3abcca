package strictjson

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Decode checks data as [Check] does and stores it in the value v points to, by
// the rules of encoding/json but for two: a key must be spelt exactly as its
// field, case included, and a key without a field is refused. A text that is
// not strict JSON gives CodeMalformedJSON; a strict one that does not fit v
// gives CodeInvalid with the field. v may be partly filled after an error.
func Decode(data []byte, lim Limits, v any) error {
	s := newScanner(data, lim)
	s.shapes = map[reflect.Type]shape{}
	if err := s.document(reflect.TypeOf(v)); err != nil {
		return err
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

func badValue(field string) bus.Defect {
	return bus.Defect{Field: field, Problem: bus.Text{ZH: "值的格式不正确", EN: "has a value of the wrong form"}}
}

// shape is what Decode knows of a struct: its keys and the types behind them.
type shape map[string]reflect.Type

// shapeOf returns the shape of the struct behind t, or of a map a shape of
// which only the element type is known; nil where any key will do.
func (s *scanner) shapeOf(t reflect.Type) shape {
	if t = opened(t); t == nil {
		return nil
	}
	if known, ok := s.shapes[t]; ok {
		return known
	}
	var fields shape
	switch t.Kind() {
	case reflect.Struct:
		fields = shape{}
		fields.add(t)
	case reflect.Map:
		fields = shape{anyKey: t.Elem()}
	}
	s.shapes[t] = fields
	return fields
}

// anyKey stands for all keys of a map. NUL can't occur in a checked key.
const anyKey = "\x00"

// add puts the fields of struct t into sh, those of embedded structs last, so
// that an outer field hides an inner one.
func (sh shape) add(t reflect.Type) {
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
			sh[field.Name] = field.Type
		default:
			sh[name] = field.Type
		}
	}
	for _, inner := range embedded {
		promoted := shape{}
		promoted.add(inner)
		for name, fieldType := range promoted {
			if _, hidden := sh[name]; !hidden {
				sh[name] = fieldType
			}
		}
	}
}

// fieldType returns the type behind key k, or the error that there is none.
func (s *scanner) fieldType(fields shape, k key) (reflect.Type, *bus.Error) {
	if fields == nil {
		return nil, nil
	}
	if t, ok := fields[anyKey]; ok {
		return t, nil
	}
	if t, ok := fields[string(unescape(nil, s.raw(k)))]; ok {
		return t, nil
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return nil, bus.E(bus.CodeInvalid, bus.Defect{
		Field:   s.path(),
		Problem: bus.Text{ZH: "未知的字段（区分大小写）", EN: "is not a field here; case matters"},
		Allowed: strings.Join(names, ", "),
	})
}

// decodable tries values with a decoder of their own, such as times, while
// their path is known.
func (s *scanner) decodable(t reflect.Type, start int) *bus.Error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var err error
	switch value := s.data[start:s.pos]; v := reflect.New(t).Interface().(type) {
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

// opened returns t without pointers, or nil where t decodes itself or nothing
// is known of it.
func opened(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	return t
}

func elementType(t reflect.Type) reflect.Type {
	if t = opened(t); t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		return t.Elem()
	}
	return nil
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
