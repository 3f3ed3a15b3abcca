package search_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/raced"
)

// The naive way to look for a Chinese word is to look for its characters in a row.
// Over the whole sample the index finds the same, no more and no less.
func TestFindsWhatANaiveSearchFinds(t *testing.T) {
	all := records(t)
	if raced.Enabled {
		all = all[:len(all)/10]
	}
	w := newWorld(t)
	resources := make([]bus.Resource, len(all))
	texts := make([][]string, len(all))
	for i := range all {
		r := sampled(all, i)
		resources[i] = r
		texts[i] = []string{r.Name, r.Abstract, map[bus.USCC]string{market: "深圳市市场监督管理局", health: "天河区卫生健康局"}[r.Provider]}
		for _, it := range r.Items {
			texts[i] = append(texts[i], it.Name)
		}
	}
	w.put(resources...)
	w.start().caughtUp()
	naive := func(words ...string) (ids []bus.ResourceID) {
		for i, text := range texts {
			every := !slices.ContainsFunc(words, func(word string) bool {
				return !slices.ContainsFunc(text, func(t string) bool { return strings.Contains(t, word) })
			})
			if every {
				ids = append(ids, resources[i].ID)
			}
		}
		return ids
	}
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		for {
			text := texts[random.IntN(len(texts))]
			runes := []rune(text[random.IntN(len(text))])
			n := 1 + random.IntN(7)
			if len(runes) < n {
				continue
			}
			at := random.IntN(len(runes) - n + 1)
			piece := runes[at : at+n]
			if !slices.ContainsFunc(piece, func(r rune) bool { return !unicode.Is(unicode.Han, r) }) {
				return string(piece)
			}
		}
	}
	found := 0
	for range 150 {
		words := []string{word()}
		if random.IntN(3) == 0 {
			words = append(words, word())
		}
		want := naive(words...)
		got := w.ids(search.Query{Words: strings.Join(words, " "), Sort: search.SortID})
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %d, the naive search %d", words, len(got), len(want))
		}
		found += len(want)
	}
	if found < 150 {
		t.Errorf("the words are in %d resources only: the test shows little", found)
	}
}

// dimensionsOf says what a resource counts for, from the resource alone.
func dimensionsOf(r bus.Resource, in bus.EntryState) map[search.Dimension][]string {
	d := map[search.Dimension][]string{
		search.BySharing: {string(r.Sharing.Type)}, search.ByFormat: {r.Format}, search.ByCycle: {r.UpdateCycle},
		search.ByProvider: {string(r.Provider)}, search.ByState: {string(in)},
	}
	d[search.ByDivision], d[search.ByLevel] = []string{"440300", "440000"}, []string{"city"}
	if r.Provider == health {
		d[search.ByDivision], d[search.ByLevel] = []string{"440106", "440100", "440000"}, []string{"county"}
	}
	for _, l := range bus.BaseLibraries() {
		if slices.ContainsFunc(r.Codes, func(c bus.ResourceCode) bool { return strings.HasPrefix(string(c), l.Prefix) }) {
			d[search.ByLibrary] = append(d[search.ByLibrary], string(l.ID))
		}
	}
	return d
}

// Facets are compared with counting, for queries with and without words and filters.
func TestFacetsAreCounts(t *testing.T) {
	w := newWorld(t)
	made := synthetic(few(3000))
	w.put(made...)
	drafts := map[bus.ResourceID]bus.Resource{}
	for i := range 40 {
		draft := made[i*7]
		draft.Format = "stream"
		w.write(command.DraftPut, sysadmin, content(draft))
		drafts[draft.ID] = draft
	}
	w.start().caughtUp()
	type entry struct {
		text string
		of   map[search.Dimension][]string
	}
	var entries []entry
	for _, r := range made {
		entries = append(entries, entry{r.Name, dimensionsOf(r, bus.StatePublished)})
	}
	for _, r := range drafts {
		entries = append(entries, entry{r.Name, dimensionsOf(r, bus.StateDraft)})
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		q := search.Query{Facets: search.Dimensions(), Where: map[search.Dimension][]string{}, Limit: 1}
		if random.IntN(2) == 0 {
			q.Words = []string{"登记", "许可", "统计 信息", "民"}[random.IntN(4)]
		}
		for _, d := range search.Dimensions() {
			if random.IntN(4) == 0 {
				of := entries[random.IntN(len(entries))].of[d]
				q.Where[d] = append(q.Where[d], of...)
			}
		}
		where := maps.Clone(q.Where)
		if len(where[search.ByState]) == 0 {
			where[search.ByState] = []string{string(bus.StatePublished)}
		}
		total, counts := 0, map[search.Dimension]map[string]int{}
		for _, e := range entries {
			if slices.ContainsFunc(strings.Fields(q.Words), func(word string) bool { return !strings.Contains(e.text, word) }) {
				continue
			}
			var misses []search.Dimension
			for d, values := range where {
				if len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(e.of[d], v) }) {
					misses = append(misses, d)
				}
			}
			if len(misses) == 0 {
				total++
			}
			for d, values := range e.of {
				for _, v := range values {
					if len(misses) == 0 || len(misses) == 1 && misses[0] == d {
						if counts[d] == nil {
							counts[d] = map[string]int{}
						}
						counts[d][v]++
					}
				}
			}
		}
		got := w.find(q)
		if got.Total != total {
			t.Errorf("%q %v: %d found, %d counted", q.Words, q.Where, got.Total, total)
		}
		for _, d := range search.Dimensions() {
			told := map[string]int{}
			for _, c := range got.Facets[d].Counts {
				told[c.Value] = c.Count
			}
			if !maps.Equal(told, counts[d]) {
				t.Errorf("%q %v by %s: %v, counted %v", q.Words, q.Where, d, told, counts[d])
			}
			if !slices.IsSortedFunc(got.Facets[d].Counts, func(a, b search.Count) int { return cmp.Compare(b.Count, a.Count) }) {
				t.Errorf("by %s: not the commonest first: %v", d, got.Facets[d].Counts)
			}
		}
	}
}

// made are records without the sample.
func made() (all []record) {
	subjects := []string{"企业", "居民", "道路", "民办学校", "药品", "不动产", "渔船"}
	acts := []string{"登记信息", "行政许可", "统计年报", "检查结果", "信息统计表"}
	for i := range 35 {
		all = append(all, record{Title: subjects[i%len(subjects)] + acts[i%len(acts)], Summary: "样例", Provider: "样例局"})
	}
	return all
}

// few is how many of n there are under the race detector; make race runs the tests
// with all n as well, without it.
func few(n int) int {
	if raced.Enabled {
		return n / 5
	}
	return n
}

// synthetic makes resources without the sample.
func synthetic(n int) []bus.Resource {
	all, of := make([]bus.Resource, n), made()
	for i := range all {
		all[i] = sampled(of, i)
		all[i].Abstract, all[i].Items = "样例", []bus.Item{{ID: "x", Name: "样例", Type: "C", Grade: 1}}
	}
	return all
}

// Whoever walks through the pages sees each entry that stays as it is exactly
// once, whatever becomes of the others meanwhile.
func TestAWalkSeesEachEntryOnceWhileOthersChange(t *testing.T) {
	for _, sort := range search.Sorts() {
		t.Run(string(sort), func(t *testing.T) {
			w := newWorld(t)
			made := synthetic(few(600))
			w.put(made...)
			w.start().caughtUp()
			random := rand.New(rand.NewPCG(5, 6))
			q := search.Query{Words: "登记", Sort: sort, Limit: 7}
			seen := map[bus.ResourceID]int{}
			deleted := map[bus.ResourceID]bool{}
			for next := len(made); ; {
				a := w.find(q)
				for _, h := range a.Hits {
					seen[h.ID]++
				}
				if q.Cursor = a.Next; q.Cursor == "" {
					break
				}
				victim := made[random.IntN(len(made)/2)*2+1] // the odd ones change
				if !deleted[victim.ID] {
					deleted[victim.ID] = true
					w.withdraw(victim.ID)
				}
				w.put(resource(next, market, "新的登记", ""))
				next++
				w.caughtUp()
			}
			for i := 0; i < len(made); i += 2 {
				want := 0
				if strings.Contains(made[i].Name, "登记") {
					want = 1
				}
				if n := seen[made[i].ID]; n != want {
					t.Errorf("%s %s was seen %d times", made[i].ID, made[i].Name, n)
				}
			}
			for id, n := range seen {
				if n > 1 {
					t.Errorf("%s was seen %d times", id, n)
				}
			}
		})
	}
}
