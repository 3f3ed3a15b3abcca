package mesh_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// Whole nodes talk over mesh in package server's tests; here is what goes wrong
// between them.

func TestWhatAnotherNodeAnswersIsReadWithCare(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func() (*http.Response, error)
		code   bus.Code
		field  string
	}{
		{"a refusal is the error it was", answered(422, `{"code":"revision-mismatch","defects":[{"field":"grant","problem":{"zh":"旧","en":"stale"}}],"decision_id":"d"}`), bus.CodeRevision, "grant"},
		{"a node that cannot be reached", func() (*http.Response, error) { return nil, errors.New("no route") }, bus.CodePeerUnreachable, "node"},
		{"a page of something else", answered(502, `<html>`), bus.CodeUnavailable, ""},
		{"a refusal without a code", answered(422, `{}`), bus.CodeUnavailable, ""},
		{"a redirect is not followed", answered(302, ``), bus.CodeUnavailable, ""},
		{"half an answer", answered(200, `{"index":`), bus.CodeMalformedJSON, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			api := newClient(roundTrip(func(r *http.Request) (*http.Response, error) {
				if asked++; r.URL.Host != "guangzhou" {
					t.Errorf("asked %s", r.URL)
				}
				return c.answer()
			}))
			_, err := api.Join(context.Background(), "guangzhou", client.JoinRequest{})
			e, ok := errors.AsType[*bus.Error](err)
			if !ok || e.Code != c.code || asked != 1 {
				t.Fatalf("got %v after %d requests, want %s", err, asked, c.code)
			}
			if c.field != "" && (len(e.Defects) != 1 || e.Defects[0].Field != c.field) {
				t.Errorf("defects %+v, want one of %s", e.Defects, c.field)
			}
			if c.code == bus.CodeRevision && e.DecisionID != "d" {
				t.Errorf("decision %q was lost", e.DecisionID)
			}
		})
	}
}

// S58: what a hostile provider's node puts around an answer is not believed: no header
// that is the bus's, of one connection or leads elsewhere, and no status that is none.
func TestS58AHostileAnswerIsReadWithCare(t *testing.T) {
	query := cloudevent.New()
	query.SetID("q")
	query.SetSource("/systems/x")
	query.SetType("t")
	for _, status := range []string{"200", "404", "304", "0", "-1", "101", "199", "600", "1000", "", "200 OK"} {
		api := newClient(roundTrip(func(*http.Request) (*http.Response, error) {
			response, err := answered(200, `[]`)()
			response.Header.Set("Ce-Gxbusstatus", status)
			for _, name := range []string{"Set-Cookie", "Location", "Gxbus-Decision", "Transfer-Encoding", "Content-Length", "Etag"} {
				response.Header.Set("Gxbus-Answer-"+name, "forged")
			}
			return response, err
		}))
		reply, err := api.Query(context.Background(), "x", query, onRecord)
		if believed := status == "200" || status == "404" || status == "304"; !believed {
			if err == nil {
				t.Errorf("status %q is believed", status)
			}
			continue
		}
		if err != nil || len(reply.Header) != 1 || reply.Header.Get("Etag") != "forged" {
			t.Errorf("status %q: %+v, %v", status, reply, err)
		}
	}
}

// A short answer is there before its end, which says that it is on record. Whatever comes
// in place of that end does not.
func TestAShortAnswerIsReadBeforeItsEnd(t *testing.T) {
	query := cloudevent.New()
	query.SetID("q")
	query.SetSource("/systems/x")
	query.SetType("t")
	broke := errors.New("the line broke")
	for name, c := range map[string]struct {
		end  func(*io.PipeWriter)
		kept bool
	}{
		"its end":      {func(w *io.PipeWriter) { _ = w.Close() }, true},
		"a broken end": {func(w *io.PipeWriter) { _ = w.CloseWithError(broke) }, false},
		"more":         {func(w *io.PipeWriter) { _, _ = w.Write([]byte("]")) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			body, sender := io.Pipe()
			defer body.Close()
			api := newClient(roundTrip(func(*http.Request) (*http.Response, error) {
				response, err := answered(200, "")()
				for field, value := range map[string]string{"Ce-Gxbusstatus": "200", "Gxbus-Size": "2", "Gxbus-Outcome": `{"rows":7}`} {
					response.Header.Set(field, value)
				}
				response.Body = body
				return response, err
			}))
			reply, err := api.Query(context.Background(), "x", query, onRecord)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = sender.Write([]byte("[]")) }()
			data, err := io.ReadAll(reply.Body)
			if outcome, told := reply.Outcome(); err != nil || told != nil || string(data) != "[]" || outcome.Rows != 7 {
				t.Fatalf("read %q, %v, %+v, %v", data, err, outcome, told)
			}
			go c.end(sender)
			if err := reply.Kept(); (err == nil) != c.kept {
				t.Errorf("on record: %v", err)
			}
		})
	}
}

func TestS23OnlyPeerConnectionsAreAnswered(t *testing.T) {
	var none mesh.Node // never reached
	web := httptest.NewServer(mesh.Handler(none, slog.New(slog.DiscardHandler)))
	defer web.Close()
	api := newClient(roundTrip(func(r *http.Request) (*http.Response, error) {
		r.URL.Host = strings.TrimPrefix(web.URL, "http://")
		response, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && response.StatusCode != http.StatusForbidden {
			t.Errorf("%s answered %s to nobody", r.URL.Path, response.Status)
		}
		return response, err
	}))
	ctx := context.Background()
	_, forward := api.Forward(ctx, "x", []byte(`{}`))
	_, index := api.ReadIndex(ctx, "x")
	_, status := api.Status(ctx, "x")
	_, trace := api.Trace(ctx, "x", mesh.TraceQuery{})
	_, join := api.Join(ctx, "x", client.JoinRequest{})
	_, member := api.Member(ctx, "x", mesh.Membership{})
	_, renew := api.Renew(ctx, "x", mesh.Renewal{})
	_, root := api.NewRoot(ctx, "x")
	_, handover := api.Handover(ctx, "x", exchange.Handover{})
	_, survey := api.Survey(ctx, "x", "")
	_, cosign := api.Cosign(ctx, "x", audit.Submission{})
	_, evidence := api.Evidence(ctx, "x", mesh.EvidenceQuery{})
	_, recall := api.Recall(ctx, "x", exchange.Recall{})
	receipts := api.Receipts(ctx, "x", nil)
	_, proof := api.Prove(ctx, "x", mesh.ProofQuery{})
	_, place := api.Locate(ctx, "x", mesh.LocateQuery{})
	query := cloudevent.New()
	query.SetID("q")
	query.SetSource("/systems/x")
	query.SetType("t")
	_, asked := api.Query(ctx, "x", query, onRecord)
	for i, err := range []error{asked, evidence, recall, receipts, proof, place, cosign, handover, survey, forward, index, status, trace, join, member, renew, root, api.Deliver(ctx, "x", exchange.Batch{})} {
		if err == nil {
			t.Errorf("request %d was answered", i)
		}
	}
}

func onRecord() (time.Time, error) { return time.Now(), nil }

func newClient(rt roundTrip) *mesh.Client { return mesh.NewClient(rt, rt) }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answered(status int, body string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Location": {"http://elsewhere/"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}
