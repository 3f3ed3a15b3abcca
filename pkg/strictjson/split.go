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
	from := 0 // of what is to be appended as it stands
	for i := 0; i < len(value); {
		switch value[i] {
		case ' ', '\n', '\r', '\t':
			dst = append(dst, value[from:i]...)
			i = skipSpace(value, i)
			from = i
		case '"':
			i = skipText(value, i)
		default:
			i++
		}
	}
	return append(dst, value[from:]...)
}

// AppendString appends text as a JSON string in its shortest form: only the
// quote, the backslash and control characters are escaped. text is valid UTF-8.
func AppendString(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0 // of what is to be appended as it stands
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}

// Tree gives a value as encoding/json would decode it into an any with numbers as
// json.Number.
func Tree(value []byte) any {
	tree, _ := treeAt(value, skipSpace(value, 0), 0)
	return tree
}

// deepest is how deep Tree looks; encoding/json refuses what is deeper.
const deepest = 10_000

// treeAt gives the value that starts at i, and its end.
func treeAt(data []byte, i, depth int) (value any, end int) {
	if i == len(data) || depth > deepest {
		return nil, len(data)
	}
	switch data[i] {
	case '{':
		object := map[string]any{}
		for i = skipSpace(data, i+1); i < len(data) && data[i] == '"'; i = past(',', data, i) {
			end := skipText(data, i)
			name, _ := Text(data[i:end])
			object[name], i = treeAt(data, past(':', data, end), depth+1)
		}
		return object, min(i+1, len(data))
	case '[':
		array := []any{}
		for i = skipSpace(data, i+1); i < len(data) && data[i] != ']'; i = past(',', data, i) {
			value, i = treeAt(data, i, depth+1)
			array = append(array, value)
		}
		return array, min(i+1, len(data))
	case '"':
		end = skipText(data, i)
		value, _ = Text(data[i:end])
		return value, end
	}
	switch end = skipScalar(data, i); data[i] {
	case 'n':
		return nil, end
	case 't', 'f':
		return data[i] == 't', end
	}
	return json.Number(data[i:end]), end
}

// past is where the next token begins, past a mark if that is next.
func past(mark byte, data []byte, i int) int {
	if i = skipSpace(data, i); i < len(data) && data[i] == mark {
		i = skipSpace(data, i+1)
	}
	return i
}
