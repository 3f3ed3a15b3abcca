package event

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// maxDefects bounds an answer to a batch in which everything is wrong.
const maxDefects = 100

func decodeStructured(h http.Header, body []byte, lim Limits) ([]Event, error) {
	if err := strictjson.Check(body, strictjson.Limits{Depth: eventDepth}); err != nil {
		return nil, err
	}
	e, failure := parse(body, "", lim.Event)
	if failure == nil {
		failure = agree(h, e)
	}
	if failure != nil {
		return nil, failure
	}
	return []Event{e}, nil
}

// decodeBatch refuses an empty batch, which the specification leaves open: at
// an endpoint that acknowledges events it is a mistake of the sender.
func decodeBatch(h http.Header, body []byte, lim Limits) ([]Event, error) {
	if hasAttributes(h) {
		return nil, malformed(bus.Defect{Field: "ce-*", Problem: bus.Text{ZH: "批量模式不允许事件属性头", EN: "a batch has no attributes in headers"}, Allowed: "no ce- headers"})
	}
	events, err := parseBatch(body, lim)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, malformed(bus.Defect{Problem: bus.Text{ZH: "批量中没有事件", EN: "the batch is empty"}, Allowed: "at least one event"})
	}
	return events, nil
}

// parseBatch reads a batch, or tells the defects of all its events; a zero
// limit does not hold.
func parseBatch(body []byte, lim Limits) ([]Event, error) {
	if err := strictjson.Check(body, strictjson.Limits{Depth: batchDepth}); err != nil {
		return nil, err
	}
	if strictjson.Kind(body) != '[' {
		return nil, malformed(bus.Defect{Problem: bus.Text{ZH: "应为 JSON 数组", EN: "must be a JSON array"}, Allowed: "an array of events"})
	}
	events := []Event{}
	var all *bus.Error
	for i, raw := range strictjson.Elements(body) {
		if lim.Batch > 0 && i == lim.Batch {
			return nil, bus.E(bus.CodeTooLarge, bus.Defect{Problem: bus.Text{ZH: "一批中的事件过多", EN: "has too many events"}, Allowed: fmt.Sprintf("at most %d", lim.Batch)})
		}
		at := "[" + strconv.Itoa(i) + "]"
		e, failure := parse(raw, at, lim.Event)
		if all = united(all, failure); all != nil && len(all.Defects) >= maxDefects {
			break
		}
		events = append(events, e)
	}
	if all != nil {
		return nil, all
	}
	return events, nil
}

// united adds the defects of next to all; the first code stays.
func united(all, next *bus.Error) *bus.Error {
	if all == nil || next == nil {
		if all == nil {
			return next
		}
		return all
	}
	all.Defects = append(all.Defects, next.Defects...)
	return all
}

// parse reads an event in the JSON format from checked JSON; at is its place in
// a batch. Over limit bytes, where there is a limit, it is too large.
func parse(raw json.RawMessage, at string, limit int64) (Event, *bus.Error) {
	if strictjson.Kind(raw) != '{' {
		return Event{}, malformed(bus.Defect{Field: at, Problem: bus.Text{ZH: "应为 JSON 对象", EN: "must be a JSON object"}, Allowed: "an event in the CloudEvents JSON format"})
	}
	d := draft{limit: limit, field: func(name string) string { return joinPath(at, name) }}
	var data, encoded json.RawMessage
	for name, value := range strictjson.Members(raw) {
		switch name {
		case "data":
			data = value
		case "data_base64":
			encoded = value
		default:
			d.member(name, value)
		}
	}
	d.payload(data, encoded)
	return d.event()
}

// member reads an attribute; null is the same as absent (JSON format §2.2).
func (d *draft) member(name string, value json.RawMessage) {
	switch strictjson.Kind(value) {
	case 'n':
	case '"':
		text, _ := strictjson.Text(value)
		d.set(attribute{name: name, string: text})
	case 't':
		d.set(attribute{name: name, other: value[0] == 't'})
	case '0':
		n, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil {
			d.wrong(name, bus.Defect{Problem: bus.Text{ZH: "不是 32 位整数", EN: "is not a 32-bit integer"}, Allowed: "−2147483648 to 2147483647, no fraction, no exponent"})
			return
		}
		d.set(attribute{name: name, other: int32(n)})
	default:
		d.wrong(name, bus.Defect{Problem: bus.Text{ZH: "属性值不能是对象或数组", EN: "an attribute can't be an object or array"}, Allowed: "a string, integer or boolean"})
	}
}

// payload reads data from the one of its two members that is there.
func (d *draft) payload(data, encoded json.RawMessage) {
	switch {
	case data == nil && encoded == nil:
		return
	case data != nil && encoded != nil:
		d.wrong("data_base64", bus.Defect{Problem: bus.Text{ZH: "不能与 data 同时出现", EN: "is there beside data"}, Allowed: "one of data and data_base64"})
		return
	}
	if d.context.DataContentType == nil && !d.mistaken["datacontenttype"] {
		d.set(impliedType) // as it is left out (JSON format §3.1)
	}
	switch {
	case encoded != nil:
		text, ok := strictjson.Text(encoded)
		octets, err := base64.StdEncoding.Strict().DecodeString(text)
		if !ok || err != nil || len(text) != base64.StdEncoding.EncodedLen(len(octets)) {
			d.wrong("data_base64", bus.Defect{Problem: bus.Text{ZH: "不是 Base64", EN: "is not base64"}, Allowed: "a string in base64 (RFC 4648 §4), padded, no line breaks"})
			return
		}
		d.data = octets
	case d.mistaken["datacontenttype"]:
	case formOf(*d.context.DataContentType) == formJSON:
		d.data, d.checked = data, true
	default:
		d.textPayload(data)
	}
	if len(d.data) == 0 {
		d.data = nil
	}
}

func (d *draft) textPayload(data json.RawMessage) {
	text, ok := strictjson.Text(data)
	if _, parameters, _ := mime.ParseMediaType(*d.context.DataContentType); !ok || !utf8Charset(parameters["charset"]) {
		d.wrong("data", bus.Defect{
			Problem: bus.Text{ZH: "非 JSON 数据应为 UTF-8 字符串", EN: "must be a string in UTF-8, as the content type is not JSON"},
			Allowed: "a string, or data_base64",
		})
		return
	}
	d.data = []byte(text)
}

// agree refuses headers that contradict the body they go with (threat S03).
func agree(h http.Header, body Event) *bus.Error {
	d := draft{field: headerField}
	d.headers(h)
	if len(d.defects) > 0 {
		return malformed(d.defects...)
	}
	said := map[string]string{}
	for _, a := range attributes(body) {
		said[a.name] = a.text()
	}
	for _, a := range attributes(Event{Context: &d.context}) {
		if a.name == "specversion" {
			continue // checked, and fixed
		}
		if value, ok := said[a.name]; !ok || value != a.text() {
			d.wrong(a.name, bus.Defect{Problem: bus.Text{ZH: "与正文中的属性不一致", EN: "differs from the body"}, Allowed: "the same value as in the body, or no header"})
		}
	}
	if len(d.defects) > 0 {
		return malformed(d.defects...)
	}
	return nil
}

// attribute is one context attribute: a string, or else an int32 or bool.
type attribute struct {
	name   string
	string string
	other  any // nil of a string
}

func (a attribute) value() any {
	if a.other != nil {
		return a.other
	}
	return a.string
}

// text gives the canonical string of the value (CloudEvents §3.1).
func (a attribute) text() string {
	if a.other == nil {
		return a.string
	}
	text, err := types.Format(a.other)
	if err != nil {
		return ""
	}
	return text
}
