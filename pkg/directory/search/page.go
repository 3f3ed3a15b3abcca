package search

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// A view has its rows in pages, of which a new view shares those that did not
// change. A search that looks at every row reads facts and texts, which lie side by
// side, and follows no pointer to a row that it does not want.

const pageSize = 4096 // rows

type page struct {
	rows  [pageSize]*row
	facts [pageSize]fact
	texts [fields]column
	keys  column
}

// column is a text of each row of a page, with a line end.
type column struct {
	text string
	ends []uint32 // of each row's part; none where no row has a text yet
}

// of is the text of the row in a place.
func (c *column) of(at int) string {
	if c.ends == nil {
		return ""
	}
	begin := uint32(0)
	if at > 0 {
		begin = c.ends[at-1]
	}
	return c.text[begin : c.ends[at]-1]
}

// fact is what filters, counts and orders need of a row.
type fact struct {
	published uint64 // Unix ms
	name      uint64 // how it and the following begin, see beginning
	code      uint64
	key       uint64
	length    uint16 // of the name, in bytes
	kind      kind
}

// beginning is the first eight bytes of a text: numbers in the order of the texts,
// as far as they go.
func beginning(text string) uint64 {
	var b [8]byte
	copy(b[:], text)
	return binary.BigEndian.Uint64(b[:])
}

func factOf(r entry) fact {
	return fact{
		published: uint64(max(r.published, 0)), name: beginning(sorted(r.text[inName])), code: beginning(r.code), key: beginning(r.key),
		length: uint16(min(len(r.text[inName]), math.MaxUint16)), kind: r.kind,
	}
}

// joined puts texts together; part is given a place and what stood there.
func (c *column) joined(part func(at int, old string) string) column {
	var b strings.Builder
	b.Grow(len(c.text) + pageSize)
	ends := make([]uint32, pageSize)
	for at := range ends {
		b.WriteString(part(at, c.of(at)))
		b.WriteByte('\n')
		ends[at] = uint32(b.Len())
	}
	return column{b.String(), ends}
}

// join puts the texts of the rows together, with those that are new.
func (p *page) join(fresh map[int]text) {
	for f := range p.texts {
		p.texts[f] = p.texts[f].joined(func(at int, old string) string {
			if t, ok := fresh[at]; ok {
				return t[f]
			}
			return old
		})
	}
	p.keys = p.keys.joined(func(at int, old string) string {
		if _, ok := fresh[at]; ok && p.rows[at] != nil {
			return p.rows[at].key
		}
		return old
	})
}

// coded calls do with the places of the rows that have a word in their codes.
func (p *page) coded(word string, do func(at int)) {
	codes := &p.texts[inCodes]
	n := newNeedle(word, codes.text[:min(len(codes.text), sampled)])
	for from := 0; ; {
		at := n.in(codes.text[from:])
		if at < 0 {
			return
		}
		row, _ := slices.BinarySearch(codes.ends, uint32(from+at+1))
		do(row)
		from = int(codes.ends[row])
	}
}

// pages is the rows of a follower.
type pages struct {
	all   []*page
	fresh map[int]map[int]text // by page that no view has yet, and place
}

// set puts an entry, or nothing, in a slot.
func (p *pages) set(slot uint32, e entry) {
	n, at := int(slot/pageSize), int(slot%pageSize)
	switch {
	case n == len(p.all):
		p.all = append(p.all, &page{})
	case p.fresh[n] == nil:
		copied := *p.all[n]
		p.all[n] = &copied
	}
	if p.fresh[n] == nil {
		p.fresh[n] = map[int]text{}
	}
	p.fresh[n][at] = e.text
	p.all[n].rows[at], p.all[n].facts[at] = e.row, fact{}
	if e.row != nil {
		p.all[n].facts[at] = factOf(e)
	}
}

// settle takes the new texts into their pages.
func (p *pages) settle() {
	for n, texts := range p.fresh {
		if len(texts) > 0 {
			p.all[n].join(texts)
			clear(texts)
		}
	}
}

// share gives the pages to a view.
func (p *pages) share() []*page {
	p.settle()
	clear(p.fresh)
	return slices.Clone(p.all)
}
