package event

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gxbus/gxbus/pkg/bus"
)

const headerPrefix = "ce-"

// headerField names an attribute as binary mode carries it.
func headerField(name string) string {
	switch name {
	case "", "data":
		return name
	case "datacontenttype":
		return "Content-Type"
	}
	return headerPrefix + name
}

// attributeOf returns the attribute that a header carries; header names don't
// know case.
func attributeOf(header string) (string, bool) {
	return strings.CutPrefix(strings.ToLower(header), headerPrefix)
}

func hasAttributes(h http.Header) bool {
	for header := range h {
		if _, ok := attributeOf(header); ok {
			return true
		}
	}
	return false
}

func decodeBinary(h http.Header, body []byte, lim Limits) ([]Event, error) {
	d := draft{field: headerField, limit: lim.Event}
	d.headers(h)
	if contentType := h.Get("Content-Type"); contentType != "" {
		d.set(attribute{name: "datacontenttype", string: contentType})
	}
	if len(body) > 0 {
		d.data = body
	}
	e, failure := d.event()
	if failure != nil {
		return nil, failure
	}
	return []Event{e}, nil
}

// headers reads the attributes in h (HTTP binding §3.1.3), in the order of their
// names, so that equal requests get equal answers.
func (d *draft) headers(h http.Header) {
	values := map[string][]string{}
	for header, list := range h {
		if name, ok := attributeOf(header); ok {
			values[name] = append(values[name], list...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch list := values[name]; {
		case name == "datacontenttype":
			d.defects = append(d.defects, bus.Defect{Field: "ce-datacontenttype", Problem: bus.Text{ZH: "应使用 Content-Type", EN: "is not a header; Content-Type carries it"}, Allowed: "no such header"})
		case len(list) != 1:
			d.wrong(name, bus.Defect{Problem: bus.Text{ZH: "重复出现", EN: "occurs more than once"}, Allowed: "one"})
		default:
			value, ok := decodeValue(list[0])
			if !ok {
				d.wrong(name, bus.Defect{
					Problem: bus.Text{ZH: "头的值编码不正确", EN: "has a value that is not encoded as it should be"},
					Allowed: "printable ASCII; other characters as percent-encoded UTF-8 (CloudEvents HTTP binding §3.1.3.2)",
				})
				continue
			}
			d.set(attribute{name: name, string: value})
		}
	}
}

// WriteBinary puts the attributes of e into h, in place of any that are there,
// and returns the body: binary mode. Its errors are those of [Marshal].
func WriteBinary(e Event, h http.Header) ([]byte, error) {
	e, err := normal(e)
	if err != nil {
		return nil, err
	}
	for header := range h {
		if _, ok := attributeOf(header); ok {
			delete(h, header)
		}
	}
	h.Del("Content-Type")
	for _, a := range attributes(e) {
		if a.name == "datacontenttype" {
			h.Set("Content-Type", a.text())
			continue
		}
		h.Set(headerPrefix+a.name, encodeValue(a.text()))
	}
	return e.DataEncoded, nil
}

// encodeValue percent-encodes what a header can't hold (HTTP binding §3.1.3.2).
func encodeValue(text string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c > ' ' && c <= '~' && c != '"' && c != '%' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// decodeValue undoes a quoted string, which older senders use, then one round
// of percent-encoding. It reports false for a value that is not encoded: raw
// bytes outside ASCII, a stray quote or percent sign, bytes that are not UTF-8.
func decodeValue(value string) (string, bool) {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return "", false
		}
	}
	if strings.HasPrefix(value, `"`) {
		var ok bool
		if value, ok = unquote(value); !ok {
			return "", false
		}
	} else if strings.Contains(value, `"`) {
		return "", false
	}
	return percentDecode(value)
}

// unquote undoes a quoted-string (RFC 7230 §3.2.6).
func unquote(value string) (string, bool) {
	if len(value) < 2 || value[len(value)-1] != '"' {
		return "", false
	}
	inside := value[1 : len(value)-1]
	var b strings.Builder
	for i := 0; i < len(inside); i++ {
		switch inside[i] {
		case '"':
			return "", false
		case '\\':
			if i++; i == len(inside) {
				return "", false
			}
		}
		b.WriteByte(inside[i])
	}
	return b.String(), true
}

func percentDecode(text string) (string, bool) {
	if !strings.Contains(text, "%") {
		return text, true
	}
	decoded := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			decoded = append(decoded, text[i])
			continue
		}
		if i+2 >= len(text) {
			return "", false
		}
		high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		decoded = append(decoded, byte(high<<4|low))
		i += 2
	}
	return string(decoded), utf8.Valid(decoded)
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
