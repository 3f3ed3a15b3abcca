package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// Every file and every heading of this repository that a document links to is there.
func TestTheDocsLinkToWhatThereIs(t *testing.T) {
	links := 0
	for _, page := range documents(t, "../..") {
		text, err := os.ReadFile(page)
		must(t, err)
		for _, link := range linked.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			links++
			if problem := brokenIn(t, page, link[1]); problem != "" {
				t.Errorf("%s: %s: %s", page, link[1], problem)
			}
		}
	}
	if links < 150 {
		t.Errorf("found %d links alone", links)
	}
}

// Anchors are those that the sites which show Markdown give to headings.
func TestAnchorsOfHeadings(t *testing.T) {
	got := anchors("# A `gxbus` file: *lost*?\n```sh\n# no heading\n```\n## 共享 与 交换\n### A [link](b.md), 2×\n## 共享 与 交换\n")
	for _, want := range []string{"a-gxbus-file-lost", "共享-与-交换", "共享-与-交换-1", "a-link-2"} {
		if !got[want] {
			t.Errorf("no %s in %v", want, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("%v", got)
	}
}

var (
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	goal    = regexp.MustCompile(`\]\([^)]*\)`)
)

// documents lists the Markdown files below a directory.
func documents(t *testing.T, root string) (pages []string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		case !d.IsDir() && filepath.Ext(path) == ".md":
			pages = append(pages, path)
		}
		return nil
	}))
	return pages
}

// brokenIn says what there is not of that which a page links to.
func brokenIn(t *testing.T, page, link string) string {
	t.Helper()
	file, anchor, anchored := strings.Cut(link, "#")
	path := page
	if file != "" {
		path = filepath.Join(filepath.Dir(page), file)
	}
	if _, err := os.Stat(path); err != nil {
		return "no such file"
	}
	if !anchored {
		return ""
	}
	text, err := os.ReadFile(path)
	must(t, err)
	if !anchors(string(text))[anchor] {
		return "no such heading"
	}
	return ""
}

// anchors are those of a page's headings.
func anchors(text string) map[string]bool {
	there := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := strings.Map(anchored, goal.ReplaceAllString(h[1], ""))
		unique := name
		for n := 1; there[unique]; n++ {
			unique = name + "-" + strconv.Itoa(n)
		}
		there[unique] = true
	}
	return there
}

// anchored is what becomes of a heading's character in its anchor.
func anchored(r rune) rune {
	switch {
	case r == ' ':
		return '-'
	case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
		return unicode.ToLower(r)
	}
	return -1
}
