package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gxbus/gxbus/pkg/bus"
)

// What a schema that a provider supplies may have.
const (
	MaxBytes = 64 << 10
	MaxParts = 2000 // parts that one row is checked against at most, references followed
)

// Supplied refuses, with CodeInvalid, a schema that a provider may not supply: one
// that is none, is too large, refers to something else than a part of itself or
// comes back to where it was. Its field is "schema". No schema is no defect.
func Supplied(text json.RawMessage) error {
	if len(text) == 0 {
		return nil
	}
	if len(text) > MaxBytes {
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field: "schema", Problem: bus.Text{ZH: "数据结构过大", EN: "is too large"}, Allowed: fmt.Sprintf("%d bytes", MaxBytes),
		})
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return bus.E(bus.CodeInvalid, notASchema(err.Error()))
	}
	w := walk{tree: tree, under: map[string]bool{}}
	if w.part(tree); w.defect != nil {
		return bus.E(bus.CodeInvalid, *w.defect)
	}
	_, err = Compile(text)
	return err
}

// walk follows a schema and its references the way that checking does.
type walk struct {
	tree   any
	parts  int
	under  map[string]bool // references that are being followed
	defect *bus.Defect
}

// elsewhere are keywords that make a part mean something by where it is reached from.
var elsewhere = map[string]bool{
	"$id": true, "$anchor": true, "$dynamicRef": true, "$dynamicAnchor": true, "$recursiveRef": true, "$recursiveAnchor": true, "$vocabulary": true,
}

// named are keywords with parts under names that are no keywords.
var named = map[string]bool{"properties": true, "patternProperties": true, "dependentSchemas": true}

// apart are keywords whose parts nothing is checked against, unless referred to.
var apart = map[string]bool{"$defs": true, "enum": true, "const": true, "default": true, "examples": true, "dependentRequired": true}

func (w *walk) values(node any) {
	parts, _ := node.(map[string]any)
	for _, part := range parts {
		w.part(part)
	}
}

func (w *walk) part(node any) {
	if w.parts++; w.parts > MaxParts {
		w.wrong(bus.Text{ZH: "数据结构过于复杂", EN: "has too many parts, references followed"}, fmt.Sprintf("%d", MaxParts))
	}
	if w.defect != nil {
		return
	}
	switch node := node.(type) {
	case map[string]any:
		for _, keyword := range slices.Sorted(maps.Keys(node)) { // so that the same is told each time
			switch value := node[keyword]; {
			case elsewhere[keyword]:
				w.wrong(bus.Text{ZH: "不支持 " + keyword, EN: "has " + keyword + ", which is not taken"}, "$ref to #/…")
			case keyword == "$schema" && value != Draft:
				w.wrong(bus.Text{ZH: "不支持的 $schema", EN: "is in another dialect"}, Draft)
			case keyword == "$ref":
				w.reference(value)
			case named[keyword]:
				w.values(value)
			case apart[keyword]:
			default:
				w.part(value)
			}
		}
	case []any:
		for _, value := range node {
			w.part(value)
		}
	}
}

func (w *walk) reference(value any) {
	ref, _ := value.(string)
	path, local := strings.CutPrefix(ref, "#/")
	node, found := resolve(w.tree, path)
	switch {
	case !local || !found:
		w.wrong(bus.Text{ZH: "只能引用自身的部分：" + ref, EN: "refers to what is no part of it: " + ref}, "#/$defs/…")
		return
	case w.under[ref]:
		w.wrong(bus.Text{ZH: "循环引用：" + ref, EN: "refers to itself: " + ref}, "references without a circle")
		return
	}
	w.under[ref] = true
	w.part(node)
	delete(w.under, ref)
}

var unescaped = strings.NewReplacer("~1", "/", "~0", "~")

func resolve(node any, path string) (any, bool) {
	for token := range strings.SplitSeq(path, "/") {
		switch at := node.(type) {
		case map[string]any:
			next, ok := at[unescaped.Replace(token)]
			if !ok {
				return nil, false
			}
			node = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			node = at[i]
		default:
			return nil, false
		}
	}
	return node, true
}

func (w *walk) wrong(problem bus.Text, allowed string) {
	if w.defect == nil {
		w.defect = &bus.Defect{Field: "schema", Problem: problem, Allowed: allowed}
	}
}
