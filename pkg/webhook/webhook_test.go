package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/webhook"
)

const origin = "node.guangzhou.test"

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// client makes a client that may dial loopback, where names lead where the test says.
func client(t *testing.T, names func(host string) string) *webhook.Client {
	t.Helper()
	c := webhook.New(webhook.Config{Guard: webhook.Guard{Networks: loopback, OwnPorts: []uint16{8440, 8441}}, Now: time.Now,
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if names == nil {
				return nil, errors.New("no such host")
			}
			return []netip.Addr{netip.MustParseAddr(names(host))}, nil
		}})
	t.Cleanup(c.Close)
	return c
}

func TestS39HostsThatAreNotDialledAreRefusedAtRegistrationAndAtDial(t *testing.T) {
	strict := webhook.New(webhook.Config{Guard: webhook.Guard{OwnPorts: []uint16{8440}}, Now: time.Now,
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(map[string]string{"private.test": "10.1.2.3", "loop.test": "127.0.0.1"}[host])}, nil
		}})
	for _, endpoint := range []string{
		"https://127.0.0.1/", "https://localhost.:1/", "https://[::1]/", "https://0x7f000001/", "https://2130706433/", "https://0177.0.0.1/", "https://127.1/",
		"https://169.254.169.254/latest/meta-data", "https://[::ffff:169.254.169.254]/", "https://[::ffff:7f00:1]/", "https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[64:ff9b::7f00:1]/",
		"https://100.100.100.200/", "https://0.0.0.0/", "https://[::]/", "https://10.0.0.1/", "https://192.168.1.1/", "https://[fd00::1]/", "https://[2002:7f00:1::]/",
		"https://private.test/", "https://loop.test/", "http://93.184.216.34/", // plain, to nobody listed
		"ftp://a.test/", "https://user:pass@a.test/", "https:///x", "//a.test", "https://a.test:0/", "https://a.test:99999/", "https://a.test/#x", "https://a b.test/", "",
	} {
		if strings.Contains(endpoint, "localhost") {
			continue // resolved by the machine's own table: the names above stand for it
		}
		if err := strict.Check(t.Context(), endpoint); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s is registered: %v", endpoint, err)
		}
		if _, err := strict.Send(t.Context(), webhook.Delivery{Endpoint: endpoint}); err == nil {
			t.Errorf("%s is dialled", endpoint)
		}
	}
	if err := strict.Check(t.Context(), "https://93.184.216.34/x?y=z"); err != nil {
		t.Errorf("a public address: %v", err)
	}
	listed := client(t, nil)
	if err := listed.Check(t.Context(), "http://127.0.0.1:9/"); err != nil {
		t.Errorf("a network that is listed: %v", err)
	}
	for _, own := range []string{"http://127.0.0.1:8441/", "https://127.0.0.2:8440/"} {
		if err := listed.Check(t.Context(), own); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("the node's own port %s is registered: %v", own, err)
		}
	}
}

func TestS40ANameThatLeadsElsewhereAtTheDialIsRefused(t *testing.T) {
	asked := 0
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was dialled") }))
	defer sink.Close()
	c := webhook.New(webhook.Config{Now: time.Now, Lookup: func(context.Context, string) ([]netip.Addr, error) {
		if asked++; asked <= 2 { // registration, and the look before the request
			return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	endpoint := fmt.Sprintf("https://rebind.test:%s/", sink.URL[strings.LastIndexByte(sink.URL, ':')+1:])
	if err := c.Check(t.Context(), endpoint); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), webhook.Delivery{Endpoint: endpoint}); err == nil || !strings.Contains(err.Error(), "not dialled") {
		t.Errorf("got %v after %d look-ups", err, asked)
	}
	if asked != 3 {
		t.Errorf("%d look-ups: the dial made none of its own", asked)
	}
}

func TestS41ARedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	sink := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer sink.Close()
	c := client(t, nil)
	answer, err := c.Send(t.Context(), webhook.Delivery{Endpoint: sink.URL, Body: "x"})
	if err != nil || answer.Status != http.StatusTemporaryRedirect || elsewhere.Load() > 0 {
		t.Errorf("got %+v, %v, and %d requests elsewhere", answer, err, elsewhere.Load())
	}
	if _, err := c.Greet(t.Context(), sink.URL, origin, ""); !errors.Is(err, webhook.ErrNotPermitted) {
		t.Errorf("the handshake: %v", err)
	}
}

func TestS42WhoDoesNotAllowGetsNothingAndAnEndlessAnswerIsCutOff(t *testing.T) {
	c := client(t, nil)
	for _, tt := range []struct {
		name    string
		status  int
		headers map[string]string
		rate    int
		allowed bool
	}{
		{"nothing is allowed", 200, nil, 0, false},
		{"another origin", 200, map[string]string{"WebHook-Allowed-Origin": "elsewhere"}, 0, false},
		{"refused", 405, map[string]string{"WebHook-Allowed-Origin": "*"}, 0, false},
		{"this origin", 200, map[string]string{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "1"}, 1, true},
		{"any origin, any rate", 204, map[string]string{"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}, 0, true},
		{"a rate that is none", 200, map[string]string{"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "0"}, 0, false},
	} {
		sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodOptions || r.Header.Get("WebHook-Request-Origin") != origin || r.Header.Get("Authorization") != "Bearer x" {
				t.Errorf("%s: asked %s %v", tt.name, r.Method, r.Header)
			}
			for name, value := range tt.headers {
				w.Header().Set(name, value)
			}
			w.WriteHeader(tt.status)
		}))
		p, err := c.Greet(t.Context(), sink.URL, origin, "Bearer x")
		if (err == nil) != tt.allowed || p.Rate != tt.rate {
			t.Errorf("%s: %+v, %v", tt.name, p, err)
		}
		sink.Close()
	}
	var sent atomic.Int64
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for page := make([]byte, 32<<10); ; {
			n, err := w.Write(page)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	if answer, err := c.Send(t.Context(), webhook.Delivery{Endpoint: endless.URL}); err != nil || answer.Status != 200 {
		t.Errorf("got %+v, %v", answer, err)
	}
	endless.CloseClientConnections()
	if sent.Load() > 32<<20 { // what the kernel holds, not what the endpoint has
		t.Errorf("%d bytes of an answer were taken", sent.Load())
	}
}

// S43: whatever names lead there.
func TestS43OneHostIsAskedByAFewAtOnce(t *testing.T) {
	var mu sync.Mutex
	under, most := 0, 0
	full, open := make(chan struct{}), make(chan struct{})
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if under++; under > most {
			most = under
		}
		if under == 8 {
			close(full)
		}
		mu.Unlock()
		<-open
		mu.Lock()
		under--
		mu.Unlock()
	}))
	defer sink.Close()
	port := sink.URL[strings.LastIndexByte(sink.URL, ':')+1:]
	c := client(t, func(string) string { return "127.0.0.1" })
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			if _, err := c.Send(context.Background(), webhook.Delivery{Endpoint: fmt.Sprintf("http://victim-%d.test:%s/", i, port)}); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	close(open)
	all.Wait()
	if most != 8 {
		t.Errorf("%d requests at once", most)
	}
}

func TestADeliveryIsSignedAndTellsItsOrigin(t *testing.T) {
	secret := []byte("0123456789abcdef")
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		want := "v1," + webhook.Sign(secret, "s1.7", r.Header.Get("Webhook-Timestamp"), string(body))
		if r.Header.Get("Webhook-Signature") != want || r.Header.Get("Webhook-Id") != "s1.7" || r.Header.Get("WebHook-Request-Origin") != origin ||
			r.Header.Get("Content-Type") != "application/cloudevents+json" || r.Header.Get("Authorization") != "Bearer x" || string(body) != "{}" || r.Header.Get("Traceparent") != "00-a-b-01" || r.Header.Get("Tracestate") != "a=b" {
			t.Errorf("%v %s", r.Header, body)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer sink.Close()
	answer, err := client(t, nil).Send(t.Context(), webhook.Delivery{
		Endpoint: sink.URL, Origin: origin, ID: "s1.7", MediaType: "application/cloudevents+json", Body: "{}", Authorization: "Bearer x", Secret: secret, TraceParent: "00-a-b-01", TraceState: "a=b",
	})
	if err != nil || answer != (webhook.Answer{Status: 429, RetryAfter: 7 * time.Second}) {
		t.Errorf("got %+v, %v", answer, err)
	}
}

func TestS44AnErrorTellsNothingOfTheURL(t *testing.T) {
	c := client(t, nil)
	for _, endpoint := range []string{"http://127.0.0.1:1/?token=canary", "https://canary.test/canary", "http://127.0.0.1:9\x7f/canary"} {
		_, err := c.Send(t.Context(), webhook.Delivery{Endpoint: endpoint})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	}
}
