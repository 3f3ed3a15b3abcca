package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEachRuleFindsItsViolationAndNothingElse(t *testing.T) {
	long := strings.Repeat("\n", maxFunctionLines)
	for _, tc := range []struct {
		name, path, text string
		want             []string // rules, in order of lines
	}{
		{"clean file", "pkg/peer/dial.go", "package peer\n\n// Dial dials.\nfunc Dial() {}\n", nil},
		{"sleep", "pkg/peer/a.go", "package peer\nimport \"time\"\nfunc f() { time.Sleep(1) }", []string{"sleep"}},
		{"sleep in a test", "pkg/peer/a_test.go", "package peer\nimport \"time\"\nfunc f() { time.Sleep(1) }", []string{"sleep"}},
		{"sleep by another import name", "pkg/peer/a.go", "package peer\nimport clock \"time\"\nvar f = clock.Sleep", []string{"sleep"}},
		{"Sleep of something else", "pkg/peer/a.go", "package peer\nfunc f(c clock) { c.Sleep(1) }", nil},
		{"init", "pkg/peer/a.go", "package peer\nfunc init() {}", []string{"init"}},
		{"a method called init", "pkg/peer/a.go", "package peer\nfunc (p *peer) init() {}", nil},
		{"print", "pkg/peer/a.go", "package peer\nimport \"fmt\"\nfunc f() { fmt.Println(1); fmt.Printf(\"\") }", []string{"print", "print"}},
		{"print in the CLI", "node/cli/a.go", "package cli\nimport \"fmt\"\nfunc f() { fmt.Println(1) }", nil},
		{"print to a writer", "pkg/peer/a.go", "package peer\nimport \"fmt\"\nfunc f() { fmt.Fprintln(w, 1) }", nil},
		{"print in an example", "pkg/peer/a_test.go", "package peer\nimport \"fmt\"\nfunc f() { fmt.Println(1) }", nil},
		{"bare panic", "pkg/peer/a.go", "package peer\nfunc f() { panic(1) }", []string{"panic"}},
		{"panic with its reason", "pkg/peer/a.go", "package peer\nfunc f() {\npanic(1) // a broken build\n}", nil},
		{"panic in a test", "pkg/peer/a_test.go", "package peer\nfunc f() { panic(1) }", nil},
		{"exit", "node/cli/a.go", "package cli\nimport \"os\"\nfunc f() { os.Exit(1) }", []string{"exit"}},
		{"exit in main", "node/main.go", "package main\nimport \"os\"\nfunc f() { os.Exit(1) }", nil},
		{"log", "pkg/peer/a_test.go", "package peer\nimport \"log\"\nfunc f() { log.Print(1) }", []string{"log"}},
		{"slog", "pkg/peer/a.go", "package peer\nimport \"log/slog\"\nfunc f() { slog.Info(\"\") }", nil},
		{"clock in the nouns", "pkg/bus/a.go", "package bus\nimport \"time\"\nvar f = time.Now", []string{"determinism"}},
		{"clock in the state", "pkg/directory/state/a.go", "package state\nimport \"time\"\nvar f = time.Now()", []string{"determinism"}},
		{"clock in the commands", "pkg/directory/command/a.go", "package command\nimport \"time\"\nvar f = time.Since(x)", []string{"determinism"}},
		{"clock in the FSM", "pkg/directory/fsm.go", "package directory\nimport \"time\"\nvar f = time.Now()", []string{"determinism"}},
		{"clock in the directory's service", "pkg/directory/service.go", "package directory\nimport \"time\"\nvar f = time.Now()", nil},
		{"clock in a test of the state", "pkg/directory/state/a_test.go", "package state\nimport \"time\"\nvar f = time.Now()", nil},
		{"randomness in the state", "pkg/directory/state/a.go", "package state\nimport \"crypto/rand\"", []string{"determinism"}},
		{"blank import", "pkg/peer/a.go", "package peer\nimport _ \"net/http/pprof\"", []string{"blank-import"}},
		{"embed", "pkg/peer/a.go", "package peer\nimport _ \"embed\"", nil},
		{"dot import", "pkg/peer/a.go", "package peer\nimport . \"time\"", []string{"dot-import"}},
		{"vague package", "pkg/util/a.go", "package util", []string{"vague-name"}},
		{"vague test package", "pkg/util/a_test.go", "package util_test", []string{"vague-name"}},
		{"vague file", "pkg/peer/types.go", "package peer", []string{"vague-name"}},
		{"vague names", "pkg/peer/a.go", "package peer\ntype connManager struct{}\nfunc dialHelper() {}\nvar fooUtil int", []string{"vague-name", "vague-name", "vague-name"}},
		{"common in a name of the field", "pkg/peer/a.go", "package peer\nfunc lowestCommonAncestor() {}\nvar itemTypes int", nil},
		{"unfinished", "pkg/peer/a_test.go", "package peer\n// TODO: more", []string{"unfinished"}},
		{"long file", "pkg/peer/a.go", "package peer\n" + strings.Repeat("\n", maxFileLines), []string{"long-file"}},
		{"long test file", "pkg/peer/a_test.go", "package peer\n" + strings.Repeat("\n", maxFileLines), nil},
		{"file just short enough", "pkg/peer/a.go", "package peer\n" + strings.Repeat("\n", maxFileLines-2), nil},
		{"long function", "pkg/peer/a.go", "package peer\nfunc f() {" + long + "}", []string{"long-function"}},
		{"function just short enough", "pkg/peer/a.go", "package peer\nfunc f() {" + long[1:] + "}", nil},
		{"undocumented", "pkg/peer/a.go", "package peer\nfunc F() {}\ntype T int\nvar V int\nfunc (T) M() {}", []string{"undocumented", "undocumented", "undocumented", "undocumented"}},
		{"undocumented type of a group", "pkg/peer/a.go", "package peer\n// Ids.\ntype (\nA int\n// B is.\nB int\n)", []string{"undocumented"}},
		{"constants share a comment", "pkg/peer/a.go", "package peer\n// The levels.\nconst (\nA = 1\nB = 2\n)", nil},
		{"exported method of a private type", "pkg/peer/a.go", "package peer\nfunc (t *fsm[T]) Apply() {}", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			findings, err := lintFile(tc.path, []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.rule)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v: %v", got, tc.want, findings)
			}
		})
	}
}

func TestTreeLeavesOutWhatTheGoCommandLeavesOut(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"pkg/a/a.go", "pkg/a/testdata/x.go", ".ci/x.go", "build/x.go", "_old/x.go", "pkg/build/x.go"} {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte("package a\n\nfunc init() {}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	findings, err := lintTree(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range findings {
		got = append(got, f.String())
	}
	want := []string{
		"pkg/a/a.go:3: init: nothing happens by importing; do it where it is asked for",
		"pkg/build/x.go:3: init: nothing happens by importing; do it where it is asked for",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFileThatIsNotGoIsAnError(t *testing.T) {
	if _, err := lintFile("a.go", []byte("pakcage a")); err == nil {
		t.Error("no error")
	}
}
