package binding

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	dialTimeout   = 5 * time.Second
	idleTimeout   = time.Minute
	idleConns     = 64
	headerMost    = 64 << 10
	drainedAtMost = 64 << 10 // of a body that is closed early, so that its connection is used again
)

// service speaks to the system that a resource is bound to.
type service interface {
	call(ctx context.Context, c Call) (*Answer, error)
	probe(ctx context.Context) error
	close()
}

// web is a service over HTTP.
type web struct {
	binding Binding
	base    *url.URL
	http    *http.Client
}

func openHTTP(b Binding, guard Guard) (*web, error) {
	base, err := url.Parse(b.HTTP.URL)
	if err != nil {
		return nil, bus.E(bus.CodeInvalid) // not the cause: it repeats the address
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.HTTP.CA != "" {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM([]byte(b.HTTP.CA)) {
			return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "http.ca", Problem: bus.Text{ZH: "不是证书", EN: "holds no certificate"}, Allowed: "PEM"})
		}
	}
	return &web{binding: b, base: base, http: &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: guard.dial, TLSClientConfig: settings, TLSHandshakeTimeout: dialTimeout, DisableCompression: true,
			MaxIdleConnsPerHost: idleConns, IdleConnTimeout: idleTimeout, MaxResponseHeaderBytes: headerMost,
		},
		// A secret must not travel to where a redirect points (threat S41).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (w *web) close() { w.http.CloseIdleConnections() }

func (w *web) call(ctx context.Context, c Call) (*Answer, error) {
	request, err := w.request(ctx, c)
	if err != nil {
		return nil, err
	}
	for name, value := range w.binding.HTTP.Headers {
		request.Header.Set(name, value)
	}
	if c.Key != "" {
		request.Header.Set(HeaderKey, c.Key)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if response.StatusCode >= 300 && response.StatusCode < 400 && response.StatusCode != http.StatusNotModified {
		_ = response.Body.Close()
		return nil, Unreachable(fmt.Errorf("it answered %d: redirects are not followed", response.StatusCode))
	}
	header := Kept(response.Header)
	delete(header, "Location")
	return &Answer{
		Status: response.StatusCode, Header: header, Body: &drained{response.Body},
		MaxRows: w.binding.MaxRows, MaxBytes: w.binding.MaxBytes,
	}, nil
}

// unreachable is the error of a request that was not answered: in time, or at all.
// It leaves out what names the address.
func unreachable(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if e, ok := err.(*url.Error); ok {
		err = e.Err
	}
	return Unreachable(err)
}

// drained reads a little of what is left when it is closed.
type drained struct{ io.ReadCloser }

func (d *drained) Close() error {
	_, _ = io.CopyN(io.Discard, d.ReadCloser, drainedAtMost)
	return d.ReadCloser.Close()
}

func (w *web) request(ctx context.Context, c Call) (*http.Request, error) {
	if c.Method == "" {
		return w.query(ctx, c)
	}
	path, err := segments(c.Path)
	if err != nil {
		return nil, err
	}
	allowed := false
	for _, r := range w.binding.HTTP.Allow {
		allowed = allowed || r.matches(c.Method, path)
	}
	if !allowed {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "path", Problem: bus.Text{ZH: "提供方未开放该方法和路径", EN: "the provider does not open this method and path"}, Allowed: "see the resource's binding",
		})
	}
	target := *w.base
	target.Path, target.RawPath = "", ""
	target = *target.JoinPath(w.base.EscapedPath())
	escaped := strings.TrimSuffix(w.base.EscapedPath(), "/") + c.Path
	if target.Path, err = url.PathUnescape(escaped); err != nil {
		return nil, badPath()
	}
	target.RawPath, target.RawQuery = escaped, joined(w.base.RawQuery, c.Query)
	request, err := http.NewRequestWithContext(ctx, c.Method, target.String(), bytes.NewReader(c.Body))
	if err != nil {
		return nil, badPath()
	}
	request.Header = Kept(c.Header)
	return request, nil
}

func joined(queries ...string) string {
	var parts []string
	for _, q := range queries {
		if q != "" {
			parts = append(parts, q)
		}
	}
	return strings.Join(parts, "&")
}

// query makes the request of a query by parameters: those that the path names go
// there, the others into the query of a GET or, as one object, into the body of a
// POST.
func (w *web) query(ctx context.Context, c Call) (*http.Request, error) {
	given, err := c.parameters()
	if err != nil {
		return nil, err
	}
	rest := url.Values{}
	values := map[string]any{}
	parts := strings.Split(w.base.Path, "/")
	for name, value := range given {
		text, placed := textOf(value), false
		for i, part := range parts {
			if part != "{"+name+"}" {
				continue
			}
			if !safeSegment(text) {
				return nil, badParameter(name, "one segment of a path")
			}
			parts[i], placed = url.PathEscape(text), true
		}
		if !placed {
			rest.Set(name, text)
			values[name] = value
		}
	}
	for i, part := range parts {
		if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") {
			return nil, badParameter(strings.Trim(part, "{}"), "required")
		}
		if !strings.Contains(part, "%") {
			parts[i] = (&url.URL{Path: part}).EscapedPath()
		}
	}
	target := url.URL{Scheme: w.base.Scheme, Host: w.base.Host, RawQuery: w.base.RawQuery, RawPath: strings.Join(parts, "/")}
	if target.Path, err = url.PathUnescape(target.RawPath); err != nil {
		return nil, badPath()
	}
	method, body := w.binding.HTTP.Method, io.Reader(http.NoBody)
	if method == http.MethodPost {
		data, err := json.Marshal(values)
		if err != nil {
			return nil, bus.E(bus.CodeInvalid).Because(err)
		}
		body = bytes.NewReader(data)
	} else {
		method, target.RawQuery = http.MethodGet, joined(w.base.RawQuery, rest.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, badPath()
	}
	request.Header.Set("Accept", "application/json")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// textOf is a parameter as text.
func textOf(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func badParameter(name, allowed string) error {
	return bus.E(bus.CodeInvalid, bus.Defect{Field: "parameters." + name, Problem: bus.Text{ZH: "参数不正确", EN: "not a value of this parameter"}, Allowed: allowed})
}

func (w *web) probe(ctx context.Context) error {
	target := *w.base
	target.RawQuery = ""
	if p := w.binding.HTTP.Probe; p != "" {
		target.Path, target.RawPath = p, ""
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return Unreachable(nil)
	}
	for name, value := range w.binding.HTTP.Headers {
		request.Header.Set(name, value)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return unreachable(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return Unreachable(fmt.Errorf("it answered %d", response.StatusCode))
	}
	return nil
}
