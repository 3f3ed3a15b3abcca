package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// suite is the benchmarks of one package.
type suite struct {
	pkg        string
	benchmarks []string
}

// runBenchmarks runs the benchmarks that can yield one of names, package after
// package so that they do not disturb each other, and returns their output.
func runBenchmarks(names []string, benchtime string) (string, error) {
	listing, err := exec.Command("go", "test", "-list", "^Benchmark", "./...").Output()
	if err != nil {
		return "", fmt.Errorf("listing benchmarks: %w\n%s", err, listing)
	}
	var all bytes.Buffer
	for _, s := range selectSuites(string(listing), names) {
		pattern := "^(" + strings.Join(s.benchmarks, "|") + ")$"
		run := exec.Command("go", "test", "-run", "^$", "-bench", pattern, "-benchtime", benchtime, "-count", "1", "-timeout", "10m", s.pkg)
		run.Stdout = io.MultiWriter(&all, os.Stderr)
		run.Stderr = os.Stderr
		if err := run.Run(); err != nil {
			return "", fmt.Errorf("%s: %w", s.pkg, err)
		}
	}
	return all.String(), nil
}

// selectSuites reads the output of go test -list, where the names of a package
// come before its closing line, and keeps the benchmarks that are listed or
// that have a listed sub-benchmark.
func selectSuites(listing string, names []string) []suite {
	var suites []suite
	var current []string
	for line := range strings.Lines(listing) {
		line = strings.TrimSpace(line)
		if benchmark, ok := strings.CutPrefix(line, "Benchmark"); ok {
			if wanted(kebab(benchmark), names) {
				current = append(current, line)
			}
			continue
		}
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "ok" {
			if len(current) > 0 {
				suites = append(suites, suite{fields[1], current})
			}
			current = nil
		}
	}
	return suites
}

func wanted(name string, names []string) bool {
	for _, n := range names {
		if n == name || strings.HasPrefix(n, name+"-") {
			return true
		}
	}
	return false
}
