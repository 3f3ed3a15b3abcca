package binding

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Call is what the provider's system is asked: by parameters, or, in the transparent
// form, by an HTTP request of the caller's own.
type Call struct {
	Parameters json.RawMessage `json:"parameters,omitempty"` // an object of text, numbers, booleans or null

	Method string      `json:"method,omitempty"` // of the transparent form; "" for a query by parameters
	Path   string      `json:"path,omitempty"`   // escaped, below the binding's URL
	Query  string      `json:"query,omitempty"`  // as it was sent
	Header http.Header `json:"header,omitempty"` // see Kept
	Body   []byte      `json:"body,omitempty"`

	Key string `json:"-"` // names the call to the system, the same for a repeat
}

// Values are the parameters of the call by name: text, json.Number, bool or nil.
func (c Call) Values() (map[string]any, error) {
	values := map[string]any{}
	if len(c.Parameters) == 0 {
		return values, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(c.Parameters))
	decoder.UseNumber() // digits as they were written
	if err := decoder.Decode(&values); err != nil {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "parameters", Problem: bus.Text{ZH: "参数不正确", EN: "not parameters"}, Allowed: "an object"})
	}
	for name, value := range values {
		switch value.(type) {
		case nil, string, bool, json.Number:
		default:
			return nil, BadParameter(name, "text, a number, true, false or null")
		}
	}
	return values, nil
}

// Answer is what the provider's system says. Body ends the call when it is closed.
type Answer struct {
	Status int
	Header http.Header // see Kept
	Body   io.ReadCloser

	MaxRows  int   // what is passed on at most
	MaxBytes int64 // likewise
}

// Ending is a body whose call ends when it is closed.
type Ending struct {
	io.ReadCloser
	End func()
}

// Close closes the body, and ends the call.
func (e *Ending) Close() error {
	defer e.End()
	return e.ReadCloser.Close()
}

// Traced gives the headers of a request that say which trace it is part of (W3C Trace
// Context).
func Traced(h http.Header) http.Header {
	traced := http.Header{}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if value := h.Get(name); value != "" {
			traced.Set(name, value)
		}
	}
	return traced
}

// HeaderKey tells the provider's system the key of a call.
const HeaderKey = "Idempotency-Key"

// hopByHop are headers that are of one connection (RFC 9110 §7.6.1), or the bus's own.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Host": true, "Content-Length": true, "Expect": true, "Accept-Encoding": true,
	"Forwarded": true, HeaderKey: true,
}

// ofCaller are headers by which a caller proves itself to the bus; a binding has its
// own, for the service.
var ofCaller = map[string]bool{"Authorization": true, "Cookie": true, "Set-Cookie": true}

// Kept gives the headers that travel with a call or an answer: not those of one
// connection, nor those that prove the caller to the bus, nor the bus's own.
func Kept(h http.Header) http.Header {
	kept := http.Header{}
	dropped := map[string]bool{}
	for _, value := range h.Values("Connection") {
		for _, name := range splitList(value) {
			dropped[http.CanonicalHeaderKey(name)] = true
		}
	}
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		if hopByHop[name] || ofCaller[name] || dropped[name] || own(name) {
			continue
		}
		kept[name] = append([]string(nil), values...)
	}
	return kept
}

// Unreachable is the error of a system that gives no answer. Nothing of why is
// told: the cause may name its address.
func Unreachable(cause error) error {
	return bus.E(bus.CodeProviderUnreachable).Because(cause)
}

// BadParameter is the error of a parameter, without its value.
func BadParameter(name, allowed string) error {
	return bus.E(bus.CodeInvalid, bus.Defect{Field: "parameters." + name, Problem: bus.Text{ZH: "参数不正确", EN: "not a value of this parameter"}, Allowed: allowed})
}
