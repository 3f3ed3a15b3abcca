package search

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// A view has its rows in pages, of which a new view shares those that did not
// change. A search that looks at every row reads facts, which lie side by side, and
// follows no pointer to a row that it does not want.

const pageSize = 4096 // rows

type page struct {
	rows  [pageSize]*row
	facts [pageSize]fact
	codes string   // of all rows, each with a line end
	ends  []uint32 // of each row's part in codes
}

// fact is what filters, counts and orders need of a row.
type fact struct {
	published uint64 // Unix ms
	name      uint64 // how it and the following begin, see beginning
	code      uint64
	key       uint64
	length    uint16 // of the name, in bytes
	draft     bool
	count     uint8 // of labels; 0: there is no row
	provider  label
	labels    [inline]label // the first of them
}

const inline = 11 // labels that most rows do with

// beginning is the first eight bytes of a text: numbers in the order of the texts,
// as far as they go.
func beginning(text string) uint64 {
	var b [8]byte
	copy(b[:], text)
	return binary.BigEndian.Uint64(b[:])
}

func factOf(r *row) fact {
	f := fact{
		published: uint64(max(r.published, 0)), name: beginning(r.sortName()), code: beginning(r.code), key: beginning(r.key),
		length: uint16(min(len(r.text[inName]), math.MaxUint16)), draft: r.draft,
		count: uint8(min(len(r.labels), math.MaxUint8)), provider: r.provider,
	}
	copy(f.labels[:], r.labels)
	return f
}

// each calls do with the labels of the row in a place.
func (p *page) each(at int, do func(label)) {
	f := &p.facts[at]
	for _, l := range f.labels[:min(int(f.count), inline)] {
		do(l)
	}
	if f.count > inline {
		for _, l := range p.rows[at].labels[inline:] {
			do(l)
		}
	}
}

// join puts the codes of the rows together.
func (p *page) join() {
	var b strings.Builder
	p.ends = make([]uint32, pageSize)
	for i, r := range p.rows {
		if r != nil {
			b.WriteString(r.text[inCodes])
			b.WriteByte('\n')
		}
		p.ends[i] = uint32(b.Len())
	}
	p.codes = b.String()
}

// coded calls do with the places of the rows that have a word in their codes.
func (p *page) coded(word string, do func(at int)) {
	for from := 0; ; {
		at := find(p.codes[from:], word)
		if at < 0 {
			return
		}
		row, _ := slices.BinarySearch(p.ends, uint32(from+at+1))
		do(row)
		from = int(p.ends[row])
	}
}

// pages is the rows of a follower.
type pages struct {
	all   []*page
	fresh map[int]bool // pages that no view has yet
}

// set puts a row, or nothing, in a slot.
func (p *pages) set(slot uint32, r *row) {
	n, at := int(slot/pageSize), slot%pageSize
	switch {
	case n == len(p.all):
		p.all = append(p.all, &page{})
	case !p.fresh[n]:
		copied := *p.all[n]
		p.all[n] = &copied
	}
	p.fresh[n] = true
	p.all[n].rows[at], p.all[n].facts[at] = r, fact{}
	if r != nil {
		p.all[n].facts[at] = factOf(r)
	}
}

// share gives the pages to a view.
func (p *pages) share() []*page {
	for n := range p.fresh {
		p.all[n].join()
	}
	p.fresh = map[int]bool{}
	return slices.Clone(p.all)
}
