package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/identity"
)

// caller is what is known of a request beside its input.
type caller struct {
	http      *http.Request
	language  bus.Lang
	request   string
	principal bus.Principal
	refused   error                         // why the credential, if there is one, is not good
	known     bus.Principal                 // whom evidence names: the principal, or whose account or system was tried
	again     func() (bus.Principal, error) // whether the principal's proof still stands
	recorded  bool                          // its refusal stands in the evidence
	control   *http.ResponseController      // of a query's answer
	header    http.Header                   // of the answer
}

type callerKey struct{}

func callerOf(ctx context.Context) *caller {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c
	}
	return &caller{}
}

func languageOf(ctx context.Context) bus.Lang { return callerOf(ctx).language }
func requestOf(ctx context.Context) string    { return callerOf(ctx).request }

// principalOf returns who calls, or why nobody known does.
func principalOf(ctx context.Context) (bus.Principal, error) {
	c := callerOf(ctx)
	if c.refused != nil {
		return bus.Principal{}, c.refused
	}
	if c.principal == (bus.Principal{}) {
		return bus.Principal{}, bus.E(bus.CodeUnauthenticated, bus.Defect{
			Field: "Authorization", Problem: bus.Text{ZH: "缺少凭证", EN: "no credential"}, Allowed: "Bearer <session token or system credential>, " + identity.SignatureScheme + " …, or a client certificate",
		})
	}
	return c.principal, nil
}

// requestID takes the client's idempotency key where it is a plain word, else
// makes one: it is written to logs and evidence.
func requestID(r *http.Request) string {
	id := r.Header.Get(client.HeaderRequest)
	plain := strings.IndexFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != ':'
	}) < 0
	if id == "" || len(id) > 128 || !plain {
		return rand.Text()
	}
	return id
}

func preferred(r *http.Request) bus.Lang {
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(r.Header.Get("Accept-Language"))), "zh") {
		return bus.Chinese
	}
	return bus.English
}

// identified finds out who calls, and keeps a handler's panic from taking the
// node down. Headers that claim an identity in any other way are not read.
func (a *API) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &caller{language: preferred(r), request: requestID(r), header: w.Header()}
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		c.http = r
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p) // net/http then cuts the connection: the answer must not look whole
			default:
				a.Logger.Error("handler panicked", "request", c.request, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				a.writeProblem(w, r, bus.E(bus.CodeInternal))
			}
		}()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		p, err := a.authenticate(r)
		if err == nil {
			err = a.admit(w, r, c, p)
		}
		c.known, c.again, c.refused = p.by, p.again, err
		if err == nil {
			c.principal = p.by
		}
		next.ServeHTTP(w, r)
	})
}

func encodeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
