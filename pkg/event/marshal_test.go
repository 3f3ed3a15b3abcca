package event_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

// anyEvent draws events whose extensions are strings, as binary mode knows no
// other type.
func anyEvent(t *rapid.T) event.Event {
	text := rapid.StringMatching(`[a-zA-Z0-9 %"\\+/中文数据😀é~]{1,20}`).Filter(func(s string) bool { return strings.TrimSpace(s) == s })
	e := ce.New()
	e.SetID(text.Draw(t, "id"))
	e.SetType(rapid.StringMatching(`[a-z.%"0-9]{1,20}`).Draw(t, "type"))
	e.SetSource(rapid.StringMatching(`/(systems|a)/[a-z0-9-]{1,9}(/%E4%BC%81)?(\?x=1)?`).Draw(t, "source"))
	if rapid.Bool().Draw(t, "has subject") {
		e.SetSubject(text.Draw(t, "subject"))
	}
	if rapid.Bool().Draw(t, "has time") {
		e.SetTime(time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")))
	}
	if rapid.Bool().Draw(t, "has schema") {
		e.SetDataSchema("urn:schema:" + rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "schema"))
	}
	for name, value := range rapid.MapOfN(rapid.StringMatching(`x[a-z0-9]{1,9}`), text, 0, 4).Draw(t, "extensions") {
		e.SetExtension(name, value)
	}
	switch rapid.SampledFrom([]string{"none", "json", "text", "octets"}).Draw(t, "data") {
	case "json":
		raw, err := json.Marshal(map[string]any{"名": text.Draw(t, "value"), "n": rapid.Float64Range(-1e9, 1e9).Draw(t, "number")})
		if err != nil {
			t.Fatal(err)
		}
		e.SetDataContentType("application/json; charset=utf-8")
		e.DataEncoded = raw
	case "text":
		e.SetDataContentType("text/plain")
		e.DataEncoded = []byte(rapid.StringN(1, 50, -1).Draw(t, "text"))
	case "octets":
		e.SetDataContentType("application/octet-stream")
		e.DataEncoded = rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "octets")
	}
	return e
}

func TestEventsSurviveEveryModeUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent(t)
		raw, err := event.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		fromJSON, err := event.Unmarshal(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if again, err := event.Marshal(fromJSON); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%s became %s, %v", raw, again, err)
		}
		h := http.Header{"Ce-Stale": {"x"}, "Content-Type": {"stale/x"}}
		data, err := event.WriteBinary(e, h)
		if err != nil {
			t.Fatal(err)
		}
		fromBinary, mode, err := event.Decode(h, data, event.Limits{})
		if err != nil || mode != event.Binary {
			t.Fatalf("%v %q: %s, %v", h, data, mode, err)
		}
		if !reflect.DeepEqual(fromBinary[0], fromJSON) {
			t.Fatalf("binary %#v\nstructured %#v", fromBinary[0], fromJSON)
		}
		if !bytes.Equal(fromJSON.Data(), e.Data()) || fromJSON.ID() != e.ID() || fromJSON.Source() != e.Source() ||
			fromJSON.Subject() != e.Subject() || !fromJSON.Time().Equal(e.Time()) {
			t.Fatalf("%v became %v", e, fromJSON)
		}
		var sdk ce.Event
		if err := json.Unmarshal(raw, &sdk); err != nil || !bytes.Equal(sdk.Data(), e.Data()) || sdk.Validate() != nil {
			t.Fatalf("the SDK reads %s as %v, %v", raw, sdk, err)
		}
	})
}

func TestBatchesSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := []event.Event{}
		for range rapid.IntRange(0, 5).Draw(t, "events") {
			raw, err := event.Marshal(anyEvent(t))
			if err != nil {
				t.Fatal(err)
			}
			e, err := event.Unmarshal(raw)
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		raw, err := event.MarshalBatch(events)
		if err != nil {
			t.Fatal(err)
		}
		again, err := event.UnmarshalBatch(raw)
		if err != nil || !reflect.DeepEqual(again, events) {
			t.Fatalf("%s: %v, %v", raw, again, err)
		}
	})
}

func TestChineseSubjectSurvivesARealRequest(t *testing.T) {
	const subject = `天河区/企业登记 "100%" 😀`
	received := make(chan event.Event, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		events, _, err := event.Decode(r.Header, body.Bytes(), event.Limits{})
		if err != nil {
			t.Error(err)
			events = []event.Event{ce.New()}
		}
		received <- events[0]
	}))
	defer server.Close()
	e, err := event.Unmarshal([]byte(body(`,"subject":` + string(must(json.Marshal(subject))) + `,"data":{"名称":"某公司"}`)))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(http.MethodPost, server.URL, nil)
	data, err := event.WriteBinary(e, r.Header)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("ce-subject"); got != "%E5%A4%A9%E6%B2%B3%E5%8C%BA/%E4%BC%81%E4%B8%9A%E7%99%BB%E8%AE%B0%20%22100%25%22%20%F0%9F%98%80" {
		t.Errorf("header is %s", got)
	}
	r, _ = http.NewRequest(http.MethodPost, server.URL, bytes.NewReader(data))
	_, _ = event.WriteBinary(e, r.Header)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := <-received; got.Subject() != subject || !reflect.DeepEqual(got, e) {
		t.Errorf("got %v", got)
	}
}

func must(raw []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return raw
}

func TestWhatIsMarshalledIsTheEventNotItsSpelling(t *testing.T) {
	marshalled := func(text string) string {
		e, err := event.Unmarshal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := event.MarshalDecoded(e)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	one := marshalled(body(`,"time":"2026-01-04T08:00:00+08:00","data":{"a":[1, 2]}`))
	if marshalled(` {"data":{"a" :[1,2]}, "type":"t","id":"\u0031","time":"2026-01-04T00:00:00.0Z","source":"/systems/a","specversion":"1.0","datacontenttype":"application/json"} `) != one {
		t.Error("the same event in another spelling is marshalled another way")
	}
	for _, other := range []string{
		body(`,"time":"2026-01-04T08:00:01+08:00","data":{"a":[1, 2]}`),
		body(`,"time":"2026-01-04T08:00:00+08:00","data":{"a":[1, 2.0]}`),
		body(`,"time":"2026-01-04T08:00:00+08:00","data":{"a":[1, 2]},"x":""`),
		body(`,"data":{"a":[1, 2]}`),
	} {
		if marshalled(other) == one {
			t.Errorf("%s is marshalled the same way", other)
		}
	}
}

func TestMarshalRefusesWhatDecodeWould(t *testing.T) {
	make := func(change func(*event.Event)) event.Event {
		e := ce.New()
		e.SetID("1")
		e.SetType("t")
		e.SetSource("/systems/a")
		change(&e)
		return e
	}
	for field, e := range map[string]event.Event{
		"[0].id":          make(func(e *event.Event) { e.Context.(*ce.EventContextV1).ID = "" }),
		"[0].specversion": make(func(e *event.Event) { e.SetSpecVersion(ce.CloudEventsVersionV03) }),
		"[0].subject":     make(func(e *event.Event) { e.SetSubject("a\nb") }),
		"[0].data":        make(func(e *event.Event) { e.DataEncoded = []byte("{} {}") }),
		"[0].data.a":      make(func(e *event.Event) { e.DataEncoded = []byte(`{"a":1,"a":2}`) }),
		"[0].x":           make(func(e *event.Event) { e.Context.(*ce.EventContextV1).Extensions = map[string]any{"x": []string{}} }),
		"[0].source":      make(func(e *event.Event) { e.Context.(*ce.EventContextV1).Extensions = map[string]any{"source": "/b"} }),
		"[0].time":        make(func(e *event.Event) { e.SetTime(time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC)) }),
	} {
		_, err := event.MarshalBatch([]event.Event{e})
		failure, ok := err.(*bus.Error)
		if !ok || failure.Code != bus.CodeMalformedEvent || failure.Defects[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := event.Marshal(e); bus.CodeOf(err) != bus.CodeMalformedEvent {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := event.WriteBinary(e, http.Header{}); bus.CodeOf(err) != bus.CodeMalformedEvent {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := event.Marshal(event.Event{}); bus.CodeOf(err) != bus.CodeMalformedEvent {
		t.Error("the zero event was written")
	}
}

func TestMarshalKeepsTheTypesOfExtensions(t *testing.T) {
	e := ce.New()
	e.SetID("1")
	e.SetType("t")
	e.SetSource("/a")
	e.SetExtension("n", 5)
	e.SetExtension("b", true)
	e.SetExtension("s", "5")
	e.SetExtension("u", types.URI{})
	e.SetExtension("o", []byte("1"))
	raw, err := event.Marshal(e)
	if want := `{"b":true,"id":"1","n":5,"o":"MQ==","s":"5","source":"/a","specversion":"1.0","type":"t","u":""}`; err != nil || string(raw) != want {
		t.Errorf("got %s, %v", raw, err)
	}
}

func TestEmptyBatchBetweenNodesIsNoEvents(t *testing.T) {
	raw, err := event.MarshalBatch(nil)
	if err != nil || string(raw) != "[]" {
		t.Fatalf("%s, %v", raw, err)
	}
	if events, err := event.UnmarshalBatch(raw); err != nil || len(events) != 0 {
		t.Errorf("%v, %v", events, err)
	}
}
