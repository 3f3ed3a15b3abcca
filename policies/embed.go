// Package policies carries the policy text that ships with the release: the
// base layer with its tests, sample layers of two divisions, the cookbook, and the
// schemas of what policies are given and answer. It has no logic; package policy
// compiles and evaluates.
package policies

import "embed"

// FS holds base/*.rego, samples/LAYER/*.rego, cookbook/NAME/*.rego and
// schema/*.json.
//
//go:embed base/*.rego samples/*/*.rego cookbook/*/*.rego schema/*.json
var FS embed.FS
