package search

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Caps of a query.
const (
	MaxQuery  = 256  // characters of Words
	MaxWords  = 16   // in Words
	MaxValues = 100  // of one dimension
	MaxLimit  = 1000 // entries on a page
	MaxFacet  = 100  // values of a facet that are told, the commonest first
)

// Sort is an order of entries. Equal ones follow the order of their ids.
type Sort string

// The orders.
const (
	SortRelevance Sort = "relevance" // where the words stand: code, name, items, the rest
	SortID        Sort = "id"
	SortName      Sort = "name"      // by code point
	SortPublished Sort = "published" // the newest first
	SortCode      Sort = "code"      // the first directory code
)

// Sorts lists the orders.
func Sorts() []Sort { return []Sort{SortRelevance, SortID, SortName, SortPublished, SortCode} }

// Query is what somebody looks for: the entries that have every word, somewhere,
// and of every dimension that is named one of its values. It has no language: marks
// and operators are no more than the ends of words.
type Query struct {
	Words  string                 // none: all entries
	Where  map[Dimension][]string // without ByState: published entries
	Facets []Dimension            // what to count by
	Sort   Sort                   // "": relevance where there are words, else id
	Limit  int                    // 1–MaxLimit
	Cursor string                 // Next of the page before, of the same query
}

// parsed is a query that can be answered.
type parsed struct {
	Query
	words []string
	after place
	paged bool // after is set
}

// parse returns the query made ready, or every defect of it at once.
func (q Query) parse() (parsed, error) {
	p := parsed{Query: q, words: wordsOf(q.Words)}
	var defects []bus.Defect
	refuse := func(field, zh, en, allowed string) {
		defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	switch {
	case !utf8.ValidString(q.Words):
		refuse("q", "不是 UTF-8 文本", "not UTF-8", "UTF-8")
	case utf8.RuneCountInString(q.Words) > MaxQuery:
		refuse("q", "检索词过长", "too long", fmt.Sprintf("at most %d characters", MaxQuery))
	case len(p.words) > MaxWords:
		refuse("q", "检索词过多", "too many words", fmt.Sprintf("at most %d words", MaxWords))
	case strings.TrimSpace(q.Words) != "" && len(p.words) == 0:
		refuse("q", "没有可检索的字词", "nothing that can be looked for", "letters, digits, Chinese characters")
	}
	for d, values := range q.Where {
		if !slices.Contains(Dimensions(), d) {
			refuse(string(d), "未知的筛选项", "not something to filter by", joined(Dimensions()))
		}
		if len(values) > MaxValues {
			refuse(string(d), "取值过多", "too many values", fmt.Sprintf("at most %d", MaxValues))
		}
	}
	for _, d := range q.Facets {
		if !slices.Contains(Dimensions(), d) {
			refuse("facets", "未知的分面："+string(d), "not something to count by: "+string(d), joined(Dimensions()))
		}
	}
	if p.Sort == "" {
		p.Sort = SortID
		if len(p.words) > 0 {
			p.Sort = SortRelevance
		}
	}
	if !slices.Contains(Sorts(), p.Sort) {
		refuse("sort", "未知的排序", "not an order", joined(Sorts()))
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		refuse("limit", "超出范围", "out of range", fmt.Sprintf("1–%d", MaxLimit))
	}
	p.Where = map[Dimension][]string{ByState: {string(bus.StatePublished)}}
	for d, values := range q.Where {
		if len(values) > 0 {
			p.Where[d] = values
		}
	}
	if p.paged = q.Cursor != ""; p.paged && len(defects) == 0 {
		var ok bool
		if p.after, ok = decodeCursor(q.Cursor, p.digest()); !ok {
			refuse("cursor", "游标无效，或属于另一次检索", "damaged, or of another query", "next of the page before, with the same q, filters and sort; none for the first page")
		}
	}
	return p, bus.Invalid(defects)
}

func joined[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// digest stands for what decides which entries come in which order.
func (p parsed) digest() [sha256.Size]byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q", p.words, p.Sort)
	for _, d := range Dimensions() {
		values := slices.Clone(p.Where[d])
		slices.Sort(values)
		fmt.Fprintf(&b, " %q=%q", d, slices.Compact(values))
	}
	return sha256.Sum256([]byte(b.String()))
}
