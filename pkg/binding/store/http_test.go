package store_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

// web binds the resource to a service that keeps what it was asked.
func web(t *testing.T, query string) (call func(binding.Call) (*http.Request, error)) {
	t.Helper()
	var last *http.Request
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { last = r }))
	t.Cleanup(service.Close)
	kept := open(t, filepath.Join(t.TempDir(), "exchange.db"), identity.NewSecret())
	_, err := kept.Put(t.Context(), bus.Principal{}, "", binding.Binding{Resource: capital, HTTP: &binding.HTTP{
		URL: service.URL + "/firms" + query, Headers: map[string]string{"X-Key": "canary"}, Allow: []binding.Route{{Methods: []string{"GET"}, Path: "/*"}},
	}})
	check(t, err)
	return func(c binding.Call) (*http.Request, error) {
		last = nil
		answer, err := kept.Call(t.Context(), capital, c)
		if err == nil {
			err = answer.Body.Close()
		}
		return last, err
	}
}

// S05, S45: a header does not make of an allowed request another, nor of the caller
// somebody else, in whatever spelling; what the provider gave for the service stands.
func TestS45NoHeaderMakesAnotherRequestOfAnAllowedOne(t *testing.T) {
	call := web(t, "")
	forged := []string{
		"X-HTTP-Method-Override", "X-Http-Method", "X-Method-Override", "X_HTTP_Method_Override", "X-Original-URL", "X-Rewrite-URL", "X-Original-URI",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded", "X_Forwarded_For", "Forwarded", "X-Real-IP", "True-Client-IP", "Client-IP", "Remote-User",
		"X-Remote-User", "X-SSL-Client-Verify", "X-Authenticated-Userid", "X_Key", "x-key", "X_key", "Authorization", "Cookie", "Via",
		"Ce-Id", "Gxbus-Case", "Connection", "Transfer-Encoding", "Content_Length",
	}
	h := http.Header{"Accept-Language": {"zh"}, "X-Trace-Of-Mine": {"1"}}
	for _, name := range forged {
		h[name] = []string{"forged"}
	}
	r, err := call(binding.Call{Method: "GET", Path: "/1", Header: h})
	check(t, err)
	for name, values := range r.Header {
		for _, v := range values {
			if v == "forged" {
				t.Errorf("%s arrived", name)
			}
		}
	}
	if r.Header.Get("X-Key") != "canary" || r.Header.Get("Accept-Language") != "zh" || r.Header.Get("X-Trace-Of-Mine") != "1" {
		t.Errorf("arrived: %v", r.Header)
	}
}

// A parameter that the provider fixes in its URL cannot be given again, in no spelling
// that some service reads as the same.
func TestAParameterThatTheProviderFixesIsNotGivenAgain(t *testing.T) {
	call := web(t, "?scope.of=public&key=canary")
	for _, query := range []string{
		"scope.of=all", "SCOPE.OF=all", "%73cope.of=all", "scope_of=all", "scope.of[]=all", "scope%20of=all", "+scope.of=all", "a=1&key=x", "key[0]=x", "a=1;key=x", "a=%zz&key=x",
	} {
		if r, err := call(binding.Call{Method: "GET", Path: "/1", Query: query}); bus.CodeOf(err) != bus.CodeInvalid || r != nil {
			t.Errorf("%s is passed on: %v", query, err)
		}
	}
	for _, name := range []string{"scope.of", "Key", "key[]", "scope_of"} {
		parameters, err := json.Marshal(map[string]string{name: "all"})
		check(t, err)
		if r, err := call(binding.Call{Parameters: parameters}); bus.CodeOf(err) != bus.CodeInvalid || r != nil {
			t.Errorf("parameter %s is passed on: %v", name, err)
		}
	}
	r, err := call(binding.Call{Method: "GET", Path: "/1", Query: "scope=x&keys=1"})
	check(t, err)
	if r.URL.RawQuery != "scope.of=public&key=canary&scope=x&keys=1" {
		t.Errorf("asked %s", r.URL.RawQuery)
	}
	if r, err = call(binding.Call{Parameters: json.RawMessage(`{"q":"a&key=b"}`)}); err != nil || r.URL.RawQuery != "scope.of=public&key=canary&q=a%26key%3Db" {
		t.Errorf("asked %v, %v", r, err)
	}
}
