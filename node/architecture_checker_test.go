package main_test

import (
	"slices"
	"strings"
	"testing"
)

// The rules are worth nothing if they cannot fail: each is shown a tree that
// breaks it, and one beside it that does not.

func TestImportRulesFindViolations(t *testing.T) {
	for _, tc := range []struct {
		name, pkg, file, imported string
		want                      string // part of the violation; "" for none
	}{
		{"a block imports the program", "pkg/peer", "a.go", "node/server", "nothing of the program"},
		{"a block's test imports the program", "pkg/peer", "a_test.go", "node/nodetest", "nothing of the program"},
		{"the program imports a block", "node/server", "a.go", "pkg/peer", ""},
		{"the nouns import a module", "pkg/bus", "a.go", "golang.org/x/text", "standard library only"},
		{"the nouns' test imports a module", "pkg/bus", "a_test.go", "pgregory.net/rapid", ""},
		{"the nouns import the standard library", "pkg/bus", "a.go", "encoding/csv", ""},
		{"the nouns import a block", "pkg/bus", "a.go", "pkg/event", "downward"},
		{"an import upward", "pkg/directory", "a.go", "pkg/exchange", "downward"},
		{"an import sideways", "pkg/policy", "a.go", "pkg/directory", "downward"},
		{"an import sideways in a test", "pkg/policy", "a_test.go", "pkg/directory", ""},
		{"an import downward", "pkg/exchange", "a.go", "pkg/audit", ""},
		{"an import within a block", "pkg/directory", "a.go", "pkg/directory/state", ""},
		{"a block without a layer", "pkg/novelty", "a.go", "pkg/bus", "no place in the order"},
		{"state knows raft", "pkg/directory/state", "a.go", "github.com/hashicorp/raft", "state knows no raft"},
		{"the FSM knows raft", "pkg/directory", "fsm.go", "github.com/hashicorp/raft", ""},
		{"the exchange knows raft", "pkg/exchange", "a.go", "github.com/hashicorp/raft", "only"},
		{"the directory knows raft's store", "pkg/directory", "a.go", "github.com/hashicorp/raft-boltdb/v2", "only"},
		{"consensus knows raft's store", "pkg/consensus", "a.go", "github.com/hashicorp/raft-boltdb/v2", ""},
		{"workbooks outside the catalogue's formats", "node/cli", "a.go", "github.com/xuri/excelize/v2", "only"},
		{"workbooks in the catalogue's formats", "pkg/catalogue", "a.go", "github.com/xuri/excelize/v2", ""},
		{"OPA outside the decision point", "pkg/exchange", "a.go", "github.com/open-policy-agent/opa/v1/rego", "only"},
		{"OPA in a test elsewhere", "policies", "a_test.go", "github.com/open-policy-agent/opa/v1/tester", "only"},
		{"OPA in the decision point", "pkg/policy", "a.go", "github.com/open-policy-agent/opa/v1/rego", ""},
		{"the SDK knows a node's inside", "pkg/client", "a.go", "pkg/exchange", "the SDK"},
		{"the SDK knows the nouns", "pkg/client", "a.go", "pkg/bus", ""},
		{"the CLI bypasses the SDK", "node/cli", "grant.go", "pkg/directory/state", "through pkg/client"},
		{"the CLI opens a node", "node/cli", "grant.go", "node/server", "through pkg/client"},
		{"serve opens a node", "node/cli", "serve.go", "node/server", ""},
		{"the demo opens a node", "node/cli", "demo_story.go", "node/server", ""},
		{"the CLI verifies evidence offline", "node/cli", "audit.go", "pkg/audit", ""},
		{"the API opens a node", "node/api", "a.go", "node/server", "only"},
		{"a test opens a node", "node/api", "a_test.go", "node/server", ""},
		{"product code uses the test cluster", "node/cli", "demo.go", "node/nodetest", "only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := checkImports([]goPackage{{path: tc.pkg, files: []goFile{{tc.file, []string{tc.imported}}}}})
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("unexpected: %v", got)
			case tc.want != "" && !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, tc.want) }):
				t.Errorf("got %q, want one with %q", got, tc.want)
			}
		})
	}
}

func TestOnlyTheCompositionRootJoinsImplementations(t *testing.T) {
	files := []goFile{{"a.go", []string{"pkg/exchange"}}, {"b.go", []string{"pkg/consensus"}}}
	if got := checkImports([]goPackage{{path: "node/api", files: files}}); len(got) != 1 {
		t.Errorf("node/api joins them: %q", got)
	}
	if got := checkImports([]goPackage{{path: "node/server", files: files}}); len(got) != 0 {
		t.Errorf("node/server joins them: %q", got)
	}
	apart := []goPackage{{path: "node/api", files: files[:1]}, {path: "node/console", files: files[1:]}}
	if got := checkImports(apart); len(got) != 0 {
		t.Errorf("nobody joins them: %q", got)
	}
}

func TestDocRuleFindsViolations(t *testing.T) {
	for _, tc := range []struct {
		name, doc, file string
		want            int
	}{
		{"peer", "Package peer connects nodes.", "a.go", 0},
		{"peer", "", "a.go", 1},
		{"peer", "Package peer", "a.go", 1},
		{"peer", "Connects nodes.", "a.go", 1},
		{"peer", "", "a_test.go", 0},
		{"main", "Command gxbus is a node.", "main.go", 0},
		{"main", "Package main is a node.", "main.go", 1},
	} {
		got := checkDocs([]goPackage{{path: "x", name: tc.name, doc: tc.doc, files: []goFile{{name: tc.file}}}})
		if len(got) != tc.want {
			t.Errorf("%+v: got %q", tc, got)
		}
	}
}

func TestTopLevelRuleFindsViolations(t *testing.T) {
	if got := checkTopLevel([]string{"pkg", ".ci", "README.zh-CN.md", "LICENSE"}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	if got := checkTopLevel([]string{"internal", "main.go", "CHANGELOG.txt"}); len(got) != 3 {
		t.Errorf("got %q", got)
	}
}
