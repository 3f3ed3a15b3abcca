package binding

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// own reports whether a header is the bus's own, says of the caller what only the bus
// can know, or makes another request of this one than was allowed (threats S05, S45).
// One with an underscore is to many services the same as with a hyphen.
func own(name string) bool {
	begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return strings.Contains(name, "_") || slices.ContainsFunc(ofBus, begins) || overriding[name]
}

var ofBus = []string{"Gxbus-", "Ce-", "X-Forwarded", "X-Original-", "X-Rewrite-", "X-Remote-", "X-Ssl-", "X-Client-Cert", "X-Authenticated-"}

var overriding = map[string]bool{
	"X-Http-Method-Override": true, "X-Http-Method": true, "X-Method-Override": true,
	"X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true, "Client-Ip": true, "X-Cluster-Client-Ip": true, "Remote-User": true, "Via": true,
}

func splitList(value string) []string {
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// CheckPath refuses an escaped path that could mean another one to whoever reads it
// next (threat S45).
func CheckPath(path string) error {
	_, err := Segments(path)
	return err
}

// Segments splits an escaped path that begins with / into its unescaped segments. It
// refuses dots, and what is a slash, a backslash, a control character or another
// escape once it is unescaped.
func Segments(path string) ([]string, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, BadPath()
	}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		last := i == len(parts)-1
		if err != nil || !SafeSegment(text) && !(text == "" && last) {
			return nil, BadPath()
		}
		parts[i] = text
	}
	return parts, nil
}

// SafeSegment reports whether a text can stand, escaped, as one segment of a path.
func SafeSegment(text string) bool {
	return text != "" && text != "." && text != ".." && !strings.ContainsAny(text, `/\%`) &&
		strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) < 0
}

// BadPath is the error of a path that is not plain.
func BadPath() error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: "path", Problem: bus.Text{ZH: "路径不正确", EN: "not a plain path"}, Allowed: "segments without dots alone, slashes, backslashes, % or control characters, escaped once",
	})
}

// Matches reports whether a route has a method and a path.
func (r Route) Matches(method string, path []string) bool {
	found := false
	for _, m := range r.Methods {
		found = found || m == method
	}
	if !found {
		return false
	}
	pattern := strings.Split(strings.TrimPrefix(r.Path, "/"), "/")
	for i, p := range pattern {
		if p == "**" && i == len(pattern)-1 {
			return true
		}
		if i >= len(path) || p != "*" && p != path[i] {
			return false
		}
	}
	return len(pattern) == len(path)
}
