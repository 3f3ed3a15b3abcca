package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Checker checks data against one schema. It is safe for concurrent use.
type Checker struct {
	compiled *jsonschema.Schema
}

// root is what a schema is called while it is compiled; nothing is read from there.
const root = "urn:gxbus:schema"

// Compile makes a schema ready. One that is none, or that Supplied refuses, gives
// the defects of it.
func Compile(text json.RawMessage) (*Checker, error) {
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, bus.E(bus.CodeInvalid, notASchema(err.Error()))
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(nowhere{})
	if err := compiler.AddResource(root, tree); err != nil {
		return nil, bus.E(bus.CodeInvalid, notASchema(err.Error()))
	}
	compiled, err := compiler.Compile(root)
	if err != nil {
		return nil, bus.E(bus.CodeInvalid, notASchema(reason(err)))
	}
	return &Checker{compiled}, nil
}

// nowhere is where schemas that are elsewhere are loaded from.
type nowhere struct{}

func (nowhere) Load(string) (any, error) {
	return nil, errors.New("a schema refers to nothing but itself")
}

func notASchema(why string) bus.Defect {
	return bus.Defect{Field: "schema", Problem: bus.Text{ZH: "不是有效的 JSON Schema：" + why, EN: "is not a JSON Schema: " + why}, Allowed: Draft}
}

// reason is the innermost and so most telling line of an error of the compiler.
func reason(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimLeft(lines[len(lines)-1], " -")
}

// Check returns all that is wrong with the data of one event, each with a JSON
// pointer (RFC 6901) after the field that data is. data is strict JSON.
func (c *Checker) Check(field string, data []byte) []bus.Defect {
	err := c.compiled.Validate(strictjson.Tree(data))
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []bus.Defect{{Field: field, Problem: bus.Text{ZH: "无法按数据结构检查", EN: "cannot be checked against the schema"}, Allowed: Draft}}
	}
	return told(field, wrong, nil)
}

// maxDefects is how many defects of one event are told at most.
const maxDefects = 50

// told lists the innermost causes.
func told(field string, e *jsonschema.ValidationError, all []bus.Defect) []bus.Defect {
	if len(all) == maxDefects {
		return all
	}
	if len(e.Causes) == 0 {
		return append(all, bus.Defect{Field: field + pointer(e.InstanceLocation), Problem: problem(e.ErrorKind), Allowed: allowed(e.ErrorKind)})
	}
	for _, cause := range e.Causes {
		all = told(field, cause, all)
	}
	return all
}

var escaped = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(tokens []string) string {
	var b strings.Builder
	for _, token := range tokens {
		fmt.Fprintf(&b, "/%s", escaped.Replace(token))
	}
	return b.String()
}
