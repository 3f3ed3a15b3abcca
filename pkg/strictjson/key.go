package strictjson

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/gxbus/gxbus/pkg/bus"
)

// key is one key: where it stands in the text, quotes left out, and the seeded
// hash of its folded form.
type key struct {
	hash       uint64
	start, end int
}

// few is how many keys are compared pair by pair; more are sorted by hash, so
// that an object of n keys costs n log n whatever the keys are.
const few = 16

// distinct refuses keys that are equal or differ only in case, among those
// from base on. The seed of the hash is secret, so collisions can't be made.
func (s *scanner) distinct(base int) *bus.Error {
	keys := s.keys[base:]
	if len(keys) <= few {
		for i := range keys {
			for j := range i {
				if keys[i].hash == keys[j].hash && s.same(keys[i], keys[j]) {
					return s.twin(keys[j], keys[i])
				}
			}
		}
		return nil
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.start, b.start))
	})
	for i := 1; i < len(keys); i++ {
		for j := i - 1; j >= 0 && keys[j].hash == keys[i].hash; j-- {
			if s.same(keys[i], keys[j]) {
				return s.twin(keys[j], keys[i])
			}
		}
	}
	return nil
}

func (s *scanner) same(a, b key) bool {
	return bytes.Equal(s.folded(a, nil), s.folded(b, nil))
}

func (s *scanner) twin(first, second key) *bus.Error {
	s.frames[len(s.frames)-1].key = second
	text := bus.Text{ZH: "键重复", EN: "is a duplicate key"}
	if !bytes.Equal(unescape(nil, s.raw(first)), unescape(nil, s.raw(second))) {
		text = bus.Text{ZH: "与另一个键仅大小写不同", EN: "differs only in case from another key"}
	}
	return s.fail(second.start, text, "each key once")
}

func (s *scanner) raw(k key) []byte { return s.data[k.start:k.end] }

func (s *scanner) hash(k key) uint64 {
	s.scratch = s.folded(k, s.scratch[:0])
	return maphash.Bytes(s.seed, s.scratch)
}

// folded appends to dst the form under which encoding/json takes keys for the
// same: escapes undone, and every character replaced by one representative of
// those that Unicode simple folding makes equal to it.
func (s *scanner) folded(k key, dst []byte) []byte {
	raw := s.raw(k)
	if !lowerASCII(raw) {
		return foldRunes(dst, unescape(nil, raw))
	}
	return append(dst, raw...)
}

// lowerASCII reports whether raw is its own folded form.
func lowerASCII(raw []byte) bool {
	for _, c := range raw {
		if c >= utf8.RuneSelf || c == '\\' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

func foldRunes(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		dst = utf8.AppendRune(dst, foldRune(r))
		text = text[n:]
	}
	return dst
}

// foldRune returns the smallest rune that folds like r, in lower case where
// that one is ASCII: the Kelvin sign becomes k, and ſ becomes s.
func foldRune(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			r = next
			break
		}
		r = next
	}
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}
