package catalogue

import (
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

// Note puts a note about a field ("items[2].type") where it stands in the file.
func (e *Entry) Note(k Kind, d bus.Defect) {
	row, column := e.locate(d.Field)
	e.Notes = append(e.Notes, Note{k, row, column, d})
}

// locate finds the cell that a field's path speaks of.
func (e *Entry) locate(path string) (row int, column string) {
	row = e.Row
	key := strings.TrimPrefix(path, "resource.")
	if rest, ok := strings.CutPrefix(key, "items["); ok {
		number, after, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(e.itemRows) {
			row = e.itemRows[i]
		}
		key = "items" + after
	}
	key, _, _ = strings.Cut(key, "[")
	if e.headings == nil {
		return row, ""
	}
	for _, candidate := range []string{key, key + ".kind"} {
		if heading, ok := e.headings[candidate]; ok {
			return row, heading
		}
	}
	if c := columnOf(key); c != nil { // the file has no such column
		return row, c.heading.ZH
	}
	return row, ""
}

// check notes every defect of the entry that shows without the directory, but
// for fields that were not understood in the first place.
func (e *Entry) check() {
	known := map[string]bool{}
	for _, n := range e.Notes {
		if n.Kind == Refused {
			known[n.Field] = true
		}
	}
	r := &e.Draft.Resource
	for _, d := range r.Check() {
		field, _, _ := strings.Cut(d.Field, "[")
		absent := d.Field == "id" && r.ID == "" // the bus will find or make it
		if !absent && !known[d.Field] && !known[field] {
			e.Note(Refused, d)
		}
	}
}
