package event_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

// headers makes headers from "name: value" lines.
func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

// binary makes the headers of a good event in binary mode, and more.
func binary(lines ...string) http.Header {
	return headers(append([]string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /systems/a", "ce-type: t"}, lines...)...)
}

var structured, batch = []string{"Content-Type: application/cloudevents+json"}, []string{"Content-Type: application/cloudevents-batch+json"}

// body makes a good event in the JSON format, with more members.
func body(members string) string {
	return `{"specversion":"1.0","id":"1","source":"/systems/a","type":"t"` + members + `}`
}

func TestDecodeReadsEveryMode(t *testing.T) {
	const canonical = `{"datacontenttype":"application/json","id":"1","source":"/systems/a","specversion":"1.0",` +
		`"subject":"企业登记 100%","time":"2026-01-04T00:00:00Z","type":"t","data":{"b":1.50,"a":"中"}}`
	inBody := body(`,"subject":"\u4f01业登记 100%","time":"2026-01-04T08:00:00+08:00","data":{ "b" : 1.50, "a":"中"},"x":null`)
	for _, tt := range []struct {
		mode event.Mode
		h    http.Header
		body string
	}{
		{event.Binary, binary("ce-subject: %E4%BC%81%e4%b8%9a%E7%99%BB%E8%AE%B0%20100%25", "CE-TIME: 2026-01-04T00:00:00Z", "Content-Type: application/json"), `{"b":1.50, "a":"中"}`},
		{event.Binary, binary(`ce-subject: "%E4%BC%81%e4%b8%9a%E7%99%BB\%E8%AE%B0 100%25"`, "ce-time: 2026-01-04T00:00:00Z", "Content-Type: application/json", "Content-Encoding: identity"), `{"b":1.50,"a":"中"}`},
		{event.Structured, headers(structured...), inBody},
		{event.Structured, headers("Content-Type: Application/CloudEvents+JSON; charset=UTF-8"), inBody},
		{event.Batch, headers(batch...), "[" + inBody + "]"},
		{event.Batch, headers("Content-Type: application/cloudevents-batch+json;charset=utf-8"), " [ " + inBody + " ] "},
	} {
		events, mode, err := event.Decode(tt.h, []byte(tt.body), event.Limits{})
		if err != nil || mode != tt.mode || len(events) != 1 {
			t.Errorf("%v: %d events, %s, %v", tt.h, len(events), mode, err)
			continue
		}
		if raw, err := event.Marshal(events[0]); err != nil || string(raw) != canonical {
			t.Errorf("%v:\n got %s, %v\nwant %s", tt.h, raw, err, canonical)
		}
	}
}

func TestDecodeKeepsDataOfEveryKind(t *testing.T) {
	for _, tt := range []struct{ contentType, data, members string }{
		{"text/plain", "中\nb", `"data":"中\nb"`},
		{"text/plain; charset=us-ascii", "abc", ``},
		{"text/plain", "\xff\xfe", `"data_base64":"//4="`},
		{"text/plain", "a\x00", `"data_base64":"YQA="`},
		{"text/plain; charset=gbk", "abc", `"data_base64":"YWJj"`},
		{"application/octet-stream", "abc", `"data_base64":"YWJj"`},
		{"application/xml", "<a/>", `"data":"<a/>"`},
		{"application/json", `null`, `"data":null`},
		{"application/json", `"text"`, `"data":"text"`},
		{"application/vnd.x+json; charset=utf-8", `[1]`, `"data":[1]`},
		{"application/json", `{"a":1}`, `"data_base64":"eyJhIjoxfQ=="`},
		{"application/json", ``, `"data_base64":""`},
	} {
		fromBinary, _, err := event.Decode(binary("Content-Type: "+tt.contentType), []byte(tt.data), event.Limits{})
		if err != nil {
			t.Errorf("%s: %v", tt.contentType, err)
			continue
		}
		raw, _ := event.Marshal(fromBinary[0])
		if string(fromBinary[0].Data()) != tt.data {
			t.Errorf("%s: got data %q", tt.contentType, fromBinary[0].Data())
		}
		if tt.members == "" {
			continue
		}
		fromBody, _, err := event.Decode(headers(structured...), []byte(body(`,"datacontenttype":"`+tt.contentType+`",`+tt.members)), event.Limits{})
		if err != nil {
			t.Errorf("%s %s: %v", tt.contentType, tt.members, err)
			continue
		}
		if again, err := event.Marshal(fromBody[0]); string(again) != string(raw) {
			t.Errorf("%s: binary %s, structured %s, %v", tt.contentType, raw, again, err)
		}
	}
}

// refusal is one request that has to be refused.
type refusal struct {
	id     string
	h      http.Header
	body   string
	code   bus.Code
	fields string // of the defects, separated by spaces
}

var refusals = []refusal{
	{"no event at all", headers("Content-Type: application/json"), `{}`, bus.CodeUnsupported, "Content-Type"},
	{"no header at all", headers(), body(""), bus.CodeUnsupported, "Content-Type"},
	{"another event format", headers("Content-Type: application/cloudevents+avro"), `x`, bus.CodeUnsupported, "Content-Type"},
	{"bare envelope type", headers("Content-Type: application/cloudevents"), body(""), bus.CodeUnsupported, "Content-Type"},
	{"another batch format", headers("Content-Type: application/cloudevents-batch+xml"), `x`, bus.CodeUnsupported, "Content-Type"},
	{"another charset", headers("Content-Type: application/cloudevents+json; charset=gbk"), body(""), bus.CodeUnsupported, "Content-Type"},
	{"two content types", binary("Content-Type: text/plain", "Content-Type: application/json"), `1`, bus.CodeMalformedEvent, "Content-Type"},
	{"S09 gzip", headers(append(structured, "Content-Encoding: gzip")...), `x`, bus.CodeUnsupported, "Content-Encoding"},
	{"S09 stacked", binary("Content-Encoding: identity, br"), ``, bus.CodeUnsupported, "Content-Encoding"},

	{"S03 source differs", headers(append(structured, "ce-source: /systems/b")...), body(""), bus.CodeMalformedEvent, "ce-source"},
	{"S03 attribute only in a header", headers(append(structured, "ce-subject: x")...), body(""), bus.CodeMalformedEvent, "ce-subject"},
	{"S03 extension differs", headers(append(structured, "ce-sequence: 6")...), body(`,"sequence":5`), bus.CodeMalformedEvent, "ce-sequence"},
	{"S03 version differs", headers(append(structured, "ce-specversion: 0.3")...), body(""), bus.CodeMalformedEvent, "ce-specversion"},
	{"S03 headers on a batch", headers(append(batch, "ce-id: 1")...), "[" + body("") + "]", bus.CodeMalformedEvent, "ce-*"},
	{"S03 content type in two headers", binary("ce-datacontenttype: application/json"), ``, bus.CodeMalformedEvent, "ce-datacontenttype"},
	{"repeated header", binary("ce-id: 1"), ``, bus.CodeMalformedEvent, "ce-id"},
	{"repeated header in another case", http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "CE-ID": {"1"}, "Ce-Source": {"/a"}, "Ce-Type": {"t"}}, ``, bus.CodeMalformedEvent, "ce-id"},

	{"S10 depth", headers(structured...), body(`,"data":` + strings.Repeat("[", 61) + strings.Repeat("]", 61)), bus.CodeMalformedJSON, "data" + strings.Repeat("[0]", 60)},
	{"S10 depth of binary data", binary("Content-Type: application/json"), strings.Repeat("[", 61) + strings.Repeat("]", 61), bus.CodeMalformedEvent, "data" + strings.Repeat("[0]", 60)},
	{"S10 number", headers(structured...), body(`,"data":{"n":1e999999}`), bus.CodeMalformedJSON, "data.n"},
	{"S11 duplicate attribute", headers(structured...), body(`,"source":"/systems/b"`), bus.CodeMalformedJSON, "source"},
	{"S11 case variant", headers(structured...), body(`,"Source":"/systems/b"`), bus.CodeMalformedJSON, "Source"},
	{"S11 duplicate in data", headers(structured...), body(`,"data":{"a":1,"a":2}`), bus.CodeMalformedJSON, "data.a"},
	{"S11 duplicate in binary data", binary("Content-Type: application/json"), `{"a":1,"A":2}`, bus.CodeMalformedEvent, "data.A"},
	{"S11 duplicate in base64 data", headers(structured...), body(`,"data_base64":"eyJhIjoxLCJhIjoyfQ=="`), bus.CodeMalformedEvent, "data.a"},
	{"S11 data with data_base64", headers(structured...), body(`,"data":1,"data_base64":"MQ=="`), bus.CodeMalformedEvent, "data_base64"},
	{"S11 data with null data_base64", headers(structured...), body(`,"data":1,"data_base64":null`), bus.CodeMalformedEvent, "data_base64"},
	{"S11 in a batch", headers(batch...), "[" + body("") + "," + body(`,"data":{"a":1,"A":2}`) + "]", bus.CodeMalformedJSON, "[1].data.A"},
	{"S12 trailing data", headers(structured...), body("") + `{}`, bus.CodeMalformedJSON, ""},
	{"S12 trailing data in binary mode", binary("Content-Type: application/json"), `{} {}`, bus.CodeMalformedEvent, "data"},
	{"S12 BOM", headers(structured...), "\xef\xbb\xbf" + body(""), bus.CodeMalformedJSON, ""},
	{"S12 invalid UTF-8", headers(structured...), body(",\"data\":\"\xff\""), bus.CodeMalformedJSON, ""},
	{"S12 NUL", headers(structured...), body(`,"data":"\u0000"`), bus.CodeMalformedJSON, "data"},
	{"S13 confusable in a type", headers(structured...), `{"specversion":"1.0","id":"1","source":"/a","type":"tуре"}`, bus.CodeMalformedEvent, "type"},
	{"S13 bidi in an id", headers(structured...), `{"specversion":"1.0","id":"a\u202eb","source":"/a","type":"t"}`, bus.CodeMalformedEvent, "id"},
	{"S13 bidi in a subject", headers(structured...), body(`,"subject":"a\u2066b"`), bus.CodeMalformedEvent, "subject"},
	{"S13 zero width in an id", headers(structured...), `{"specversion":"1.0","id":"a\u200bb","source":"/a","type":"t"}`, bus.CodeMalformedEvent, "id"},
	{"S13 id in NFD", headers(structured...), `{"specversion":"1.0","id":"e\u0301","source":"/a","type":"t"}`, bus.CodeMalformedEvent, "id"},
	{"S13 source outside ASCII", headers(structured...), `{"specversion":"1.0","id":"1","source":"/systems/а","type":"t"}`, bus.CodeMalformedEvent, "source"},
	{"S50 CR LF in an id", headers("ce-specversion: 1.0", "ce-id: a%0D%0Ab", "ce-source: /a", "ce-type: t"), ``, bus.CodeMalformedEvent, "ce-id"},
	{"S50 ANSI in an extension", binary("ce-x: %1B[31m"), ``, bus.CodeMalformedEvent, "ce-x"},
	{"S50 C1 control", headers(structured...), body(`,"x":"\u0085"`), bus.CodeMalformedEvent, "x"},
	{"non-character", headers(structured...), body(`,"x":"\ufffe"`), bus.CodeMalformedEvent, "x"},

	{"percent alone", binary("ce-subject: 100%"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"percent and one digit", binary("ce-subject: a%4"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"percent and no digits", binary("ce-subject: %zz"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"percent-encoded invalid UTF-8", binary("ce-subject: %FF"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"percent-encoded overlong UTF-8", binary("ce-subject: %C0%A0"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"percent-encoded surrogate", binary("ce-subject: %ED%A0%80"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"cut UTF-8", binary("ce-subject: %E4%BC"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"raw UTF-8 in a header", binary("ce-subject: 企业"), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"open quote", binary(`ce-subject: "a`), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"stray quote", binary(`ce-subject: a"b`), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"quote in quotes", binary(`ce-subject: "a"b"`), ``, bus.CodeMalformedEvent, "ce-subject"},
	{"escape at the end of quotes", binary(`ce-subject: "a\"`), ``, bus.CodeMalformedEvent, "ce-subject"},

	{"nothing in the body", headers(structured...), `{}`, bus.CodeMalformedEvent, "specversion id source type"},
	{"null is absent", headers(structured...), `{"specversion":"1.0","id":null,"source":"/a","type":"t"}`, bus.CodeMalformedEvent, "id"},
	{"all but one header missing", headers("ce-id: 1"), ``, bus.CodeMalformedEvent, "ce-specversion ce-source ce-type"},
	{"not an object", headers(structured...), `[]`, bus.CodeMalformedEvent, ""},
	{"version 0.3", headers(structured...), `{"specversion":"0.3","id":"1","source":"/a","type":"t"}`, bus.CodeMalformedEvent, "specversion"},
	{"version 1.0.2", headers(structured...), `{"specversion":"1.0.2","id":"1","source":"/a","type":"t"}`, bus.CodeMalformedEvent, "specversion"},
	{"empty required", headers(structured...), `{"specversion":"1.0","id":"","source":"","type":""}`, bus.CodeMalformedEvent, "id source type"},
	{"number as id", headers(structured...), `{"specversion":"1.0","id":1,"source":"/a","type":"t"}`, bus.CodeMalformedEvent, "id"},
	{"long id and type", headers(structured...), `{"specversion":"1.0","id":"` + strings.Repeat("i", 257) + `","source":"/a","type":"` + strings.Repeat("t", 257) + `"}`, bus.CodeMalformedEvent, "id type"},
	{"id with outer space", headers("ce-specversion: 1.0", "ce-id: %201", "ce-source: /a", "ce-type: t"), ``, bus.CodeMalformedEvent, "ce-id"},
	{"long source", headers(structured...), `{"specversion":"1.0","id":"1","source":"/` + strings.Repeat("a", 2048) + `","type":"t"}`, bus.CodeMalformedEvent, "source"},
	{"empty subject", headers(structured...), body(`,"subject":""`), bus.CodeMalformedEvent, "subject"},
	{"time without zone", headers(structured...), body(`,"time":"2026-01-04T08:00:00"`), bus.CodeMalformedEvent, "time"},
	{"time with an hour of one digit", headers(structured...), body(`,"time":"2026-01-04T8:00:00Z"`), bus.CodeMalformedEvent, "time"},
	{"time with a comma", headers(structured...), body(`,"time":"2026-01-04T08:00:00,5Z"`), bus.CodeMalformedEvent, "time"},
	{"time with a far offset", headers(structured...), body(`,"time":"2026-01-04T08:00:00+99:00"`), bus.CodeMalformedEvent, "time"},
	{"time finer than nanoseconds", headers(structured...), body(`,"time":"2026-01-04T08:00:00.0000000001+08:00"`), bus.CodeMalformedEvent, "time"},
	{"time before the calendar", headers(structured...), body(`,"time":"0001-01-01T00:00:00+08:00"`), bus.CodeMalformedEvent, "time"},
	{"relative schema", headers(structured...), body(`,"dataschema":"/x"`), bus.CodeMalformedEvent, "dataschema"},
	{"content type without subtype", headers(structured...), body(`,"datacontenttype":"text","data":"x"`), bus.CodeMalformedEvent, "datacontenttype"},
	{"envelope as content type", headers(structured...), body(`,"datacontenttype":"application/cloudevents+json","data":{}`), bus.CodeMalformedEvent, "datacontenttype"},
	{"body without content type", binary(), `{}`, bus.CodeMalformedEvent, "Content-Type"},
	{"text body declared as JSON", binary("Content-Type: application/json"), `hello`, bus.CodeMalformedEvent, "data"},
	{"object as text", headers(structured...), body(`,"datacontenttype":"text/plain","data":{}`), bus.CodeMalformedEvent, "data"},
	{"string in another charset", headers(structured...), body(`,"datacontenttype":"text/plain; charset=gbk","data":"中"`), bus.CodeMalformedEvent, "data"},
	{"base64 with a line break", headers(structured...), body(`,"data_base64":"MQ==\n"`), bus.CodeMalformedEvent, "data_base64"},
	{"base64 without padding", headers(structured...), body(`,"data_base64":"MQ"`), bus.CodeMalformedEvent, "data_base64"},
	{"base64 with stray bits", headers(structured...), body(`,"data_base64":"MR=="`), bus.CodeMalformedEvent, "data_base64"},
	{"number as base64", headers(structured...), body(`,"data_base64":1`), bus.CodeMalformedEvent, "data_base64"},
	{"fraction", headers(structured...), body(`,"x":1.0`), bus.CodeMalformedEvent, "x"},
	{"exponent", headers(structured...), body(`,"x":1e3`), bus.CodeMalformedEvent, "x"},
	{"beyond int32", headers(structured...), body(`,"x":2147483648`), bus.CodeMalformedEvent, "x"},
	{"object as extension", headers(structured...), body(`,"x":{}`), bus.CodeMalformedEvent, "x"},
	{"upper-case attribute", headers(structured...), body(`,"partitionKey":"x"`), bus.CodeMalformedEvent, "partitionKey"},
	{"underscore in a header name", binary("ce-partition_key: x"), ``, bus.CodeMalformedEvent, "ce-partition_key"},
	{"data as a header", binary("ce-data: x"), ``, bus.CodeMalformedEvent, "data"},
	{"long attribute name", headers(structured...), body(`,"` + strings.Repeat("x", 21) + `":1`), bus.CodeMalformedEvent, strings.Repeat("x", 21)},
	{"too many extensions", headers(structured...), body(extensions(65)), bus.CodeMalformedEvent, ""},
	{"too large attributes", headers(structured...), body(`,"x":"` + strings.Repeat("x", 64<<10) + `"`), bus.CodeMalformedEvent, ""},

	{"empty batch", headers(batch...), `[]`, bus.CodeMalformedEvent, ""},
	{"batch that is an event", headers(batch...), body(""), bus.CodeMalformedEvent, ""},
	{"batch of numbers", headers(batch...), `[1]`, bus.CodeMalformedEvent, "[0]"},
	{"every defect of a batch", headers(batch...), `[` + body("") + `,{"specversion":"1.0","id":"1"},` + body(`,"time":"x"`) + `]`, bus.CodeMalformedEvent, "[1].source [1].type [2].time"},
}

func extensions(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":true`, i)
	}
	return b.String()
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.id, func(t *testing.T) {
			events, _, err := event.Decode(tt.h, []byte(tt.body), event.Limits{})
			e, ok := errors.AsType[*bus.Error](err)
			if !ok || events != nil {
				t.Fatalf("got %d events, %v", len(events), err)
			}
			if fields := strings.Join(fieldsOf(e), " "); e.Code != tt.code || fields != tt.fields {
				t.Errorf("got %s %q: %v", e.Code, fields, err)
			}
			for _, d := range e.Defects {
				if d.Problem.ZH == "" || d.Problem.EN == "" {
					t.Errorf("%q is not told in both languages", d.Field)
				}
			}
		})
	}
}

func fieldsOf(e *bus.Error) []string {
	var fields []string
	for _, d := range e.Defects {
		fields = append(fields, d.Field)
	}
	return fields
}

func TestDecodeAcceptsTheEdgesOfTheRules(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, members := range []string{
		`,"x":-2147483648,"y":2147483647,"z":true,"` + strings.Repeat("z", 20) + `":""`,
		`,"time":"2026-01-04T08:00:00.123456789-11:30"`,
		`,"dataschema":"urn:gx:schema:1"`, `,"dataschema":"https://example.org/s?a=%E4%BC%81#f"`,
		`,"subject":"` + strings.Repeat("中", 5000) + `"`,
		`,"data":` + strings.Repeat("[", 60) + strings.Repeat("]", 60),
		`,"datacontenttype":"multipart/form-data; boundary=x","data_base64":"AA=="`,
		extensions(64),
	} {
		for mode, h := range map[event.Mode]http.Header{event.Structured: headers(structured...), event.Batch: headers(batch...)} {
			text := body(members)
			if mode == event.Batch {
				text = "[" + text + "]"
			}
			if _, _, err := event.Decode(h, []byte(text), event.Limits{}); err != nil {
				t.Errorf("%.80s: %v", members, err)
			}
		}
	}
	for _, source := range []string{"/", "a", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "https://a.example/x?y=1", "mailto:a@b.example", "/系统"[:1] + "%E7%B3%BB", "?", "#f", "//host/x"} {
		h := headers("ce-specversion: 1.0", "ce-id: "+long, "ce-source: "+strings.ReplaceAll(source, "%", "%25"), "ce-type: "+long)
		events, _, err := event.Decode(h, nil, event.Limits{})
		if err != nil || events[0].Source() != source {
			t.Errorf("%s: %v", source, err)
		}
	}
	for _, source := range []string{"/a b", "HTTP://a/", "/%zz", "/%FF", "/a/../b", "/%2e%2e/b", "./a", "/a|b", "/a#", ":", "http://[::1"} {
		h := headers("ce-specversion: 1.0", "ce-id: 1", "ce-source: "+strings.NewReplacer("%", "%25", " ", "%20").Replace(source), "ce-type: t")
		if _, _, err := event.Decode(h, nil, event.Limits{}); bus.CodeOf(err) != bus.CodeMalformedEvent {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// TestSourceIsTheURLThatItsTextParsesTo holds what is read without a parser to what a
// parser makes of it.
func TestSourceIsTheURLThatItsTextParsesTo(t *testing.T) {
	for c := rune('!'); c <= '~'; c++ {
		for _, form := range []string{"/%c", "%c/", "/a%cb", "/a/%c/b", "//%c/a", "/%c%[1]c/", "/a%c"} {
			text := fmt.Sprintf(form, c)
			h := headers("ce-specversion: 1.0", "ce-id: 1", "ce-type: t", "ce-source: "+strings.NewReplacer("%", "%25", `"`, "%22").Replace(text))
			events, _, err := event.Decode(h, nil, event.Limits{})
			if err != nil {
				continue
			}
			want, failed := url.Parse(text)
			if source := events[0].Context.(*ce.EventContextV1).Source.URL; failed != nil || !reflect.DeepEqual(source, *want) || source.String() != text {
				t.Errorf("%s: %#v, %v", text, source, failed)
			}
		}
	}
}

func TestS03HeadersThatAgreeWithTheBodyAreFine(t *testing.T) {
	h := headers(append(structured, "ce-specversion: 1.0", "ce-source: /systems/a", "ce-sequence: 5", "ce-time: 2026-01-04T08:00:00+08:00", "ce-subject: %E4%BC%81")...)
	_, mode, err := event.Decode(h, []byte(body(`,"sequence":5,"time":"2026-01-04T00:00:00Z","subject":"企"`)), event.Limits{})
	if err != nil || mode != event.Structured {
		t.Errorf("%s, %v", mode, err)
	}
}

func TestLimitsNameTheEvent(t *testing.T) {
	lim := event.Limits{Event: 100, Request: 1000, Batch: 3}
	small, large := body(""), body(`,"data":"`+strings.Repeat("x", 100)+`"`)
	for _, tt := range []struct {
		h           http.Header
		body, field string
	}{
		{headers(structured...), large, ""},
		{binary("Content-Type: text/plain"), strings.Repeat("x", 100), ""},
		{headers(batch...), "[" + small + "," + large + "]", "[1]"},
		{headers(batch...), "[" + strings.Repeat(small+",", 3) + small + "]", ""},
		{headers(structured...), small + strings.Repeat(" ", 1000), ""},
		{headers(), strings.Repeat(" ", 1001), ""},
	} {
		_, _, err := event.Decode(tt.h, []byte(tt.body), lim)
		e, ok := errors.AsType[*bus.Error](err)
		if !ok || e.Code != bus.CodeTooLarge || !slices.Equal(fieldsOf(e), []string{tt.field}) || e.Defects[0].Allowed == "" {
			t.Errorf("%.60s: %v", tt.body, err)
		}
	}
	if _, _, err := event.Decode(headers(batch...), []byte("["+small+","+small+","+small+"]"), lim); err != nil {
		t.Error(err)
	}
}

func TestAnswerToABatchOfRubbishIsBounded(t *testing.T) {
	_, _, err := event.Decode(headers(batch...), []byte("["+strings.Repeat("{},", 5000)+"{}]"), event.Limits{})
	if e, ok := errors.AsType[*bus.Error](err); !ok || len(e.Defects) < 100 || len(e.Defects) > 110 {
		t.Errorf("got %v", err)
	}
}
