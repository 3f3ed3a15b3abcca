package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// faces are what departments that move have beside their nodes: a service that
// answers queries, and an endpoint that events are taken to. Each knows a secret that
// only the node which serves its department can tell it.
type faces struct {
	k       *killing
	secret  string
	service *httptest.Server
	sink    *httptest.Server
	asker   *client.Client

	mu     sync.Mutex
	ids    []string // that the endpoint took, each once
	known  map[string]bool
	wrong  []string
	asked  int // queries that came with the secret
	forged int // and without it
}

const hooked = bus.SubscriptionID("kill-hook")

// faces binds the resource and puts a sink, at the nodes where both departments begin.
func (k *killing) faces() *faces {
	k.t.Helper()
	f := &faces{k: k, secret: "canary-0123456789", known: map[string]bool{}}
	f.service = httptest.NewServer(http.HandlerFunc(f.answer))
	k.t.Cleanup(f.service.Close)
	f.sink = httptest.NewServer(http.HandlerFunc(f.take))
	k.t.Cleanup(f.sink.Close)
	at := func(id bus.NodeID, d bus.Department) *client.Client {
		c, err := k.Node(id).System(k.bearers[d.ID])
		must(k.t, err)
		return c
	}
	_, err := at("shenzhen", sample.ShenzhenMarket).PutBinding(k.ctx, binding.Binding{
		Resource: "enterprise-registration", HTTP: &binding.HTTP{URL: f.service.URL, Headers: map[string]string{"Authorization": f.secret}},
	})
	must(k.t, err)
	services := at("tianhe", sample.TianheServices)
	_, err = services.Subscriptions().Put(k.ctx, bus.Subscription{ID: hooked, Resource: "enterprise-registration", Grant: "kill-tianhe", Purpose: bus.PurposeVerification})
	must(k.t, err)
	k.until("the sink to be active", func(ctx context.Context) error {
		state, err := services.Subscriptions().PutSink(ctx, hooked, bus.Sink{URL: f.sink.URL, Secret: f.secret, Batch: 50})
		if err == nil && !state.Active {
			err = errors.New(state.Why)
		}
		return err
	})
	f.asker = at("guangzhou", sample.GuangzhouHealth)
	return f
}

func (f *faces) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("Authorization") != f.secret {
		f.forged++
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	f.asked++
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `[{"enterprise_name":"样例企业"}]`)
}

// take takes events in order. A request whose answer was not on record comes again.
func (f *faces) take(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.Header().Set("WebHook-Allowed-Origin", r.Header.Get("WebHook-Request-Origin"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the node has died in the middle
	}
	events, err := event.UnmarshalBatch(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(err, webhook.Verify([]byte(f.secret), r.Header, string(body), time.Now())); err != nil {
		f.wrong = append(f.wrong, err.Error())
		return
	}
	for _, e := range events {
		if !f.known[e.ID()] {
			f.known[e.ID()] = true
			f.ids = append(f.ids, e.ID())
		}
	}
}

// query demands that the provider answers from wherever it is now.
func (f *faces) query(round int) {
	f.k.until("a query to be answered", func(ctx context.Context) error {
		answer, err := f.asker.Query(ctx, "enterprise-registration", client.Query{
			Grant: "kill-guangzhou", Purpose: bus.PurposeVerification, Matter: "440106001000", Case: fmt.Sprint("case-", round), Parameters: json.RawMessage(`{}`),
		})
		if err == nil && answer.Rows != 1 {
			err = fmt.Errorf("%d rows", answer.Rows)
		}
		return err
	})
}

// check demands that the endpoint has all that was acknowledged, in order.
func (f *faces) check(t *testing.T) {
	t.Helper()
	want := f.k.oracle.acknowledged()
	f.k.until("every event to be taken to the endpoint", func(context.Context) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.ids) < len(want) {
			return fmt.Errorf("%d of %d", len(f.ids), len(want))
		}
		return nil
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.ids, want) || len(f.wrong) > 0 || f.forged > 0 || f.asked == 0 {
		t.Errorf("the endpoint took %d of %d events, or in another order; %v; %d queries came with the secret, %d without", len(f.ids), len(want), f.wrong, f.asked, f.forged)
	}
}
