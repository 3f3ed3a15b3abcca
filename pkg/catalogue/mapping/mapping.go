// Package mapping reads the catalogues of others by a mapping file: which of
// their fields fills which of ours, what their words mean, and what is put in
// where they have nothing.
//
// Nothing is guessed. What a mapping cannot translate is refused, or replaced by
// the default that it names and counted as mended; what it makes up is named
// synthetic in every report.
package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
)

// Mapping is a mapping file.
type Mapping struct {
	file        file
	headings    map[string]string // our field → theirs
	departments departments
}

// file is the form of a mapping file.
type file struct {
	Name     string                        `yaml:"name"`   // of the list it reads
	Blank    []string                      `yaml:"blank"`  // words by which the list says nothing
	Tables   map[string]map[string]*string `yaml:"tables"` // their word → ours; a word without one is refused
	Values   map[string]rule               `yaml:"values"` // made once, for use in rules by name
	Fields   map[string]rule               `yaml:"fields"` // by keys of the catalogue's layout
	Items    items                         `yaml:"items"`
	Provider provider                      `yaml:"provider"`
}

// rule makes a value: it is copied from a field or written from a template, and
// then split, read as a date and translated, in this order.
type rule struct {
	From      string              `yaml:"from"`
	Text      string              `yaml:"text"`  // "{field}" stands for a field or a value
	Split     string              `yaml:"split"` // at any of these characters
	Date      []string            `yaml:"date"`  // Go layouts; the first is as it should be, another is mended
	Table     string              `yaml:"table"`
	First     bool                `yaml:"first"`   // of several values only the first
	Needed    bool                `yaml:"needed"`  // where there is nothing, the record is refused
	Default   *string             `yaml:"default"` // where there is nothing, or nothing that is known
	When      map[string][]string `yaml:"when"`    // only where every one of these fields or values is one of the words
	Synthetic bool                `yaml:"synthetic"`
}

// items are the items of every entry, by keys of the layout without "items.".
type items struct {
	Synthetic bool                `yaml:"synthetic"`
	List      []map[string]string `yaml:"list"`
}

// provider says whose an entry is.
type provider struct {
	Name      rule   `yaml:"name"`
	Division  rule   `yaml:"division"`
	Codes     string `yaml:"codes"`     // table: name → unified social credit code
	Synthetic bool   `yaml:"synthetic"` // a name without one gets a code that is made up
	Called    string `yaml:"called"`    // template of the department's name; {name} is the name
}

const maxFile = 1 << 20

// Read reads a mapping file in YAML. An error is a *bus.Error of CodeInvalid
// with every defect.
func Read(content []byte) (*Mapping, error) {
	if len(content) > maxFile {
		return nil, bus.E(bus.CodeTooLarge, bus.Defect{Field: "mapping", Problem: bus.Text{ZH: "映射文件过大", EN: "the mapping is too large"}, Allowed: "1 MiB"})
	}
	m := &Mapping{departments: departments{byCode: map[bus.USCC]bus.Department{}, codes: map[bus.Department]bus.USCC{}}}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	dec.KnownFields(true)
	if err := dec.Decode(&m.file); err != nil {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "mapping", Problem: bus.Text{ZH: "映射文件无法识别：" + oneLine(err), EN: "the mapping is not understood: " + oneLine(err)}})
	}
	if err := dec.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "mapping", Problem: bus.Text{ZH: "只能有一个文档", EN: "more than one document"}})
	}
	if err := bus.Invalid(m.file.check()); err != nil {
		return nil, err
	}
	m.headings = m.file.headings()
	return m, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// Name is what the mapping calls the list that it reads.
func (m *Mapping) Name() string { return m.file.Name }

// check returns every defect of the file.
func (f *file) check() []bus.Defect {
	var defects []bus.Defect
	refuse := func(at, zh, en, allowed string) {
		defects = append(defects, bus.Defect{Field: at, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	keys := catalogue.Keys()
	for _, name := range slices.Sorted(maps.Keys(f.Values)) {
		defects = append(defects, f.checkRule("values."+name, f.Values[name])...)
	}
	for _, key := range slices.Sorted(maps.Keys(f.Fields)) {
		if !slices.Contains(keys, key) || strings.HasPrefix(key, "items.") {
			refuse("fields."+key, "未知的字段", "unknown field", strings.Join(slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return strings.HasPrefix(k, "items.") }), ", "))
		}
		defects = append(defects, f.checkRule("fields."+key, f.Fields[key])...)
	}
	for i, item := range f.Items.List {
		for _, key := range slices.Sorted(maps.Keys(item)) {
			if !slices.Contains(keys, "items."+key) {
				refuse(fmt.Sprintf("items.list[%d].%s", i, key), "未知的信息项字段", "unknown field of an item", "name, id, english, type, length, grade, sharing, open, semantic, personal, source")
			}
		}
	}
	p := f.Provider
	switch {
	case !p.used():
	case f.Fields["provider"].used():
		refuse("provider", "与 fields.provider 只能有其一", "beside fields.provider", "one of them")
	default:
		defects = append(defects, f.checkRule("provider.name", p.Name)...)
		defects = append(defects, f.checkRule("provider.division", p.Division)...)
		if p.Codes == "" && !p.Synthetic {
			refuse("provider", "须有 codes 或 synthetic", "neither codes nor synthetic", "codes: TABLE, synthetic: true")
		}
		if p.Codes != "" && f.Tables[p.Codes] == nil {
			refuse("provider.codes", "没有表 "+p.Codes, "no table "+p.Codes, strings.Join(slices.Sorted(maps.Keys(f.Tables)), ", "))
		}
	}
	return defects
}

func (p provider) used() bool {
	return p.Name.used() || p.Division.used() || p.Codes != "" || p.Synthetic
}

func (r rule) used() bool { return r.From != "" || r.Text != "" || r.Default != nil }

func (f *file) checkRule(at string, r rule) []bus.Defect {
	var defects []bus.Defect
	refuse := func(where, zh, en, allowed string) {
		defects = append(defects, bus.Defect{Field: at + where, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	if (r.From == "") == (r.Text == "") {
		refuse("", "须有 from 和 text 之一", "needs one of from and text", "from: FIELD, text: TEMPLATE")
	}
	if r.Table != "" && f.Tables[r.Table] == nil {
		refuse(".table", "没有表 "+r.Table, "no table "+r.Table, strings.Join(slices.Sorted(maps.Keys(f.Tables)), ", "))
	}
	for i, layout := range r.Date {
		if _, err := time.Parse(layout, time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC).Format(layout)); err != nil || !strings.Contains(layout, "2006") {
			refuse(fmt.Sprintf(".date[%d]", i), "不是日期格式", "not the layout of a date", "2006-01-02, 2006/1/2, 2006年1月2日")
		}
	}
	return defects
}

// headings says which of their fields ours come from.
func (f *file) headings() map[string]string {
	h := map[string]string{}
	for name, r := range f.Values {
		h[name] = r.source()
	}
	resolve := func(r rule) string {
		if through, ok := h[r.source()]; ok {
			return through
		}
		return r.source()
	}
	for key, r := range f.Fields {
		h[key] = resolve(r)
	}
	if f.Provider.used() {
		h["provider"], h["provider.division"] = resolve(f.Provider.Name), resolve(f.Provider.Division)
	}
	return h
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// source names the fields that a rule reads, for people.
func (r rule) source() string { return strings.Join(r.reads(), ", ") }

// reads lists the fields and values that a rule reads.
func (r rule) reads() []string {
	if r.From != "" {
		return []string{r.From}
	}
	var names []string
	for _, p := range placeholder.FindAllString(r.Text, -1) {
		if name := p[1 : len(p)-1]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
