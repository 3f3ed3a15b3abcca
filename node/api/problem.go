package api

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const problemType = "application/problem+json"

// statusOf is the one place where failures become HTTP statuses.
func statusOf(k bus.Kind) int {
	switch k {
	case bus.KindInvalid:
		return http.StatusBadRequest
	case bus.KindUnauthenticated:
		return http.StatusUnauthorized
	case bus.KindForbidden:
		return http.StatusForbidden
	case bus.KindNotFound:
		return http.StatusNotFound
	case bus.KindConflict:
		return http.StatusConflict
	case bus.KindPrecondition:
		return http.StatusPreconditionFailed
	case bus.KindGone:
		return http.StatusGone
	case bus.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case bus.KindUnsupported:
		return http.StatusUnsupportedMediaType
	case bus.KindRateLimited:
		return http.StatusTooManyRequests
	case bus.KindUnavailable:
		return http.StatusServiceUnavailable
	case bus.KindStorageFull:
		return http.StatusInsufficientStorage
	case bus.KindProvider:
		return http.StatusBadGateway
	case bus.KindLate:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

// problem is an error answer that huma writes as it is.
type problem struct {
	client.Problem
	retry time.Duration // when it is worth repeating; 0: not stated
}

func (p *problem) Error() string             { return p.Title }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders says when to repeat, where that is known.
func (p *problem) GetHeaders() http.Header {
	wait := p.retry
	if p.Code == bus.CodeMoving {
		wait = movingRetry
	}
	if wait <= 0 {
		return nil
	}
	seconds := (wait + time.Second - 1) / time.Second
	return http.Header{"Retry-After": {strconv.Itoa(int(seconds))}}
}

const movingRetry = 2 * time.Second

// problemOf turns any error into an answer. What is not a *bus.Error is ours:
// the caller logs it, the client learns no more than that.
func problemOf(ctx context.Context, err error) *problem {
	e, ok := errors.AsType[*bus.Error](err)
	if !ok {
		e = bus.E(bus.CodeInternal)
	}
	lang, lines := languageOf(ctx), make([]string, 0, len(e.Defects))
	for _, d := range e.Defects {
		lines = append(lines, d.In(lang))
	}
	return &problem{retry: e.RetryAfter, Problem: client.Problem{
		Type: "urn:gxbus:problem:" + string(e.Code), Title: e.Code.Text().In(lang), Status: statusOf(e.Code.Kind()),
		Detail: strings.Join(lines, "; "), Code: e.Code, Defects: e.Defects, DecisionID: e.DecisionID,
		RequestID: requestOf(ctx),
	}}
}

// refusal turns an error into an answer. A refusal of somebody known is on
// record before it is told; one that cannot be recorded fails as that.
func (a *API) refusal(ctx context.Context, err error) *problem {
	if recordErr := a.recordRefusal(ctx, bus.CodeOf(err)); recordErr != nil {
		err = recordErr
	}
	if bus.CodeOf(err).Kind() == bus.KindInternal {
		a.Logger.Error("request failed", "request", requestOf(ctx), "error", err)
	}
	return problemOf(ctx, err)
}

// recordRefusal writes the one line of evidence about a refusal, unless whoever
// refused has: the exchange records the decisions it takes.
func (a *API) recordRefusal(ctx context.Context, code bus.Code) error {
	c := callerOf(ctx)
	switch code.Kind() {
	case bus.KindInternal, bus.KindUnavailable, bus.KindStorageFull, bus.KindProvider, bus.KindLate:
		return nil // no refusal, a failure of ours
	}
	if c.recorded || c.known == (bus.Principal{}) || code == bus.CodeDenied {
		return nil
	}
	c.recorded = true
	what := cmp.Or(c.http.Pattern, c.http.Method)
	for _, name := range []string{"id", "step", "kind", "of", "event", "credential"} {
		if value := c.http.PathValue(name); value != "" {
			what += " " + name + "=" + value
		}
	}
	return a.record(ctx, c.known, audit.KindRefused, code, what)
}

// writeProblem answers with err outside of huma.
func (a *API) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := a.refusal(r.Context(), err)
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = encodeJSON(w, p.Problem) // a client that went away
}
