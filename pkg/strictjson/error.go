package strictjson

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/gxbus/gxbus/pkg/bus"
)

// fail makes the error for what stands at the byte offset at, within the
// objects and arrays that are open.
func (s *scanner) fail(at int, text bus.Text, allowed string) *bus.Error {
	return bus.E(bus.CodeMalformedJSON, bus.Defect{
		Field: s.path(),
		Problem: bus.Text{
			ZH: fmt.Sprintf("%s（字节偏移 %d）", text.ZH, at),
			EN: fmt.Sprintf("%s, at byte offset %d", text.EN, at),
		},
		Allowed: allowed,
	})
}

func (s *scanner) over(at int, text bus.Text, unit string, limit int) *bus.Error {
	return s.fail(at, text, fmt.Sprintf("at most %d %s", limit, unit))
}

func (s *scanner) unexpected(want string) *bus.Error {
	if s.pos >= len(s.data) {
		return s.fail(s.pos, bus.Text{ZH: "内容不完整", EN: "ends too early"}, want)
	}
	return s.fail(s.pos, bus.Text{ZH: "此处内容不符合 JSON 语法", EN: "breaks the JSON grammar"}, want)
}

// path names the value being read, "" for the whole text. Its length is
// bounded by the depth.
func (s *scanner) path() string {
	var b strings.Builder
	for _, f := range s.frames {
		switch {
		case !f.object:
			fmt.Fprintf(&b, "[%d]", f.index)
		case f.key.start == 0: // before the first key
		default:
			name := keyName(string(unescape(nil, s.raw(f.key))))
			if b.Len() > 0 && name[0] != '[' {
				b.WriteByte('.')
			}
			b.WriteString(name)
		}
	}
	return b.String()
}

// keyName gives a key as a path shows it: quoted in brackets where it could be
// misread, and cut where it is long.
func keyName(name string) string {
	if runes := []rune(name); len(runes) > 64 {
		name = string(runes[:64]) + "…"
	}
	strange := func(r rune) bool {
		return strings.ContainsRune(`.[]"\`, r) || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}
	if name == "" || strings.ContainsFunc(name, strange) {
		return "[" + strconv.Quote(name) + "]"
	}
	return name
}
