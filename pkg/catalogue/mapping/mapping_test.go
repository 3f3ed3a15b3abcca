package mapping_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/catalogue/mapping"
)

const small = `
name: 测试
blank: [无]
tables:
  cycles: {每年: yearly, 停更: }
  codes: {已知局: 11440300999900011J}
values:
  day: {from: date, date: ["2006-01-02", "2006/1/2"], needed: true}
fields:
  codes: {text: "301001/{id}"}
  name: {from: title}
  abstract: {text: "{summary}（{day}）"}
  update_cycle: {from: cycle, table: cycles, default: irregular}
  modes: {from: kinds, table: kinds}
  sharing.type: {text: unconditional, synthetic: true}
  sharing.range: {text: 范围, when: {kind: [a, b]}}
items:
  synthetic: true
  list: [{id: record, name: "{title}", type: C, grade: "1"}]
provider:
  name: {from: agency}
  division: {text: "440300"}
  codes: codes
  synthetic: true
  called: "{name}（合成）"
`

func read(t *testing.T, yaml string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Read([]byte(strings.Replace(yaml, "modes: {from: kinds, table: kinds}", "modes: {from: kinds, split: \"|\"}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRulesTakeMendAndRefuse(t *testing.T) {
	base := map[string]string{"id": "1", "title": "名", "summary": "摘要", "date": "2023-06-16", "cycle": "每年", "kinds": "file|interface|file", "agency": "已知局"}
	for name, tc := range map[string]struct {
		change map[string]string
		notes  []string // kind field
		check  func(bus.Resource) bool
	}{
		"as it is": {nil, nil, func(r bus.Resource) bool {
			return r.Name == "名" && r.Codes[0] == "301001/1" && r.Abstract == "摘要（2023-06-16）" && r.UpdateCycle == "yearly" &&
				slices.Equal(r.Modes, []string{"file", "interface"}) && r.Provider == "11440300999900011J" && r.Sharing.Range == ""
		}},
		"an odd date":         {map[string]string{"date": "2023/6/16"}, []string{"mended day"}, func(r bus.Resource) bool { return r.Abstract == "摘要（2023-06-16）" }},
		"no date":             {map[string]string{"date": ""}, []string{"refused day"}, nil},
		"not a date":          {map[string]string{"date": "去年"}, []string{"refused day"}, nil},
		"a word unknown":      {map[string]string{"cycle": "其他"}, []string{"mended update_cycle"}, func(r bus.Resource) bool { return r.UpdateCycle == "irregular" }},
		"no word":             {map[string]string{"cycle": " 无 "}, []string{"mended update_cycle"}, func(r bus.Resource) bool { return r.UpdateCycle == "irregular" }},
		"a word refused":      {map[string]string{"cycle": "停更"}, []string{"refused update_cycle"}, nil},
		"a condition":         {map[string]string{"kind": "b"}, nil, func(r bus.Resource) bool { return r.Sharing.Range == "范围" }},
		"a provider unlisted": {map[string]string{"agency": "未知局"}, []string{"synthetic provider"}, func(r bus.Resource) bool { return r.Provider.Valid() && r.Provider[8] == 'X' }},
		"no provider":         {map[string]string{"agency": ""}, []string{"refused provider"}, nil},
		"a code that is none": {map[string]string{"id": "号"}, []string{"refused codes[0]"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			record := catalogue.Record{Row: 7, Fields: map[string][]string{}}
			for _, fields := range []map[string]string{base, tc.change} {
				for k, v := range fields {
					record.Fields[k] = []string{v}
				}
			}
			e := read(t, small).Entry(record)
			var notes []string
			for _, n := range e.Notes {
				if note := string(n.Kind) + " " + n.Field; n.Kind != catalogue.Lacking && note != "synthetic sharing.type" && note != "synthetic items" {
					notes = append(notes, note)
				}
				if n.Row != 7 {
					t.Errorf("a note at row %d", n.Row)
				}
			}
			if !slices.Equal(notes, tc.notes) {
				t.Errorf("notes %q, want %q", notes, tc.notes)
			}
			if tc.check != nil && !tc.check(e.Draft.Resource) {
				t.Errorf("got %+v", e.Draft.Resource)
			}
		})
	}
}

func TestSyntheticCodesAreTheSameEveryTime(t *testing.T) {
	record := func(agency string) catalogue.Record {
		return catalogue.Record{Row: 1, Fields: map[string][]string{"id": {"1"}, "date": {"2023-06-16"}, "agency": {agency}}}
	}
	first, second := read(t, small), read(t, small)
	second.Entry(record("别的局")) // another order
	a, b := first.Entry(record("未知局")).Draft.Resource.Provider, second.Entry(record("未知局")).Draft.Resource.Provider
	if a != b || !a.Valid() {
		t.Errorf("%s and %s", a, b)
	}
	if d := first.Departments(); len(d) != 1 || d[0].Name != "未知局（合成）" || d[0].Division != "440300" || d[0].ID != a {
		t.Errorf("departments %+v", d)
	}
}

func TestMappingFilesThatAreWrongSayWhatIs(t *testing.T) {
	for name, tc := range map[string]struct{ yaml, says string }{
		"a key unknown":       {"fields: {name: {form: x}}", "field form not found"},
		"a key twice":         {"name: a\nname: b", "already defined"},
		"a field unknown":     {"fields: {nmae: {from: x}}", "fields.nmae: unknown field"},
		"an item's field":     {"fields: {items.name: {from: x}}", "fields.items.name: unknown field"},
		"a table unknown":     {"fields: {name: {from: x, table: t}}", "fields.name.table: no table t"},
		"nothing to copy":     {"fields: {name: {table: t}}", "needs one of from and text"},
		"two things to copy":  {"fields: {name: {from: x, text: y}}", "needs one of from and text"},
		"a layout of no date": {"values: {d: {from: x, date: [yyyy-mm-dd]}}", "values.d.date[0]: not the layout of a date"},
		"no codes":            {"provider: {name: {from: x}, division: {text: '440000'}}", "neither codes nor synthetic"},
		"two providers":       {"fields: {provider: {from: x}}\nprovider: {synthetic: true}", "beside fields.provider"},
		"two documents":       {"name: a\n---\nname: b", "more than one document"},
		"not YAML":            {"a: [", "not understood"},
	} {
		if _, err := mapping.Read([]byte(tc.yaml)); bus.CodeOf(err) != bus.CodeInvalid || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %s", name, err, tc.says)
		}
	}
}

func FuzzMapping(f *testing.F) {
	f.Add([]byte(small), []byte(`{"id":"1","title":["a","b"],"date":"2023/6/16"}`))
	f.Add([]byte("fields: {name: {text: '{a}{', when: {a: [x]}}}"), []byte(`{"a":null}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, yaml, records []byte) {
		m, err := mapping.Read(yaml)
		if err != nil {
			if bus.CodeOf(err) != bus.CodeInvalid && bus.CodeOf(err) != bus.CodeTooLarge {
				t.Fatal(err)
			}
			return
		}
		path := filepath.Join(dir, "a.jsonl")
		if err := os.WriteFile(path, records, 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := catalogue.Open(path, catalogue.Options{Mapping: m})
		if err != nil {
			return
		}
		defer source.Close()
		for {
			e, err := source.Next()
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			if r := e.Draft.Resource; r.ID == "" && len(r.Codes) == 0 && !e.Has(catalogue.Refused) {
				t.Fatal("neither id nor code, and not refused")
			}
		}
	})
}
