package catalogue

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Record is an entry of somebody else's list: named fields, each with one value
// or several.
type Record struct {
	Row    int // line or row, from 1
	Fields map[string][]string
}

// Text returns a field as one text: several values are joined by "；".
func (r Record) Text(field string) string { return strings.Join(r.Fields[field], "；") }

const maxLine = 1 << 20

var lineLimits = strictjson.Limits{}

// lines reads JSON Lines.
type lines struct {
	file   *os.File
	in     *bufio.Reader
	number int
}

func openLines(path string) (*lines, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &lines{file: file, in: bufio.NewReaderSize(file, maxLine)}, nil
}

// next returns the next line that is not blank; it is good until the next call.
func (l *lines) next() ([]byte, error) {
	for {
		line, err := l.in.ReadSlice('\n')
		l.number++
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, bus.E(bus.CodeTooLarge, bus.Defect{Field: fmt.Sprintf("line %d", l.number), Problem: bus.Text{ZH: "一行过长", EN: "a line is too long"}, Allowed: "1 MiB"})
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return nil, unusable(fmt.Sprintf("line %d", l.number), bus.Text{ZH: "含有 NUL 字节，不是文本文件", EN: "holds NUL bytes: not a text file"}, "JSON Lines")
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
		if err != nil {
			return nil, io.EOF
		}
	}
}

func (l *lines) Close() error { return l.file.Close() }

// native reads entries in the bus's own form.
type native struct{ *lines }

// read reads a line, and makes an entry of it in the function that it returns.
func (n native) read() (func() Entry, error) {
	line, err := n.lines.next()
	if err != nil {
		return nil, err
	}
	text, number := bytes.Clone(line), n.number
	return func() Entry {
		e := Entry{Row: number, Rows: 1}
		var content bus.DraftContent
		if err := strictjson.Decode(text, lineLimits, &content); err != nil {
			e.broken(err)
			return e
		}
		e.Draft.Resource, e.Draft.Clearance = content.Resource, content.Clearance
		e.unset()
		e.check()
		return e
	}, nil
}

// unset takes away what the bus sets itself.
func (e *Entry) unset() {
	r := &e.Draft.Resource
	r.Version, r.Revision, r.Published = 0, 0, bus.Resource{}.Published
}

// broken notes why a line could not be read.
func (e *Entry) broken(err error) {
	problem, ok := errors.AsType[*bus.Error](err)
	if !ok {
		problem = bus.E(bus.CodeMalformedJSON)
	}
	for _, d := range problem.Defects {
		e.Note(Refused, d)
	}
	if len(problem.Defects) == 0 {
		e.Note(Refused, bus.Defect{Problem: problem.Code.Text()})
	}
}

// records yields the records of a foreign list. A record that cannot be read
// comes with the error why; an error without a record ends the list.
type records interface {
	next() (*Record, error)
	Close() error
}

// jsonRecords reads flat JSON objects, one a line.
type jsonRecords struct{ *lines }

func (j jsonRecords) next() (*Record, error) {
	text, err := j.lines.next()
	if err != nil {
		return nil, err
	}
	r := &Record{Row: j.number, Fields: map[string][]string{}}
	if err := strictjson.Check(text, lineLimits); err != nil {
		return r, err
	}
	if strictjson.Kind(text) != '{' {
		return r, unusable("", bus.Text{ZH: "不是 JSON 对象", EN: "not a JSON object"}, "{…}")
	}
	for name, value := range strictjson.Members(text) {
		if strictjson.Kind(value) != '[' {
			r.Fields[name], err = appendScalar(nil, name, value)
		}
		for _, element := range strictjson.Elements(value) {
			if err == nil {
				r.Fields[name], err = appendScalar(r.Fields[name], name, element)
			}
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func appendScalar(values []string, name string, value json.RawMessage) ([]string, error) {
	switch strictjson.Kind(value) {
	case '"':
		text, _ := strictjson.Text(value)
		return append(values, text), nil
	case '0', 't':
		return append(values, strings.TrimSpace(string(value))), nil
	case 'n':
		return values, nil
	default:
		return values, unusable(name, bus.Text{ZH: "值不是文本、数字或其列表", EN: "neither text nor number, nor a list of them"}, "a flat object")
	}
}

// tableRecords reads the rows of a table under a row of field names.
type tableRecords struct {
	table
	names []string
}

func recordsOf(t table) (*tableRecords, error) {
	r, err := t.next()
	if errors.Is(err, io.EOF) {
		return nil, unusable("", bus.Text{ZH: "文件中没有内容", EN: "the file holds nothing"}, "")
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, name := range r.cells {
		if r.cells[i] = strings.TrimSpace(name); r.cells[i] != "" && seen[r.cells[i]] {
			return nil, unusable(cellName(i, r.number), bus.Text{ZH: "列重复：" + brief(name), EN: "the column is there twice: " + brief(name)}, "each column once")
		}
		seen[r.cells[i]] = true
	}
	return &tableRecords{t, r.cells}, nil
}

func (t *tableRecords) next() (*Record, error) {
	for {
		line, err := t.table.next()
		if err != nil {
			return nil, err
		}
		r := &Record{Row: line.number, Fields: map[string][]string{}}
		for i, cell := range line.cells {
			if cell = strings.TrimSpace(cell); cell != "" && i < len(t.names) && t.names[i] != "" {
				r.Fields[t.names[i]] = []string{cell}
			}
		}
		if len(line.faults) > 0 {
			return r, bus.Invalid(t.defects(line))
		}
		if len(r.Fields) > 0 {
			return r, nil
		}
	}
}

func (t *tableRecords) defects(line row) []bus.Defect {
	var defects []bus.Defect
	for _, f := range line.faults {
		if f.cell >= 0 && f.cell < len(t.names) {
			f.Field = t.names[f.cell]
		}
		defects = append(defects, f.Defect)
	}
	return defects
}
