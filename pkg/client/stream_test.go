package client_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// A connection that is cut within a message is taken up again behind the newest event
// that the caller has gone on from.
func TestStreamGoesOnBehindWhatItsCallerHas(t *testing.T) {
	message := func(n int) string {
		return fmt.Sprintf("id: %d\ndata: {\"specversion\":\"1.0\",\"id\":\"e-%[1]d\",\"source\":\"/s\",\"type\":\"t\"}\n\n", n)
	}
	whole := message(5)
	parts := []string{"id: 0\n\n" + message(3) + message(4) + whole[:len(whole)-9], ":\n\n", "id: 0\n\n" + message(5) + message(6)}
	var asked []string
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String()+" "+r.Header.Get("Last-Event-ID"))
		if len(asked) > len(parts) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"code":"denied-by-policy","title":"t"}`))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, parts[len(asked)-1])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the line is cut
	}))
	t.Cleanup(node.Close)
	c := connect(t, node, client.Config{Backoff: time.Millisecond})
	var got []string
	var last error
	for e, err := range c.Stream(t.Context(), "sub-1") {
		if last = err; err == nil {
			got = append(got, fmt.Sprint(e.ID(), " ", e.Number))
		}
	}
	if want := []string{"e-3 3", "e-4 4", "e-5 5", "e-6 6"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	const at = "/api/v1/subscriptions/sub-1/stream "
	if want := []string{at, at + "4", at + "4", at + "6"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	if !client.IsCode(last, bus.CodeDenied) {
		t.Errorf("ended with %v", last)
	}
}
