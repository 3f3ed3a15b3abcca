package event_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

func FuzzDecode(f *testing.F) {
	for _, tt := range refusals {
		if len(tt.body) < 500 {
			f.Add(tt.h.Get("Content-Type"), "subject", tt.h.Get("ce-subject"), []byte(tt.body))
		}
	}
	f.Add("application/json", "subject", "%E4%BC%81 100%25", []byte(`{"a":1}`))
	f.Add("text/plain", "x", `"a\"b"`, []byte("\xff"))
	f.Fuzz(func(t *testing.T, contentType, name, value string, data []byte) {
		h := http.Header{"Content-Type": {contentType}, "ce-" + name: {value}}
		if !strings.Contains(contentType, "cloudevents") {
			h = binary()
			h["Content-Type"], h["ce-"+name] = []string{contentType}, []string{value}
		}
		events, _, err := event.Decode(h, data, event.Limits{})
		if err != nil {
			if code := bus.CodeOf(err); code.Kind() != bus.KindInvalid && code != bus.CodeUnsupported && code != bus.CodeTooLarge {
				t.Fatalf("%v", err)
			}
			return
		}
		survives(t, events)
	})
}

// survives checks that what was accepted in one mode can go on in the others.
func survives(t *testing.T, events []event.Event) {
	raw, err := event.MarshalBatch(events)
	if err != nil || !json.Valid(raw) {
		t.Fatalf("%q: %v", raw, err)
	}
	one := []byte{'['}
	for i, e := range events {
		if i > 0 {
			one = append(one, ',')
		}
		data, err := event.MarshalDecoded(e)
		if err != nil {
			t.Fatal(err)
		}
		one = append(one, data...)
	}
	if one = append(one, ']'); !bytes.Equal(one, raw) {
		t.Fatalf("marshalled as decoded %s, else %s", one, raw)
	}
	again, err := event.UnmarshalBatch(raw)
	if err != nil || len(again) != len(events) {
		t.Fatalf("%s: %v", raw, err)
	}
	if second, err := event.MarshalBatch(again); err != nil || !bytes.Equal(second, raw) {
		t.Fatalf("%s became %s, %v", raw, second, err)
	}
	for _, e := range again {
		h := http.Header{}
		data, err := event.WriteBinary(e, h)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := event.Decode(h, data, event.Limits{})
		if err != nil {
			t.Fatalf("%v: %v", h, err)
		}
		if back[0].ID() != e.ID() || back[0].Source() != e.Source() || back[0].Subject() != e.Subject() || !bytes.Equal(back[0].Data(), e.Data()) {
			t.Fatalf("%v became %v", e, back[0])
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, tt := range refusals {
		if len(tt.body) < 500 {
			f.Add([]byte(tt.body))
		}
	}
	f.Add([]byte(body(`,"data":{"a":1},"x":1,"time":"2026-01-04T08:00:00+08:00"`)))
	f.Add([]byte(body(`,"datacontenttype":"text/plain","data":"x","subject":"中"`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := event.Unmarshal(raw)
		if err != nil {
			return
		}
		var sdk ce.Event
		if err := json.Unmarshal(raw, &sdk); err != nil {
			t.Fatalf("accepted what the SDK does not: %s: %v", raw, err)
		}
		if sdk.ID() != e.ID() || sdk.Source() != e.Source() || sdk.Type() != e.Type() || sdk.Subject() != e.Subject() {
			t.Fatalf("%s: the SDK reads another event", raw)
		}
		canonical, err := event.Marshal(e)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		again, err := event.Unmarshal(canonical)
		if err != nil || !reflect.DeepEqual(again.Context, e.Context) {
			t.Fatalf("%s became %s, %v", raw, canonical, err)
		}
	})
}

// registration is an event of about 1 KiB.
func registration() []byte {
	return []byte(body(`,"subject":"114400000069401674","time":"2026-01-04T08:00:00+08:00","partitionkey":"440106","sequence":"42",` +
		`"datacontenttype":"application/json","data":{"uscc":"114400000069401674","name":"广州市天河区某某贸易有限公司",` +
		`"legal_person":"王小明","id_number":"440106199001011234","phone":"13800138000","capital":5000000.00,` +
		`"address":"广东省广州市天河区天河路 123 号","scope":"` + strings.Repeat("批发业、零售业；", 20) + `","active":true}`))
}

// ratio reports how many times slower plain encoding/json reads the same bytes.
func ratio(b *testing.B, raw []byte) {
	b.StopTimer()
	const rounds = 200
	start := time.Now()
	for range rounds {
		var tree any
		if err := json.Unmarshal(raw, &tree); err != nil {
			b.Fatal(err)
		}
	}
	plain := float64(time.Since(start)) / rounds
	b.ReportMetric(plain/(float64(b.Elapsed())/float64(b.N)), "x-encoding/json")
}

func BenchmarkUnmarshal(b *testing.B) {
	raw := registration()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Unmarshal(raw); err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, raw)
}

func BenchmarkMarshal(b *testing.B) {
	raw := registration()
	e, err := event.Unmarshal(raw)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Marshal(e); err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, raw)
}

func BenchmarkDecodeBatchOf100(b *testing.B) {
	raw := []byte("[" + strings.Repeat(string(registration())+",", 99) + string(registration()) + "]")
	h := headers(batch...)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := event.Decode(h, raw, event.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, raw)
}
