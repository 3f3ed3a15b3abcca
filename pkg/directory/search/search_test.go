package search_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/search"
)

func TestWordsAreFound(t *testing.T) {
	w := newWorld(t)
	item := func(id, name, english string) bus.Item {
		return bus.Item{ID: bus.ItemID(id), Name: name, English: english, Type: "C", Grade: 1}
	}
	licence := resource(1, market, "食品经营许可信息", "许可证的发放、变更", item("LICENCE_NO", "许可编号", "Licence number"))
	registration := resource(2, market, "企业登记信息", "设立（含变更）登记，GDP统计之用", item("uscc", "统一社会信用代码", ""))
	births := resource(3, health, "出生医学证明", "Ｂｉｒｔｈ certificates", item("mother_name", "母亲姓名", ""))
	w.put(licence, registration, births)
	w.start().caughtUp()
	one, two, three := licence.ID, registration.ID, births.ID
	for q, want := range map[string][]bus.ResourceID{
		"许可":                     {one},
		"企业":                     {two},
		"信息":                     {one, two},
		"登记信息":                   {two},
		"登记企业":                   nil, // both are there, but not in a row
		"登记 企业":                  {two},
		"业登":                     {two},
		"企":                      {two},
		"息":                      {one, two}, // the last character of a run
		"证":                      {one, three},
		"统一社会信用代码":               {two},
		"社会信用":                   {two},
		"licence":                {one},
		"LICENCE_NO":             {one},
		"lic":                    {one},
		"cence":                  nil, // no beginning of a word
		"number":                 {one},
		"gdp":                    {two},
		"GDP统计":                  {two},
		"ＧＤＰ":                    {two},
		"birth":                  {three},
		"Birth Cert":             {three},
		"mother_name":            {three},
		"name":                   {three},
		"res-000003":             {three},
		"res":                    {one, two, three},
		string(licence.Codes[0]): {one},
		string(births.Codes[0]):  {three},
		"3":                      {one, two, three},
		"市场监督":                   {one, two},
		"天河区 证明":                 {three},
		"（含变更）":                  {two},
		"《企业》登记":                 {two},
		"没有":                     nil,
		"*可":                     {one}, // marks are no operators
		"name:许可":                nil,   // "name" is a word
		"-许可 +食品":                {one},
		"许可~2":                   nil,
		"食品 OR 企业":               nil,
		"/.*/许可":                 {one},
	} {
		got := w.ids(search.Query{Words: q})
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", q, got, want)
		}
	}
}

func TestNameOverItemsOverAbstract(t *testing.T) {
	w := newWorld(t)
	const word = "婚姻"
	w.put(
		resource(1, market, "登记汇总", "含婚姻登记 婚姻 婚姻 婚姻"),
		resource(2, market, "居民信息", "", bus.Item{ID: "m", Name: "婚姻状况", Type: "C", Grade: 1}),
		resource(3, market, "婚姻登记办理情况年度统计", ""),
		resource(4, market, "婚姻登记", ""),
		resource(5, market, "婚姻", ""),
		resource(6, market, "与婚姻有关的", "婚姻", bus.Item{ID: "m", Name: "婚姻状况", Type: "C", Grade: 1}),
	)
	w.start().caughtUp()
	want := []bus.ResourceID{"res-000005", "res-000004", "res-000006", "res-000003", "res-000002", "res-000001"} // a name that is the word, then shorter ones
	if got := w.ids(search.Query{Words: word}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := w.ids(search.Query{Words: word, Limit: 2}); !slices.Equal(got, want) {
		t.Errorf("in pages %v, want %v", got, want)
	}
}

func TestOrders(t *testing.T) {
	w := newWorld(t)
	a, b, c := resource(3, market, "丙", ""), resource(1, market, "甲", ""), resource(2, market, "乙", "")
	a.Codes, b.Codes, c.Codes = []bus.ResourceCode{"301001/2"}, []bus.ResourceCode{"301001/3"}, []bus.ResourceCode{"301001/1"}
	w.put(a, b, c)
	w.start().caughtUp()
	for sort, want := range map[search.Sort]string{
		"": "res-000001 res-000002 res-000003", search.SortID: "res-000001 res-000002 res-000003",
		search.SortName: "res-000003 res-000002 res-000001", search.SortCode: "res-000002 res-000003 res-000001",
		search.SortPublished: "res-000001 res-000002 res-000003", search.SortRelevance: "res-000001 res-000002 res-000003",
	} {
		for _, limit := range []int{1, 2, 3, 1000} {
			var got []string
			for _, id := range w.ids(search.Query{Sort: sort, Limit: limit}) {
				got = append(got, string(id))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("by %q, %d a page: %v, want %v", sort, limit, got, want)
			}
		}
	}
}

func TestAQueryTellsEveryDefect(t *testing.T) {
	w := newWorld(t).start()
	good := search.Query{Limit: 1}
	for name, c := range map[string]struct {
		change func(*search.Query)
		fields []string
	}{
		"too long":          {func(q *search.Query) { q.Words = strings.Repeat("长", 257) }, []string{"q"}},
		"too many words":    {func(q *search.Query) { q.Words = strings.Repeat("a b c d e f g h i ", 1) + "j k l m n o p q" }, []string{"q"}},
		"nothing but marks": {func(q *search.Query) { q.Words = "***" }, []string{"q"}},
		"no text":           {func(q *search.Query) { q.Words = "\xff" }, []string{"q"}},
		"no page":           {func(q *search.Query) { q.Limit = 0 }, []string{"limit"}},
		"a long page":       {func(q *search.Query) { q.Limit = 1001 }, []string{"limit"}},
		"a damaged cursor":  {func(q *search.Query) { q.Cursor = "AAAA" }, []string{"cursor"}},
		"everything at once": {func(q *search.Query) {
			*q = search.Query{Words: "?", Sort: "x", Facets: []search.Dimension{"y"}, Where: map[search.Dimension][]string{"z": {"1"}}}
		}, []string{"facets", "limit", "q", "sort", "z"}},
		"too many of a value": {func(q *search.Query) { q.Where = map[search.Dimension][]string{search.ByFormat: make([]string, 101)} }, []string{"format"}},
	} {
		q := good
		c.change(&q)
		_, err := w.Search(context.Background(), q, everything{})
		if fields := fieldsOf(err); bus.CodeOf(err) != bus.CodeInvalid || !slices.Equal(fields, c.fields) {
			t.Errorf("%s: %v names %v", name, err, fields)
		}
	}
}

func fieldsOf(err error) (fields []string) {
	if e, ok := err.(*bus.Error); ok {
		for _, d := range e.Defects {
			fields = append(fields, d.Field)
		}
	}
	slices.Sort(fields)
	return fields
}

func TestHighlights(t *testing.T) {
	long := strings.Repeat("前", 100) + "企业" + strings.Repeat("后", 100)
	for _, c := range []struct{ q, text, want string }{
		{"企业", "深圳企业登记", "深圳[企业]登记"},
		{"登记 企业", "深圳企业登记", "深圳[企业登记]"},
		{"gdp", "Ｇ.ＧＤＰ统计", "Ｇ.[ＧＤＰ]统计"},
		{"enterprise_name", "企业名称 ENTERPRISE-NAME", "企业名称 [ENTERPRISE-NAME]"},
		{"name", "rename", ""},
		{"业", "企业、业务", "企[业]、[业]务"},
		{"没有", "深圳", ""},
		{"企业", long, "…" + strings.Repeat("前", 20) + "[企业]" + strings.Repeat("后", 58) + "…"},
	} {
		got := ""
		for _, p := range search.Highlight(c.q, c.text) {
			if p.Hit {
				p.Text = "[" + p.Text + "]"
			}
			got += p.Text
		}
		if got != c.want {
			t.Errorf("%q in %q: %q, want %q", c.q, c.text, got, c.want)
		}
	}
}

// hider hides some of what is published, and all drafts.
type hider struct{ hidden func(bus.ResourceID) bool }

func (hider) Published(provider bus.USCC) (bool, bool) { return true, provider != market }
func (h hider) Resource(id bus.ResourceID) bool        { return !h.hidden(id) }
func (hider) Drafts(bus.USCC) bool                     { return false }

func TestWhatIsHiddenIsNeitherListedNorCounted(t *testing.T) {
	w := newWorld(t)
	w.put(synthetic(200)...)
	w.start().caughtUp()
	odd := hider{func(id bus.ResourceID) bool { return strings.HasSuffix(string(id), "0") }} // the market's are the even ones
	for _, words := range []string{"", "登记"} {
		q := search.Query{Words: words, Facets: search.Dimensions()}
		all, seen := w.find(q), w.findAs(odd, q)
		hidden := 0
		for _, h := range all.Hits {
			if odd.hidden(h.ID) {
				hidden++
			}
		}
		if hidden == 0 || seen.Total != all.Total-hidden || len(seen.Hits) != seen.Total {
			t.Errorf("%q: %d of %d are hidden, %d found", words, hidden, all.Total, seen.Total)
		}
		for _, h := range seen.Hits {
			if odd.hidden(h.ID) {
				t.Errorf("%q: %s is listed", words, h.ID)
			}
		}
		for d, f := range seen.Facets {
			n := 0
			for _, c := range f.Counts {
				n += c.Count
			}
			if d == search.ByState && n != seen.Total {
				t.Errorf("%q by %s: %+v of %d", words, d, f, seen.Total)
			}
		}
	}
}
