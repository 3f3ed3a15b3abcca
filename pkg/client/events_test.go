package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func sample(t testing.TB, id string, data any) event.Event {
	t.Helper()
	e := event.New()
	e.SetID(id)
	e.SetSource("/systems/sample")
	e.SetType("cn.gov.sample.changed")
	if err := e.SetData("application/json", data); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPublishSplitsAtTheCaps(t *testing.T) {
	big := strings.Repeat("x", 1<<20-1000)
	tests := []struct {
		name    string
		count   int
		data    string
		batches []int
	}{
		{"none", 0, "", nil},
		{"one", 1, "a", []int{1}},
		{"as many as fit", 1000, "a", []int{1000}},
		{"one more", 1001, "a", []int{1000, 1}},
		{"by size", 17, big, []int{8, 8, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var batches []int
			var ids []string
			c := fake(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if len(body) > client.MaxBatchBytes || r.Header.Get("Content-Type") != "application/cloudevents-batch+json" {
					t.Errorf("%d bytes of %s", len(body), r.Header.Get("Content-Type"))
				}
				var events []event.Event
				if err := json.Unmarshal(body, &events); err != nil {
					t.Error(err)
				}
				var out client.Receipts
				for _, e := range events {
					ids = append(ids, e.ID())
					out.Receipts = append(out.Receipts, client.Receipt{ID: e.ID()})
				}
				batches = append(batches, len(events))
				answer(w, http.StatusAccepted, out)
			}, client.Config{})
			var events []event.Event
			for i := range tt.count {
				events = append(events, sample(t, fmt.Sprint(i), map[string]string{"v": tt.data}))
			}
			receipts, err := c.Publish(t.Context(), "r", events...)
			if err != nil || len(receipts) != tt.count || fmt.Sprint(batches) != fmt.Sprint(tt.batches) {
				t.Fatalf("%d receipts in %v, %v; want %v", len(receipts), batches, err, tt.batches)
			}
			for i, r := range receipts {
				if r.ID != fmt.Sprint(i) || ids[i] != r.ID {
					t.Fatalf("receipt %d is of %s, sent %s", i, r.ID, ids[i])
				}
			}
		})
	}
}

func TestPublishTellsHowFarItCame(t *testing.T) {
	calls := 0
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 2 {
			w.Header().Set("Content-Type", "application/problem+json")
			answer(w, http.StatusInsufficientStorage, client.Problem{Code: bus.CodeStorageFull})
			return
		}
		answer(w, http.StatusAccepted, client.Receipts{Receipts: make([]client.Receipt, client.MaxBatchEvents)})
	}, client.Config{})
	var events []event.Event
	for i := range 2500 {
		events = append(events, sample(t, fmt.Sprint(i), nil))
	}
	receipts, err := c.Publish(t.Context(), "r", events...)
	if len(receipts) != 1000 || !client.IsCode(err, bus.CodeStorageFull) || calls != 2 {
		t.Errorf("%d receipts in %d calls, %v", len(receipts), calls, err)
	}
	if _, err := c.Publish(t.Context(), "r", sample(t, "1", strings.Repeat("x", client.MaxBatchBytes))); !client.IsCode(err, bus.CodeTooLarge) || calls != 2 {
		t.Errorf("an event over the cap: %v after %d calls", err, calls)
	}
	if _, err := c.Publish(t.Context(), "r", sample(t, "1", nil)); err == nil {
		t.Error("1000 receipts for one event were taken")
	}
}

func TestAwaitEndsBeforeItsAttemptDoes(t *testing.T) {
	var asked string
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		_, _ = io.WriteString(w, "[]")
	}, client.Config{})
	for wait, want := range map[time.Duration]string{30 * time.Second: "limit=5&wait=22", 9 * time.Second: "limit=5&wait=9"} {
		if _, _, err := c.Await(t.Context(), "s", 5, wait); err != nil || asked != want {
			t.Errorf("waiting %v it asks %s, want %s: %v", wait, asked, want, err)
		}
	}
}

func TestPullGivesWhatToAcknowledge(t *testing.T) {
	header, body, got := "41", "", ""
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.RequestURI()
		if r.Method == http.MethodPost {
			b, _ := io.ReadAll(r.Body)
			got += " " + string(b)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if header != "" {
			w.Header().Set(client.HeaderLast, header)
		}
		_, _ = io.WriteString(w, body)
	}, client.Config{})
	one, _ := json.Marshal([]event.Event{sample(t, "e1", map[string]int{"n": 1})})
	body = string(one)
	events, last, err := c.Pull(t.Context(), "sub", 5)
	if err != nil || last != 41 || len(events) != 1 || events[0].ID() != "e1" || string(events[0].Data()) != `{"n":1}` || got != "/api/v1/subscriptions/sub/events?limit=5" {
		t.Fatalf("Pull = %v, %d, %v from %s", events, last, err, got)
	}
	if err := c.Ack(t.Context(), "sub", last); err != nil || got != `/api/v1/subscriptions/sub/ack {"last":41}` {
		t.Errorf("Ack sent %s, %v", got, err)
	}
	for _, bad := range []string{"", "-1", "x"} {
		header = bad
		if _, _, err := c.Pull(t.Context(), "sub", 0); err == nil {
			t.Errorf("events with %s %q were taken: they could not be acknowledged", client.HeaderLast, bad)
		}
	}
	header, body = "", "[]"
	if events, last, err := c.Pull(t.Context(), "sub", 0); err != nil || last != 0 || events != nil {
		t.Errorf("an empty pull = %v, %d, %v", events, last, err)
	}
}
