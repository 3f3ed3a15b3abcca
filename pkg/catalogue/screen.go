package catalogue

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Limits of a workbook. Every byte of it is unpacked once and thrown away
// before a parser sees any, so that what it claims of itself need not be true.
const (
	maxParts     = 512
	maxSheets    = 32
	maxUnpacked  = 1 << 30  // bytes of all parts
	maxOtherPart = 64 << 20 // of parts that a parser keeps in memory
	inMemory     = 4 << 20  // larger sheets and string tables are kept on disk
	maxFormulas  = 10_000
)

// screened is what is known of a workbook that may be parsed.
type screened struct {
	formulas map[string]map[string]bool // sheet's part → cell
}

// screen looks through a workbook for what would hurt: parts that unpack
// without end, sheets of a million columns, links to elsewhere, macros. It
// finds the cells that are formulas; what they last came to is not a value.
func screen(archive *zip.Reader) (*screened, error) {
	s := &screened{formulas: map[string]map[string]bool{}}
	if len(archive.File) > maxParts {
		return nil, bomb()
	}
	sheets, unpacked, others := 0, int64(0), int64(0)
	for _, part := range archive.File {
		name := strings.ToLower(strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(part.Name, `\`, "/")), "/"))
		if err := screenName(name); err != nil {
			return nil, err
		}
		content, err := part.Open()
		if err != nil {
			return nil, notXLSX(err)
		}
		left := min(maxUnpacked-unpacked, maxOtherPart-others)
		sheet := strings.HasPrefix(name, "xl/worksheets/") && strings.HasSuffix(name, ".xml")
		large := sheet || name == "xl/sharedstrings.xml"
		if large {
			left = maxUnpacked - unpacked
		}
		counted := &counter{r: content, left: left}
		if sheet {
			sheets++
			s.formulas[name], err = scanSheet(counted)
		} else {
			_, err = io.Copy(io.Discard, counted)
		}
		content.Close()
		if err != nil {
			return nil, notXLSX(err)
		}
		unpacked += counted.n
		if !large {
			others += counted.n
		}
	}
	if sheets > maxSheets {
		return nil, unusable("", bus.Text{ZH: "工作表过多", EN: "too many sheets"}, fmt.Sprint("≤ ", maxSheets))
	}
	return s, nil
}

func screenName(name string) error {
	switch {
	case strings.HasPrefix(name, "xl/externallinks/"):
		return unusable("", bus.Text{ZH: "工作簿含有外部链接", EN: "the workbook links to others"}, "values: paste them without their formulas")
	case strings.HasSuffix(name, "vbaproject.bin"):
		return unusable("", bus.Text{ZH: "工作簿含有宏", EN: "the workbook has macros"}, ".xlsx")
	}
	return nil
}

func bomb() error {
	return bus.E(bus.CodeTooLarge, bus.Defect{Problem: bus.Text{ZH: "工作簿解压后过大", EN: "the workbook is too large once unpacked"}, Allowed: "1 GiB"})
}

// notXLSX is the error of a file that no workbook can be made of.
func notXLSX(err error) error {
	if _, ours := errors.AsType[*bus.Error](err); ours {
		return err
	}
	return bus.E(bus.CodeInvalid, bus.Defect{Problem: bus.Text{ZH: "不是 XLSX 工作簿", EN: "not an XLSX workbook"}, Allowed: ".xlsx (Office Open XML)"}).Because(err)
}

// counter counts what is read, and stops a part that goes on too long.
type counter struct {
	r       io.Reader
	n, left int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.n > c.left {
		return n, bomb()
	}
	return n, err
}

// scanSheet reads the tags of a sheet's part: rows, cells, formulas.
func scanSheet(r io.Reader) (map[string]bool, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	formulas := map[string]bool{}
	cell, cells, text := "", 0, 0
	for {
		n, err := skipTo(in, '<')
		if text += n; text > 8*maxCell { // of one cell: what it holds is kept whole by a parser
			return nil, bus.E(bus.CodeTooLarge, bus.Defect{Field: cell, Problem: bus.Text{ZH: "单元格过长", EN: "the cell is too long"}, Allowed: fmt.Sprint("≤ ", maxCell)})
		}
		if errors.Is(err, io.EOF) {
			return formulas, nil
		}
		if err != nil {
			return nil, err
		}
		tag, err := in.ReadSlice('>')
		if err != nil {
			return nil, notXLSX(err)
		}
		switch name, attributes := tagName(tag); string(name) {
		case "row":
			cells = 0
		case "c":
			if cells++; cells > maxColumns {
				return nil, bus.E(bus.CodeTooLarge, bus.Defect{Field: cell, Problem: bus.Text{ZH: "列过多", EN: "too many columns"}, Allowed: fmt.Sprint("≤ ", maxColumns)})
			}
			cell, text = reference(attributes), 0
		case "f":
			if formulas[cell] = true; len(formulas) > maxFormulas {
				return nil, unusable(cell, bus.Text{ZH: "公式过多", EN: "too many formulas"}, "values: paste them without their formulas")
			}
		}
	}
}

// skipTo reads past the next delimiter and returns how many bytes came before.
func skipTo(in *bufio.Reader, delimiter byte) (int, error) {
	n := 0
	for {
		part, err := in.ReadSlice(delimiter)
		n += len(part)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, err
		}
	}
}

// tagName splits an opening tag into its name, without a prefix, and the rest.
func tagName(tag []byte) (name, attributes []byte) {
	end := bytes.IndexAny(tag, " \t\r\n/>")
	if end < 0 {
		return nil, nil
	}
	name = tag[:end]
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	return name, tag[end:]
}

func reference(attributes []byte) string {
	_, after, ok := bytes.Cut(attributes, []byte(` r="`))
	if !ok {
		return ""
	}
	cell, _, _ := bytes.Cut(after, []byte(`"`))
	return string(cell)
}

// sheetPart finds the part that a sheet of the workbook is kept in.
func sheetPart(archive *zip.Reader, sheet string) (string, error) {
	var book struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
			ID   string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
		} `xml:"sheets>sheet"`
	}
	var links struct {
		Links []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:"Target,attr"`
		} `xml:"Relationship"`
	}
	if err := errors.Join(readPart(archive, "xl/workbook.xml", &book), readPart(archive, "xl/_rels/workbook.xml.rels", &links)); err != nil {
		return "", notXLSX(err)
	}
	for _, s := range book.Sheets {
		if s.Name != sheet {
			continue
		}
		for _, l := range links.Links {
			if l.ID == s.ID {
				target := l.Target
				if !strings.HasPrefix(target, "/") {
					target = "/xl/" + target
				}
				return strings.ToLower(strings.TrimPrefix(path.Clean(target), "/")), nil
			}
		}
	}
	return "", notXLSX(fmt.Errorf("no part of sheet %q", sheet))
}

func readPart(archive *zip.Reader, name string, value any) error {
	part, err := archive.Open(name)
	if err != nil {
		return err
	}
	defer part.Close()
	return xml.NewDecoder(io.LimitReader(part, maxOtherPart)).Decode(value)
}
