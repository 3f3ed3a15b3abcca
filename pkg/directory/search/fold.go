package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold gives the form of a text that is indexed and searched: letters and digits
// in lower case, width and accents taken off, and one space for whatever else
// stands between them.
func fold(s string) string {
	f := folder{out: make([]byte, 0, len(s))}
	for _, r := range s {
		f.add(r)
	}
	return strings.TrimSuffix(string(f.out), " ")
}

// foldWithOrigins gives the folded text and, for each of its bytes, where in s the
// character begins that it comes from.
func foldWithOrigins(s string) (folded string, origins []int) {
	f := folder{out: make([]byte, 0, len(s))}
	for at, r := range s {
		f.add(r)
		for len(origins) < len(f.out) {
			origins = append(origins, at)
		}
	}
	folded = strings.TrimSuffix(string(f.out), " ")
	return folded, origins[:len(folded)]
}

// folder folds one character at a time, so that a text and a piece of it fold
// alike.
type folder struct{ out []byte }

func (f *folder) add(r rune) {
	switch {
	case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
		f.out = append(f.out, byte(r))
	case r >= 'A' && r <= 'Z':
		f.out = append(f.out, byte(r)+'a'-'A')
	case r < utf8.RuneSelf || r == utf8.RuneError:
		f.space()
	case r >= 0x4e00 && r <= 0x9fff: // the usual Chinese character
		f.out = utf8.AppendRune(f.out, r)
	default:
		for _, part := range norm.NFKD.String(string(r)) {
			switch {
			case unicode.Is(unicode.Mn, part): // an accent
			case unicode.IsLetter(part) || unicode.IsDigit(part):
				f.out = utf8.AppendRune(f.out, unicode.ToLower(part))
			default:
				f.space()
			}
		}
	}
}

func (f *folder) space() {
	if n := len(f.out); n > 0 && f.out[n-1] != ' ' {
		f.out = append(f.out, ' ')
	}
}

// ideographic reports whether each character of a script is found by itself; of
// the others whole words are, from their beginning.
func ideographic(r rune) bool {
	return r >= 0x4e00 && r <= 0x9fff || r >= 0x2e80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo)
}

// wordsOf splits what somebody looks for: at its spaces, and at its marks where a
// Chinese character stands beside one. "3010010001/000001" stays one word, which
// is two in a row in the folded text.
func wordsOf(q string) []string {
	var words []string
	seen := map[string]bool{}
	for _, field := range strings.Fields(q) {
		word := ""
		for _, part := range strings.Fields(fold(field)) {
			last, _ := utf8.DecodeLastRuneInString(word)
			first, _ := utf8.DecodeRuneInString(part)
			if word != "" && !ideographic(last) && !ideographic(first) {
				word += " " + part
				continue
			}
			words, word = append(words, word), part
		}
		words = append(words, word)
	}
	kept := words[:0]
	for _, w := range words {
		if w != "" && !seen[w] {
			seen[w] = true
			kept = append(kept, w)
		}
	}
	return kept
}

// needle is a word to look for in many folded texts: anywhere, but that a word of
// letters and digits stands at the beginning of one.
type needle struct {
	word     string
	anywhere bool
	rare     int // which byte of it to look for first
}

// newNeedle makes a needle for texts of which one is given. Chinese characters of a
// kind begin with the same byte, so the first byte of a word is everywhere, and to
// look for that one first would find little else.
func newNeedle(word, sample string) needle {
	first, _ := utf8.DecodeRuneInString(word)
	n := needle{word: word, anywhere: ideographic(first)}
	var seen [256]int
	for i := range len(sample) {
		seen[sample[i]]++
	}
	for i := range len(word) {
		if seen[word[i]] < seen[word[n.rare]] {
			n.rare = i
		}
	}
	return n
}

// in returns where the word stands in a text, -1 where it does not.
func (n *needle) in(text string) int {
	for from := 0; ; {
		at := n.next(text, from)
		if at <= 0 || n.anywhere {
			return at
		}
		if before, _ := utf8.DecodeLastRuneInString(text[:at]); before == ' ' || before == '\n' || ideographic(before) {
			return at
		}
		from = at + 1
	}
}

// patience is how many places a needle tries by its rare byte, which a text may be
// full of, before it leaves the rest to an algorithm that no text can slow down.
const patience = 32

// next returns the first place at or after from where the bytes of the word stand.
func (n *needle) next(text string, from int) int {
	last := len(text) - len(n.word)
	for range patience {
		if from > last {
			return -1
		}
		skip := strings.IndexByte(text[from+n.rare:last+n.rare+1], n.word[n.rare])
		if skip < 0 {
			return -1
		}
		from += skip
		if text[from:from+len(n.word)] == n.word {
			return from
		}
		from++
	}
	if at := strings.Index(text[from:], n.word); at >= 0 {
		return from + at
	}
	return -1
}
