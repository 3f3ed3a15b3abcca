package binding

import (
	"net/url"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// own reports whether a header is the bus's own, or says of the caller what only
// the bus can know.
func own(name string) bool {
	return strings.HasPrefix(name, "Gxbus-") || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Ce-") || name == "X-Real-Ip"
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
	_, err := segments(path)
	return err
}

// segments splits an escaped path that begins with / into its unescaped segments. It
// refuses dots, and what is a slash, a backslash, a control character or another
// escape once it is unescaped.
func segments(path string) ([]string, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, badPath()
	}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		last := i == len(parts)-1
		if err != nil || !safeSegment(text) && !(text == "" && last) {
			return nil, badPath()
		}
		parts[i] = text
	}
	return parts, nil
}

func safeSegment(text string) bool {
	return text != "" && text != "." && text != ".." && !strings.ContainsAny(text, `/\%`) &&
		strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) < 0
}

func badPath() error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: "path", Problem: bus.Text{ZH: "路径不正确", EN: "not a plain path"}, Allowed: "segments without dots alone, slashes, backslashes, % or control characters, escaped once",
	})
}

// matches reports whether a route has a path.
func (r Route) matches(method string, path []string) bool {
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
