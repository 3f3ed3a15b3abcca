package event

import (
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"golang.org/x/text/unicode/norm"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Caps on attributes. CloudEvents leaves them to the implementation, but for
// the length of a name, which it recommends (§3.1).
const (
	maxName       = 20
	maxURI        = 2048
	maxIdentifier = 256
	maxExtensions = 64
	maxMetadata   = 64 << 10 // bytes of all names and values
)

var (
	required   = bus.Text{ZH: "必填", EN: "required"}
	notAString = bus.Text{ZH: "应为字符串", EN: "must be a string"}
)

// setAttribute puts one attribute as it came off the wire into ctx, or says what is
// wrong with it.
func setAttribute(ctx *ce.EventContextV1, a attribute) *bus.Defect {
	text := a.string
	if problem := characterProblem(text); problem != nil {
		return &bus.Defect{Problem: *problem, Allowed: "characters without control, bidirectional override and non-characters"}
	}
	if a.other != nil && standard(a.name) {
		return &bus.Defect{Problem: notAString, Allowed: "a string"}
	}
	switch a.name {
	case "specversion":
		return checkVersion(text)
	case "id":
		ctx.ID = text
		return checkID(text)
	case "type":
		ctx.Type = text
		return checkType(text)
	case "source":
		return setSource(ctx, text)
	case "subject":
		ctx.Subject = new(text)
		return checkFilled(text)
	case "time":
		return setTime(ctx, text)
	case "dataschema":
		return setSchema(ctx, text)
	case "datacontenttype":
		ctx.DataContentType = new(text)
		return checkContentType(text)
	}
	return setExtension(ctx, a)
}

func standard(name string) bool {
	switch name {
	case "specversion", "id", "type", "source", "subject", "time", "dataschema", "datacontenttype":
		return true
	}
	return false
}

func checkVersion(text string) *bus.Defect {
	if text == ce.CloudEventsVersionV1 {
		return nil
	}
	return &bus.Defect{Problem: bus.Text{ZH: "不支持的版本", EN: "is a version that is not supported"}, Allowed: ce.CloudEventsVersionV1}
}

func checkFilled(text string) *bus.Defect {
	if strings.TrimSpace(text) != "" {
		return nil
	}
	return &bus.Defect{Problem: required, Allowed: "not empty"}
}

// checkID holds an id to one spelling: two ids that look the same are the same.
func checkID(id string) *bus.Defect {
	if defect := checkFilled(id); defect != nil {
		return defect
	}
	invisible := strings.ContainsFunc(id, func(r rune) bool { return unicode.Is(unicode.Cf, r) })
	if len(id) > maxIdentifier || invisible || strings.TrimSpace(id) != id || !norm.NFC.IsNormalString(id) {
		return &bus.Defect{
			Problem: bus.Text{ZH: "标识过长，或有不可见字符、首尾空格，或不是 NFC 形式", EN: "is too long, has invisible characters or outer spaces, or is not in Unicode form NFC"},
			Allowed: "1–256 bytes in NFC",
		}
	}
	return nil
}

func checkType(text string) *bus.Defect {
	if defect := checkFilled(text); defect != nil {
		return defect
	}
	if len(text) > maxIdentifier || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &bus.Defect{
			Problem: bus.Text{ZH: "事件类型过长或含有不允许的字符", EN: "is too long or has a character that is not allowed"},
			Allowed: "1–256 printable ASCII characters without spaces",
		}
	}
	return nil
}

func setSource(ctx *ce.EventContextV1, text string) *bus.Defect {
	if text == "" {
		return &bus.Defect{Problem: required, Allowed: "a URI-reference"}
	}
	u := parseURI(text)
	if u == nil {
		return &bus.Defect{
			Problem: bus.Text{ZH: "不是规范的 URI 引用", EN: "is not a URI-reference in normal form"},
			Allowed: "RFC 3986, at most 2048 bytes, lower-case scheme, no dot segments, other characters percent-encoded",
		}
	}
	ctx.Source = types.URIRef{URL: *u}
	return nil
}

func setSchema(ctx *ce.EventContextV1, text string) *bus.Defect {
	u := parseURI(text)
	if u == nil || !u.IsAbs() {
		return &bus.Defect{
			Problem: bus.Text{ZH: "不是绝对 URI", EN: "is not an absolute URI in normal form"},
			Allowed: "RFC 3986 with a scheme, at most 2048 bytes",
		}
	}
	ctx.DataSchema = &types.URI{URL: *u}
	return nil
}

// parseURI returns nil unless text is a URI-reference that comes out of
// url.URL, which the SDK keeps it in, as the very same text, and that has no
// dot segments: sources are compared by their text, never resolved.
func parseURI(text string) *url.URL {
	const allowed = "-._~/" + reserved
	if text == "" || len(text) > maxURI {
		return nil
	}
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte(allowed, c) < 0 {
			return nil
		}
	}
	u := &url.URL{Path: text}
	if !plainPath(text) {
		if _, ok := percentDecode(text); !ok {
			return nil
		}
		var err error
		if u, err = url.Parse(text); err != nil || u.String() != text {
			return nil
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil
		}
	}
	return u
}

// reserved are the characters of a URI that mean something (RFC 3986 §2.2), but for the
// slash, and the percent sign.
const reserved = ":?#[]@!$&'()*+,;=%"

// plainPath reports whether text, nearly always of a source, is an absolute path with
// nothing in it that url.Parse would look at.
func plainPath(text string) bool {
	return text[0] == '/' && !strings.HasPrefix(text, "//") && !strings.ContainsAny(text, reserved)
}

func setTime(ctx *ce.EventContextV1, text string) *bus.Defect {
	t, ok := timestamp(text)
	if !ok {
		return notATimestamp()
	}
	ctx.Time = &types.Timestamp{Time: t}
	return nil
}

// timestamp reads a timestamp (CloudEvents §3.1), in UTC.
func timestamp(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	t = t.UTC()
	return t, err == nil && timestampShaped(text) && !t.IsZero() && t.Year() >= 1 && t.Year() <= 9999
}

func notATimestamp() *bus.Defect {
	return &bus.Defect{
		Problem: bus.Text{ZH: "时间格式不正确", EN: "is not a timestamp"},
		Allowed: "RFC 3339, such as 2026-01-04T08:00:00+08:00, at most nanoseconds",
	}
}

// timestampShaped refuses what time.Parse takes beyond RFC 3339, such as an
// hour of one digit or a comma, and fractions that it would cut.
func timestampShaped(text string) bool {
	const whole = "0000-00-00T00:00:00"
	if len(text) <= len(whole) || !shaped(text[:len(whole)], whole) {
		return false
	}
	rest := text[len(whole):]
	if fraction, ok := strings.CutPrefix(rest, "."); ok {
		rest = strings.TrimLeft(fraction, "0123456789")
		if digits := len(fraction) - len(rest); digits == 0 || digits > 9 {
			return false
		}
	}
	return rest == "Z" || shaped(rest, "+00:00") || shaped(rest, "-00:00")
}

// shaped reports whether text is like pattern, where a 0 is any digit.
func shaped(text, pattern string) bool {
	if len(text) != len(pattern) {
		return false
	}
	for i := range len(pattern) {
		digit := text[i] >= '0' && text[i] <= '9'
		if pattern[i] == '0' && !digit || pattern[i] != '0' && text[i] != pattern[i] {
			return false
		}
	}
	return true
}

// checkContentType also refuses an event format as the type of data: in binary
// mode the event would be taken for an envelope.
func checkContentType(text string) *bus.Defect {
	if text == ce.ApplicationJSON { // nearly always
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(text)
	ascii := !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	if err != nil || !strings.Contains(mediaType, "/") || !ascii || strings.TrimSpace(text) != text || len(text) > maxIdentifier {
		return &bus.Defect{Problem: bus.Text{ZH: "不是媒体类型", EN: "is not a media type"}, Allowed: "RFC 2046, such as application/json, at most 256 bytes"}
	}
	if isEnvelope(text) {
		return &bus.Defect{Problem: bus.Text{ZH: "数据不能又是事件格式", EN: "is an event format, which data can't be"}, Allowed: "the media type of the data"}
	}
	return nil
}

func setExtension(ctx *ce.EventContextV1, a attribute) *bus.Defect {
	if !validName(a.name) {
		return &bus.Defect{Problem: bus.Text{ZH: "属性名不允许", EN: "is not an attribute name"}, Allowed: "1–20 of a–z and 0–9, not data"}
	}
	if ctx.Extensions == nil {
		ctx.Extensions = map[string]any{}
	}
	ctx.Extensions[a.name] = a.value()
	return checkExtension(a)
}

func validName(name string) bool {
	if name == "" || len(name) > maxName || name == "data" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// characterProblem finds what no attribute may hold: what CloudEvents excludes
// from its String type (§3.1), and bidirectional overrides, which make text
// show as something else.
func characterProblem(text string) *bus.Text {
	if !utf8.ValidString(text) {
		return &bus.Text{ZH: "不是有效的 UTF-8", EN: "is not valid UTF-8"}
	}
	for _, r := range text {
		switch {
		case r >= ' ' && r <= '~':
		case unicode.IsControl(r):
			return &bus.Text{ZH: "含有控制字符", EN: "has a control character"}
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return &bus.Text{ZH: "含有双向控制字符", EN: "has a bidirectional override"}
		case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
			return &bus.Text{ZH: "含有非字符码位", EN: "has a non-character"}
		}
	}
	return nil
}
