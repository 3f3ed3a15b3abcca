// Package policies carries the policy text that ships with the release: the
// base layer with its tests, sample layers of two divisions, the cookbook, the
// schemas of what policies are given and answer, and the default scheme of the
// evaluation. It has no logic; packages policy and evaluation have.
package policies

import "embed"

// FS holds base/*.rego, samples/LAYER/*.rego, cookbook/NAME/*.rego, schema/*.json
// and evaluation/*.yaml.
//
//go:embed base/*.rego samples/*/*.rego cookbook/*/*.rego schema/*.json evaluation/*.yaml
var FS embed.FS
