package policy

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/policies"
)

// InputSchema returns the JSON Schema (2020-12) of the document that policies see
// as `input`, of InputVersion. Layers are type-checked against it.
func InputSchema() []byte { return schemaFile(fmt.Sprintf("input.v%d.json", InputVersion)) }

// OutputSchema returns the JSON Schema (2020-12) of what a layer answers: its rules
// by name, sets written as arrays.
func OutputSchema() []byte { return schemaFile(fmt.Sprintf("output.v%d.json", InputVersion)) }

func schemaFile(name string) []byte {
	text, err := policies.FS.ReadFile("schema/" + name)
	if err != nil {
		panic("schema " + name + ": " + err.Error()) // it is embedded: a broken build
	}
	return text
}

// inputSchemas gives OPA's type checker the input's schema: of it what the checker
// heeds, because it reads it anew for each layer.
func inputSchemas() *ast.SchemaSet {
	var schema any
	if err := json.Unmarshal(InputSchema(), &schema); err != nil {
		panic("input schema: " + err.Error()) // it is embedded: a broken build
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, typesOf(schema))
	return set
}

// typesOf keeps of a schema the types and the properties.
func typesOf(schema any) any {
	kept := map[string]any{}
	for key, value := range schema.(map[string]any) {
		switch key {
		case "type", "$ref":
			kept[key] = value
		case "items":
			kept[key] = typesOf(value)
		case "properties", "$defs":
			named := map[string]any{}
			for name, of := range value.(map[string]any) {
				named[name] = typesOf(of)
			}
			kept[key] = named
		}
	}
	return kept
}
