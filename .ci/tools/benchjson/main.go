// Command benchjson runs the benchmarks that a document lists and writes their
// results as a JSON list of {name, value, unit, baseline, ratio}, so that two
// runs can be compared by a program. It is not a statistics tool: one result a
// name, as measured.
//
// A benchmark has the name of the list when its Go name in kebab case is equal
// to it: BenchmarkDurablePublish is durable-publish, a sub-benchmark is joined
// by a hyphen. It reports its value and, where there is something to compare
// with, its baseline:
//
//	b.ReportMetric(rate, "events/s")
//	b.ReportMetric(raw, "baseline")
//	b.ReportMetric(rate/raw, "ratio")
//
// Usage: benchjson -names docs/performance.md -benchtime 2s -o build/bench.json
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

func main() {
	document := flag.String("names", "docs/performance.md", "`document` with the list of names")
	benchtime := flag.String("benchtime", "2s", "`duration` or count (100x) of each benchmark")
	output := flag.String("o", "build/bench.json", "`file` to write")
	flag.Parse()
	if err := measure(*document, *benchtime, *output); err != nil {
		fmt.Fprintln(os.Stderr, "benchjson:", err)
		os.Exit(1)
	}
}

// measure writes what could be measured even where something is missing, and
// then says what is missing.
func measure(document, benchtime, output string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	names := listedNames(string(text))
	if len(names) == 0 {
		return fmt.Errorf("%s lists no benchmark", document)
	}
	report, err := runBenchmarks(names, benchtime)
	if err != nil {
		return err
	}
	results, err := parseResults(report)
	if err != nil {
		return err
	}
	kept, absent := keepListed(results, names)
	encoded, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(output, append(encoded, '\n'), 0o644); err != nil {
		return err
	}
	if err := printTable(os.Stdout, kept); err != nil {
		return err
	}
	if len(absent) > 0 {
		return fmt.Errorf("%s lists benchmarks that nothing measures: %s", document, strings.Join(absent, ", "))
	}
	return nil
}

func printTable(w io.Writer, results []result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "name\tvalue\tunit\tbaseline\tratio")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%.4g\t%s\t%s\t%s\n", r.Name, r.Value, r.Unit, cell(r.Baseline), cell(r.Ratio))
	}
	return table.Flush()
}

func cell(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.4g", *v)
}
