package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// network is a transport that answers each attempt from a list, the last again
// and again; time is a synctest bubble's.
type network struct {
	answers []any // an error, or *http.Response
	seen    []*http.Request
	bodies  []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.seen = append(n.seen, r)
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	n.bodies = append(n.bodies, body)
	next := n.answers[min(len(n.seen), len(n.answers))-1]
	if err, ok := next.(error); ok {
		return nil, err
	}
	resp := *next.(*http.Response)
	resp.Body = io.NopCloser(strings.NewReader(`{}`))
	return &resp, nil
}

func status(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h}
}

var (
	reset   = &net.OpError{Op: "read", Err: errors.New("connection reset")}
	refused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

func TestWhatIsRepeated(t *testing.T) {
	read := func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx, false); return err }
	write := func(ctx context.Context, c *client.Client) error {
		_, err := c.Departments().Put(ctx, bus.Department{ID: "r"})
		return err
	}
	secret := func(ctx context.Context, c *client.Client) error {
		_, err := c.Systems().Rotate(ctx, "s", 0)
		return err
	}
	tests := []struct {
		name     string
		do       func(context.Context, *client.Client) error
		answers  []any
		attempts int
		ok       bool
		wait     time.Duration // at least
	}{
		{"read after 503", read, []any{status(503), status(200)}, 2, true, 0},
		{"write after 503", write, []any{status(503), status(200)}, 2, true, 0},
		{"write after a reset", write, []any{reset, reset, status(200)}, 3, true, 0},
		{"bounded", read, []any{status(503)}, 4, false, 0},
		{"retry-after seconds", write, []any{status(503, "Retry-After", "7"), status(200)}, 2, true, 7 * time.Second},
		{"retry-after date", read, []any{status(503, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT"), status(200)}, 2, true, 30 * time.Second},
		{"retry-after too long", read, []any{status(503, "Retry-After", "3600"), status(200)}, 1, false, 0},
		{"rate limited with a time", read, []any{status(429, "Retry-After", "2"), status(200)}, 2, true, 2 * time.Second},
		{"rate limited without", read, []any{status(429), status(200)}, 1, false, 0},
		{"a refusal", write, []any{status(403), status(200)}, 1, false, 0},
		{"an internal error", read, []any{status(500), status(200)}, 1, false, 0},
		{"a secret after a reset", secret, []any{reset, status(200)}, 1, false, 0},
		{"a secret after 503", secret, []any{status(503), status(200)}, 1, false, 0},
		{"a secret not sent", secret, []any{refused, status(200)}, 2, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{answers: tt.answers}
				c, err := client.New(client.Config{Server: "node:1", Transport: n})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err = tt.do(t.Context(), c)
				if (err == nil) != tt.ok || len(n.seen) != tt.attempts {
					t.Errorf("%d attempts, %v; want %d, ok %v", len(n.seen), err, tt.attempts, tt.ok)
				}
				waited := time.Since(start)
				if waited < tt.wait || waited > tt.wait+2*time.Second {
					t.Errorf("waited %v, want %v or a little more", waited, tt.wait)
				}
				for i, r := range n.seen[1:] {
					if r.Header.Get(client.HeaderRequest) != n.seen[0].Header.Get(client.HeaderRequest) || n.bodies[i+1] != n.bodies[0] {
						t.Error("a repetition was another request")
					}
				}
				if key := n.seen[0].Header.Get(client.HeaderRequest); (key == "") != (n.seen[0].Method == http.MethodGet) {
					t.Errorf("%s has key %q", n.seen[0].Method, key)
				}
			})
		})
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answers: []any{status(503, "Retry-After", "20")}}
		c, err := client.New(client.Config{Server: "node:1", Transport: n})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := c.Status(ctx, false); !client.IsCode(err, bus.CodeUnavailable) || time.Since(start) != 0 {
			t.Errorf("with too little time left: %v after %v", err, time.Since(start))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		if _, err := c.Status(ctx, false); !client.IsCode(err, bus.CodeUnavailable) || time.Since(start) != 3*time.Second {
			t.Errorf("cancelled: %v after %v", err, time.Since(start))
		}
	})
}

func TestAnAttemptHasATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New(client.Config{Server: "node:1", Transport: silent{}, Timeout: time.Second, Attempts: 2, Backoff: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Status(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), "no answer in time after 1s") {
			t.Errorf("err = %v", err)
		}
		if waited := time.Since(start); waited < 2*time.Second || waited > 2100*time.Millisecond {
			t.Errorf("two attempts of 1 s took %v", waited)
		}
	})
}

// silent never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
