package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	sendTimeout   = 30 * time.Second // for an endpoint to answer
	dialTimeout   = 5 * time.Second
	idleTimeout   = 5 * time.Second // a connection that is not used makes room for others
	answerCap     = 64 << 10        // bytes of an answer that are read
	headerCap     = 16 << 10
	perHost       = 8 // requests to one address at once
	retryAfterCap = 24 * time.Hour
)

// Config joins a client to its surroundings.
type Config struct {
	Guard  Guard
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil: the system's resolver
	Roots  *x509.CertPool                                               // nil: the system's
	Now    func() time.Time
}

// Client speaks to the endpoints of agencies.
type Client struct {
	guard  Guard
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	now    func() time.Time
	slots  slots
	secure *http.Client
	plain  *http.Client
}

// New makes a client.
func New(c Config) *Client {
	w := &Client{guard: c.Guard, lookup: c.Lookup, now: c.Now, slots: slots{each: perHost}}
	if w.lookup == nil {
		w.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	w.secure, w.plain = w.over(false, c.Roots), w.over(true, nil)
	return w
}

func (c *Client) over(plain bool, roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout:       sendTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return c.dial(ctx, network, address, plain)
			},
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxConnsPerHost: perHost, MaxIdleConnsPerHost: 1, IdleConnTimeout: idleTimeout, TLSHandshakeTimeout: dialTimeout,
			MaxResponseHeaderBytes: headerCap, DisableCompression: true,
		},
	}
}

// Close ends the connections that are not in use.
func (c *Client) Close() {
	c.secure.CloseIdleConnections()
	c.plain.CloseIdleConnections()
}

// dial resolves a host anew, looks at what it resolves to, and connects to that very
// address.
func (c *Client) dial(ctx context.Context, network, address string, plain bool) (net.Conn, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	ips, err := c.resolve(ctx, target{host, uint16(port), plain})
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialTimeout, Control: c.guard.control(plain)}
	return d.DialContext(ctx, network, netip.AddrPortFrom(ips[0], uint16(port)).String())
}

// Check refuses a URL that is none, or leads where the node does not dial.
func (c *Client) Check(ctx context.Context, endpoint string) error {
	t, err := parse(endpoint)
	if err != nil {
		return err
	}
	if _, err := c.resolve(ctx, t); err != nil {
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field: "url", Problem: bus.Text{ZH: "该地址不可投递", EN: "leads to " + reason(err)},
			Allowed: "a public address over https, or one of the networks that the node's configuration lists (webhook_networks)",
		})
	}
	return nil
}

// Permission is what an endpoint allows.
type Permission struct {
	Rate int // requests a minute; 0: as many as one likes
}

// ErrNotPermitted means that an endpoint answers and does not allow deliveries.
var ErrNotPermitted = errors.New("the endpoint does not allow deliveries from this origin (WebHook-Allowed-Origin)")

// Greet asks an endpoint whether events may be delivered to it (HTTP 1.1 Web Hooks for
// Event Delivery §4.1).
func (c *Client) Greet(ctx context.Context, endpoint, origin, authorization string) (p Permission, err error) {
	h := http.Header{"Webhook-Request-Origin": {origin}}
	if authorization != "" {
		h.Set("Authorization", authorization)
	}
	answer, header, err := c.do(ctx, http.MethodOptions, endpoint, h, "")
	if err != nil {
		return p, err
	}
	allowed := header.Get("WebHook-Allowed-Origin")
	if answer.Status/100 != 2 || allowed != "*" && !strings.EqualFold(allowed, origin) {
		return p, fmt.Errorf("%w: it answers %d", ErrNotPermitted, answer.Status)
	}
	if rate := header.Get("WebHook-Allowed-Rate"); rate != "" && rate != "*" {
		if p.Rate, err = strconv.Atoi(rate); err != nil || p.Rate < 1 {
			return Permission{}, fmt.Errorf("%w: WebHook-Allowed-Rate is no number", ErrNotPermitted)
		}
	}
	return p, nil
}

// Delivery is one request that takes events to an endpoint.
type Delivery struct {
	Endpoint      string
	Origin        string // of WebHook-Request-Origin
	ID            string // the same when it is tried again
	MediaType     string
	Body          string
	Authorization string // a header; "" for none
	Secret        []byte // of the signature; empty for none
	TraceParent   string // of the first event that it takes (W3C Trace Context); "" for none
	TraceState    string // that goes with it
}

// Answer is what an endpoint said.
type Answer struct {
	Status     int
	RetryAfter time.Duration // 0: nothing said
}

// Send takes a delivery to its endpoint. It is signed as Standard Webhooks lays down:
// webhook-signature is "v1," and the base64 of the HMAC-SHA256 over id, timestamp and
// body with points between.
func (c *Client) Send(ctx context.Context, d Delivery) (Answer, error) {
	h := http.Header{"Content-Type": {d.MediaType}, "Webhook-Request-Origin": {d.Origin}, "Webhook-Id": {d.ID}}
	if d.Authorization != "" {
		h.Set("Authorization", d.Authorization)
	}
	if d.TraceParent != "" {
		h.Set("Traceparent", d.TraceParent)
		if d.TraceState != "" {
			h.Set("Tracestate", d.TraceState)
		}
	}
	if len(d.Secret) > 0 {
		at := strconv.FormatInt(c.now().Unix(), 10)
		h.Set("Webhook-Timestamp", at)
		h.Set("Webhook-Signature", "v1,"+Sign(d.Secret, d.ID, at, d.Body))
	}
	answer, _, err := c.do(ctx, http.MethodPost, d.Endpoint, h, d.Body)
	return answer, err
}

// Sign gives the signature of a delivery, in base64.
func Sign(secret []byte, id, at, body string) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, id+"."+at+"."+body) // a hash takes everything
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// do makes one request. An error says nothing of the URL, which may hold a secret.
func (c *Client) do(ctx context.Context, method, endpoint string, h http.Header, body string) (a Answer, header http.Header, err error) {
	t, err := parse(endpoint)
	if err != nil {
		return a, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, endpoint, strings.NewReader(body))
	if err != nil {
		return a, nil, errors.New("is not a URL that can be delivered to")
	}
	request.Header = h
	request.Header.Set("User-Agent", "gxbus")
	ips, err := c.resolve(ctx, t)
	if err != nil {
		return a, nil, errors.New(reason(err))
	}
	release, err := c.slots.take(ctx, ips[0].Unmap()) // before the time begins in which the endpoint has to answer
	if err != nil {
		return a, nil, err
	}
	defer release()
	over := c.secure
	if t.plain {
		over = c.plain
	}
	response, err := over.Do(request)
	if err != nil {
		return a, nil, errors.New(reason(err))
	}
	defer response.Body.Close()
	// What is left of a longer answer is not read: closing cuts the connection.
	_, _ = io.CopyN(io.Discard, response.Body, answerCap)
	return Answer{response.StatusCode, c.retryAfter(response.Header.Get("Retry-After"))}, response.Header, nil
}

// retryAfter reads the header of that name, in seconds or as a date.
func (c *Client) retryAfter(text string) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(max(seconds, 0), int(retryAfterCap/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(c.now())
	}
	return min(max(wait, 0), retryAfterCap)
}

// reason says what went wrong without what a URL says: Go's errors repeat it.
func reason(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return "the endpoint does not answer in time"
		}
		err = e.Err
	}
	switch {
	case errors.Is(err, errAddress):
		return errAddress.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "the endpoint does not answer in time"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "a host that cannot be resolved"
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return "an endpoint that cannot be reached"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "an endpoint whose certificate is not trusted"
	}
	return "an endpoint that breaks off or does not speak HTTP"
}
