package store

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	dialTimeout = 5 * time.Second
	idleTimeout = time.Minute
	idleConns   = 64
	headerMost  = 64 << 10
)

// service speaks to the system that a resource is bound to.
type service interface {
	call(ctx context.Context, c binding.Call) (*binding.Answer, error)
	probe(ctx context.Context) error
	close()
}

// web is a service over HTTP.
type web struct {
	to   binding.Binding
	base *url.URL
	http *http.Client
}

func openHTTP(b binding.Binding, guard Guard) (*web, error) {
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
	return &web{to: b, base: base, http: &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: guard.dial, TLSClientConfig: settings, TLSHandshakeTimeout: dialTimeout, DisableCompression: true,
			MaxIdleConnsPerHost: idleConns, IdleConnTimeout: idleTimeout, MaxResponseHeaderBytes: headerMost,
		},
		// A secret must not travel to where a redirect points (threat S41).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (w *web) close() { w.http.CloseIdleConnections() }

func (w *web) call(ctx context.Context, c binding.Call) (*binding.Answer, error) {
	request, err := w.request(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Method == "" { // else all that the caller sent is kept
		maps.Copy(request.Header, binding.Traced(c.Header))
	}
	for name, value := range w.to.HTTP.Headers {
		request.Header.Set(name, value)
	}
	if c.Key != "" {
		request.Header.Set(binding.HeaderKey, c.Key)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if response.StatusCode >= 300 && response.StatusCode < 400 && response.StatusCode != http.StatusNotModified {
		_ = response.Body.Close()
		return nil, binding.Unreachable(fmt.Errorf("it answered %d: redirects are not followed", response.StatusCode))
	}
	header := binding.Kept(response.Header)
	delete(header, "Location")
	return &binding.Answer{
		Status: response.StatusCode, Header: header, Body: response.Body,
		MaxRows: w.to.MaxRows, MaxBytes: w.to.MaxBytes,
	}, nil
}

// unreachable is the error of a request that was not answered: in time, or at all. The
// errors of the network name addresses, so that only their kind is told.
func unreachable(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	kind := "the connection broke"
	_, unknown := errors.AsType[*net.DNSError](err)
	_, unbelieved := errors.AsType[*tls.CertificateVerificationError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errAddress):
		kind = errAddress.Error()
	case unknown:
		kind = "its name is not known"
	case unbelieved:
		kind = "its certificate is not believed"
	case errors.Is(err, syscall.ECONNREFUSED):
		kind = "it refuses connections"
	case isNet && timeout.Timeout():
		kind = "it does not answer in time"
	}
	return binding.Unreachable(errors.New(kind))
}

func (w *web) request(ctx context.Context, c binding.Call) (*http.Request, error) {
	if c.Method == "" {
		return w.query(ctx, c)
	}
	path, err := binding.Segments(c.Path)
	if err != nil {
		return nil, err
	}
	allowed := false
	for _, r := range w.to.HTTP.Allow {
		allowed = allowed || r.Matches(c.Method, path)
	}
	if !allowed {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "path", Problem: bus.Text{ZH: "提供方未开放该方法和路径", EN: "the provider does not open this method and path"}, Allowed: "see the resource's binding",
		})
	}
	if err := w.mayAdd(c.Query); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, c.Method, w.at(strings.TrimSuffix(w.base.EscapedPath(), "/")+c.Path, c.Query), bytes.NewReader(c.Body))
	if err != nil {
		return nil, binding.BadPath()
	}
	request.Header = binding.Kept(c.Header)
	return request, nil
}

// at is the service's URL with an escaped path and what is added to its query.
func (w *web) at(path, query string) string {
	if w.base.RawQuery != "" && query != "" {
		query = "&" + query
	}
	if query = w.base.RawQuery + query; query != "" {
		query = "?" + query
	}
	return w.base.Scheme + "://" + w.base.Host + path + query
}

// mayAdd refuses what would say something else of a parameter that the binding's URL
// fixes: which of two counts, services read differently.
func (w *web) mayAdd(query string) error {
	if w.base.RawQuery == "" || query == "" {
		return nil
	}
	given, err := url.ParseQuery(query)
	if err != nil {
		return binding.BadParameter("query", "names and values, escaped, with & between them")
	}
	fixed := map[string]bool{}
	for name := range w.base.Query() {
		fixed[plainName(name)] = true
	}
	for name := range given {
		if fixed[plainName(name)] {
			return binding.BadParameter(name, "another: the provider fixes this one")
		}
	}
	return nil
}

// plainName is the name of a parameter as the most lenient of services reads it: in any
// case, as one of a list, with what cannot stand in a variable's name.
func plainName(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "[")
	return strings.ToLower(strings.NewReplacer(".", "_", " ", "_").Replace(name))
}

// query makes the request of a query by parameters: those that the path names go
// there, the others into the query of a GET or, as one object, into the body of a
// POST.
func (w *web) query(ctx context.Context, c binding.Call) (*http.Request, error) {
	given, err := c.Values()
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
			if !binding.SafeSegment(text) {
				return nil, binding.BadParameter(name, "one segment of a path")
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
			return nil, binding.BadParameter(strings.Trim(part, "{}"), "required")
		}
		if !strings.Contains(part, "%") {
			parts[i] = (&url.URL{Path: part}).EscapedPath()
		}
	}
	method, query, body := http.MethodGet, rest.Encode(), io.Reader(http.NoBody)
	if w.to.HTTP.Method == http.MethodPost {
		data, err := json.Marshal(values)
		if err != nil {
			return nil, bus.E(bus.CodeInvalid).Because(err)
		}
		method, query, body = http.MethodPost, "", bytes.NewReader(data)
	}
	if err := w.mayAdd(query); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, w.at(strings.Join(parts, "/"), query), body)
	if err != nil {
		return nil, binding.BadPath()
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

func (w *web) probe(ctx context.Context) error {
	path := w.base.EscapedPath()
	if w.to.HTTP.Probe != "" {
		path = w.to.HTTP.Probe
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.at(path, ""), http.NoBody)
	if err != nil {
		return binding.Unreachable(nil)
	}
	for name, value := range w.to.HTTP.Headers {
		request.Header.Set(name, value)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return unreachable(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return binding.Unreachable(fmt.Errorf("it answered %d", response.StatusCode))
	}
	return nil
}
