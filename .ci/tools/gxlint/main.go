// Command gxlint holds the project's own rules of style, those that gofmt, vet
// and staticcheck do not know. It reads syntax only, so it also runs on code
// that does not compile yet. It is not a general linter: each rule stands for a
// sentence of this project's way of working, and there is no way to switch one
// off in a file.
//
// Usage: gxlint [DIR]
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	findings, err := lintTree(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gxlint:", err)
		os.Exit(2)
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		os.Exit(1)
	}
}

// lintTree lints every Go file below root, but for directories that the go
// command leaves out too, and build output.
func lintTree(root string) ([]finding, error) {
	var findings []finding
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || path == filepath.Join(root, "build")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		more, err := lintFile(filepath.ToSlash(relative), text)
		findings = append(findings, more...)
		return err
	})
	return findings, err
}
