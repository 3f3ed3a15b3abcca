package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// valueOf gives in as OPA sees it. It is made once a decision and shared by the
// layers, which cannot change it.
func valueOf(in Input) (ast.Value, error) { return ast.InterfaceToValue(in) }
