package api

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gxbus/gxbus/pkg/bus"
)

// What stands between the network and a handler: who may come in, with what
// body, and what is said of input that huma itself refuses.

const jsonType = "application/json"

// identifiedOnly turns away, before any of the body is read, who is not known.
func (a *API) identifiedOnly(ctx huma.Context, next func(huma.Context)) {
	if _, err := principalOf(ctx.Context()); err != nil {
		a.turnAway(ctx, err)
		return
	}
	next(ctx)
}

// jsonOnly turns away a body that is not plain JSON by its headers: a form or
// text that a browser may send across sites (threat S48), or a compressed one
// (S09).
func (a *API) jsonOnly(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || media != jsonType || len(r.Header.Values("Content-Type")) != 1:
		a.turnAway(ctx, bus.E(bus.CodeUnsupported, bus.Defect{
			Field: "Content-Type", Problem: bus.Text{ZH: "媒体类型不正确", EN: "not the media type of this body"}, Allowed: jsonType,
		}))
	case r.Header.Get("Content-Encoding") != "":
		a.turnAway(ctx, bus.E(bus.CodeUnsupported, bus.Defect{
			Field: "Content-Encoding", Problem: bus.Text{ZH: "不支持的内容编码", EN: "an encoding that is not supported"}, Allowed: "none",
		}))
	default:
		next(ctx)
	}
}

func (a *API) turnAway(ctx huma.Context, err error) {
	r, w := humago.Unwrap(ctx)
	w.Header().Set("Connection", "close") // what is left of its body is not waited for (threat S08)
	a.writeProblem(w, r, err)
}

type humaContext = huma.Context // a name that does not hide its method Context

// corrected is a context whose error answers have the status of their code.
type corrected struct {
	humaContext
	status int
}

// SetStatus sets the status, or the one that goes with the refusal.
func (c *corrected) SetStatus(status int) { c.humaContext.SetStatus(cmp.Or(c.status, status)) }

// Unwrap gives what humago unwraps.
func (c *corrected) Unwrap() huma.Context { return c.humaContext }

func correcting(ctx huma.Context, next func(huma.Context)) { next(&corrected{humaContext: ctx}) }

// unified turns the errors that huma makes itself (a parameter that is no
// number, a body over the cap) into the same answers as ours.
func (a *API) unified(ctx huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := a.refusal(ctx.Context(), humaError(ctx.Operation(), model))
	if c, ok := ctx.(*corrected); ok {
		c.status = p.Status
	}
	ctx.SetHeader("Content-Type", problemType)
	return p, nil
}

func humaError(op *huma.Operation, model *huma.ErrorModel) error {
	body := func(code bus.Code, zh, en, allowed string) error {
		return bus.E(code, bus.Defect{Field: "body", Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	switch model.Status {
	case http.StatusRequestEntityTooLarge:
		return body(bus.CodeTooLarge, "请求体过大", "too large", fmt.Sprintf("at most %d bytes", op.MaxBodyBytes-1))
	case http.StatusRequestTimeout:
		return body(bus.CodeUnavailable, "请求体传输过慢", "came too slowly", fmt.Sprint("within ", op.BodyReadTimeout))
	case http.StatusInternalServerError: // the only one: the body's framing broke
		return body(bus.CodeInvalid, "请求体不完整", "cannot be read to its end", "a whole body")
	}
	if len(model.Errors) == 0 {
		return body(bus.CodeMalformedJSON, "缺少请求体", "missing", "a request body")
	}
	e := bus.E(bus.CodeInvalid)
	for _, detail := range model.Errors {
		in, name, _ := strings.Cut(detail.Location, ".")
		e.Defects = append(e.Defects, bus.Defect{
			Field: name, Problem: bus.Text{ZH: "参数不符合要求", EN: detail.Message}, Allowed: allowed(op, in, name),
		})
	}
	return e
}

// allowed says what a parameter takes, from its schema.
func allowed(op *huma.Operation, in, name string) string {
	for _, p := range op.Parameters {
		if p.In != in || p.Name != name || p.Schema == nil {
			continue
		}
		switch s := p.Schema; {
		case len(s.Enum) > 0:
			return strings.Trim(fmt.Sprint(s.Enum), "[]")
		case s.Minimum != nil && s.Maximum != nil:
			return fmt.Sprintf("%v–%v", *s.Minimum, *s.Maximum)
		case s.Pattern != "" && s.MaxLength != nil:
			return fmt.Sprintf("%s, at most %d", s.Pattern, *s.MaxLength)
		default:
			return s.Type
		}
	}
	return ""
}
