package state

import (
	"iter"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Library returns a library.
func (t *Tx) Library(id bus.LibraryID) (bus.Library, bool) {
	return read[bus.Library](t, Libraries, string(id))
}

// Libraries yields all libraries by id.
func (t *Tx) Libraries() iter.Seq[bus.Library] { return all[bus.Library](t, Libraries) }

// InLibrary yields the resources in force that belong to a library, each once.
func (t *Tx) InLibrary(l bus.Library) iter.Seq[bus.Resource] {
	return func(yield func(bus.Resource) bool) {
		found := map[bus.ResourceID]bool{}
		cursor := t.tx.Bucket([]byte(Codes)).Cursor()
		for code, id := cursor.Seek([]byte(l.Prefix)); code != nil && strings.HasPrefix(string(code), l.Prefix); code, id = cursor.Next() {
			if found[bus.ResourceID(id)] {
				continue
			}
			r, ok := t.Resource(bus.ResourceID(id))
			if !ok || !l.Holds(r.Codes) { // a draft's, or one withdrawn
				continue
			}
			if found[r.ID] = true; !yield(r) {
				return
			}
		}
	}
}

// planLibraryPut sets a theme, or who leads one of the base libraries.
func planLibraryPut(tx *Tx, r request[bus.Library]) ([]Change, error) {
	l := r.body
	l.Resources, l.Revision = 0, r.index
	have, _ := tx.Library(l.ID)
	var defects []bus.Defect
	switch {
	case have.Kind == bus.LibraryBase:
		if l.Kind != have.Kind || l.Name != have.Name || l.Prefix != have.Prefix {
			defects = append(defects, bus.Defect{Field: "id", Problem: bus.Text{ZH: "基础库只能变更牵头部门", EN: "of a base library only the lead changes"}})
		}
	default:
		defects = l.Check()
		if slices.ContainsFunc(defects, func(d bus.Defect) bool { return d.Field == "prefix" }) {
			break // what is no prefix overlaps with nothing
		}
		for other := range tx.Libraries() {
			if other.ID != l.ID && l.Overlaps(other) {
				defects = append(defects, bus.Defect{
					Field: "prefix", Problem: bus.Text{ZH: "与 " + string(other.ID) + " 的前缀 " + other.Prefix + " 重叠", EN: "overlaps with " + other.Prefix + " of " + string(other.ID)},
				})
			}
		}
	}
	if _, ok := tx.Department(l.Lead); l.Lead != "" && !ok {
		defects = append(defects, unknown("lead", string(l.Lead)))
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if err := expect(r.Expect, have.Revision, "library", string(l.ID)); err != nil {
		return nil, err
	}
	return set(Libraries, string(l.ID), l)
}

func planLibraryDelete(tx *Tx, r request[command.Key]) ([]Change, error) {
	have, ok := tx.Library(bus.LibraryID(r.body.ID))
	if !ok {
		return nil, bus.NotFound("library", r.body.ID)
	}
	if err := expect(r.Expect, have.Revision, "library", r.body.ID); err != nil {
		return nil, err
	}
	if have.Kind == bus.LibraryBase {
		return nil, inUse("library", "发改高技〔2017〕1272号")
	}
	return []Change{{Libraries, r.body.ID, nil}}, nil
}
