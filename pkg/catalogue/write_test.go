package catalogue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/xuri/excelize/v2"
)

func TestASheetSaysWhatItCannotHold(t *testing.T) {
	for name, text := range map[string]string{"a carriage return": "a\rb", "an escape": "a\x1bb", "blank": "  ", "too long": strings.Repeat("长", 40_000)} {
		d := bus.Draft{Resource: bus.Resource{Codes: []bus.ResourceCode{"301001/1"}, Provider: provider, Name: "名", Abstract: text, Items: []bus.Item{{ID: "a"}}}}
		for format, want := range map[catalogue.Format]bool{catalogue.CSV: false, catalogue.XLSX: false, catalogue.JSONL: true} {
			w, err := catalogue.NewWriter(&bytes.Buffer{}, format, bus.Chinese, nil)
			if err != nil {
				t.Fatal(err)
			}
			if exact, err := w.Write(d); err != nil || exact != want {
				t.Errorf("%s in %s: exact %v, %v", name, format, exact, err)
			}
		}
	}
}

func TestDCATIsOfWhatIsOpen(t *testing.T) {
	var out bytes.Buffer
	w := catalogue.NewDCATWriter(&out, catalogue.Public{Base: "https://data.example", Title: `开放"目录"`, Departments: map[bus.USCC]string{provider: "样例局"}})
	r := bus.Resource{
		ID: "a", Codes: []bus.ResourceCode{"301001/1", "102001/1"}, Name: "名\"</script>", Abstract: "摘要", Provider: provider, Contact: "13800000000", Subtype: "xlsx", Open: "yes",
		UpdateCycle: "daily", Modes: []string{"file", "interface"}, Version: 3, Published: time.Date(2026, 1, 2, 16, 0, 0, 0, time.UTC),
		Items: []bus.Item{{ID: "x", Name: "开放项", Open: true}, {ID: "y", Name: "内部项"}},
	}
	closed, conditional := r, r
	closed.ID, closed.Open = "b", "no"
	conditional.ID, conditional.Open, conditional.OpenTerms, conditional.Subtype = "c", "conditional", "实名申请", "其他"
	for _, one := range []bus.Resource{r, closed, conditional} {
		if _, err := w.Write(bus.Draft{Resource: one}); err != nil {
			t.Fatal(err)
		}
	}
	draft := r
	draft.ID, draft.Version = "d", 0
	_, err := w.Write(bus.Draft{Resource: draft})
	if refusal, ok := errors.AsType[*bus.Error](err); !ok || refusal.Code != bus.CodeInvalid || refusal.Defects[0].Field != "version" {
		t.Errorf("a draft is written as open data: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var c struct {
		Context map[string]string `json:"@context"`
		Type    string            `json:"@type"`
		Title   map[string]string `json:"dct:title"`
		Sets    []map[string]any  `json:"dcat:dataset"`
	}
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if c.Type != "dcat:Catalog" || c.Title["@value"] != `开放"目录"` || len(c.Sets) != 2 {
		t.Fatalf("got %s", out.String())
	}
	checkTerms(t, c.Context, c.Sets)
	open, terms := c.Sets[0], c.Sets[1]
	for path, want := range map[string]any{
		"@id": "https://data.example/resources/a", "@type": "dcat:Dataset", "dct:title.@language": "zh", "dcat:version": "3",
		"dct:issued.@type": "xsd:dateTime", "dct:issued.@value": "2026-01-03T00:00:00+08:00", "dct:publisher.dct:identifier": string(provider),
		"dct:accrualPeriodicity.@id": "http://publications.europa.eu/resource/authority/frequency/DAILY",
		"dct:accessRights.@id":       "http://publications.europa.eu/resource/authority/access-right/PUBLIC",
	} {
		if got := at(open, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if got := at(terms, "dct:accessRights.@id"); got != "http://publications.europa.eu/resource/authority/access-right/RESTRICTED" {
		t.Errorf("conditional: %v", got)
	}
	if n := len(open["dcat:distribution"].([]any)); n != 2 {
		t.Errorf("%d distributions", n)
	}
	if strings.Contains(out.String(), "内部项") || strings.Contains(out.String(), "13800000000") || !strings.Contains(out.String(), "开放项") {
		t.Error("an item that is not open, or a contact, was published")
	}
}

func at(node any, path string) any {
	for _, key := range strings.Split(path, ".") {
		object, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = object[key]
	}
	return node
}

// checkTerms wants every key to be a keyword of JSON-LD or a term with a prefix
// of the context, every node a type or a reference, and every reference absolute.
func checkTerms(t *testing.T, context map[string]string, node any) {
	t.Helper()
	switch node := node.(type) {
	case []map[string]any:
		for _, n := range node {
			checkTerms(t, context, n)
		}
	case []any:
		for _, n := range node {
			checkTerms(t, context, n)
		}
	case map[string]any:
		for key, value := range node {
			prefix, _, term := strings.Cut(key, ":")
			if _, known := context[prefix]; !(term && known) && key != "@id" && key != "@type" && key != "@value" && key != "@language" {
				t.Errorf("%s is no term of the context", key)
			}
			if id, ok := value.(string); ok && key == "@id" && !strings.HasPrefix(id, "http") {
				t.Errorf("the reference %q is not absolute", id)
			}
			checkTerms(t, context, value)
		}
	}
}

func TestAnAnnotatedFileCanBeCorrectedAndReadAgain(t *testing.T) {
	content := head + "甲,301001/1,11440300999900011J,数据库,名称,name,C,,1,1,文件,是,每年,=SUM(A1)\n" + "乙,301001/2,11440300999900011J,数据库,名称,name,C,,1,无条件共享,文件,是,每年,\n"
	for _, format := range []catalogue.Format{catalogue.CSV, catalogue.XLSX} {
		path := file(t, "a.csv", content)
		if format == catalogue.XLSX { // annotated once already
			path = annotate(t, path, nil)
		}
		entries := read(t, path, catalogue.Options{})
		annotated := annotate(t, path, append(entries[0].Notes, entries[1].Notes...))
		book, err := excelize.OpenFile(annotated)
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		rows, err := book.GetRows("目录")
		if err != nil || len(rows) != 3 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if last := rows[0][len(rows[0])-1]; last != "原因" || len(rows[0]) != 15 {
			t.Errorf("headings %q", rows[0])
		}
		if why := rows[1][14]; !strings.Contains(why, "共享类型：") && !strings.Contains(why, "共享类型: 取值不允许：1（允许：无条件共享") {
			t.Errorf("reason %q", why)
		}
		bad, _ := book.GetCellStyle("目录", "J2")
		good, _ := book.GetCellStyle("目录", "J3")
		if bad == good || bad == 0 {
			t.Error("the wrong cell is not coloured")
		}
		if notes, err := book.GetComments("目录"); err != nil || len(notes) != 1 || notes[0].Cell != "J2" {
			t.Errorf("notes %+v, %v", notes, err)
		}
		if err := errors.Join(book.SetCellStr("目录", "J2", "无条件共享"), book.Save()); err != nil {
			t.Fatal(err)
		}
		again := read(t, annotated, catalogue.Options{})
		if len(again) != 2 || len(refusals(again...)) > 0 || again[0].Draft.Resource.Abstract != "=SUM(A1)" {
			t.Errorf("corrected: %v", refusals(again...))
		}
	}
}

func annotate(t *testing.T, path string, notes []catalogue.Note) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "annotated.xlsx")
	out, err := os.Create(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(catalogue.Annotate(out, path, catalogue.Options{}, bus.Chinese, notes), out.Close()); err != nil {
		t.Fatal(err)
	}
	return target
}
