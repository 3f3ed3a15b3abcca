package peer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/peer"
)

// serve runs an HTTP server on a plane and counts the streams it got.
func serve(t testing.TB, p *peer.Plane, handler http.Handler) *atomic.Int64 {
	t.Helper()
	l, err := p.Listen(peer.HTTP)
	ok(t, err)
	streams := new(atomic.Int64)
	server := &http.Server{
		Handler:     handler,
		ConnContext: peer.ConnContext,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				streams.Add(1)
			}
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		ok(t, server.Close())
		<-done
	})
	return streams
}

func client(p *peer.Plane) *http.Client { return &http.Client{Transport: p.RoundTripper()} }

func TestHandlerKnowsWhoCallsWhateverHeadersSay(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	streams := serve(t, a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, known := peer.FromContext(r.Context())
		if !known {
			t.Error("caller unknown")
		}
		_, _ = io.WriteString(w, string(id)+" "+r.Host+" "+r.RemoteAddr)
	}))
	for range 5 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://440100/v1?x=1", nil)
		ok(t, err)
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Peer-Id", "From"} {
			request.Header.Set(name, string(province))
		}
		response, err := client(b).Do(request)
		ok(t, err)
		body, err := io.ReadAll(response.Body)
		ok(t, err)
		ok(t, response.Body.Close())
		if string(body) != "440106 440100 440106" {
			t.Errorf("answer = %q", body)
		}
	}
	if n := streams.Load(); n != 1 {
		t.Errorf("5 requests took %d streams, want 1 kept alive", n)
	}
	if _, known := peer.FromContext(t.Context()); known {
		t.Error("somebody calls from nowhere")
	}
	if ctx := peer.ConnContext(t.Context(), &net.TCPConn{}); ctx != t.Context() {
		t.Error("an identity was found in a TCP connection")
	}
}

func TestLargeBodiesPassBothWaysAtOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	serve(t, a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	}))
	body := make([]byte, 8<<20)
	_, _ = rand.Read(body)
	at(t, 4, func(int) error {
		response, err := client(b).Post("http://440100/", "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		if err == nil && !bytes.Equal(got, body) {
			err = errors.New("another body came back")
		}
		return err
	})
}

func TestRequestEndsWithItsContextAndTheHandlerLearnsOfIt(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	entered, left := make(chan struct{}), make(chan struct{})
	serve(t, a, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://440100/", nil)
	ok(t, err)
	if _, err := client(b).Do(request); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	receive(t, left)
}

func TestServerShutsDownGracefully(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	l, err := a.Listen(peer.HTTP)
	ok(t, err)
	entered, release := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	answer := make(chan string, 1)
	go func() {
		response, err := client(b).Get("http://440100/")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answer <- string(body)
	}()
	receive(t, entered)
	shut := make(chan error, 1)
	go func() { shut <- server.Shutdown(t.Context()) }()
	if err := receive(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("serve: %v", err)
	}
	close(release)
	if got := receive(t, answer); got != "done" {
		t.Errorf("answer = %q", got)
	}
	ok(t, receive(t, shut))
}

func TestRoundTripperTakesOnlyNodeURLs(t *testing.T) {
	w := newWorld(t)
	b := w.open(county)
	for _, url := range []string{
		"https://440100/", "http://440100:80/", "http://a@440100/", "http://node.example/", "http://127.0.0.1/", "http:///x",
	} {
		if _, err := client(b).Get(url); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s: %v", url, err)
		}
	}
	_, err := client(b).Get("http://440999/")
	unreachable(t, err, "no address")
}

func TestRequestsGoOnOverANewSession(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	serve(t, a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for range 3 {
		response, err := client(b).Get("http://440100/")
		ok(t, err)
		ok(t, response.Body.Close())
		b.Disconnect(city)
	}
}

func TestHTTPKeepsWithinItsShareOfStreams(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	inside, release := make(chan struct{}, 100), make(chan struct{})
	streams := serve(t, a, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-release
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		at(t, 100, func(int) error {
			response, err := client(b).Get("http://440100/")
			if err != nil {
				return err
			}
			return response.Body.Close()
		})
	}()
	for range 64 {
		receive(t, inside)
	}
	select {
	case <-inside:
		t.Error("a 65th request at once")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	receive(t, done)
	if n := streams.Load(); n > 100 {
		t.Errorf("%d streams", n)
	}
}
