package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// TestS20 is also that of streams of events, and of pulls that wait.
func TestS20_ADisabledSystemsStreamsAndPollsDie(t *testing.T) {
	w := newWorld(t)
	tell := func(id string) {
		t.Helper()
		e := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":"t","data":{"phone":"1"}}`, id, sample.SystemOf(sample.ShenzhenMarket).Source())
		got := w.ask(request{method: "POST", path: events, who: provider, header: map[string]string{"Content-Type": "application/cloudevents+json"}, body: text(e)})
		if got.status != http.StatusAccepted {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	of := w.First.Client(w.bearers[consumer])
	stream := w.streamOf(consumer, "/api/v1/subscriptions/sub-1/stream", nil)
	stream.expect(t, "id: 0")
	tell("e1")
	stream.expect(t, `"id":"e1"`)
	tell("e2")
	if before := stream.expect(t, `"id":"e2"`); strings.Contains(strings.Join(before, "\n"), `"id":"e1"`) {
		t.Error("the first event came twice in one stream")
	}
	again := w.streamOf(consumer, "/api/v1/subscriptions/sub-1/stream", map[string]string{"Last-Event-ID": "1"})
	if before := again.expect(t, `"id":"e2"`); strings.Contains(strings.Join(before, "\n"), `"id":"e1"`) {
		t.Error("Last-Event-ID acknowledged nothing")
	}
	check(t, of.Ack(t.Context(), "sub-1", 2))

	waited := make(chan error, 1)
	go func() {
		found, _, err := of.Await(context.Background(), "sub-1", 10, 20*time.Second)
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("%d events", len(found))
		}
		waited <- err
	}()
	tell("e3")
	check(t, <-waited)
	check(t, of.Ack(t.Context(), "sub-1", 3))
	// With nothing to give, only the disabling ends it.
	go func() {
		_, _, err := of.Await(context.Background(), "sub-1", 10, 30*time.Second)
		waited <- err
	}()
	nodetest.Eventually(t, "the subscription is idle", func() error {
		_, _, err := of.Pull(t.Context(), "sub-1", 1)
		return err
	})
	admin := w.First.Client(w.bearers[sysadmin])
	s, err := admin.Systems().Read(t.Context(), sample.SystemOf(sample.TianheServices).ID)
	check(t, err)
	s.Disabled = true
	_, err = admin.Systems().Put(t.Context(), s)
	check(t, err)
	if last, took := again.ended(t); took > 2*time.Second || !strings.Contains(strings.Join(last, "\n"), `"code":"unauthenticated"`) {
		t.Errorf("the stream ended after %v: %q", took, last)
	}
	if err := <-waited; !client.IsCode(err, bus.CodeUnauthenticated) {
		t.Errorf("the pull that waits got %v", err)
	}
}
