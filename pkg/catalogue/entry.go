package catalogue

import (
	"errors"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Entry is one catalogue entry of a file.
type Entry struct {
	Draft bus.Draft // its Resource and Clearance; what the bus sets itself is empty
	Row   int       // row or line of the file that it begins in, from 1
	Rows  int       // how many it takes
	Notes []Note

	itemRows []int
	headings map[string]string // of the file, by key; nil where it has none
}

// Place is where an entry stands in its file: what is needed to say later where
// a field of it is, without the entry.
type Place struct {
	row      int
	itemRows []int
	headings map[string]string
}

// Place returns where the entry stands.
func (e *Entry) Place() Place { return Place{e.Row, e.itemRows, e.headings} }

// Note makes a note about a field ("items[2].type") of the entry that stands here.
func (p Place) Note(k Kind, d bus.Defect) Note {
	row, column := p.locate(d.Field)
	return Note{k, row, column, d}
}

// Note says something about an entry, and where in the file that stands.
type Note struct {
	Kind   Kind   `json:"kind"`
	Row    int    `json:"row"`
	Column string `json:"column,omitempty"` // the file's heading or field
	bus.Defect
}

// Kind is the kind of a note.
type Kind string

// The kinds of notes.
const (
	Refused   Kind = "refused"   // a defect: the entry is not taken
	Mended    Kind = "mended"    // something was put right, and the entry taken
	Synthetic Kind = "synthetic" // a value that the file does not have was put in
	Lacking   Kind = "lacking"   // taken, and could not be submitted for want of this
)

// Has reports whether there is a note of a kind.
func (e *Entry) Has(k Kind) bool {
	for i := range e.Notes {
		if e.Notes[i].Kind == k {
			return true
		}
	}
	return false
}

// Note adds a note about a field.
func (e *Entry) Note(k Kind, d bus.Defect) { e.Notes = append(e.Notes, e.Place().Note(k, d)) }

// locate finds the cell that a field's path speaks of.
func (p Place) locate(path string) (row int, column string) {
	row = p.row
	key := strings.TrimPrefix(path, "resource.")
	if rest, ok := strings.CutPrefix(key, "items["); ok {
		number, after, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(p.itemRows) {
			row = p.itemRows[i]
		}
		key = "items" + after
	}
	key, _, _ = strings.Cut(key, "[")
	if p.headings == nil {
		return row, ""
	}
	for _, candidate := range []string{key, key + ".kind"} {
		if heading, ok := p.headings[candidate]; ok {
			return row, heading
		}
	}
	if c := columnOf(key); c != nil { // the file has no such column
		return row, c.heading.ZH
	}
	return row, ""
}

// check notes every defect of the entry that shows without the directory, but
// for fields that were not understood in the first place, and what it lacks for
// publication.
func (e *Entry) check() {
	known := map[string]bool{}
	for _, n := range e.Notes {
		known[n.Field] = known[n.Field] || n.Kind == Refused
	}
	r := e.Draft.Resource
	if r.ID == "" && len(r.Codes) == 0 && !known["codes"] {
		known["codes"] = true
		e.Note(Refused, bus.Defect{Field: "codes", Problem: bus.Text{ZH: "资源标识和信息资源代码不能都为空", EN: "without an id a code is required"}})
	}
	if r.ID == "" {
		r.ID = "x" // the bus will find or make it
	}
	defects := r.Check()
	if r.Secrecy != "" {
		if refusal, ok := errors.AsType[*bus.Error](r.Form()); ok {
			defects = append(defects, refusal.Defects...)
		}
	}
	for _, d := range defects {
		if !known[d.Field] && !known[withoutIndex(d.Field)] {
			e.Note(Refused, d)
			known[d.Field] = true
		}
	}
	for _, d := range (bus.Draft{Resource: r, Clearance: e.Draft.Clearance}).Gate() {
		if !known[d.Field] && !known[withoutIndex(d.Field)] {
			e.Note(Lacking, d)
		}
	}
}

// withoutIndex is the list that a path ends in, as "codes" of "codes[0]".
func withoutIndex(path string) string {
	list, _, _ := strings.Cut(path, "[")
	return list
}
