package cli_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/cli"
)

const draftYAML = `resource:
  id: enterprise-registration
  codes: [307001/1]
  name: 企业登记信息（示例）
  provider: 11440000006939561H
  format: database
  items:
    - {id: name, name: 企业名称, type: C, grade: 1}
  sharing: {type: unconditional}
  modes: [batch]
  open: "no"
  update_cycle: daily
`

func TestDocumentsAreReadStrictly(t *testing.T) {
	tests := []struct {
		name, from, to string
		want           []string // all in the error; none: accepted
	}{
		{"as it is", "", "", nil},
		{"no quotes needed", `open: "no"`, "open: no", nil},
		{"json", draftYAML, `{"resource":{"id":"r","codes":["307001/1"],"name":"n","provider":"11440000006939561H","format":"database","items":[{"id":"a","name":"b","type":"C","grade":1}],"sharing":{"type":"unconditional"},"modes":["batch"],"open":"no","update_cycle":"daily"}}`, nil},
		{"unknown key", "open:", "opened:", []string{"opened", "line 11: unknown key", "update_cycle"}},
		{"key in another case", "name: 企业登记", "Name: 企业登记", []string{"Name", "unknown key"}},
		{"unknown inner key", "grade: 1", "grade: 1, grades: 2", []string{"items[0].grades", "line 8"}},
		{"key twice", "format: database", "format: database\n  format: file", []string{"twice"}},
		{"bad resource code", "307001/1", "907001/1", []string{"codes[0]", "not a directory code", `^[1-3]`}},
		{"wrong kind", "codes: [307001/1]", "codes: 307001/1", []string{"codes", "must be a list"}},
		{"wrong number", "grade: 1", "grade: one", []string{"items[0].grade", "not a value of this key (allowed: int)"}},
		{"alias", "codes: [307001/1]", "codes: &c [307001/1]\n  matters: *c", []string{"codes", "anchors"}},
		{"not yaml", "codes: [", "codes: [[", []string{"neither YAML nor JSON"}},
		{"every defect at once", "codes: [307001/1]", "code: x", []string{"unknown key"}},
		{"nothing", draftYAML, "# nothing\n", []string{"holds nothing"}},
		{"a text", draftYAML, "hello", []string{"must be keys and values"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sh := newShell(t, nil)
			sh.in = strings.Replace(draftYAML, tt.from, tt.to, 1)
			code, out, errs := sh.run("draft", "put", "-f", "-", "--dry-run")
			if (code == cli.ExitOK) != (tt.want == nil) {
				t.Fatalf("exit %d: %s%s", code, out, errs)
			}
			contains(t, "errors", errs, tt.want...)
		})
	}
}

func TestWhatIsPrintedCanBePut(t *testing.T) {
	sh := newShell(t, nil)
	sh.in = draftYAML
	for _, output := range []string{"yaml", "json"} {
		first, _ := sh.ok("draft", "put", "-f", "-", "--dry-run", "-o", output)
		sh.in = first
		if again, _ := sh.ok("draft", "put", "-f", "-", "--dry-run", "-o", output); again != first {
			t.Errorf("%s changed:\n%s\n%s", output, first, again)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add(draftYAML)
	f.Add("{id: a}\n---\n[{}, null]\n")
	f.Add("&a [*a]")
	f.Add("id: !!binary aGk=\nitems: {}\n? [x]\n: y")
	f.Fuzz(func(t *testing.T, text string) {
		sh := &shell{t: t, in: text, env: map[string]string{"GXBUS_CREDENTIALS": "/nonexistent/c"}}
		for _, noun := range []string{"draft", "department"} {
			if code, out, errs := sh.run(noun, "put", "-f", "-", "--dry-run"); code == cli.ExitUsage || code != 0 && (errs == "" || out != "") {
				t.Errorf("%s: exit %d, out %q, err %q", noun, code, out, errs)
			}
		}
	})
}
