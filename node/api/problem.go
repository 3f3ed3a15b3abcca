package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
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
	default:
		return http.StatusInternalServerError
	}
}

// problem is an error answer that huma writes as it is.
type problem struct{ client.Problem }

func (p *problem) Error() string             { return p.Title }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return problemType }

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
	return &problem{client.Problem{
		Type: "urn:gxbus:problem:" + string(e.Code), Title: e.Code.Text().In(lang), Status: statusOf(e.Code.Kind()),
		Detail: strings.Join(lines, "; "), Code: e.Code, Defects: e.Defects, DecisionID: e.DecisionID,
		RequestID: requestOf(ctx),
	}}
}

// unified turns the errors that huma makes itself (a parameter that is no
// number, a body over the cap) into the same answers as ours.
func unified(ctx huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := bus.CodeInvalid
	switch model.Status {
	case http.StatusRequestEntityTooLarge:
		code = bus.CodeTooLarge
	case http.StatusUnsupportedMediaType:
		code = bus.CodeUnsupported
	case http.StatusInternalServerError:
		code = bus.CodeInternal
	case http.StatusRequestTimeout:
		code = bus.CodeUnavailable
	}
	e := bus.E(code)
	for _, detail := range model.Errors {
		e.Defects = append(e.Defects, bus.Defect{Field: detail.Location, Problem: bus.Text{EN: detail.Message}})
	}
	p := problemOf(ctx.Context(), e)
	p.Status = model.Status
	ctx.SetHeader("Content-Type", problemType)
	return p, nil
}

// write answers with err outside of huma.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), err)
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = encodeJSON(w, p.Problem) // a client that went away
}
