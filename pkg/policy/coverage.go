package policy

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"

	"github.com/gxbus/gxbus/pkg/bus"
)

// coverageOf tells which lines of the modules were evaluated while c looked on.
func coverageOf(c *cover.Cover, modules map[string]*ast.Module) []bus.FileCoverage {
	report := c.Report(modules)
	var files []bus.FileCoverage
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		found := report.Files[file]
		f := bus.FileCoverage{File: file, Covered: found.CoveredLines, Lines: found.CoveredLines + found.NotCoveredLines}
		for _, r := range found.NotCovered {
			f.Missed = joined(f.Missed, bus.LineRange{First: r.Start.Row, Last: r.End.Row})
		}
		files = append(files, f)
	}
	return files
}

// joined adds lines to those that were missed before them.
func joined(missed []bus.LineRange, next bus.LineRange) []bus.LineRange {
	if n := len(missed) - 1; n >= 0 && next.First <= missed[n].Last+1 {
		missed[n].Last = max(missed[n].Last, next.Last)
		return missed
	}
	return append(missed, next)
}
