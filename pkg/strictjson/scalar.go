package strictjson

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gxbus/gxbus/pkg/bus"
)

// text reads a string, a key or a value, from its opening quote past its
// closing one. UTF-8 was checked before.
func (s *scanner) text() *bus.Error {
	i := s.pos + 1
	for i < len(s.data) {
		c := s.data[i]
		switch {
		case c == '"':
			s.pos = i + 1
			return nil
		case c == '\\':
			_, n := escaped(s.data[i:])
			if n == 0 {
				return s.fail(i, bus.Text{ZH: "转义不正确", EN: "has a bad escape"},
					`\" \\ \/ \b \f \n \r \t \uXXXX, surrogates in pairs, no \u0000`)
			}
			i += n
		case c < ' ':
			return s.fail(i, bus.Text{ZH: "字符串中有控制字符", EN: "has a control character in a string"}, "escaped control characters")
		default:
			i++
		}
	}
	return s.fail(i, bus.Text{ZH: "内容不完整", EN: "ends too early"}, "a closing double quote")
}

// escaped reads the escape at the start of data and returns its rune and its
// length, 0 if it is not allowed: unknown, NUL, or half a surrogate pair.
func escaped(data []byte) (rune, int) {
	if len(data) < 2 {
		return 0, 0
	}
	switch data[1] {
	case '"', '\\', '/':
		return rune(data[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return escapedUnit(data)
	}
	return 0, 0
}

func escapedUnit(data []byte) (rune, int) {
	r := unit(data)
	switch {
	case r <= 0:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	pair := utf16.DecodeRune(r, unit(data[6:]))
	if pair == utf8.RuneError {
		return 0, 0
	}
	return pair, 12
}

// unit returns the value of the \uXXXX at the start of data, or -1.
func unit(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range data[2:6] {
		digit := hexDigit(c)
		if digit < 0 {
			return -1
		}
		r = r<<4 | rune(digit)
	}
	return r
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// number reads a number: -? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)?
func (s *scanner) number() *bus.Error {
	start := s.pos
	if s.data[s.pos] == '-' {
		s.pos++
	}
	whole := s.pos
	if s.digits() == 0 {
		return s.unexpected("a digit")
	}
	if s.data[whole] == '0' && s.pos > whole+1 {
		s.pos = whole + 1
		return s.unexpected("no digit after a leading 0")
	}
	if s.at('.') {
		s.pos++
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	exponent := 0
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		n := s.digits()
		if n == 0 {
			return s.unexpected("a digit")
		}
		exponent, _ = strconv.Atoi(string(s.data[s.pos-n : s.pos])) // the largest int where it overflows
	}
	if s.pos-start > s.lim.Number {
		return s.over(start, bus.Text{ZH: "数字过长", EN: "has a number that is too long"}, "bytes", s.lim.Number)
	}
	if exponent > s.lim.Exponent {
		return s.over(start, bus.Text{ZH: "数字指数过大", EN: "has a number with too large an exponent"}, "as exponent", s.lim.Exponent)
	}
	return nil
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *scanner) digits() int {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}
