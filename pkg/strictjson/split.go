package strictjson

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// The functions of this file take text that [Check] has accepted. On other
// text their result means nothing, but they end and do not panic.

// Kind returns what a value is: '{' object, '[' array, '"' string, '0' number,
// 't' boolean, 'n' null, and 0 for nothing.
func Kind(value []byte) byte {
	i := skipSpace(value, 0)
	if i == len(value) {
		return 0
	}
	switch c := value[i]; c {
	case '{', '[', '"', 'n', 't':
		return c
	case 'f':
		return 't'
	default:
		return '0'
	}
}

// Members yields the keys of an object, escapes undone, and their values as
// they stand in it, in order. Anything else has no members.
func Members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		i := skipSpace(object, 0)
		if i == len(object) || object[i] != '{' {
			return
		}
		for {
			i = skipSpace(object, i+1)
			if i >= len(object) || object[i] != '"' {
				return
			}
			end := skipValue(object, i)
			name, _ := Text(object[i:end])
			if i = skipSpace(object, end); i == len(object) {
				return
			}
			i = skipSpace(object, i+1) // past the colon
			end = skipValue(object, i)
			if !yield(name, object[i:end:end]) {
				return
			}
			if i = skipSpace(object, end); i == len(object) || object[i] != ',' {
				return
			}
		}
	}
}

// Elements yields the elements of an array as they stand in it, in order.
// Anything else has no elements.
func Elements(array []byte) iter.Seq2[int, json.RawMessage] {
	return func(yield func(int, json.RawMessage) bool) {
		i := skipSpace(array, 0)
		if i == len(array) || array[i] != '[' {
			return
		}
		for n := 0; ; n++ {
			i = skipSpace(array, i+1)
			if i >= len(array) || array[i] == ']' {
				return
			}
			end := skipValue(array, i)
			if !yield(n, array[i:end:end]) {
				return
			}
			if i = skipSpace(array, end); i == len(array) || array[i] != ',' {
				return
			}
		}
	}
}

// skipValue returns the end of the value that starts at i.
func skipValue(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			i = skipText(data, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\r', '\t':
			i++
			continue
		default:
			i = skipScalar(data, i)
		}
		if depth <= 0 {
			return i
		}
	}
	return len(data)
}

func skipText(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(data)
}

func skipScalar(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case ',', ':', ']', '}', ' ', '\n', '\r', '\t':
			return i
		}
	}
	return i
}

// Text returns what a string says, and false for any other value.
func Text(value []byte) (string, bool) {
	value = bytes.TrimSpace(value)
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return string(inside), true
	}
	return string(unescape(make([]byte, 0, len(inside)), inside)), true
}

// unescape appends to dst the inside of a string with its escapes undone.
func unescape(dst, inside []byte) []byte {
	for i := 0; i < len(inside); {
		if inside[i] != '\\' {
			dst = append(dst, inside[i])
			i++
			continue
		}
		r, n := escaped(inside[i:])
		if n == 0 {
			return dst
		}
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst
}

// AppendCompact appends value to dst without the white space between tokens;
// strings and numbers stay byte for byte.
func AppendCompact(dst, value []byte) []byte {
	for i := 0; i < len(value); {
		switch value[i] {
		case ' ', '\n', '\r', '\t':
			i++
		case '"':
			end := skipText(value, i)
			dst = append(dst, value[i:end]...)
			i = end
		default:
			dst = append(dst, value[i])
			i++
		}
	}
	return dst
}

// AppendString appends text as a JSON string in its shortest form: only the
// quote, the backslash and control characters are escaped. text is valid UTF-8.
func AppendString(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
