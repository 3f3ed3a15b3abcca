package catalogue

import (
	"path/filepath"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Format is a form of a file of entries.
type Format string

// The formats.
const (
	XLSX  Format = "xlsx"
	CSV   Format = "csv"
	JSONL Format = "jsonl"
)

// FormatOf tells the format of a file by its name; "" where that does not.
func FormatOf(path string) Format {
	switch f := Format(strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))); f {
	case XLSX, CSV, JSONL:
		return f
	default:
		return ""
	}
}

// Options say how a file is read.
type Options struct {
	Format  Format  // by the file's name where empty
	Sheet   string  // of a workbook; 目录 or the first where empty
	Mapping Mapping // of a foreign list; nil for our own layout
}

// Mapping makes entries of foreign records.
type Mapping interface {
	Entry(Record) Entry
}

// Source yields the entries of a file.
type Source struct {
	entries interface {
		// read reads an entry, and leaves what can be done beside the reading of
		// others to the function that it returns.
		read() (func() Entry, error)
		Close() error
	}
}

// Open opens a file of entries. A file that cannot be used gives a *bus.Error
// of CodeInvalid or CodeTooLarge that says why.
func Open(path string, o Options) (*Source, error) {
	if o.Format == "" {
		o.Format = FormatOf(path)
	}
	if o.Format == JSONL {
		return openJSON(path, o)
	}
	t, err := openTable(path, o)
	if err != nil {
		return nil, err
	}
	if o.Mapping == nil {
		a, err := assemble(t)
		if err != nil {
			t.Close()
			return nil, err
		}
		return &Source{a}, nil
	}
	r, err := recordsOf(t)
	if err != nil {
		t.Close()
		return nil, err
	}
	return &Source{mapped{r, o.Mapping}}, nil
}

func openJSON(path string, o Options) (*Source, error) {
	l, err := openLines(path)
	if err != nil {
		return nil, err
	}
	if o.Mapping != nil {
		return &Source{mapped{jsonRecords{l}, o.Mapping}}, nil
	}
	return &Source{native{l}}, nil
}

func openTable(path string, o Options) (table, error) {
	switch o.Format {
	case XLSX:
		return openXLSX(path, o.Sheet)
	case CSV:
		return openCSV(path)
	default:
		return nil, unusable("format", bus.Text{ZH: "文件格式不支持：" + string(o.Format), EN: "not a format of entries: " + string(o.Format)}, "xlsx, csv, jsonl")
	}
}

// Next returns the next entry with all that is wrong with it, or io.EOF. Any
// other error ends the file there.
func (s *Source) Next() (Entry, error) {
	finish, err := s.Read()
	if err != nil {
		return Entry{}, err
	}
	return finish(), nil
}

// Read reads the next entry as Next does, and leaves what can be done beside the
// reading of others to the function that it returns.
func (s *Source) Read() (func() Entry, error) { return s.entries.read() }

// made is an entry of which nothing is left to do.
func made(e Entry, err error) (func() Entry, error) { return func() Entry { return e }, err }

// Close closes the file.
func (s *Source) Close() error { return s.entries.Close() }

func (a *assembler) read() (func() Entry, error) { return made(a.next()) }

// Close closes the assembler's table.
func (a *assembler) Close() error { return a.table.Close() }

// mapped makes entries of records.
type mapped struct {
	records
	mapping Mapping
}

func (m mapped) read() (func() Entry, error) { return made(m.entry()) }

func (m mapped) entry() (Entry, error) {
	r, err := m.records.next()
	if r == nil {
		return Entry{}, err
	}
	if err != nil {
		e := Entry{Row: r.Row, Rows: 1}
		e.broken(err)
		return e, nil
	}
	e := m.mapping.Entry(*r)
	e.Row, e.Rows = r.Row, 1
	return e, nil
}
