package main_test

import (
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The rules themselves are in architecture_rules_test.go. This file reads the
// tree that they are held against: the files as they lie there, whatever their
// build tags say, so that nothing hides behind a platform.

func TestImportsFollowTheArchitecture(t *testing.T) {
	for _, violation := range checkImports(loadPackages(t)) {
		t.Error(violation)
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, violation := range checkDocs(loadPackages(t)) {
		t.Error(violation)
	}
}

func TestTopLevelHoldsOnlyWhatItShould(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, violation := range checkTopLevel(names) {
		t.Error(violation)
	}
}

// loadPackages reads every Go file of the module.
func loadPackages(t *testing.T) []goPackage {
	t.Helper()
	var packages []goPackage
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || path == "../build"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		folder, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(packages, func(p goPackage) bool { return p.path == folder })
		if i < 0 {
			i = len(packages)
			packages = append(packages, goPackage{path: filepath.ToSlash(folder)})
		}
		return addFile(&packages[i], path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 2 {
		t.Fatalf("found %d packages: the test does not see the module", len(packages))
	}
	return packages
}

func addFile(p *goPackage, path string) error {
	syntax, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	file := goFile{name: filepath.Base(path)}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		file.imports = append(file.imports, strings.TrimPrefix(imported, "github.com/gxbus/gxbus/"))
	}
	p.files = append(p.files, file)
	if !file.test() {
		p.name = syntax.Name.Name
		if syntax.Doc != nil {
			p.doc = new(doc.Package).Synopsis(syntax.Doc.Text())
		}
	}
	return nil
}
