package catalogue

import (
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// column is a column of the layout: what heads it, and how its cells are read
// into an entry and written from one.
type column struct {
	key     string // the field's path, "sharing.type", "items.grade"
	heading bus.Text
	also    []string // other headings that it is known by
	note    bus.Text // what to write there
	needed  bool     // of every entry, or of every item
	binding
}

// ofItem reports whether the column tells of an item, not of the resource.
func (c *column) ofItem() bool { return strings.HasPrefix(c.key, "items.") }

// binding ties a column to a place in an entry. put is called with cells that
// are not blank, and says what is wrong with them.
type binding struct {
	words words // what may stand there; nil where that is free
	put   func(p *place, text string) *bus.Defect
	cell  func(p *place) string
}

// place is where a row's cells go.
type place struct {
	draft    *bus.Draft
	item     *bus.Item
	class    [4]string // 类 项 目 细目, which the code must bear out
	provider string    // its name
}

// prose keeps a text as it is written.
func prose[T ~string](at func(*place) *T) binding {
	return binding{
		put:  func(p *place, text string) *bus.Defect { *at(p) = T(text); return nil },
		cell: func(p *place) string { return string(*at(p)) },
	}
}

// token is a text in which space around it means nothing.
func token[T ~string](at func(*place) *T) binding {
	return binding{
		put:  func(p *place, text string) *bus.Defect { *at(p) = T(strings.TrimSpace(text)); return nil },
		cell: func(p *place) string { return string(*at(p)) },
	}
}

// choice is one of a vocabulary. A number is never taken for a word of it:
// platforms number these differently.
func choice[T ~string](w words, at func(*place) *T) binding {
	return binding{
		words: w,
		put: func(p *place, text string) *bus.Defect {
			value, ok := w.value(text)
			if !ok {
				return w.refuse(text)
			}
			*at(p) = T(value)
			return nil
		},
		cell: func(p *place) string { return w.name(string(*at(p))) },
	}
}

func (w words) refuse(text string) *bus.Defect {
	text = brief(text)
	return &bus.Defect{Problem: bus.Text{ZH: "取值不允许：" + text, EN: "value not allowed: " + text}, Allowed: w.allowed()}
}

// brief cuts a text that is quoted in a message.
func brief(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}

const separators = ";；、,，\n"

// list is several tokens in one cell, of a vocabulary where there is one.
func list[T ~string](w words, at func(*place) *[]T) binding {
	return binding{
		words: w,
		put: func(p *place, text string) *bus.Defect {
			var values []T
			for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
				part = strings.TrimSpace(part)
				if part == "" {
					continue
				}
				if w != nil {
					value, ok := w.value(part)
					if !ok {
						return w.refuse(part)
					}
					part = value
				}
				values = append(values, T(part))
			}
			*at(p) = values
			return nil
		},
		cell: func(p *place) string {
			values := *at(p)
			parts := make([]string, len(values))
			for i, v := range values {
				parts[i] = w.name(string(v))
			}
			return strings.Join(parts, "；")
		},
	}
}

// number is a whole number; 0 is left blank.
func number(w words, at func(*place) *int) binding {
	return binding{
		words: w,
		put: func(p *place, text string) *bus.Defect {
			text = strings.TrimSpace(text)
			if w != nil {
				value, ok := w.value(text)
				if !ok {
					return w.refuse(text)
				}
				text = value
			}
			n, err := strconv.Atoi(text)
			if err != nil {
				return &bus.Defect{Problem: bus.Text{ZH: "不是整数：" + brief(text), EN: "not a whole number: " + brief(text)}, Allowed: "0 …"}
			}
			*at(p) = n
			return nil
		},
		cell: func(p *place) string {
			if *at(p) == 0 {
				return ""
			}
			return w.name(strconv.Itoa(*at(p)))
		},
	}
}

// flag is yes or no; no is left blank.
func flag(at func(*place) *bool) binding {
	return binding{
		words: flagWords,
		put: func(p *place, text string) *bus.Defect {
			value, ok := flagWords.value(text)
			if !ok {
				return flagWords.refuse(text)
			}
			*at(p) = value == "true"
			return nil
		},
		cell: func(p *place) string {
			if *at(p) {
				return flagWords.name("true")
			}
			return ""
		},
	}
}

// classPart is one of 类 项 目 细目. They say again what stands in the code; a
// name instead of digits is the coding scheme's to give and is passed over.
func classPart(i int, w words) binding {
	return binding{
		words: w,
		put: func(p *place, text string) *bus.Defect {
			text = strings.TrimSpace(text)
			if value, ok := w.value(text); ok {
				text = value
			}
			if strings.IndexFunc(text, func(r rune) bool { return r > 0x7f }) < 0 {
				p.class[i] = text
			}
			return nil
		},
		cell: func(p *place) string {
			if len(p.draft.Resource.Codes) == 0 {
				return ""
			}
			parts := classOf(p.draft.Resource.Codes[0])
			return w.name(parts[i])
		},
	}
}

// classOf takes a valid directory code apart into 类 项 目 细目.
func classOf(code bus.ResourceCode) [4]string {
	prefix, _, _ := strings.Cut(string(code), "/")
	if len(prefix) < 6 {
		return [4]string{}
	}
	return [4]string{prefix[:1], prefix[1:3], prefix[3:6], prefix[6:]}
}

// shown is a column that is written for people and not read.
func shown(cell func(*place) string) binding {
	return binding{put: func(*place, string) *bus.Defect { return nil }, cell: cell}
}
