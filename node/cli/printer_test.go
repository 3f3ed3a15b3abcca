package cli_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/text/width"

	"github.com/gxbus/gxbus/pkg/bus"
)

// columnsOf gives the display column at which text stands in line; East Asian
// wide characters take two.
func columnsOf(line, text string) int {
	before, _, _ := strings.Cut(line, text)
	n := 0
	for _, r := range before {
		n++
		if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
			n++
		}
	}
	return n
}

func withDepartments(t *testing.T, departments ...bus.Department) *shell {
	return newShell(t, map[string]http.HandlerFunc{"GET /departments": items(departments...)})
}

func TestTablesAlignByDisplayWidth(t *testing.T) {
	sh := withDepartments(t,
		bus.Department{ID: uscc, Name: "政务服务局（示例）", Division: "440000"},
		bus.Department{ID: uscc, Name: "abc", Division: "440001"},
		bus.Department{ID: uscc, Name: "税务 tax", Division: "440002"})
	for _, lang := range []string{"zh", "en"} {
		out, _ := sh.ok("department", "list", "--lang", lang)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d lines:\n%s", len(lines), out)
		}
		head := map[string]string{"zh": "行政区划", "en": "division"}[lang]
		want := columnsOf(lines[0], head)
		for i, line := range lines[1:] {
			division := []string{"440000", "440001", "440002"}[i]
			at := columnsOf(strings.TrimPrefix(line, uscc), division) + len(uscc)
			if at != want {
				t.Errorf("%s: %s stands at %d, its head at %d:\n%s", lang, division, at, want, out)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("trailing spaces in %q", line)
			}
		}
	}
}

func TestTablesShowNoControlCharacters(t *testing.T) {
	sh := withDepartments(t, bus.Department{ID: uscc, Name: "a\x1b[31mred\nnext\u202egnp\u0000"})
	out, _ := sh.ok("department", "list")
	if strings.ContainsAny(out, "\x1b\u202e\x00") || strings.Count(out, "\n") != 2 {
		t.Errorf("control characters reach the terminal: %q", out)
	}
	contains(t, "table", out, `a\x1b[31mred\nnext\u202egnp\x00`)
}

func TestCSVIsSafeInASpreadsheet(t *testing.T) {
	names := []string{"=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=b", `q"u,o`, "行\n二", ""}
	var departments []bus.Department
	for _, n := range names {
		departments = append(departments, bus.Department{ID: uscc, Name: n})
	}
	out, _ := withDepartments(t, departments...).ok("department", "list", "-o", "csv", "--lang", "zh")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(rows[0], ",") != "id,name,division,node,revision" {
		t.Errorf("heads %v: they are stable in every language", rows[0])
	}
	want := []string{"'=1+1", "'+1", "'-1", "'@x", "'\tx", "'x", "a=b", `q"u,o`, "行\n二", ""}
	for i, w := range want { // a lone CR cannot stand in lines that end in CR LF
		if got := rows[i+1][1]; got != w {
			t.Errorf("%q is written %q, want %q", names[i], got, w)
		}
	}
	if !strings.Contains(out, "revision\r\n") {
		t.Error("lines do not end in CR LF (RFC 4180)")
	}
}

func TestJSONAndYAMLKeepTheKeysOfTheAPI(t *testing.T) {
	sh := withDepartments(t, bus.Department{ID: uscc, Name: "<局> & \"yes\"", Division: "440000", Revision: 3})
	out, _ := sh.ok("department", "list", "-o", "json")
	var got []bus.Department
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != 1 || got[0].Revision != 3 {
		t.Errorf("json: %v\n%s", err, out)
	}
	contains(t, "json", out, `"name": "<局> & \"yes\""`)
	out, _ = sh.ok("department", "list", "-o", "yaml")
	want := "- id: 11440000006939561H\n  name: <局> & \"yes\"\n  division: \"440000\"\n  revision: 3\n"
	if out != want {
		t.Errorf("yaml:\n%swant:\n%s", out, want)
	}
	if out, _ := withDepartments(t).ok("department", "list", "-o", "json"); out != "[]\n" {
		t.Errorf("an empty list is %q", out)
	}
}
