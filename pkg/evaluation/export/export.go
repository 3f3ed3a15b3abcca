// Package export writes an evaluation report for those who read it: as a workbook
// whose formulas can be followed, as CSV, as a page that prints well on A4, and as
// the signed JSON itself. It is pure: a report in, bytes out. All forms say the same
// and carry what the report rests on and its signature; the workbook holds the
// signed report too, so that an edited cell is found by comparing ([Workbook.Check]).
package export

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// Format names a form that a report is exported in.
type Format string

// The formats.
const (
	JSON Format = "json" // the signed report, see evaluation.ReportSchema
	XLSX Format = "xlsx" // ECMA-376 workbook
	CSV  Format = "csv"  // RFC 4180, UTF-8 with a byte order mark
	HTML Format = "html" // one file without script
)

var formats = []Format{JSON, XLSX, CSV, HTML}

// Formats lists the formats.
func Formats() []Format { return slices.Clone(formats) }

// FormatOf gives the format of a file by the end of its name; "" for an unknown one.
func FormatOf(path string) Format {
	f := Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), "."))
	if !slices.Contains(formats, f) {
		return ""
	}
	return f
}

// MediaType is what an HTTP answer in f is labelled.
func (f Format) MediaType() string {
	switch f {
	case JSON:
		return "application/json"
	case XLSX:
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case HTML:
		return "text/html; charset=utf-8"
	}
	return ""
}

// Write writes r to w, in words of lang. CodeInvalid where the format is none, or r
// does not hold together.
func Write(w io.Writer, r evaluation.Report, f Format, lang bus.Lang) error {
	if !slices.Contains(formats, f) {
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field: "format", Problem: bus.Text{ZH: "导出格式不支持：" + string(f), EN: "not a format of exports: " + string(f)}, Allowed: "json, xlsx, csv, html",
		})
	}
	if f == JSON {
		data, err := r.Encode()
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}
	v, err := newView(r, lang)
	if err != nil {
		return err
	}
	switch f {
	case XLSX:
		err = writeWorkbook(w, v)
	case CSV:
		err = writeCSV(w, v)
	case HTML:
		err = writeHTML(w, v)
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", f, err)
	}
	return nil
}
