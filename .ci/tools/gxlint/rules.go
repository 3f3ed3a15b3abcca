package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxFileLines     = 500 // product code; a table of tests may be longer
	maxFunctionLines = 80
)

// finding is one broken rule at one place.
type finding struct {
	file string
	line int
	rule string
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s: %s", f.file, f.line, f.rule, f.text) }

// file is a parsed file with what the rules ask about it.
type file struct {
	path      string // relative to the repository, with slashes
	syntax    *ast.File
	positions *token.FileSet
	imports   map[string]string // local name → import path
	commented map[int]bool      // lines that carry a comment
	findings  []finding
}

// lintFile applies every rule to one file.
func lintFile(name string, text []byte) ([]finding, error) {
	positions := token.NewFileSet()
	syntax, err := parser.ParseFile(positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &file{path: name, syntax: syntax, positions: positions, imports: map[string]string{}, commented: map[int]bool{}}
	f.checkComments()
	f.checkImports()
	f.checkNames()
	f.checkSize()
	f.checkDocs()
	ast.Inspect(syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			f.checkFunction(n)
		case *ast.CallExpr:
			f.checkCall(n)
		case *ast.SelectorExpr:
			f.checkSelector(n)
		}
		return true
	})
	slices.SortStableFunc(f.findings, func(a, b finding) int { return a.line - b.line })
	return f.findings, nil
}

func (f *file) add(at token.Pos, rule, text string) {
	f.findings = append(f.findings, finding{f.path, f.positions.Position(at).Line, rule, text})
}

func (f *file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f *file) under(folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(f.path, folder) })
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// checkComments also notes which lines carry one.
func (f *file) checkComments() {
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			f.commented[f.positions.Position(c.Pos()).Line] = true
			if word := unfinished.FindString(c.Text); word != "" {
				f.add(c.Pos(), "unfinished", word+": finish it or open an issue")
			}
		}
	}
}

// checkImports also notes what each import is called here.
func (f *file) checkImports() {
	for _, spec := range f.syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		switch {
		case name == "_" && imported != "embed":
			f.add(spec.Pos(), "blank-import", "wire "+imported+" where it is used, not by a side effect")
		case name == ".":
			f.add(spec.Pos(), "dot-import", "name "+imported+" where it is used")
		case imported == "log":
			f.add(spec.Pos(), "log", "use the log/slog logger that was handed in")
		case f.deterministic() && slices.Contains([]string{"math/rand", "math/rand/v2", "crypto/rand"}, imported):
			f.add(spec.Pos(), "determinism", "no randomness here: every replica must come to the same state")
		}
		f.imports[name] = imported
	}
}

// deterministic reports whether the file is product code that must give the
// same result on every node: the pure rules and what Raft applies.
func (f *file) deterministic() bool {
	return !f.test() && f.under("pkg/bus/", "pkg/directory/state/", "pkg/directory/command/", "pkg/directory/fsm")
}

var (
	vaguePlaces = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "types", "misc"}
	vagueWords  = []string{"util", "utils", "helper", "helpers", "manager", "managers"}
)

func (f *file) checkNames() {
	base := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
	for _, name := range []string{strings.TrimSuffix(f.syntax.Name.Name, "_test"), base} {
		if slices.Contains(vaguePlaces, name) {
			f.add(f.syntax.Name.Pos(), "vague-name", name+" says nothing; name the noun")
		}
	}
	for _, decl := range f.syntax.Decls {
		for _, id := range declared(decl) {
			if words := splitWords(id.Name); slices.Contains(vagueWords, words[len(words)-1]) {
				f.add(id.Pos(), "vague-name", id.Name+" says nothing; name what it does or holds")
			}
		}
	}
}

// declared lists the names that a top-level declaration introduces.
func declared(decl ast.Decl) []*ast.Ident {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return []*ast.Ident{d.Name}
	case *ast.GenDecl:
		var ids []*ast.Ident
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				ids = append(ids, s.Name)
			case *ast.ValueSpec:
				ids = append(ids, s.Names...)
			}
		}
		return ids
	}
	return nil
}

// splitWords gives the lower-case words of a camel-case name, at least one.
func splitWords(name string) []string {
	words := []string{""}
	lower := false
	for _, r := range name {
		if unicode.IsUpper(r) && lower {
			words = append(words, "")
		}
		lower = !unicode.IsUpper(r)
		words[len(words)-1] += string(unicode.ToLower(r))
	}
	return words
}

func (f *file) checkSize() {
	if f.test() {
		return
	}
	if lines := f.positions.File(f.syntax.FileStart).LineCount(); lines > maxFileLines {
		f.add(f.syntax.Name.Pos(), "long-file", fmt.Sprintf("%d lines, at most %d: split by noun", lines, maxFileLines))
	}
}

// checkDocs wants a sentence for every exported name of product code. A group
// of constants may share one, and a line comment does for a member.
func (f *file) checkDocs() {
	if f.test() || f.syntax.Name.Name == "main" {
		return
	}
	for _, decl := range f.syntax.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
				f.add(d.Pos(), "undocumented", d.Name.Name)
			}
		case *ast.GenDecl:
			f.checkGroupDocs(d)
		}
	}
}

func (f *file) checkGroupDocs(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || len(d.Specs) > 1) {
				f.add(s.Pos(), "undocumented", s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				f.add(s.Pos(), "undocumented", s.Names[0].Name)
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	receiver := d.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
		case *ast.IndexExpr:
			receiver = t.X
		case *ast.IndexListExpr:
			receiver = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}

func (f *file) checkFunction(d *ast.FuncDecl) {
	if d.Recv == nil && d.Name.Name == "init" {
		f.add(d.Pos(), "init", "nothing happens by importing; do it where it is asked for")
	}
	first, last := f.positions.Position(d.Pos()).Line, f.positions.Position(d.End()).Line
	if lines := last - first + 1; lines > maxFunctionLines && !f.test() {
		f.add(d.Pos(), "long-function", fmt.Sprintf("%s has %d lines, at most %d", d.Name.Name, lines, maxFunctionLines))
	}
}

func (f *file) checkCall(call *ast.CallExpr) {
	name, ok := call.Fun.(*ast.Ident)
	if !ok || name.Name != "panic" || f.test() {
		return
	}
	if !f.commented[f.positions.Position(call.Pos()).Line] {
		f.add(call.Pos(), "panic", "return an error, or say on this line why it cannot happen")
	}
}

// checkSelector meets uses as well as calls: handing on time.Sleep as a value
// sleeps too.
func (f *file) checkSelector(s *ast.SelectorExpr) {
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return
	}
	name := f.imports[x.Name] + "." + s.Sel.Name
	switch {
	case name == "time.Sleep":
		f.add(s.Pos(), "sleep", "wait for what you wait for: a channel, an index, a condition, a timer")
	case f.test():
	case strings.HasPrefix(name, "fmt.Print") && !f.under("node/cli/"):
		f.add(s.Pos(), "print", "only node/cli writes to standard output")
	case name == "os.Exit" && f.path != "node/main.go":
		f.add(s.Pos(), "exit", "only node/main.go ends the program; return an error")
	case f.deterministic() && slices.Contains([]string{"time.Now", "time.Since", "time.Until"}, name):
		f.add(s.Pos(), "determinism", "time comes in as an argument")
	}
}
