package main_test

import (
	"fmt"
	"slices"
	"strings"
)

// goPackage is what the rules know of a package. Paths of this module are
// folders ("pkg/bus"), others are import paths.
type goPackage struct {
	path  string
	name  string
	doc   string // first sentence of the package comment
	files []goFile
}

type goFile struct {
	name    string
	imports []string
}

func (f goFile) test() bool { return strings.HasSuffix(f.name, "_test.go") }

// layers is the order of the building blocks: a package imports only packages
// of an earlier line, or of its own folder. Two on one line reach each other
// through an interface that the consumer declares.
var layers = [][]string{
	{"pkg/bus"},
	{"pkg/strictjson", "pkg/storage", "pkg/rate"},
	{"pkg/calendar", "pkg/event", "pkg/audit", "pkg/identity", "pkg/signin", "pkg/catalogue", "pkg/backup", "pkg/webhook", "pkg/schema"},
	{"pkg/binding"},
	{"pkg/directory", "pkg/peer", "pkg/policy"},
	{"pkg/consensus", "pkg/decision"},
	{"pkg/exchange", "pkg/reminder"},
	{"pkg/evaluation", "pkg/client"},
}

// owners says who alone may import what.
var owners = []struct {
	imported string
	by       []string
}{
	{"github.com/open-policy-agent/opa", []string{"pkg/policy"}},
	{"github.com/hashicorp/raft", []string{"pkg/consensus", "pkg/directory", "pkg/peer"}},
	{"github.com/hashicorp/raft-boltdb", []string{"pkg/consensus"}},
	{"github.com/hashicorp/yamux", []string{"pkg/peer"}},
	{"github.com/blevesearch", []string{"pkg/directory/search"}},
	{"github.com/danielgtaylor/huma", []string{"node/api"}},
	{"github.com/cloudevents/sdk-go/sql", []string{"pkg/event/filter"}},
	{"github.com/xuri/excelize", []string{"pkg/catalogue", "pkg/evaluation/export"}},
	{"github.com/santhosh-tekuri/jsonschema", []string{"pkg/schema", "pkg/policy", "pkg/evaluation"}}, // the latter two in tests
	{"github.com/jackc/pgx", []string{"pkg/binding"}},
	{"github.com/spf13/cobra", []string{"node/cli"}},
	{"github.com/prometheus", []string{"node/metrics"}},
	{"github.com/klauspost/compress", []string{"pkg/audit"}},
	{"node/server", []string{"node/cli", "node/nodetest"}},
	{"node/nodetest", nil},
}

// bans says what a folder's product code must not import.
var bans = []struct {
	folder string
	except []string // files that may all the same, by the start of their name
	banned []string
	why    string
}{
	{"pkg/directory/state", nil, []string{"github.com/hashicorp/raft", "pkg/consensus"}, "state knows no raft"},
	{"pkg/directory/command", nil, []string{"github.com/hashicorp/raft", "pkg/consensus"}, "a command knows no raft"},
	{"pkg/client", nil, []string{"pkg/consensus", "pkg/directory", "pkg/exchange", "pkg/peer", "pkg/policy"}, "the SDK speaks to a node, it is none"},
	{
		"node/cli", []string{"serve", "init", "join", "demo", "verify", "backup", "restore", "recover", "doctor", "compact"},
		[]string{"node/server", "node/api", "node/console", "pkg/consensus", "pkg/directory", "pkg/exchange", "pkg/peer", "go.etcd.io/bbolt"},
		"the CLI reaches a node through pkg/client",
	},
}

// rules say why a file must not import something, or nothing.
var rules = []func(p goPackage, f goFile, imported string) string{checkDirection, checkNouns, checkLayer, checkOwner, checkBan}

// checkImports returns every breach of the rules above.
func checkImports(packages []goPackage) []string {
	var violations []string
	for _, p := range packages {
		var joined []string // implementations that only the composition root joins
		for _, f := range p.files {
			for _, imported := range f.imports {
				for _, rule := range rules {
					if why := rule(p, f, imported); why != "" {
						violations = append(violations, fmt.Sprintf("%s/%s imports %s: %s", p.path, f.name, imported, why))
					}
				}
				for _, implementation := range []string{"pkg/consensus", "pkg/exchange"} {
					if inside(imported, implementation) && !f.test() && !slices.Contains(joined, implementation) {
						joined = append(joined, implementation)
					}
				}
			}
		}
		if len(joined) == 2 && p.path != "node/server" {
			violations = append(violations, p.path+" imports pkg/consensus and pkg/exchange: only node/server joins implementations")
		}
	}
	return violations
}

// checkDirection holds in tests too.
func checkDirection(p goPackage, _ goFile, imported string) string {
	if inside(p.path, "pkg") && inside(imported, "node") {
		return "building blocks know nothing of the program"
	}
	return ""
}

func checkNouns(p goPackage, f goFile, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	if inside(p.path, "pkg/bus") && !f.test() && strings.Contains(first, ".") {
		return "the nouns need the standard library only"
	}
	return ""
}

func checkLayer(p goPackage, f goFile, imported string) string {
	if f.test() || !inside(p.path, "pkg") || !inside(imported, "pkg") || block(p.path) == block(imported) {
		return ""
	}
	from, to := layerOf(p.path), layerOf(imported)
	switch {
	case from < 0 || to < 0:
		return "one of the two has no place in the order of layers yet; give it one"
	case to >= from:
		return "imports go downward only; declare the interface you need"
	}
	return ""
}

func layerOf(folder string) int {
	return slices.IndexFunc(layers, func(layer []string) bool { return slices.Contains(layer, block(folder)) })
}

// block is the building block that a folder belongs to: "pkg/directory" for
// "pkg/directory/state".
func block(folder string) string {
	parts := strings.SplitN(folder, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func checkOwner(p goPackage, f goFile, imported string) string {
	for _, o := range owners {
		if !inside(imported, o.imported) || inside(p.path, o.imported) {
			continue
		}
		if f.test() && inside(o.imported, "node") {
			continue // a test may start what its package does not know
		}
		if !slices.ContainsFunc(o.by, func(owner string) bool { return inside(p.path, owner) }) {
			return fmt.Sprintf("only %v may", o.by)
		}
	}
	return ""
}

func checkBan(p goPackage, f goFile, imported string) string {
	if f.test() {
		return ""
	}
	for _, b := range bans {
		excepted := slices.ContainsFunc(b.except, func(start string) bool { return strings.HasPrefix(f.name, start) })
		if !inside(p.path, b.folder) || excepted {
			continue
		}
		if slices.ContainsFunc(b.banned, func(banned string) bool { return inside(imported, banned) }) {
			return b.why
		}
	}
	return ""
}

// inside reports whether path is folder or lies below it;
// github.com/hashicorp/raft-boltdb is not below github.com/hashicorp/raft.
func inside(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// checkDocs wants one whole sentence for every package that holds product code.
func checkDocs(packages []goPackage) []string {
	var violations []string
	for _, p := range packages {
		if !slices.ContainsFunc(p.files, func(f goFile) bool { return !f.test() }) {
			continue
		}
		start := "Package " + p.name + " "
		if p.name == "main" {
			start = "Command " // gxbus, or a program of docs/examples
		}
		if !strings.HasPrefix(p.doc, start) || !strings.HasSuffix(p.doc, ".") {
			violations = append(violations, fmt.Sprintf("%s: its comment should be a sentence that begins with %q, is %q", p.path, start, p.doc))
		}
	}
	return violations
}

// checkTopLevel returns what does not belong at the top of the repository. The
// build folder is output that git ignores.
func checkTopLevel(names []string) []string {
	allowed := []string{"node", "pkg", "policies", "deploy", "docs", "build", "go.mod", "go.sum", "Makefile", "LICENSE", "CHANGELOG.md"}
	var violations []string
	for _, name := range names {
		if slices.Contains(allowed, name) || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "README") {
			continue
		}
		violations = append(violations, name+" has no place at the top level")
	}
	return violations
}
