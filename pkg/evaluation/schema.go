package evaluation

import (
	_ "embed"
	"slices"
)

//go:embed report.schema.json
var reportSchema []byte

// ReportSchema returns the JSON Schema (2020-12) of a report.
func ReportSchema() []byte { return slices.Clone(reportSchema) }
