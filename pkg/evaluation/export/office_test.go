package export_test

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
)

// The tests here need LibreOffice, Chromium and poppler; `make test-office` installs
// and runs them, and leaves the pictures in GXBUS_OFFICE for somebody to look at.

func officeFolder(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("GXBUS_OFFICE")
	if folder == "" {
		t.Skip("needs LibreOffice and Chromium: make test-office")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestOfficeCalculatesTheFiguresAnew(t *testing.T) {
	folder := officeFolder(t)
	r := sample(t)
	for _, c := range []struct {
		name   string
		edit   func(*excelize.File) error
		edited string
	}{
		{"report", func(*excelize.File) error { return nil }, ""},
		{"edited", func(b *excelize.File) error { return b.SetCellValue("C1 答复及时率", "D4", 1) }, "汇总!F7"},
	} {
		book := open(t, written(t, r, export.XLSX, bus.Chinese))
		path := filepath.Join(t.TempDir(), c.name+".xlsx")
		if err := errors.Join(c.edit(book), book.SaveAs(path)); err != nil {
			t.Fatal(err)
		}
		out := t.TempDir()
		office(t, "--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", out, path)
		saved, err := os.ReadFile(filepath.Join(out, c.name+".xlsx"))
		if err != nil {
			t.Fatal(err)
		}
		if err := checked(t, saved); field(err) != c.edited { // the summary comes first, and follows the numerator
			t.Errorf("%s: LibreOffice's figures differ at %q, want %q: %v", c.name, field(err), c.edited, err)
		}
	}
	large := filepath.Join(folder, "report.xlsx")
	if err := os.WriteFile(large, written(t, province(t), export.XLSX, bus.Chinese), 0o644); err != nil {
		t.Fatal(err)
	}
	const pages = `pdf:calc_pdf_Export:{"PageRange":{"type":"string","value":"1-3"}}` // of hundreds
	drawn := t.TempDir()
	office(t, "--convert-to", pages, "--outdir", drawn, large)
	picture(t, filepath.Join(drawn, "report.pdf"), filepath.Join(folder, "workbook"))
}

func TestChromiumShowsThePage(t *testing.T) {
	folder := officeFolder(t)
	for name, r := range map[string]evaluation.Report{"page": sample(t), "province": province(t)} {
		page, pdf := filepath.Join(folder, name+".html"), filepath.Join(folder, name+"-page.pdf")
		if err := os.WriteFile(page, written(t, r, export.HTML, bus.Chinese), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--user-data-dir="+t.TempDir(), "--print-to-pdf="+pdf, "file://"+page)
		picture(t, pdf, filepath.Join(folder, name+"-page"))
	}
}

// office runs LibreOffice with a profile that calculates every file anew.
func office(t *testing.T, args ...string) {
	t.Helper()
	profile := t.TempDir()
	settings := `<?xml version="1.0" encoding="UTF-8"?><oor:items xmlns:oor="http://openoffice.org/2001/registry">` +
		`<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item></oor:items>`
	user := filepath.Join(profile, "user")
	if err := errors.Join(os.MkdirAll(user, 0o755), os.WriteFile(filepath.Join(user, "registrymodifications.xcu"), []byte(settings), 0o644)); err != nil {
		t.Fatal(err)
	}
	run(t, "soffice", append([]string{"-env:UserInstallation=file://" + profile, "--headless", "--norestore"}, args...)...)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// picture draws the first pages of a PDF, and wants something on the first.
func picture(t *testing.T, pdf, prefix string) {
	t.Helper()
	run(t, "pdftoppm", "-png", "-r", "80", "-f", "1", "-l", "3", pdf, prefix)
	names, err := filepath.Glob(prefix + "-*1.png")
	if err != nil || len(names) == 0 {
		t.Fatal("no picture of the first page", err)
	}
	file, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	drawn, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string]bool{}
	for x := range drawn.Bounds().Dx() {
		for y := range drawn.Bounds().Dy() {
			colours[fmt.Sprint(drawn.At(x, y))] = true
		}
	}
	if len(colours) < 20 {
		t.Errorf("%s shows next to nothing: %d colours", names[0], len(colours))
	}
}
