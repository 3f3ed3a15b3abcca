package search

import (
	"slices"
	"unicode/utf8"
)

// Part is a piece of a text; Hit marks what was looked for. The parts of a text
// in a row give it back, but for what an excerpt leaves out.
type Part struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit,omitempty"`
}

const (
	excerptAfter  = 80 // characters of a text that are shown
	excerptBefore = 20 // of these, before the first hit
)

// Highlight marks the words of a query in a text, and cuts a long one around the
// first. nil where none of the words is in it.
func Highlight(q, text string) []Part {
	folded, origins := foldWithOrigins(text)
	hit := make([]bool, len(text))
	first := len(text)
	for _, word := range wordsOf(q) {
		sought := newNeedle(word, folded)
		for from := 0; from < len(folded); {
			at := sought.in(folded[from:])
			if at < 0 {
				break
			}
			at += from
			from = at + len(word)
			begin := origins[at]
			last := origins[from-1] // where the last character begins
			_, size := utf8.DecodeRuneInString(text[last:])
			for i := begin; i < last+size; i++ {
				hit[i] = true
			}
			first = min(first, begin)
		}
	}
	if first == len(text) {
		return nil
	}
	begin, end := excerpt(text, first)
	var parts []Part
	if begin > 0 {
		parts = append(parts, Part{Text: "…"})
	}
	for begin < end {
		n := slices.Index(hit[begin:end], !hit[begin])
		if n < 0 {
			n = end - begin
		}
		parts = append(parts, Part{text[begin : begin+n], hit[begin]})
		begin += n
	}
	if end < len(text) {
		parts = append(parts, Part{Text: "…"})
	}
	return parts
}

// excerpt says which bytes of a text are shown.
func excerpt(text string, first int) (begin, end int) {
	if utf8.RuneCountInString(text) <= excerptAfter {
		return 0, len(text)
	}
	begin = first
	for range excerptBefore {
		_, size := utf8.DecodeLastRuneInString(text[:begin])
		begin -= size
	}
	end = begin
	for range excerptAfter {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return begin, end
}
