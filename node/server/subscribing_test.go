package server_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
)

// A CloudEvents Subscriptions object is put whole: its events go to its sink, with its
// credential, and no others.
func TestASubscriptionsObjectIsPutWhole(t *testing.T) {
	s := tellWith(t, nodetest.Options{Config: func(c *server.Config) { c.WebhookNetworks = "127.0.0.0/8" }}, fleet.Province()[0])
	s.grant(t)
	ctx := context.Background()
	taken := make(chan *http.Request, 100)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			w.Header().Set("WebHook-Allowed-Origin", "*")
			return
		}
		body, _ := io.ReadAll(r.Body)
		e, err := event.Unmarshal(body)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Taken", e.ID())
		taken <- r
	}))
	defer sink.Close()
	first := sample.Event(s.system, 1)
	r := client.SubscriptionRequest{
		Subscription: bus.Subscription{ID: "whole", Resource: s.resource.ID, Grant: "grant-1", Purpose: bus.PurposeVerification, Source: first.Source(), Types: []string{"another", first.Type()}},
		Delivering: bus.Delivering{
			Protocol: "HTTP", Settings: map[string]any{"method": "POST"}, Sink: sink.URL + "/events?key=" + canary,
			Credential: &bus.SinkCredential{Type: "ACCESSTOKEN", AccessToken: canary, TokenType: "bearer"},
		},
	}
	bad := r
	bad.Sink, bad.Protocol = "http://169.254.169.254/latest", "HTTP"
	if _, err := s.consumer.Subscriptions().Subscribe(ctx, bad); !client.IsCode(err, bus.CodeInvalid) {
		t.Errorf("where nothing is dialled: %v", err)
	}
	if _, err := s.consumer.Subscriptions().Read(ctx, "whole"); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("it was made: %v", err)
	}
	made, err := s.consumer.Subscriptions().Subscribe(ctx, r)
	check(t, err)
	if made.Source != r.Source || len(made.Types) != 2 {
		t.Errorf("made %+v", made)
	}
	state, err := s.consumer.Subscriptions().Sink(ctx, "whole")
	check(t, err)
	if !state.Active || state.Protocol != "HTTP" || !state.Authorized || state.URL != sink.URL+"/events" {
		t.Errorf("sink %+v", state)
	}
	foreign := sample.Event(s.system, 2)
	foreign.SetType("not.wanted")
	elsewhere := sample.Event(s.system, 3)
	elsewhere.SetSource(first.Source() + "/branch")
	_, err = s.provider.Publish(ctx, s.resource.ID, foreign, elsewhere, first)
	check(t, err)
	got := <-taken
	if got.Header.Get("Taken") != first.ID() || got.Header.Get("Authorization") != "Bearer "+canary {
		t.Errorf("took %v", got.Header)
	}
	deliveries, err := s.provider.Deliveries(ctx, foreign.ID(), "")
	check(t, err)
	if d := deliveries[0].Deliveries[0]; d.State != bus.DeliveryUnmatched {
		t.Errorf("of another type: %+v", d)
	}
	changed := made
	changed.Types = nil
	if _, err := s.consumer.Subscriptions().Put(ctx, changed); !client.IsCode(err, bus.CodeInvalid) {
		t.Errorf("its types changed: %v", err)
	}
	for _, n := range s.Nodes { // the credential is sealed, wherever the object went
		check(t, filepath.WalkDir(n.Config.DataDir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil
			}
			data, _ := os.ReadFile(path)
			if strings.Contains(string(data), canary) {
				t.Errorf("%s has it", path)
			}
			return nil
		}))
	}
}
