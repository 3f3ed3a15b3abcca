package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
)

const (
	queryTimeout = 20_000 // milliseconds, where a query does not say
	proxyRoute   = "/api/v1/resources/{id}/proxy/{path...}"
)

// addQuery registers the two forms of a query: by parameters, and the transparent one.
func (a *API) addQuery(h huma.API, mux *http.ServeMux) {
	type asking struct {
		ByID
		Trace string `header:"Traceparent" doc:"W3C trace context, for the provider's system"`
		State string `header:"Tracestate"`
		Sent[client.Query]
	}
	op := huma.Operation{
		OperationID: "query-resource", Method: http.MethodPost, Path: "/api/v1/resources/{id}/query", Tags: []string{"exchange"},
		Summary: "Query a resource that is bound to a service of its provider",
		Description: "At the caller's own node. Repeating it with the same " + client.HeaderRequest + " counts once. Gxbus-Answered-By says whether a refusal is the provider's or the bus's. " +
			"An answer without its end was cut off on its way; cut says that the provider passes on no more at once.",
		Responses: map[string]*huma.Response{"200": {
			Description: "the answer", Content: map[string]*huma.MediaType{jsonType: {Schema: huma.SchemaFromType(h.OpenAPI().Components.Schemas, typeOf(client.QueryAnswer{}))}},
		}},
	}
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		w.Header().Set(client.HeaderAnsweredBy, client.ByBus)
		callerOf(r.Context()).control = http.NewResponseController(w)
		next(ctx)
	}}
	handle(a, h, describes[client.Query](a, h, op), func(ctx context.Context, p bus.Principal, in *asking) (*huma.StreamResponse, error) {
		q, err := in.decode()
		if err != nil {
			return nil, err
		}
		// The deadline for the body would end the answer.
		if err := callerOf(ctx).control.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
			return nil, err
		}
		query := exchange.Query{
			Resource: bus.ResourceID(in.ID), Grant: q.Grant, Purpose: q.Purpose, Matter: q.Matter, Case: q.Case,
			Basis: q.Basis, Operator: q.Operator, Items: q.Items,
			Call: binding.Call{Parameters: q.Parameters},
		}
		if event.TraceParent(in.Trace) {
			query.Call.Header = binding.Traced(http.Header{"Traceparent": {in.Trace}, "Tracestate": {in.State}})
		}
		return a.query(ctx, p, query, q.Timeout, queryAnswer)
	})
	mux.HandleFunc(proxyRoute, a.proxy)
	for _, method := range binding.Methods {
		if method != http.MethodHead { // which is GET without the body
			h.OpenAPI().AddOperation(proxying(method))
		}
	}
}

// proxying describes the transparent form with one method.
func proxying(method string) *huma.Operation {
	text := &huma.Schema{Type: huma.TypeString}
	op := &huma.Operation{
		OperationID: "proxy-resource-" + strings.ToLower(method), Method: method, Path: "/api/v1/resources/{id}/proxy/{path}", Tags: []string{"exchange"},
		Summary:     "Call the HTTP service that a resource is bound to",
		Description: "Where its provider opens this method for the path. Query, body and headers go on as they are; headers that say who calls, or by which way, stay behind.",
		Security:    []map[string][]string{{"bearer": {}}, {"signature": {}}, {"mutualTLS": {}}},
		Parameters: []*huma.Param{
			{Name: "id", In: "path", Required: true, Schema: text},
			{Name: "path", In: "path", Required: true, Schema: text, Description: "below the service's own; of any number of segments"},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: "the service's answer"}, "400": {Description: "a refusal of the bus", Content: map[string]*huma.MediaType{problemType: {}}},
			"default": {Description: "the service's answer with its own status, or a refusal of the bus: see Gxbus-Answered-By"},
		},
	}
	for _, header := range []struct{ name, description string }{
		{client.HeaderGrant, "the grant that the query is made under"}, {client.HeaderPurpose, "使用用途"},
		{client.HeaderMatter, "事项的实施清单编码, escaped as in a query"}, {client.HeaderCase, "办件号, escaped as in a query"},
		{client.HeaderBasis, "使用依据, escaped as in a query"}, {client.HeaderOperator, "经办人代号"},
		{client.HeaderItems, "with commas between; all that is allowed where left out"}, {client.HeaderTimeout, "of the whole query, in milliseconds"},
	} {
		op.Parameters = append(op.Parameters, &huma.Param{Name: header.name, In: "header", Schema: text, Description: header.description})
	}
	if method != http.MethodGet && method != http.MethodDelete {
		op.RequestBody = &huma.RequestBody{Description: "goes on as it is", Content: map[string]*huma.MediaType{jsonType: {Schema: &huma.Schema{}}, "*/*": {Schema: &huma.Schema{}}}}
	}
	return op
}

// form writes an answer whose first piece is there.
type form func(w http.ResponseWriter, reply *exchange.Reply, first []byte, rest io.Reader) error

// query asks, and answers in a form. What fails before the first piece is there is a
// problem like any other; after that the connection is cut.
func (a *API) query(ctx context.Context, p bus.Principal, q exchange.Query, timeout int, write form) (*huma.StreamResponse, error) {
	if p.System == "" {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Problem: bus.Text{ZH: "仅业务系统可查询", EN: "only an agency system queries"}, Allowed: "a system credential",
		})
	}
	if err := a.found(ctx, p, string(q.Resource)); err != nil {
		return nil, err
	}
	if err := bus.Invalid(append(checkTimeout(timeout), q.Check()...)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(cmp.Or(timeout, queryTimeout))*time.Millisecond)
	reply, first, err := a.asked(ctx, p, q)
	if err != nil {
		cancel()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer cancel()
		defer reply.Body.Close()
		_, w := humago.Unwrap(hc)
		a.told(ctx, w, reply, first, write)
	}}, nil
}

func checkTimeout(timeout int) []bus.Defect {
	if timeout >= 0 && timeout <= binding.MaxTimeout {
		return nil
	}
	return []bus.Defect{{Field: "timeout_ms", Problem: bus.Text{ZH: "超出范围", EN: "out of range"}, Allowed: fmt.Sprintf("1–%d", binding.MaxTimeout)}}
}

// asked asks and reads the first piece of the answer.
func (a *API) asked(ctx context.Context, p bus.Principal, q exchange.Query) (*exchange.Reply, []byte, error) {
	reply, err := a.Exchange.Query(ctx, p, requestOf(ctx), q)
	if err != nil {
		callerOf(ctx).recorded = true // by the exchange
		return nil, nil, err
	}
	first := make([]byte, 32<<10)
	n, err := reply.Body.Read(first)
	if err != nil && !errors.Is(err, io.EOF) {
		callerOf(ctx).recorded = true
		return nil, nil, errors.Join(err, reply.Body.Close())
	}
	return reply, first[:n], nil
}

func (a *API) told(ctx context.Context, w http.ResponseWriter, reply *exchange.Reply, first []byte, write form) {
	h := w.Header()
	for name, value := range map[string]string{
		client.HeaderAnsweredBy: client.ByProvider, client.HeaderCorrelation: reply.Correlation, client.HeaderDigest: reply.Request,
		client.HeaderDecision: reply.Decision, client.HeaderWatermark: reply.Watermark,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if err := write(w, reply, first, reply.Body); err != nil {
		a.Logger.Debug("answer cut off", "request", requestOf(ctx), "error", err)
		panic(http.ErrAbortHandler) // it must not look whole
	}
}

// queryAnswer writes a client.QueryAnswer piece by piece. A refusal of the provider's
// system goes out with its own status.
func queryAnswer(w http.ResponseWriter, reply *exchange.Reply, first []byte, rest io.Reader) error {
	if reply.Status >= http.StatusBadRequest {
		return passedOn(w, reply, first, rest)
	}
	w.Header().Set("Content-Type", jsonType)
	head, err := json.Marshal(client.QueryAnswer{Correlation: reply.Correlation, QueryDigest: reply.Request, Decision: reply.Decision, Watermark: reply.Watermark})
	if err != nil {
		return err
	}
	open, _, _ := strings.Cut(string(head), `"data":`)
	if _, err := io.WriteString(w, open+`"data":`); err != nil {
		return err
	}
	if len(first) == 0 {
		first = []byte("null")
	}
	if err := copied(w, first, rest); err != nil {
		return err
	}
	outcome, err := reply.Outcome()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `,"rows":%d,"cut":%v,"digest":%q}`+"\n", outcome.Rows, outcome.Cut, outcome.Digest)
	return err
}

func copied(w io.Writer, first []byte, rest io.Reader) error {
	if _, err := w.Write(first); err != nil {
		return err
	}
	_, err := io.Copy(w, rest)
	return err
}

// passedOn writes an answer as the provider's system gave it, as far as it passes.
func passedOn(w http.ResponseWriter, reply *exchange.Reply, first []byte, rest io.Reader) error {
	maps.Copy(w.Header(), reply.Header)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "sandbox") // a page of the service is none of the node's (threat S47)
	w.Header().Set("Trailer", client.TrailerOutcome)
	w.WriteHeader(reply.Status)
	if err := copied(w, first, rest); err != nil {
		return err
	}
	outcome, err := reply.Outcome()
	if err != nil {
		return err
	}
	text, err := json.Marshal(outcome)
	w.Header().Set(client.TrailerOutcome, string(text))
	return err
}

// proxy is the transparent form.
func (a *API) proxy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(client.HeaderAnsweredBy, client.ByBus)
	ctx := r.Context()
	p, err := principalOf(ctx)
	if err != nil {
		a.writeProblem(w, r, err)
		return
	}
	q, timeout, err := a.proxied(w, r)
	if err == nil {
		var answer *huma.StreamResponse
		if answer, err = a.query(ctx, p, q, timeout, passedOn); err == nil {
			answer.Body(humago.NewContext(nil, r, w))
			return
		}
	}
	a.writeProblem(w, r, err)
}

// proxied reads the query of a request in the transparent form.
func (a *API) proxied(w http.ResponseWriter, r *http.Request) (q exchange.Query, timeout int, err error) {
	h := r.Header
	path, err := proxyPath(r)
	if err != nil {
		return q, 0, err
	}
	body, err := bodyInTime(w, r, a.Wait)
	if err != nil || len(body) > bodyCap {
		return q, 0, bus.E(bus.CodeTooLarge, bus.Defect{Field: "body", Problem: bus.Text{ZH: "请求体过大", EN: "too large"}, Allowed: strconv.Itoa(bodyCap)}).Because(err)
	}
	matter, badMatter := url.QueryUnescape(h.Get(client.HeaderMatter))
	number, badCase := url.QueryUnescape(h.Get(client.HeaderCase))
	basis, badBasis := url.QueryUnescape(h.Get(client.HeaderBasis))
	var badTime error
	if text := h.Get(client.HeaderTimeout); text != "" {
		timeout, badTime = strconv.Atoi(text)
	}
	if err := errors.Join(badMatter, badCase, badBasis, badTime); err != nil {
		return q, 0, bus.E(bus.CodeInvalid, bus.Defect{Field: "headers", Problem: bus.Text{ZH: "请求头无法识别", EN: "cannot be read"}, Allowed: "text escaped as in a query, milliseconds"})
	}
	q = exchange.Query{
		Resource: bus.ResourceID(r.PathValue("id")), Grant: bus.GrantID(h.Get(client.HeaderGrant)), Purpose: bus.Purpose(h.Get(client.HeaderPurpose)),
		Matter: matter, Case: number, Basis: basis, Operator: h.Get(client.HeaderOperator),
		Call: binding.Call{Method: r.Method, Path: path, Query: r.URL.RawQuery, Header: binding.Kept(h), Body: body},
	}
	for id := range strings.SplitSeq(h.Get(client.HeaderItems), ",") {
		if id = strings.TrimSpace(id); id != "" {
			q.Items = append(q.Items, bus.ItemID(id))
		}
	}
	return q, timeout, nil
}

// proxyPath is the path that is asked for, as it was escaped.
func proxyPath(r *http.Request) (string, error) {
	parts := strings.SplitN(r.URL.EscapedPath(), "/", 7) // "", api, v1, resources, id, proxy, path
	path := "/" + parts[len(parts)-1]
	return path, binding.CheckPath(path)
}

// plain refuses a path of the transparent form that the router would tidy up, and so
// make another path of (threat S45).
func (a *API) plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.SplitN(r.URL.EscapedPath(), "/", 7)
		if len(parts) == 7 && parts[3] == "resources" && parts[5] == "proxy" {
			if _, err := proxyPath(r); err != nil {
				a.writeProblem(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
