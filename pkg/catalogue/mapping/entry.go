package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
)

// Entry makes an entry of a record, with notes of what was refused, mended and
// made up.
func (m *Mapping) Entry(record catalogue.Record) catalogue.Entry {
	w := &work{m: m, record: record, values: map[string][]string{}, failed: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(m.file.Values)) {
		r := m.file.Values[name]
		made, ok := w.apply(name, r)
		if w.values[name] = made; ok && r.Synthetic {
			w.synthetic(name)
		}
	}
	var cells []catalogue.Cell
	for _, key := range slices.Sorted(maps.Keys(m.file.Fields)) {
		r := m.file.Fields[key]
		made, ok := w.apply(key, r)
		if !ok || len(made) == 0 {
			continue
		}
		if r.Synthetic {
			w.synthetic(key)
		}
		cells = append(cells, catalogue.Cell{Key: key, Text: w.one(key, made)})
	}
	if m.file.Provider.used() {
		if code, ok := w.provider(); ok {
			cells = append(cells, catalogue.Cell{Key: "provider", Text: string(code)})
		}
	}
	e := catalogue.Assemble(record.Row, cells, w.items(), m.headings)
	w.finish(&e)
	return e
}

// work is the making of one entry.
type work struct {
	m      *Mapping
	record catalogue.Record
	values map[string][]string
	failed map[string]bool // values and fields that were refused, or need one that was
	notes  []note
}

type note struct {
	kind catalogue.Kind
	bus.Defect
}

// finish puts the mapping's notes before those of the form. A field that was
// refused is not also wanting.
func (w *work) finish(e *catalogue.Entry) {
	form := slices.DeleteFunc(e.Notes, func(n catalogue.Note) bool { return w.failed[n.Field] })
	e.Notes = nil
	for _, n := range w.notes {
		e.Note(n.kind, n.Defect)
	}
	e.Notes = append(e.Notes, form...)
}

func (w *work) note(kind catalogue.Kind, field, zh, en, allowed string) {
	w.failed[field] = w.failed[field] || kind == catalogue.Refused
	w.notes = append(w.notes, note{kind, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed}})
}

func (w *work) synthetic(field string) {
	w.note(catalogue.Synthetic, field, "合成值：来源没有此项", "synthetic: the source does not have it", "")
}

// lookup gives what stands under a name: a value, else a field of the record,
// without blanks.
func (w *work) lookup(name string) []string {
	if made, ok := w.values[name]; ok {
		return made
	}
	var kept []string
	for _, text := range w.record.Fields[name] {
		if text = strings.TrimSpace(text); text != "" && !slices.Contains(w.m.file.Blank, text) {
			kept = append(kept, text)
		}
	}
	return kept
}

// apply makes the values of a rule. ok is false where the rule does not apply or
// its value was refused.
func (w *work) apply(at string, r rule) (made []string, ok bool) {
	for name, words := range r.When {
		if !slices.ContainsFunc(w.lookup(name), func(text string) bool { return slices.Contains(words, text) }) {
			return nil, false
		}
	}
	if slices.ContainsFunc(r.reads(), func(name string) bool { return w.failed[name] }) {
		w.failed[at] = true
		return nil, false
	}
	if r.From != "" {
		made = w.lookup(r.From)
	} else if text := w.fill(r.Text); text != "" {
		made = []string{text}
	}
	if r.Split != "" {
		made = split(made, r.Split)
	}
	if len(made) == 0 {
		if r.Default == nil && r.Needed {
			w.note(catalogue.Refused, at, "来源为空", "empty at the source", "")
			return nil, false
		}
		if r.Default == nil {
			return nil, true
		}
		w.note(catalogue.Mended, at, "来源为空，按缺省值 "+*r.Default, "empty at the source; the default "+*r.Default+" was taken", "")
		return []string{*r.Default}, true
	}
	result := make([]string, 0, len(made))
	for _, text := range made {
		text, ok := w.translate(at, r, text)
		if !ok {
			return nil, false
		}
		if !slices.Contains(result, text) {
			result = append(result, text)
		}
	}
	if r.First && len(result) > 1 {
		result = []string{w.first(at, result)}
	}
	return result, true
}

func split(texts []string, at string) []string {
	var parts []string
	for _, text := range texts {
		for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(at, r) }) {
			if part = strings.TrimSpace(part); part != "" {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

// translate reads a text as a date and looks it up, as the rule says.
func (w *work) translate(at string, r rule, text string) (string, bool) {
	if len(r.Date) > 0 {
		date, ok := w.date(at, r, text)
		if !ok {
			return "", false
		}
		text = date
	}
	if r.Table == "" {
		return text, true
	}
	table := w.m.file.Tables[r.Table]
	word, known := table[text]
	switch {
	case known && word != nil:
		return *word, true
	case known:
		w.note(catalogue.Refused, at, "映射表不接受："+brief(text), "the mapping refuses: "+brief(text), "")
		return "", false
	case r.Default != nil:
		w.note(catalogue.Mended, at, "映射表中没有 "+brief(text)+"，按缺省值 "+*r.Default, "the table has no "+brief(text)+"; the default "+*r.Default+" was taken", "")
		return *r.Default, true
	default:
		w.note(catalogue.Refused, at, "映射表中没有 "+brief(text), "the table has no "+brief(text), brief(strings.Join(slices.Sorted(maps.Keys(table)), ", ")))
		return "", false
	}
}

func (w *work) date(at string, r rule, text string) (string, bool) {
	for i, layout := range r.Date {
		date, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		plain := date.Format(time.DateOnly)
		if i > 0 {
			w.note(catalogue.Mended, at, "日期 "+brief(text)+" 改写为 "+plain, "the date "+brief(text)+" is written "+plain, "")
		}
		return plain, true
	}
	if r.Default != nil {
		w.note(catalogue.Mended, at, "日期无法识别："+brief(text)+"，按缺省值 "+*r.Default, "not a date: "+brief(text)+"; the default "+*r.Default+" was taken", "")
		return *r.Default, true
	}
	w.note(catalogue.Refused, at, "日期无法识别："+brief(text), "not a date: "+brief(text), strings.Join(r.Date, ", "))
	return "", false
}

// fill writes a template; it is empty where it has placeholders and none of
// them has anything.
func (w *work) fill(template string) string {
	placeholders, filled := 0, 0
	text := placeholder.ReplaceAllStringFunc(template, func(p string) string {
		placeholders++
		value := strings.Join(w.lookup(p[1:len(p)-1]), "；")
		if value != "" {
			filled++
		}
		return value
	})
	if placeholders > 0 && filled == 0 {
		return ""
	}
	return text
}

// lists are the fields that take several values.
var lists = []string{"codes", "modes", "sharing.purposes", "matters", "related"}

// one makes the text of a cell. A field that takes one value gets the first.
func (w *work) one(key string, made []string) string {
	if len(made) == 1 {
		return made[0]
	}
	if slices.Contains(lists, key) {
		return strings.Join(made, "；")
	}
	return w.first(key, made)
}

func (w *work) first(at string, made []string) string {
	w.note(catalogue.Mended, at, fmt.Sprintf("来源有 %d 个值，取第一个 %s", len(made), brief(made[0])),
		fmt.Sprintf("%d values at the source; the first, %s, was taken", len(made), brief(made[0])), "")
	return made[0]
}

func (w *work) items() [][]catalogue.Cell {
	list := w.m.file.Items
	if len(list.List) > 0 && list.Synthetic {
		w.synthetic("items")
	}
	made := make([][]catalogue.Cell, len(list.List))
	for i, item := range list.List {
		for _, key := range slices.Sorted(maps.Keys(item)) {
			if text := w.fill(item[key]); text != "" {
				made[i] = append(made[i], catalogue.Cell{Key: "items." + key, Text: text})
			}
		}
	}
	return made
}

func brief(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return text
}
