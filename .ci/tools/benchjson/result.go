package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// result is one measurement. Baseline and Ratio are absent where there is
// nothing to compare with.
type result struct {
	Name     string   `json:"name"`
	Value    float64  `json:"value"`
	Unit     string   `json:"unit"`
	Baseline *float64 `json:"baseline"`
	Ratio    *float64 `json:"ratio"`
}

var (
	listedName  = regexp.MustCompile("(?m)^\\| *`([a-z0-9]+(?:-[a-z0-9]+)*)` *\\|")
	resultLine  = regexp.MustCompile(`^Benchmark(\S+)\s+\d+\s+(\S.*)$`)
	procsSuffix = regexp.MustCompile(`-\d+$`)
)

// listedNames gives the names in the first column of the document's tables.
func listedNames(document string) []string {
	var names []string
	for _, m := range listedName.FindAllStringSubmatch(document, -1) {
		names = append(names, m[1])
	}
	return names
}

// parseResults reads the output of go test -bench.
func parseResults(output string) ([]result, error) {
	var results []result
	for line := range strings.Lines(output) {
		m := resultLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		r, err := parseMetrics(kebab(procsSuffix.ReplaceAllString(m[1], "")), m[2])
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(results, func(other result) bool { return other.Name == r.Name }) {
			return nil, fmt.Errorf("%s was measured twice", r.Name)
		}
		results = append(results, r)
	}
	return results, nil
}

// parseMetrics reads "value unit" pairs. The benchmark's own metric is its
// value; one that reports none is worth its time an operation.
func parseMetrics(name, text string) (result, error) {
	fields := strings.Fields(text)
	if len(fields)%2 != 0 {
		return result{}, fmt.Errorf("%s: %q is not a list of values and units", name, text)
	}
	r := result{Name: name}
	for i := 0; i < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", name, err)
		}
		switch unit := fields[i+1]; unit {
		case "baseline":
			r.Baseline = &value
		case "ratio":
			r.Ratio = &value
		case "B/op", "allocs/op", "MB/s":
		case "ns/op":
			if r.Unit == "" {
				r.Value, r.Unit = value, unit
			}
		default:
			if r.Unit != "" && r.Unit != "ns/op" {
				return result{}, fmt.Errorf("%s reports both %s and %s; which one is its value?", name, r.Unit, unit)
			}
			r.Value, r.Unit = value, unit
		}
	}
	if r.Unit == "" {
		return result{}, fmt.Errorf("%s reports no value", name)
	}
	return r, nil
}

// keepListed gives the listed results in the order of the list, and the names
// without a result. The first is never nil: it becomes a JSON list.
func keepListed(results []result, names []string) (kept []result, absent []string) {
	kept = []result{}
	for _, name := range names {
		i := slices.IndexFunc(results, func(r result) bool { return r.Name == name })
		if i < 0 {
			absent = append(absent, name)
			continue
		}
		kept = append(kept, results[i])
	}
	return kept, absent
}

// kebab turns the name of a benchmark and its sub-benchmarks, "IdleRSS" or
// "DecisionLatency/base_plus_four", into "idle-rss" and
// "decision-latency-base-plus-four".
func kebab(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			r = '-'
		}
		starts := unicode.IsUpper(r) && i > 0 &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if starts && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
		if r == '-' && (b.Len() == 0 || strings.HasSuffix(b.String(), "-")) {
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.TrimSuffix(b.String(), "-")
}
