package event

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Event is a CloudEvents 1.0 event. Those that this package hands out have an
// *EventContextV1, a time in UTC, extensions of type string, int32 or bool,
// and DataBase64 set exactly where the JSON format needs it.
type Event = ce.Event

// Media types of the JSON format.
const (
	ContentTypeEvent = "application/cloudevents+json"
	ContentTypeBatch = "application/cloudevents-batch+json"
)

// Limits bound what one request may bring. A zero field means its default.
type Limits struct {
	Event   int64 // bytes of one event, attributes and decoded data; 1 MiB
	Request int64 // bytes of the body; 8 MiB
	Batch   int   // events in one batch; 10,000
}

func (l Limits) withDefaults() Limits {
	if l.Event == 0 {
		l.Event = 1 << 20
	}
	if l.Request == 0 {
		l.Request = 8 << 20
	}
	if l.Batch == 0 {
		l.Batch = 10_000
	}
	return l
}

// Mode is a content mode of the HTTP binding.
type Mode string

// The content modes (HTTP binding §1.3).
const (
	Binary     Mode = "binary"
	Structured Mode = "structured"
	Batch      Mode = "batch"
)

// Decode reads the events of an HTTP message. The body is already in memory:
// who reads it from the network caps it at lim.Request. Data may share memory
// with body.
//
// Errors are *bus.Error: CodeTooLarge over a limit; CodeUnsupported for a
// content encoding, event format or charset that is not understood, or where
// nothing says that this is an event; CodeMalformedJSON; CodeMalformedEvent with
// every defect of every event. In a batch fields are named "[2].source", in
// binary mode "ce-source".
func Decode(h http.Header, body []byte, lim Limits) ([]Event, Mode, error) {
	lim = lim.withDefaults()
	if size := int64(len(body)); size > lim.Request {
		return nil, "", tooLarge("", size, lim.Request)
	}
	mode, err := modeOf(h)
	if err != nil {
		return nil, "", err
	}
	var events []Event
	switch mode {
	case Batch:
		events, err = decodeBatch(h, body, lim)
	case Structured:
		events, err = decodeStructured(h, body, lim)
	default:
		events, err = decodeBinary(h, body, lim)
	}
	if err != nil {
		return nil, mode, err
	}
	return events, mode, nil
}

func tooLarge(field string, size, limit int64) *bus.Error {
	return bus.E(bus.CodeTooLarge, bus.Defect{
		Field:   field,
		Problem: bus.Text{ZH: fmt.Sprintf("共 %d 字节", size), EN: fmt.Sprintf("has %d bytes", size)},
		Allowed: fmt.Sprintf("at most %d bytes", limit),
	})
}

// modeOf tells the content mode from the headers (HTTP binding §3).
func modeOf(h http.Header) (Mode, error) {
	for _, value := range h.Values("Content-Encoding") {
		for encoding := range strings.SplitSeq(value, ",") {
			if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
				return "", unsupported("Content-Encoding", bus.Text{ZH: "不支持的内容编码", EN: "is an encoding that is not supported"}, "identity")
			}
		}
	}
	types := h.Values("Content-Type")
	if len(types) > 1 {
		return "", malformed(bus.Defect{Field: "Content-Type", Problem: bus.Text{ZH: "重复出现", EN: "occurs more than once"}, Allowed: "one"})
	}
	if len(types) == 0 || !isEnvelope(types[0]) {
		if !hasAttributes(h) {
			return "", unsupported("Content-Type", bus.Text{ZH: "不是 CloudEvents 请求", EN: "does not say that this is a CloudEvent"},
				ContentTypeEvent+", "+ContentTypeBatch+", or ce- headers")
		}
		return Binary, nil
	}
	mediaType, parameters, err := mime.ParseMediaType(types[0])
	if err != nil || !utf8Charset(parameters["charset"]) {
		return "", unsupported("Content-Type", bus.Text{ZH: "格式或字符集不受支持", EN: "has a form or charset that is not supported"}, ContentTypeEvent+"; charset=utf-8")
	}
	switch mediaType {
	case ContentTypeEvent:
		return Structured, nil
	case ContentTypeBatch:
		return Batch, nil
	}
	return "", unsupported("Content-Type", bus.Text{ZH: "不支持的事件格式", EN: "is an event format that is not supported"}, ContentTypeEvent+", "+ContentTypeBatch)
}

// isEnvelope reports whether a content type announces an event format rather
// than the data of an event in binary mode.
func isEnvelope(contentType string) bool {
	const prefix = "application/cloudevents"
	contentType = strings.TrimSpace(contentType)
	return len(contentType) >= len(prefix) && strings.EqualFold(contentType[:len(prefix)], prefix)
}

// utf8Charset reports whether text of a charset is UTF-8 as it stands.
func utf8Charset(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

func unsupported(field string, problem bus.Text, allowed string) *bus.Error {
	return bus.E(bus.CodeUnsupported, bus.Defect{Field: field, Problem: problem, Allowed: allowed})
}

func malformed(defects ...bus.Defect) *bus.Error {
	return bus.E(bus.CodeMalformedEvent, defects...)
}
