package search

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Viewer says what the one who asks may see. Its answers must not change during a
// search, which asks one thing at a time.
type Viewer interface {
	// Published says whether the published entries of a department may be seen;
	// where each has to be asked for, sure is false.
	Published(provider bus.USCC) (seen, sure bool)
	// Resource says so of one entry.
	Resource(id bus.ResourceID) bool
	// Drafts says whether the drafts of a department may be seen.
	Drafts(provider bus.USCC) bool
}

// Answer is a page of what was found.
type Answer struct {
	Hits     []Hit
	Total    int // of all pages
	Facets   map[Dimension]Facet
	Next     string // cursor of the next page; "" where there is none
	Progress Progress
}

// Hit is one entry that was found: the version in force, or the draft.
type Hit struct {
	ID    bus.ResourceID
	Draft bool
}

// Facet tells how many of the found entries have which value of a dimension: of
// those that were found but for what the query asks of this dimension itself, so
// that it tells what another choice would find.
type Facet struct {
	Counts []Count // the commonest first, MaxFacet at most
	More   int     // values that are not told
}

// Count is how many entries have a value.
type Count struct {
	Value string
	Count int
}

// Progress tells of an index how far it has come.
type Progress struct {
	Index    bus.Revision // of the directory, that the answer is of
	Complete bool         // false while the index is being made anew
	Indexed  int          // entries in the index
	Total    int          // entries in the directory, as of when it was begun to be made
}

// Search answers a query. Only an error of ctx or of the index comes back beside
// CodeInvalid with every defect of the query.
func (x *Index) Search(ctx context.Context, q Query, v Viewer) (Answer, error) {
	p, err := q.parse()
	if err != nil {
		return Answer{}, err
	}
	view, progress := x.acquire()
	defer view.release()
	work, ok := x.spare.Get().(*scratch)
	if !ok {
		work = &scratch{}
	}
	defer x.spare.Put(work)
	s := &search{parsed: p, view: view, progress: progress, viewer: v, scratch: work}
	if err := x.guard(func() error { return s.match(ctx) }); err != nil {
		return Answer{}, err
	}
	s.conditions()
	s.collect()
	return s.answer(), nil
}

// scratch is what a search needs for each slot. The next one takes it over.
type scratch struct {
	scores []uint16 // 0 where a word is missing
	where  []uint8  // bit f: the word is in field f, the best that has it
}

// search is one search on its way.
type search struct {
	parsed
	*scratch
	view     *view
	progress Progress
	viewer   Viewer

	needed  uint8   // a bit for each dimension that is asked for
	asked   []uint8 // label → bit of its dimension, where it is one of the values
	bits    []uint8 // label → bit of its dimension
	counted uint8   // bits of the dimensions that are counted
	counts  []int32 // by label
	kinds   []ofKind
	states  []uint8 // what is known of providers, by label

	total int
	page  pageHeap
	more  bool
}

// spread calls do for each number below n, with as many processors as there are.
func spread(n int, do func(int)) {
	hands := min(runtime.GOMAXPROCS(0), n)
	var others sync.WaitGroup
	for hand := 1; hand < hands; hand++ {
		others.Go(func() {
			for i := n * hand / hands; i < n*(hand+1)/hands; i++ {
				do(i)
			}
		})
	}
	for i := range n / max(hands, 1) {
		do(i)
	}
	others.Wait()
}

// conditions prepares the filters and the counts.
func (s *search) conditions() {
	n := len(s.view.labels)
	s.bits, s.asked = make([]uint8, n), make([]uint8, n)
	bit := map[Dimension]uint8{}
	for i, d := range Dimensions() {
		bit[d] = 1 << i
	}
	for d := range s.Where {
		s.needed |= bit[d]
	}
	for l, m := range s.view.labels {
		s.bits[l] = bit[m.of]
		if values, ok := s.Where[m.of]; ok && slices.Contains(values, m.value) {
			s.asked[l] = bit[m.of]
		}
	}
	s.counts = make([]int32, n)
	for _, d := range s.Facets {
		s.counted |= bit[d]
	}
}

// collect walks the rows: filters, asks what may be seen, counts, and keeps the
// best that come after the cursor. Each processor takes a part of the pages.
func (s *search) collect() {
	pages := s.view.pages
	parts := make([]search, min(runtime.GOMAXPROCS(0), len(pages)))
	asks := &inTurn{Viewer: s.viewer}
	spread(len(parts), func(i int) {
		part := &parts[i]
		*part = *s
		part.viewer, part.kinds, part.states = asks, make([]ofKind, len(s.view.kinds)), make([]uint8, len(s.view.labels))
		for n := len(pages) * i / len(parts); n < len(pages)*(i+1)/len(parts); n++ {
			for at := range pages[n].facts {
				if pages[n].facts[at].kind != none && (len(s.words) == 0 || s.scores[n*pageSize+at] > 0) {
					part.consider(pages[n], at, n*pageSize+at)
				}
			}
		}
	})
	for i := range parts {
		s.add(&parts[i])
	}
}

// add takes in what a part of the pages gave.
func (s *search) add(part *search) {
	s.more = s.more || part.more
	for k, of := range part.kinds {
		if of.rows == 0 {
			continue
		}
		if of.missing == 0 {
			s.total += int(of.rows)
		}
		for _, l := range s.view.kinds[k].labels {
			if of.missing == 0 || s.bits[l] == of.missing { // one that misses what is asked of a dimension counts for that dimension alone
				s.counts[l] += of.rows
			}
		}
	}
	for _, p := range part.page {
		s.put(p)
	}
}

// inTurn asks a viewer one thing at a time.
type inTurn struct {
	Viewer
	mu sync.Mutex
}

func (t *inTurn) Published(provider bus.USCC) (seen, sure bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Viewer.Published(provider)
}

func (t *inTurn) Resource(id bus.ResourceID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Viewer.Resource(id)
}

func (t *inTurn) Drafts(provider bus.USCC) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Viewer.Drafts(provider)
}

// ofKind is what a search knows of a kind, and how many rows of it it has met.
type ofKind struct {
	rows    int32
	seen    uint8
	missing uint8 // bits of the dimensions of which a value is asked for that it has not
}

// What is known of who sees a kind, or what a provider has published.
const (
	unasked   = 0
	shown     = 1
	hidden    = 2
	eachAsked = 3
)

func (s *search) consider(p *page, at, slot int) {
	k := p.facts[at].kind
	of := &s.kinds[k]
	if of.seen == unasked {
		of.seen, of.missing = s.judge(&s.view.kinds[k])
	}
	if of.seen == hidden || of.seen == eachAsked && !s.viewer.Resource(p.rows[at].id) {
		return
	}
	of.rows++
	if of.missing == 0 {
		s.keep(p, at, slot)
	}
}

// judge tells who sees a kind, and what it misses. One that is neither found nor
// counted need not be seen.
func (s *search) judge(c *common) (seen, missing uint8) {
	missing = s.needed
	for _, l := range c.labels {
		missing &^= s.asked[l]
	}
	if missing != 0 && (missing&s.counted == 0 || bits.OnesCount8(missing) > 1) {
		return hidden, missing
	}
	id := bus.USCC(s.view.labels[c.provider].value)
	if c.draft {
		if s.viewer.Drafts(id) {
			return shown, missing
		}
		return hidden, missing
	}
	state := &s.states[c.provider]
	if *state == unasked {
		switch published, sure := s.viewer.Published(id); {
		case !sure:
			*state = eachAsked
		case published:
			*state = shown
		default:
			*state = hidden
		}
	}
	return *state, missing
}

// keep keeps a row that is among the best after the cursor.
func (s *search) keep(p *page, at, slot int) {
	number, full := s.number(p, at, slot), len(s.page) == s.Limit
	if full && s.beyond(number, p.facts[at].key) { // most rows end here
		s.more = true
		return
	}
	if place := s.placeOf(p, at, number); !s.paged || place.compare(s.after) > 0 {
		s.put(placed{place, p.rows[at]})
	}
}

// beyond tells that a row is after the last of the page, as far as facts can tell.
func (s *search) beyond(number, key uint64) bool {
	last := &s.page[0].place
	byKey := s.Sort == SortRelevance || s.Sort == SortPublished
	return number < last.number || byKey && number == last.number && key > beginning(last.key)
}

// put keeps a row if it is among the best.
func (s *search) put(row placed) {
	if len(s.page) < s.Limit {
		heap.Push(&s.page, row)
		return
	}
	s.more = true
	if row.compare(s.page[0].place) < 0 {
		s.page[0] = row
		heap.Fix(&s.page, 0)
	}
}

// number is what orders most rows: it needs their facts only.
func (s *search) number(p *page, at, slot int) uint64 {
	f := &p.facts[at]
	switch {
	case s.Sort == SortRelevance && len(s.words) > 0:
		return s.relevance(p, at, slot)
	case s.Sort == SortName:
		return ^f.name
	case s.Sort == SortPublished:
		return f.published
	case s.Sort == SortCode:
		return ^f.code
	default:
		return ^f.key
	}
}

func (s *search) placeOf(p *page, at int, number uint64) place {
	placed := place{number: number, key: p.keys.of(at)}
	switch s.Sort {
	case SortName:
		placed.text = sorted(p.texts[inName].of(at))
	case SortCode:
		placed.text = p.rows[at].code
	}
	return placed
}

// relevance ranks by where the words stand, then a name that is nothing but the
// word before others, then the shorter name.
func (s *search) relevance(p *page, at, slot int) uint64 {
	length := p.facts[at].length
	rank := uint64(s.scores[slot]) << 1
	if len(s.words) == 1 && int(length) == len(s.words[0]) && p.texts[inName].of(at) == s.words[0] {
		rank++
	}
	return rank<<16 | uint64(math.MaxUint16-length)
}

// placed is a row in its place; pageHeap has the last one on top.
type placed struct {
	place
	row *row
}

type pageHeap []placed

func (h pageHeap) Len() int           { return len(h) }
func (h pageHeap) Less(i, j int) bool { return h[i].compare(h[j].place) > 0 }
func (h pageHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *pageHeap) Push(v any) { *h = append(*h, v.(placed)) }

// Pop is for package heap.
func (h *pageHeap) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	*h = (*h)[:last]
	return v
}

func (s *search) answer() Answer {
	a := Answer{Hits: make([]Hit, len(s.page)), Total: s.total, Progress: s.progress}
	slices.SortFunc(s.page, func(a, b placed) int { return a.compare(b.place) })
	for i, p := range s.page {
		a.Hits[i] = Hit{p.row.id, p.row.draft}
	}
	if s.more {
		a.Next = encodeCursor(s.page[len(s.page)-1].place, s.digest())
	}
	if len(s.Facets) > 0 {
		a.Facets = s.facets()
	}
	return a
}

func (s *search) facets() map[Dimension]Facet {
	all := map[Dimension]Facet{}
	for _, d := range s.Facets {
		all[d] = Facet{Counts: []Count{}}
	}
	for l, n := range s.counts {
		m := s.view.labels[l]
		if f, ok := all[m.of]; ok && n > 0 {
			f.Counts = append(f.Counts, Count{m.value, int(n)})
			all[m.of] = f
		}
	}
	for d, f := range all {
		slices.SortFunc(f.Counts, func(a, b Count) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
		})
		if f.More = max(0, len(f.Counts)-MaxFacet); f.More > 0 {
			f.Counts = f.Counts[:MaxFacet]
		}
		all[d] = f
	}
	return all
}
