package strictjson

import (
	"bytes"
	"hash/maphash"
	"unicode/utf8"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Limits bound what a text may hold. A zero field means its default.
type Limits struct {
	Depth    int // nested objects and arrays; 64
	Keys     int // keys of one object; 10,000
	Number   int // bytes of one number; 64
	Exponent int // absolute value of an exponent; 308
}

func (l Limits) withDefaults() Limits {
	fill := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	fill(&l.Depth, 64)
	fill(&l.Keys, 10_000)
	fill(&l.Number, 64)
	fill(&l.Exponent, 308)
	return l
}

// Check returns nil if data is one strict JSON value within lim, else a
// *bus.Error with CodeMalformedJSON whose defect names the path, such as
// "items[2].type", and the byte offset. Whatever Check accepts, encoding/json
// accepts too.
func Check(data []byte, lim Limits) error {
	if err := newScanner(data, lim).document(nil); err != nil {
		return err
	}
	return nil
}

// scanner walks a text once. It recurses at most as deep as the limit allows.
type scanner struct {
	data    []byte
	pos     int
	lim     Limits
	frames  []frame // the objects and arrays around pos
	keys    []key   // keys seen in the objects around pos, outermost first
	seed    maphash.Seed
	scratch []byte
}

// frame is one enclosing object or array.
type frame struct {
	object bool
	key    key // the key being read, for an object
	index  int // the element being read, for an array
}

func newScanner(data []byte, lim Limits) *scanner {
	return &scanner{
		data: data, lim: lim.withDefaults(), seed: maphash.MakeSeed(),
		frames: make([]frame, 0, 8), keys: make([]key, 0, 2*few),
	}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// document reads the whole text; of is what it is meant for, nil for Check.
func (s *scanner) document(of *shape) *bus.Error {
	if bytes.HasPrefix(s.data, byteOrderMark) {
		return s.fail(0, bus.Text{ZH: "不允许字节顺序标记", EN: "has a byte order mark"}, "UTF-8 without one")
	}
	if !utf8.Valid(s.data) {
		return s.fail(firstInvalid(s.data), bus.Text{ZH: "不是有效的 UTF-8", EN: "is not valid UTF-8"}, "UTF-8")
	}
	if err := s.value(of); err != nil {
		return err
	}
	s.space()
	if s.pos < len(s.data) {
		return s.fail(s.pos, bus.Text{ZH: "值之后有多余内容", EN: "has something after the value"}, "one value")
	}
	return nil
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}

func (s *scanner) space() { s.pos = skipSpace(s.data, s.pos) }

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// next skips white space and returns the byte there, or 0 at the end: a NUL in
// the text is as unexpected as its end.
func (s *scanner) next() byte {
	s.space()
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

func (s *scanner) value(of *shape) *bus.Error {
	first := s.next()
	start := s.pos
	var err *bus.Error
	switch first {
	case '{':
		err = s.object(of)
	case '[':
		err = s.array(of)
	case '"':
		err = s.text()
	case 't':
		err = s.literal("true")
	case 'f':
		err = s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if first != '-' && (first < '0' || first > '9') {
			return s.unexpected("a JSON value")
		}
		err = s.number()
	}
	if err != nil {
		return err
	}
	return s.decodable(of, start)
}

func (s *scanner) literal(word string) *bus.Error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return s.unexpected("a JSON value")
	}
	s.pos += len(word)
	return nil
}

// enter opens an object or array at pos.
func (s *scanner) enter(f frame) *bus.Error {
	if len(s.frames) == s.lim.Depth {
		return s.over(s.pos, bus.Text{ZH: "嵌套过深", EN: "is nested too deep"}, "levels", s.lim.Depth)
	}
	s.frames = append(s.frames, f)
	s.pos++
	return nil
}

func (s *scanner) leave() {
	s.frames = s.frames[:len(s.frames)-1]
	s.pos++
}

func (s *scanner) array(of *shape) *bus.Error {
	if err := s.enter(frame{}); err != nil {
		return err
	}
	element := of.holds()
	if s.next() == ']' {
		s.leave()
		return nil
	}
	for {
		if err := s.value(element); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.pos++
			s.frames[len(s.frames)-1].index++
		case ']':
			s.leave()
			return nil
		default:
			return s.unexpected(`"," or "]"`)
		}
	}
}

func (s *scanner) object(of *shape) *bus.Error {
	if err := s.enter(frame{object: true}); err != nil {
		return err
	}
	base := len(s.keys)
	if s.next() == '}' {
		s.leave()
		return nil
	}
	for {
		member, err := s.key(of, base)
		if err != nil {
			return err
		}
		if s.next() != ':' {
			return s.unexpected(`":"`)
		}
		s.pos++
		if err := s.value(member); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.pos++
		case '}':
			if err := s.distinct(base); err != nil {
				return err
			}
			s.keys = s.keys[:base]
			s.leave()
			return nil
		default:
			return s.unexpected(`"," or "}"`)
		}
	}
}

// key reads one key of the object whose keys start at base, and returns what its
// value is meant for.
func (s *scanner) key(of *shape, base int) (*shape, *bus.Error) {
	if s.next() != '"' {
		return nil, s.unexpected("a key in double quotes")
	}
	start := s.pos
	if err := s.text(); err != nil {
		return nil, err
	}
	k := key{start: start + 1, end: s.pos - 1}
	s.frames[len(s.frames)-1].key = k
	if len(s.keys)-base == s.lim.Keys {
		return nil, s.over(start, bus.Text{ZH: "对象的键过多", EN: "has too many keys in one object"}, "keys", s.lim.Keys)
	}
	k.hash = s.hash(k)
	s.keys = append(s.keys, k)
	return s.field(of, k)
}
