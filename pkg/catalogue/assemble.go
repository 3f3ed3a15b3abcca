package catalogue

import (
	"fmt"
	"io"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// row is a row of a table as it stands in the file.
type row struct {
	number int // from 1
	cells  []string
	faults []fault // cells that cannot be used, and why
}

type fault struct {
	cell int // -1: the whole row
	bus.Defect
}

// table yields the rows of a sheet or CSV file; io.EOF ends it. Any other error
// means that the file cannot be used.
type table interface {
	next() (row, error)
	Close() error
}

// assembler makes entries of the rows of our own layout.
type assembler struct {
	table    table
	columns  []*column         // by cell; nil is passed over
	headings map[string]string // by key
	ahead    *row              // read, and not yet of an entry
}

const (
	maxColumns  = 512
	maxItems    = 5000 // rows of an entry
	titleRows   = 10   // within which the headings are found
	fewHeadings = 3    // a row with as many known headings is theirs
)

// assemble finds the headings of a table.
func assemble(t table) (*assembler, error) {
	for range titleRows {
		r, err := t.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if knownHeadings(r) >= fewHeadings {
			return newAssembler(t, r)
		}
	}
	return nil, unusable("", bus.Text{ZH: "前 10 行中没有找到表头", EN: "no row of headings among the first 10"}, "gxbus resource template FILE.xlsx")
}

func newAssembler(t table, headings row) (*assembler, error) {
	a := &assembler{table: t, headings: map[string]string{}}
	var defects []bus.Defect
	for i, text := range headings.cells {
		c, known := byHeading[plainHeading(text)]
		switch {
		case plainHeading(text) == "":
		case !known:
			defects = append(defects, bus.Defect{Field: cellName(i, headings.number), Allowed: "gxbus resource template FILE.xlsx",
				Problem: bus.Text{ZH: "未知的列：" + brief(text), EN: "unknown column: " + brief(text)}})
		case c != nil && a.headings[c.key] != "":
			defects = append(defects, bus.Defect{Field: cellName(i, headings.number), Allowed: "each column once",
				Problem: bus.Text{ZH: "列重复：" + brief(text), EN: "the column is there twice: " + brief(text)}})
		case c != nil:
			a.headings[c.key] = strings.TrimSpace(text)
		}
		a.columns = append(a.columns, c)
	}
	return a, bus.Invalid(defects)
}

// cellName gives a cell as spreadsheets name it: B7.
func cellName(cell, row int) string {
	name := ""
	for n := cell + 1; n > 0; n = (n - 1) / 26 {
		name = string(rune('A'+(n-1)%26)) + name
	}
	return fmt.Sprintf("%s%d", name, row)
}

// next returns the next entry, or io.EOF.
func (a *assembler) next() (Entry, error) {
	first, err := a.filled()
	if err != nil {
		return Entry{}, err
	}
	b := a.begin(first)
	for {
		r, err := a.filled()
		if err == io.EOF {
			return b.end(), nil
		}
		if err != nil {
			return Entry{}, err
		}
		if a.begins(r, first) {
			a.ahead = &r
			return b.end(), nil
		}
		b.add(r)
	}
}

// filled returns the next row that is not blank.
func (a *assembler) filled() (row, error) {
	if a.ahead != nil {
		r := *a.ahead
		a.ahead = nil
		return r, nil
	}
	for {
		r, err := a.table.next()
		if err != nil {
			return row{}, err
		}
		if len(r.faults) > 0 {
			return r, nil
		}
		for i, cell := range r.cells {
			if i < len(a.columns) && a.columns[i] != nil && strings.TrimSpace(cell) != "" || i >= len(a.columns) && cell != "" {
				return r, nil
			}
		}
	}
}

// begins reports whether r is of another entry than the one that began with
// first: one that names its code, id or resource otherwise.
func (a *assembler) begins(r, first row) bool {
	for _, f := range r.faults {
		if f.cell < 0 {
			return true
		}
	}
	for i, cell := range r.cells {
		if i >= len(a.columns) || a.columns[i] == nil || strings.TrimSpace(cell) == "" {
			continue
		}
		switch a.columns[i].key {
		case "codes", "id", "name":
			if strings.TrimSpace(cell) != strings.TrimSpace(first.cell(i)) {
				return true
			}
		}
	}
	return false
}

func (r row) cell(i int) string {
	if i < len(r.cells) {
		return r.cells[i]
	}
	return ""
}

// building is an entry that grows row by row.
type building struct {
	*assembler
	entry   Entry
	place   place
	first   row
	dropped bool
}

func (a *assembler) begin(first row) *building {
	b := &building{assembler: a, first: first, entry: Entry{Row: first.number, headings: a.headings}}
	b.place.draft = &b.entry.Draft
	b.add(first)
	return b
}

// add takes a row: the resource's columns of the first, the item of each.
func (b *building) add(r row) {
	b.entry.Rows++
	for _, f := range r.faults {
		b.fault(r, f)
	}
	if b.entry.Rows > maxItems {
		if !b.dropped {
			b.dropped = true
			b.entry.Note(Refused, bus.Defect{Field: "items", Problem: bus.Text{ZH: "信息项过多", EN: "too many items"}, Allowed: fmt.Sprint("≤ ", maxItems)})
		}
		return
	}
	var item bus.Item
	var defects []bus.Defect
	has := false
	b.place.item = &item
	for i, text := range r.cells {
		if i >= len(b.columns) || b.columns[i] == nil || strings.TrimSpace(text) == "" || r.faulty(i) {
			continue
		}
		c := b.columns[i]
		has = has || c.ofItem()
		if !c.ofItem() && r.number != b.first.number {
			if strings.TrimSpace(text) != strings.TrimSpace(b.first.cell(i)) {
				b.entry.Notes = append(b.entry.Notes, Note{Refused, r.number, b.headings[c.key], contradicts(c.key, b.first.number)})
			}
			continue
		}
		if d := c.put(&b.place, text); d != nil {
			d.Field = c.key
			defects = append(defects, *d)
		}
	}
	if has {
		b.item(r.number, item)
	}
	for _, d := range defects {
		if rest, ok := strings.CutPrefix(d.Field, "items."); ok {
			d.Field = fmt.Sprintf("items[%d].%s", len(b.entry.itemRows)-1, rest)
		}
		b.entry.Note(Refused, d)
	}
}

func contradicts(key string, row int) bus.Defect {
	return bus.Defect{Field: key, Problem: bus.Text{
		ZH: fmt.Sprintf("与本资源首行（第 %d 行）不一致", row), EN: fmt.Sprintf("differs from the resource's first row, %d", row),
	}, Allowed: "the same, or blank"}
}

func (b *building) fault(r row, f fault) {
	n := Note{Kind: Refused, Row: r.number, Defect: f.Defect}
	if f.cell >= 0 && f.cell < len(b.columns) && b.columns[f.cell] != nil {
		n.Field, n.Column = b.columns[f.cell].key, b.headings[b.columns[f.cell].key]
	}
	b.entry.Notes = append(b.entry.Notes, n)
}

func (r row) faulty(cell int) bool {
	for _, f := range r.faults {
		if f.cell == cell {
			return true
		}
	}
	return false
}

// item adds an item; its English name is its id where it has no other.
func (b *building) item(number int, item bus.Item) {
	if id := bus.ItemID(strings.TrimSpace(item.English)); item.ID == "" && id.Valid() {
		item.ID, item.English = id, ""
	}
	b.entry.Draft.Resource.Items = append(b.entry.Draft.Resource.Items, item)
	b.entry.itemRows = append(b.entry.itemRows, number)
}

// end checks the whole entry.
func (b *building) end() Entry {
	r := &b.entry.Draft.Resource
	if len(r.Codes) > 0 && r.Codes[0].Valid() {
		parts := classOf(r.Codes[0])
		for i, stated := range b.place.class {
			if stated != "" && stated != parts[i] {
				b.entry.Note(Refused, bus.Defect{Field: fmt.Sprint("class.", i+1), Allowed: parts[i], Problem: bus.Text{
					ZH: "与信息资源代码不一致：" + brief(stated), EN: "does not agree with the code: " + brief(stated),
				}})
			}
		}
	}
	b.entry.check()
	return b.entry
}

// Cell is a value for a field of an entry, as a sheet would have it: in Chinese
// or the bus's own words, a list parted by semicolons. Key is one of [Keys].
type Cell struct{ Key, Text string }

// Assemble makes an entry of cells that stand in one row of a file: those of
// the resource, and those of each item. headings says where each field is from.
func Assemble(number int, resource []Cell, items [][]Cell, headings map[string]string) Entry {
	a := &assembler{headings: headings}
	fill := func(cells []Cell) row {
		r := row{number: number, cells: make([]string, len(cells))}
		a.columns = a.columns[:0]
		for i, c := range cells {
			r.cells[i] = c.Text
			a.columns = append(a.columns, columnOf(c.Key))
		}
		return r
	}
	b := a.begin(fill(resource))
	for _, item := range items {
		b.add(fill(item))
	}
	e := b.end()
	e.Rows = 1
	return e
}

// unusable is the error of a file.
func unusable(where string, problem bus.Text, allowed string) error {
	return bus.E(bus.CodeInvalid, bus.Defect{Field: where, Problem: problem, Allowed: allowed})
}
