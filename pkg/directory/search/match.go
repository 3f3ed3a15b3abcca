package search

import (
	"context"
	"slices"
)

// Which rows have the words of a search, and where.

// match finds the rows that have every word, and how well.
func (s *search) match(ctx context.Context) error {
	if len(s.words) == 0 {
		return nil
	}
	slots := len(s.view.pages) * pageSize
	s.scores, s.where = slices.Grow(s.scores[:0], slots)[:slots], slices.Grow(s.where[:0], slots)[:slots]
	for n, p := range s.view.pages {
		for at := range p.facts {
			s.scores[n*pageSize+at] = uint16(min(p.facts[at].kind, 1))
		}
	}
	for _, word := range s.words {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(s.where)
		for f := fields - 1; f >= 0 && s.lacks(); f-- {
			if err := s.mark(f, word); err != nil {
				return err
			}
		}
		for slot, w := range s.where {
			if w == 0 {
				s.scores[slot] = 0
			} else if s.scores[slot] > 0 {
				s.scores[slot] += uint16(w) // the better the field, the higher its bit
			}
		}
	}
	return nil
}

// lacks tells whether a row that has every word before is yet without this one.
func (s *search) lacks() bool {
	for slot := range s.where {
		if s.open(slot) {
			return true
		}
	}
	return false
}

// open tells that a row has every word before, and that this one was not found in it.
func (s *search) open(slot int) bool { return s.scores[slot] > 0 && s.where[slot] == 0 }

// mark notes which rows have the word in a field, of those that have it in none that
// is better.
func (s *search) mark(field int, word string) error {
	bit := uint8(1) << field
	if field == inCodes {
		if coded(word) {
			spread(len(s.view.pages), func(n int) {
				s.view.pages[n].coded(word, func(at int) { s.where[n*pageSize+at] = bit })
			})
		}
		return nil
	}
	where, doubts := s.where, 0
	any, err := s.view.words.lookup(field, word, func(slot uint32, sure bool) {
		switch {
		case !s.open(int(slot)): // out already, or in
		case sure:
			where[slot] = bit
		default:
			where[slot] = doubtful
			doubts++
		}
	})
	if err != nil {
		return err
	}
	if any {
		for slot := range where {
			if s.open(slot) {
				where[slot] = doubtful
				doubts++
			}
		}
	}
	if doubts > 0 {
		s.decide(field, word)
	}
	return nil
}

// doubtful is said of a row that may have the word: its text has to decide.
const doubtful = 1 << 7

// decide looks for the word in the texts of the rows that are in doubt. It takes them
// as they lie in memory, which is not the order of the documents on disk.
func (s *search) decide(field int, word string) {
	sample := s.view.pages[0].texts[field].text
	sought := newNeedle(word, sample[:min(len(sample), sampled)])
	spread(len(s.view.pages), func(n int) {
		texts := &s.view.pages[n].texts[field]
		for at := range pageSize {
			switch where := &s.where[n*pageSize+at]; {
			case *where != doubtful:
			case sought.in(texts.of(at)) >= 0:
				*where = 1 << field
			default:
				*where = 0
			}
		}
	})
}

const sampled = 4096 // bytes of text that tell which bytes are rare
