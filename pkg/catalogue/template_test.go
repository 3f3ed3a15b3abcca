package catalogue_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/raced"
)

// filled is a template with one entry that is complete, as an editor has it open.
type filled struct {
	*excelize.File
	path     string
	headings []string
	lists    map[string]*excelize.DataValidation // by the letters of their column
}

func newFilled(t *testing.T, lang bus.Lang) filled {
	t.Helper()
	path := filepath.Join(t.TempDir(), "template.xlsx")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(catalogue.WriteTemplate(file, lang), file.Close()); err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	rows, err := book.GetRows("样例")
	if err != nil {
		t.Fatal(err)
	}
	f := filled{book, path, rows[0], map[string]*excelize.DataValidation{}}
	for i, cell := range rows[5] { // the second example begins there
		f.set(t, i, cell)
	}
	lists, err := book.GetDataValidations("目录")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		letters := strings.TrimRight(strings.Split(list.Sqref, ":")[0], "0123456789")
		f.lists[letters] = list
	}
	return f
}

// letters names the column with a number, from 0.
func letters(t *testing.T, column int) string {
	t.Helper()
	name, err := excelize.ColumnNumberToName(column + 1)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func (f filled) set(t *testing.T, column int, text string) {
	t.Helper()
	if err := f.SetCellStr("目录", letters(t, column)+"2", text); err != nil {
		t.Fatal(err)
	}
}

// with reads the entry with another text in one column.
func (f filled) with(t *testing.T, column int, text string) catalogue.Entry {
	t.Helper()
	at := letters(t, column) + "2"
	was, err := f.GetCellValue("目录", at)
	if err != nil {
		t.Fatal(err)
	}
	f.set(t, column, text)
	defer f.set(t, column, was)
	if err := f.SaveAs(f.path); err != nil {
		t.Fatal(err)
	}
	entries := read(t, f.path, catalogue.Options{})
	if len(entries) != 1 {
		t.Fatalf("%d entries", len(entries))
	}
	return entries[0]
}

// coded are the columns that take codes, as Keys names them; those of several are
// true.
var coded = map[string]bool{
	"class.1": false, "format": false, "items.type": false, "items.grade": false, "items.sharing": false, "items.open": false, "items.semantic": false,
	"items.personal": false, "items.source": false, "sharing.type": false, "sharing.purposes": true, "sharing.basis.kind": false, "modes": true,
	"open": false, "update_cycle": false, "network": false, "scenario": false,
}

func TestTheTemplateOffersWhatTheIntakeTakes(t *testing.T) {
	raced.Later(t)
	f := newFilled(t, bus.Chinese)
	codes := slices.Index(f.headings, "信息资源代码")
	for i, key := range catalogue.Keys() {
		list := f.lists[letters(t, i)]
		several, isCoded := coded[key]
		if isCoded != (list != nil) {
			t.Errorf("%s: a drop-down %v, want %v", key, list != nil, isCoded)
		}
		if list == nil {
			continue
		}
		style := map[bool]string{false: "stop", true: "information"}[several] // of several, others must pass
		if list.Type != "list" || list.ShowDropDown /* hides it */ || !list.AllowBlank || !list.ShowErrorMessage || *list.ErrorStyle != style ||
			list.Sqref != letters(t, i)+"2:"+letters(t, i)+"5000" {
			t.Errorf("%s: the drop-down is %+v", key, *list)
		}
		offered := strings.Split(strings.Trim(list.Formula1, `"`), ",")
		if key == "class.1" { // which the code must bear out, and whose names are not ours to refuse
			for n, word := range offered {
				f.set(t, codes, string(rune('1'+n))+"010010002/1")
				if refused := refusals(f.with(t, i, word)); len(refused) > 0 {
					t.Errorf("%s is offered %q and refused: %q", key, word, refused)
				}
			}
			if len(offered) != 3 {
				t.Errorf("%s is offered %q", key, offered)
			}
			continue
		}
		taken := map[string]string{}
		for _, word := range offered {
			e := f.with(t, i, word)
			if refused := refusals(e); len(refused) > 0 { // what the word makes needed may lack
				t.Errorf("%s is offered %q and refused: %q", key, word, refused)
			}
			if other, twice := taken[text(e.Draft)]; twice {
				t.Errorf("%s: %q is read as %q", key, word, other)
			}
			taken[text(e.Draft)] = word
		}
		if several {
			if refused := refusals(f.with(t, i, strings.Join(offered, "；"))); len(refused) > 0 {
				t.Errorf("%s takes not all at once: %q", key, refused)
			}
		}
		notes := f.with(t, i, "别的").Notes
		if len(notes) != 1 || notes[0].Kind != catalogue.Refused || notes[0].Column != f.headings[i] {
			t.Fatalf("%s takes what it is not offered: %+v", key, notes)
		}
		var accepted []string
		for one := range strings.SplitSeq(notes[0].Allowed, ", ") {
			name, _, _ := strings.Cut(one, " (")
			accepted = append(accepted, name)
		}
		if !slices.Equal(accepted, offered) {
			t.Errorf("%s takes %q and is offered %q", key, accepted, offered)
		}
	}
}

func TestEveryHeadingOfTheTemplateHasANote(t *testing.T) {
	for lang, required := range map[bus.Lang]string{bus.Chinese: "必填", bus.English: "required"} {
		f := newFilled(t, lang)
		for _, sheet := range []string{"目录", "样例"} {
			comments, err := f.GetComments(sheet)
			if err != nil {
				t.Fatal(err)
			}
			notes := map[string]string{}
			for _, c := range comments {
				notes[c.Cell] = c.Text
			}
			if len(notes) != len(f.headings) {
				t.Errorf("%s: %d notes of %d headings", sheet, len(notes), len(f.headings))
			}
			for i, heading := range f.headings {
				if notes[letters(t, i)+"1"] == "" {
					t.Errorf("%s: %s has no note", sheet, heading)
				}
			}
			if note := notes[letters(t, slices.Index(catalogue.Keys(), "name"))+"1"]; !strings.Contains(note, required) {
				t.Errorf("%s: the name's note is %q", sheet, note)
			}
		}
	}
}
