// Command agency is an agency's system at its node, with the Go SDK.
//
//	export NODE=https://10.0.1.1:8440 CA=ca.crt TOKEN=gxs_…
//	agency publish    the provider's system publishes an event
//	agency pull       the consumer's system subscribes, and pulls until it is stopped
//	agency query      the consumer's system asks for data
//
//	export SECRET=… ENDPOINT=http://10.0.2.7:8480/events    where the node reaches this machine
//	agency webhook    events are brought instead
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/webhook"
)

const (
	resource     = "enterprise-registration"
	subscription = "tianhe-registration"
	grant        = "tianhe-registration"
)

func main() {
	node, err := client.New(client.Config{Server: os.Getenv("NODE"), CAFile: os.Getenv("CA"), Token: os.Getenv("TOKEN")})
	if err == nil {
		err = run(context.Background(), agency{node})
	}
	if err != nil {
		panic(err) // in an example, whatever goes wrong ends it
	}
}

func run(ctx context.Context, a agency) error {
	steps := map[string]func(context.Context) error{"publish": a.publish, "pull": a.pull, "webhook": a.webhook, "query": a.query}
	if len(os.Args) != 2 || steps[os.Args[1]] == nil {
		return errors.New("usage: agency publish|pull|webhook|query")
	}
	return steps[os.Args[1]](ctx)
}

// agency is a system that speaks to its node. The client repeats what may be repeated.
type agency struct{ node *client.Client }

func (a agency) publish(ctx context.Context) error {
	e := cloudevent.New()
	e.SetID("registration-" + rand.Text()) // keep it: published again, the event is taken once
	e.SetSource("/systems/market-registry")
	e.SetType("cn.gov.sample.enterprise.registered.v1")
	e.SetSubject("样例企业")
	e.SetTime(time.Now())
	if err := e.SetData(cloudevent.ApplicationJSON, map[string]string{"enterprise_name": "样例企业有限公司", "phone": "19900000001"}); err != nil {
		return err
	}
	receipts, err := a.node.Publish(ctx, resource, e)
	if err != nil {
		return err
	}
	for _, r := range receipts {
		fmt.Fprintln(os.Stdout, r.ID, r.Sequence, r.Duplicate)
	}
	return nil
}

func (a agency) subscribe(ctx context.Context) error {
	_, err := a.node.Subscriptions().Put(ctx, bus.Subscription{ID: subscription, Resource: resource, Grant: grant, Purpose: bus.PurposeVerification})
	if client.IsCode(err, bus.CodeExists) {
		return nil
	}
	return err
}

// process puts an event into your database, in one transaction with its source and id:
// one that you have already is passed over.
func process(e cloudevent.Event) error {
	_, err := fmt.Fprintln(os.Stdout, e.ID(), e.Type(), e.Subject(), string(e.Data()))
	return err
}

func (a agency) pull(ctx context.Context) error {
	if err := a.subscribe(ctx); err != nil {
		return err
	}
	for {
		events, last, err := a.node.Await(ctx, subscription, 100, 30*time.Second)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := process(e); err != nil {
				return err
			}
		}
		if len(events) == 0 {
			continue
		}
		if err := a.node.Ack(ctx, subscription, last); err != nil { // only now: what is not acknowledged comes again
			return err
		}
	}
}

func (a agency) webhook(ctx context.Context) error {
	if err := a.subscribe(ctx); err != nil {
		return err
	}
	endpoint, secret := os.Getenv("ENDPOINT"), os.Getenv("SECRET")
	at, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+at.Port()) // first: the node asks it at once
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(listener, http.HandlerFunc(take)) }()
	state, err := a.node.Subscriptions().PutSink(ctx, subscription, bus.Sink{URL: endpoint, Secret: secret})
	if err != nil {
		return err
	}
	if !state.Active {
		return errors.New("the node does not deliver: " + state.Why)
	}
	return <-failed
}

// take is the endpoint that the node brings events to.
func take(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions { // HTTP 1.1 Web Hooks for Event Delivery: may it deliver?
		w.Header().Set("WebHook-Allowed-Origin", r.Header.Get("WebHook-Request-Origin"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, client.MaxBatchBytes))
	if err == nil {
		err = webhook.Verify([]byte(os.Getenv("SECRET")), r.Header, string(body), time.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var e cloudevent.Event
	if err = json.Unmarshal(body, &e); err == nil {
		err = process(e)
	}
	if err != nil { // only 2xx acknowledges: it comes again
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (a agency) query(ctx context.Context) error {
	answer, err := a.node.Query(ctx, resource, client.Query{
		Grant: grant, Purpose: bus.PurposeVerification, Matter: "440106001000", Case: "2026-000123",
		Parameters: json.RawMessage(`{"uscc":"91440300MA5SAMPLE1"}`),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, string(answer.Data))
	return err
}
