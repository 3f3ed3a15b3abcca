package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Draft is the dialect of JSON Schema that schemas are in.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// Patterns of items that are strings of a certain form.
const (
	decimal   = `^[+-]?[0-9]+(\.[0-9]+)?$`
	decimalOf = `^[+-]?[0-9]{1,%d}(\.[0-9]+)?$` // digits before the point
	date      = `^[0-9]{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])|(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01]))$`
	instant   = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$`
)

// document is a generated schema: of a row, or of an array of what is the same, but no
// array. Properties say nothing of an array, nor items of an object, so that neither
// has to be asked for.
type document struct {
	Draft      string          `json:"$schema"`
	Title      string          `json:"title,omitempty"`
	Type       []string        `json:"type"`
	Properties map[string]item `json:"properties"`
	Items      row             `json:"items"`
}

type row struct {
	Type string `json:"type"`
	Ref  string `json:"$ref"`
}

// item is the part of a schema about one item.
type item struct {
	Title     string   `json:"title,omitempty"`
	Type      any      `json:"type,omitempty"`
	Pattern   string   `json:"pattern,omitempty"`
	MaxLength int      `json:"maxLength,omitempty"`
	Minimum   *float64 `json:"minimum,omitempty"`
	Maximum   *float64 `json:"maximum,omitempty"`
}

// Of returns the schema of a version of a resource: the one that its provider
// supplied, else the one that its items make; nil where it has neither.
func Of(r bus.Resource) (json.RawMessage, error) {
	if len(r.Schema) > 0 || len(r.Items) == 0 {
		return r.Schema, nil
	}
	d := document{
		Draft: Draft, Title: r.Name, Type: []string{"object", "array"}, Properties: make(map[string]item, len(r.Items)), Items: row{"object", "#"},
	}
	for _, i := range r.Items {
		d.Properties[string(i.ID)] = itemOf(i)
	}
	return json.Marshal(d)
}

// itemOf says what values an item of the catalogue may have. Exact numbers (N, Y)
// may be strings, so that nobody has to pass money through a floating-point number.
func itemOf(i bus.Item) item {
	s := item{Title: i.Name}
	types := func(names ...string) { s.Type = append(names, "null") }
	switch i.Type {
	case "C", "M":
		types("string")
		s.MaxLength = i.Length
	case "N", "Y":
		types("number", "string")
		s.Pattern = decimal
		if i.Length > 0 && i.Length <= maxDigits {
			s.Pattern = fmt.Sprintf(decimalOf, i.Length)
		}
		s.digits(i.Length)
	case "I":
		types("integer")
		s.digits(i.Length)
	case "B", "F":
		types("number")
	case "D":
		types("string")
		s.Pattern = date
	case "T":
		types("string")
		s.Pattern = instant
	case "L":
		types("boolean")
	}
	return s
}

// maxDigits is how many digits of a number are bounded at most: beyond, a float64
// does not tell a bound from its neighbours.
const maxDigits = 15

// digits bounds a number that has at most n digits before its point.
func (s *item) digits(n int) {
	if n < 1 || n > maxDigits {
		return
	}
	bound := math.Pow10(n)
	least, most := 1-bound, bound-1
	if slices.Contains(s.Type.([]string), "string") { // not an integer: 99.5 has two digits before its point
		least, most = -bound, bound
	}
	s.Minimum, s.Maximum = &least, &most
}
