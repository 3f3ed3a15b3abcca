package client

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
)

// Headers of queries. The first of them are the caller's, in the transparent form.
const (
	HeaderGrant    = "Gxbus-Grant"
	HeaderPurpose  = "Gxbus-Purpose"
	HeaderMatter   = "Gxbus-Matter"
	HeaderCase     = "Gxbus-Case"
	HeaderBasis    = "Gxbus-Basis"
	HeaderOperator = "Gxbus-Operator"
	HeaderItems    = "Gxbus-Items"      // with commas between
	HeaderTimeout  = "Gxbus-Timeout-Ms" // of the whole query

	HeaderAnsweredBy  = "Gxbus-Answered-By"  // provider, or bus
	HeaderCorrelation = "Gxbus-Correlation"  // names the query at both nodes
	HeaderDigest      = "Gxbus-Query-Digest" // of the query as the evidence has it
	HeaderDecision    = "Gxbus-Decision"
	HeaderWatermark   = "Gxbus-Watermark"
	TrailerOutcome    = "Gxbus-Outcome" // after an answer of the transparent form: rows, cut, digest
)

// What HeaderAnsweredBy says.
const (
	ByProvider = "provider"
	ByBus      = "bus"
)

// Query asks for data of a resource that is bound to a service of its provider.
type Query struct {
	Grant      bus.GrantID     `json:"grant,omitempty" doc:"the grant that the query is made under"`
	Purpose    bus.Purpose     `json:"purpose,omitempty" doc:"使用用途"`
	Matter     string          `json:"matter,omitempty" doc:"事项的实施清单编码"`
	Case       string          `json:"case,omitempty" doc:"办件号"`
	Basis      string          `json:"basis,omitempty" doc:"使用依据"`
	Operator   string          `json:"operator,omitempty" doc:"经办人代号: the agency's pseudonym for the person who asks, no name"`
	Items      []bus.ItemID    `json:"items,omitempty" doc:"none listed: all that is allowed"`
	Parameters json.RawMessage `json:"parameters,omitempty" doc:"an object: text, numbers, true, false or null by name"`
	Timeout    int             `json:"timeout_ms,omitempty" doc:"of the whole query, 20000 where it is left out, 50000 at most"`

	TraceParent string `json:"-"` // W3C trace context that the provider's system is told; "" for none
	TraceState  string `json:"-"` // that goes with it
}

// QueryAnswer is the answer to a query.
type QueryAnswer struct {
	Correlation string          `json:"correlation"`
	QueryDigest string          `json:"query_digest"`
	Decision    string          `json:"decision_id"`
	Watermark   string          `json:"watermark,omitempty"`
	Data        json.RawMessage `json:"data"`
	Rows        int             `json:"rows"`
	Cut         bool            `json:"cut"`    // there was more than the provider passes on at once
	Digest      string          `json:"digest"` // of data, as it was sent
}

// Query asks for data of a resource. A refusal of the provider's system is a *Problem
// with CodeProviderAnswer and the status that it gave.
func (c *Client) Query(ctx context.Context, resource bus.ResourceID, q Query) (QueryAnswer, error) {
	header := http.Header{}
	q.trace(header)
	return post[QueryAnswer](ctx, c, call{path: []string{"resources", string(resource), "query"}, header: header}, q)
}

// trace says which trace a request is part of (W3C Trace Context).
func (q Query) trace(header http.Header) {
	for name, value := range map[string]string{"Traceparent": q.TraceParent, "Tracestate": q.TraceState} {
		if value != "" {
			header.Set(name, value)
		}
	}
}

// ServiceRequest is a request to the service that a resource is bound to.
type ServiceRequest struct {
	Method string
	Path   string // escaped, and below the service's own
	Query  url.Values
	Header http.Header // Content-Type is application/json where there is a body and it is not said
	Body   []byte
}

// Proxy sends a request to the service that a resource is bound to, by its
// transparent form. Method, path, query, headers and body go on as they are; headers
// that say who calls, or by which way, stay behind. Of q Parameters are not used. The
// caller closes the answer's body.
func (c *Client) Proxy(ctx context.Context, resource bus.ResourceID, r ServiceRequest, q Query) (*http.Response, error) {
	header := http.Header{}
	maps.Copy(header, r.Header)
	q.head(header)
	segments := append([]string{"resources", string(resource), "proxy"}, strings.Split(strings.TrimPrefix(r.Path, "/"), "/")...)
	return c.send(ctx, call{method: r.Method, path: segments, query: r.Query, header: header, media: header.Get("Content-Type"), body: r.Body})
}

// head says in headers what a query rests on.
func (q Query) head(header http.Header) {
	timeout := ""
	if q.Timeout > 0 {
		timeout = strconv.Itoa(q.Timeout)
	}
	items := make([]string, len(q.Items))
	for i, id := range q.Items {
		items[i] = string(id)
	}
	for name, value := range map[string]string{
		HeaderGrant: string(q.Grant), HeaderPurpose: string(q.Purpose), HeaderMatter: url.QueryEscape(q.Matter), HeaderCase: url.QueryEscape(q.Case),
		HeaderBasis: url.QueryEscape(q.Basis), HeaderOperator: q.Operator,
		HeaderItems: strings.Join(items, ","), HeaderTimeout: timeout,
	} {
		if header.Del(name); value != "" {
			header.Set(name, value)
		}
	}
	q.trace(header)
}

// PutBinding binds a resource to a service of its provider, in place of the one before.
func (c *Client) PutBinding(ctx context.Context, b binding.Binding) (binding.Shown, error) {
	call, err := call{method: http.MethodPut, path: bindingOf(b.Resource)}.withJSON(b)
	if err != nil {
		return binding.Shown{}, err
	}
	return do[binding.Shown](ctx, c, call)
}

// Binding tells what may be told of a resource's binding.
func (c *Client) Binding(ctx context.Context, id bus.ResourceID) (binding.Shown, error) {
	return do[binding.Shown](ctx, c, call{method: http.MethodGet, path: bindingOf(id)})
}

// Bindings lists the bindings of this node that the caller may see.
func (c *Client) Bindings(ctx context.Context) ([]binding.Shown, error) {
	all, err := do[struct {
		Items []binding.Shown `json:"items"`
	}](ctx, c, call{method: http.MethodGet, path: []string{"bindings"}})
	return all.Items, err
}

// ProbeBinding asks whether the service that a resource is bound to is there; an error
// says that it is not.
func (c *Client) ProbeBinding(ctx context.Context, id bus.ResourceID) error {
	_, err := do[nothing](ctx, c, call{method: http.MethodGet, path: append(bindingOf(id), "probe")})
	return err
}

// DeleteBinding ends a binding.
func (c *Client) DeleteBinding(ctx context.Context, id bus.ResourceID) error {
	_, err := do[nothing](ctx, c, call{method: http.MethodDelete, path: bindingOf(id)})
	return err
}

func bindingOf(id bus.ResourceID) []string { return []string{"resources", string(id), "binding"} }
