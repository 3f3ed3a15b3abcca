package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// maxAnswer bounds what is read of one answer, unpacked.
const maxAnswer = 256 << 20

// call is one request of the API.
type call struct {
	method string
	path   []string // below /api/v1, not yet escaped
	query  url.Values
	header http.Header
	body   []byte
	media  string // of body; application/json where empty

	// dialOnly: repeat only if the node was not reached, because the answer
	// holds a secret that is shown once.
	dialOnly bool
	stream   bool // the answer has no time limit
	events   bool // a stream of events: where it goes on is in Last-Event-ID
}

// send makes the call, repeating it where that is safe, and returns an answer
// below 300. The caller closes its body.
func (c *Client) send(ctx context.Context, call call) (*http.Response, error) {
	if call.method == http.MethodGet {
		call.query = c.freshness(call.query)
	}
	target, err := c.target(call)
	if err != nil {
		return nil, err
	}
	requestID := ""
	if call.method != http.MethodGet {
		requestID = c.cfg.RequestID()
	}
	wait := c.cfg.Backoff
	for attempt := 1; ; attempt++ {
		resp, err := c.once(ctx, call, target, requestID)
		if err == nil {
			if call.method != http.MethodGet {
				c.wrote(resp.Header)
			}
			return resp, nil
		}
		again, after := repeatable(err, call.dialOnly)
		if !again || attempt >= c.cfg.Attempts || !pause(ctx, max(after, jitter(wait))) {
			return nil, fmt.Errorf("%s %s: %w", call.method, target.Path, err)
		}
		wait *= 2
	}
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, call call, target *url.URL, requestID string) (*http.Response, error) {
	cancel := context.CancelFunc(func() {})
	if !call.stream {
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.Timeout, errAttemptTimeout)
	}
	resp, err := c.http.Do(c.request(ctx, call, target, requestID))
	if err != nil {
		if context.Cause(ctx) == errAttemptTimeout {
			err = fmt.Errorf("%w after %v", errAttemptTimeout, c.cfg.Timeout)
		}
		cancel()
		return nil, bare(err)
	}
	if resp.StatusCode >= 300 {
		defer cancel()
		defer resp.Body.Close()
		return nil, &answer{problem: problemOf(resp), retryAfter: retryAfter(resp.Header)}
	}
	resp.Body = &body{Reader: resp.Body, close: resp.Body.Close, cancel: cancel}
	return resp, nil
}

func (c *Client) request(ctx context.Context, call call, target *url.URL, requestID string) *http.Request {
	req := (&http.Request{
		Method: call.method, URL: target, Host: target.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	for name, values := range call.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if req.Header.Get("Accept-Language") == "" {
		req.Header.Set("Accept-Language", string(c.cfg.Language))
	}
	switch {
	case c.key != nil: // each attempt anew: a nonce is good once
		req.Header.Set("Authorization", c.key.Sign(call.method, target.RequestURI(), call.body, time.Now()))
	case c.cfg.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	if requestID != "" {
		req.Header.Set(HeaderRequest, requestID)
	}
	if call.body == nil {
		return req
	}
	media := call.media
	if media == "" {
		media = "application/json"
	}
	req.Header.Set("Content-Type", media)
	req.ContentLength = int64(len(call.body))
	req.Body = io.NopCloser(bytes.NewReader(call.body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(call.body)), nil }
	return req
}

// target escapes each segment, and refuses those that would name another route.
func (c *Client) target(call call) (*url.URL, error) {
	escaped := make([]string, len(call.path))
	for i, segment := range call.path {
		if segment == "" || segment == "." || segment == ".." {
			return nil, bus.E(bus.CodeInvalid, bus.Defect{
				Field: "id", Problem: bus.Text{ZH: "标识不能为空或为点", EN: "an id is empty or dots"}, Allowed: "a name",
			})
		}
		escaped[i] = url.PathEscape(segment)
	}
	const root = "/api/v1/"
	return &url.URL{
		Scheme: c.base.Scheme, Host: c.base.Host, RawQuery: call.query.Encode(),
		Path: root + strings.Join(call.path, "/"), RawPath: root + strings.Join(escaped, "/"),
	}, nil
}

// body ends its attempt's context when it is closed.
type body struct {
	io.Reader
	close  func() error
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.close()
}

// do makes the call and decodes its answer, if one is wanted.
func do[T any](ctx context.Context, c *Client, call call) (T, error) {
	var value T
	resp, err := c.send(ctx, call)
	if err != nil {
		return value, err
	}
	defer resp.Body.Close()
	return value, decode(resp, &value)
}

func decode(resp *http.Response, value any) error {
	if _, none := value.(*nothing); none {
		return nil
	}
	bounded := &io.LimitedReader{R: resp.Body, N: maxAnswer}
	if err := json.NewDecoder(bounded).Decode(value); err != nil {
		if bounded.N <= 0 {
			return bus.E(bus.CodeTooLarge, bus.Defect{Field: "answer", Problem: bus.Text{ZH: "应答过大", EN: "the answer is too large"}})
		}
		return fmt.Errorf("decoding the node's answer: %w", err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // read to its end, the connection can be used again
	return nil
}

// nothing is the answer of a call that has none.
type nothing struct{}

// withJSON sets the body. The bodies of this package always marshal, but for
// values that no JSON can hold; those are told to the caller.
func (call call) withJSON(value any) (call, error) {
	var err error
	call.body, err = json.Marshal(value)
	return call, err
}

// post sends a body to a path and decodes the answer.
func post[T any](ctx context.Context, c *Client, call call, value any) (T, error) {
	call.method = http.MethodPost
	call, err := call.withJSON(value)
	if err != nil {
		var none T
		return none, err
	}
	return do[T](ctx, c, call)
}

// expecting gives the precondition of a write on an entry with this revision.
func expecting(revision bus.Revision) http.Header {
	if revision == 0 {
		return http.Header{"If-None-Match": {"*"}}
	}
	return http.Header{"If-Match": {`"` + strconv.FormatUint(uint64(revision), 10) + `"`}}
}
