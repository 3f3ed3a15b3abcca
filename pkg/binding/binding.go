package binding

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Bucket is where a node's file has its bindings, sealed, by resource.
const Bucket = "bindings"

// Kind is what a resource is bound to.
type Kind string

// The kinds.
const (
	KindHTTP       Kind = "http"
	KindPostgreSQL Kind = "postgresql"
)

// Binding binds a resource to a system of its provider. Exactly one of its kinds is
// set.
type Binding struct {
	Resource   bus.ResourceID `json:"resource"`
	HTTP       *HTTP          `json:"http,omitempty"`
	PostgreSQL *PostgreSQL    `json:"postgresql,omitempty"`
	Timeout    int            `json:"timeout_ms,omitempty"` // of one call; DefaultTimeout where 0
	MaxRows    int            `json:"max_rows,omitempty"`   // of one answer; DefaultRows where 0
	MaxBytes   int64          `json:"max_bytes,omitempty"`  // of one answer; DefaultBytes where 0
	By         bus.Principal  `json:"by,omitzero"`          // who put it
	At         time.Time      `json:"at,omitzero"`
}

// The caps of one call, where a binding does not say, and the most that it can say.
const (
	DefaultTimeout = 10_000
	MaxTimeout     = 50_000
	DefaultRows    = 10_000
	MaxRows        = 1_000_000
	DefaultBytes   = 16 << 20
	MaxBytes       = 1 << 30
)

// HTTP is a service of the provider.
type HTTP struct {
	URL     string            `json:"url"`               // http or https; {name} in its path is a parameter
	Method  string            `json:"method,omitempty"`  // of a query; GET where empty
	Headers map[string]string `json:"headers,omitempty"` // sent with each request: its secrets
	Allow   []Route           `json:"allow,omitempty"`   // of the transparent form; none: it is refused
	CA      string            `json:"ca,omitempty"`      // PEM that its certificate is under; the system's roots where empty
	Probe   string            `json:"probe,omitempty"`   // path that is asked whether it is there; that of URL where empty
}

// Route is what the transparent form may ask for: a path below the URL, in which *
// is one segment and a last ** any number of them.
type Route struct {
	Methods []string `json:"methods"`
	Path    string   `json:"path"`
}

// Shown is what of a binding is told: none of its addresses and secrets.
type Shown struct {
	Resource bus.ResourceID `json:"resource"`
	Kind     Kind           `json:"kind"`
	Timeout  int            `json:"timeout_ms"`
	MaxRows  int            `json:"max_rows"`
	MaxBytes int64          `json:"max_bytes"`
	Allow    []Route        `json:"allow,omitempty"`      // of the transparent form
	Names    []Parameter    `json:"parameters,omitempty"` // of a query, where the binding lists them
	By       string         `json:"by"`
	At       time.Time      `json:"at"`

	Unreadable bool            `json:"unreadable,omitempty"` // it was altered, or encrypted with another key: to be put again
	Attachment *bus.Attachment `json:"attachment,omitempty"` // as the directory has it; none until the service was first asked
}

// Kind says what b is bound to.
func (b Binding) Kind() Kind {
	if b.PostgreSQL != nil {
		return KindPostgreSQL
	}
	return KindHTTP
}

// Shown gives what of b may be told.
func (b Binding) Shown() Shown {
	b = b.Settled()
	s := Shown{Resource: b.Resource, Kind: b.Kind(), Timeout: b.Timeout, MaxRows: b.MaxRows, MaxBytes: b.MaxBytes, By: b.By.String(), At: b.At}
	if b.HTTP != nil {
		s.Allow = b.HTTP.Allow
	}
	if b.PostgreSQL != nil {
		s.Names = b.PostgreSQL.Parameters
	}
	return s
}

// Settled is b with what it leaves out.
func (b Binding) Settled() Binding {
	if b.Timeout == 0 {
		b.Timeout = DefaultTimeout
	}
	if b.MaxRows == 0 {
		b.MaxRows = DefaultRows
	}
	if b.MaxBytes == 0 {
		b.MaxBytes = DefaultBytes
	}
	return b
}

// Check returns every defect of b. Values are not repeated in them: they may be
// secrets.
func (b Binding) Check() []bus.Defect {
	defects := bus.CheckID("resource", b.Resource)
	between := func(field string, value, most int64) {
		if value < 0 || value > most {
			defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: "超出范围", EN: "out of range"}, Allowed: fmt.Sprintf("1–%d", most)})
		}
	}
	between("timeout_ms", int64(b.Timeout), MaxTimeout)
	between("max_rows", int64(b.MaxRows), MaxRows)
	between("max_bytes", b.MaxBytes, MaxBytes)
	switch {
	case b.HTTP != nil && b.PostgreSQL == nil:
		return append(defects, b.HTTP.check()...)
	case b.PostgreSQL != nil && b.HTTP == nil:
		return append(defects, b.PostgreSQL.check()...)
	}
	return append(defects, bus.Defect{Field: "http", Problem: bus.Text{ZH: "须且只须挂接一种服务", EN: "it is bound to nothing, or to two"}, Allowed: "one of http, postgresql"})
}

// Methods are those that a provider can open for the transparent form.
var Methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (h HTTP) check() []bus.Defect {
	var defects []bus.Defect
	wrong := func(field, zh, en, allowed string) {
		defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		wrong("http.url", "不是服务地址", "not the address of a service", "http://host/path or https://host/path")
	case u.User != nil || u.Fragment != "":
		wrong("http.url", "不得含用户信息或片段", "has a user or a fragment", "secrets go into headers")
	}
	if h.Method != "" && !slices.Contains([]string{http.MethodGet, http.MethodPost}, h.Method) {
		wrong("http.method", "不支持的方法", "not a method of a query", "GET, POST")
	}
	if h.Probe != "" {
		if _, err := Segments(h.Probe); err != nil {
			wrong("http.probe", "路径不正确", "not a path", "/path")
		}
	}
	for name, value := range h.Headers {
		if !headerName.MatchString(name) || strings.ContainsAny(value, "\r\n\x00") || hopByHop[http.CanonicalHeaderKey(name)] {
			wrong("http.headers", "请求头不可用", "a header that cannot be sent", "names of letters, digits and -, values in one line")
		}
	}
	for i, r := range h.Allow {
		field := fmt.Sprintf("http.allow[%d]", i)
		if len(r.Methods) == 0 || slices.ContainsFunc(r.Methods, func(m string) bool { return !slices.Contains(Methods, m) }) {
			wrong(field+".methods", "不支持的方法", "not methods", strings.Join(Methods, ", "))
		}
		if !strings.HasPrefix(r.Path, "/") || strings.Contains(strings.TrimSuffix(r.Path, "/**"), "**") {
			wrong(field+".path", "路径不正确", "not a path", "/a/*/b or /a/**")
		}
	}
	return defects
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
