package search_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/search"
)

// Whatever is looked for, the answer is a page or a refusal that says what is
// wrong; what is found has the words, and a cursor goes on.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"企业登记", "GDP统计", "3010010001/000001", "*", "?*", "name:x", "a* OR (b", "\"", "長㈱ﾃｽﾄ", "e\u0301", "\xff", "مرحبا", "ไทย", "😀企", "\u200b", strings.Repeat("a ", 20)} {
		f.Add(q, "", uint8(3))
	}
	f.Add("企业", "AAAA", uint8(1))
	w := newWorld(f)
	w.put(synthetic(60)...)
	w.put(resource(900, market, "GDP㈱ ﾃｽﾄ é", "مرحبا ไทย 😀"))
	w.start().caughtUp()
	f.Fuzz(func(t *testing.T, q, cursor string, limit uint8) {
		a, err := w.Search(context.Background(), search.Query{Words: q, Cursor: cursor, Limit: 1 + int(limit)%20, Facets: search.Dimensions()}, everything{})
		if err != nil {
			if bus.CodeOf(err) != bus.CodeInvalid || len(fieldsOf(err)) == 0 {
				t.Fatalf("%q: %v", q, err)
			}
			return
		}
		if len(a.Hits) > a.Total {
			t.Errorf("%d hits of %d", len(a.Hits), a.Total)
		}
		if a.Next != "" {
			b, err := w.Search(context.Background(), search.Query{Words: q, Cursor: a.Next, Limit: 1}, everything{})
			if err != nil || len(b.Hits) != 1 || b.Total != a.Total {
				t.Errorf("%q: the next page: %+v, %v", q, b, err)
			}
		}
	})
}

// The parts of a highlighted text are that text, and a mark stands on what was
// looked for.
func FuzzHighlight(f *testing.F) {
	f.Add("企业", "深圳企业登记")
	f.Add("gdp", "ＧＤＰ统计")
	f.Add("株", "㈱甲")
	f.Add("e", "e\u0301tude")
	f.Fuzz(func(t *testing.T, q, text string) {
		if !utf8.ValidString(text) || utf8.RuneCountInString(text) > 80 {
			return
		}
		parts := search.Highlight(q, text)
		if parts == nil {
			return
		}
		whole, hits := "", 0
		for _, p := range parts {
			whole += p.Text
			if p.Hit {
				hits++
			}
		}
		if whole != text || hits == 0 {
			t.Errorf("%q in %q: %+v", q, text, parts)
		}
	})
}
