package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// caller is what is known of a request before its handler runs.
type caller struct {
	language  bus.Lang
	request   string
	principal bus.Principal
	refused   error // why the credential, if there is one, is not good
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
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
			Field: "Authorization", Problem: bus.Text{ZH: "缺少凭证", EN: "no credential"}, Allowed: "Bearer <session token or system credential>",
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
		c := caller{language: preferred(r), request: requestID(r)}
		c.principal, c.refused = a.authenticate(r)
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		defer func() {
			if p := recover(); p != nil {
				a.Logger.Error("handler panicked", "request", c.request, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				writeProblem(w, r, bus.E(bus.CodeInternal))
			}
		}()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func encodeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// logged writes the cause of an internal error to the log, where it stays.
func logged(ctx context.Context, logger *slog.Logger, err error) {
	if code := bus.CodeOf(err); code.Kind() == bus.KindInternal {
		logger.Error("request failed", "request", requestOf(ctx), "error", err)
	}
}
