package event

import (
	"fmt"
	"strings"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The extensions that the bus understands; others are carried as they are.
const (
	ExtExpiry         = "expirytime"         // CloudEvents: from then on the event is of no use
	ExtRecorded       = "recordedtime"       // CloudEvents: when it was recorded, in the producer's system or by the bus
	ExtSequence       = "sequence"           // CloudEvents: the producer's own order
	ExtPartitionKey   = "partitionkey"       // CloudEvents: what is kept in order
	ExtTraceParent    = "traceparent"        // W3C trace context
	ExtTraceState     = "tracestate"         // likewise: what the systems on the way add of their own
	ExtClassification = "dataclassification" // CloudEvents: how its data is classified
	ExtWatermark      = "gxbuswatermark"     // the bus's own: which decision a copy went out on
)

// checkExtension holds an extension that the bus understands to its form.
func checkExtension(a attribute) *bus.Defect {
	text, isText := a.string, a.other == nil
	switch a.name {
	case ExtExpiry, ExtRecorded:
		if _, ok := timestamp(text); !ok {
			return notATimestamp()
		}
	case ExtTraceParent:
		if !TraceParent(text) {
			return &bus.Defect{
				Problem: bus.Text{ZH: "不是 W3C 跟踪上下文", EN: "is no W3C trace context"},
				Allowed: "00-<32 hex digits>-<16 hex digits>-<2 hex digits>, lower case, ids not zero",
			}
		}
	case ExtTraceState:
		if !traceState(text) {
			return &bus.Defect{
				Problem: bus.Text{ZH: "不是 W3C 跟踪状态", EN: "is no W3C trace state"}, Allowed: fmt.Sprintf("1–%d printable ASCII characters", maxTraceState),
			}
		}
	case ExtSequence, ExtPartitionKey, ExtClassification:
		if isText {
			return checkFilled(text)
		}
	}
	return nil
}

// TraceParent reports whether text is a traceparent of version 00 (W3C Trace
// Context §3.2).
func TraceParent(text string) bool {
	parts := strings.Split(text, "-")
	return len(parts) == 4 && parts[0] == "00" &&
		IsTraceID(parts[1]) && hexOf(parts[2], 16) && strings.Trim(parts[2], "0") != "" && hexOf(parts[3], 2)
}

const maxTraceState = 512 // characters that are passed on (W3C Trace Context §3.3.1.5)

// traceState reports whether text can be a tracestate header.
func traceState(text string) bool {
	return text != "" && len(text) <= maxTraceState && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// IsTraceID reports whether text is the id of a trace.
func IsTraceID(text string) bool { return hexOf(text, 32) && strings.Trim(text, "0") != "" }

// TraceID is the id of the trace that a traceparent is part of; "" where it is none.
func TraceID(parent string) string {
	if !TraceParent(parent) {
		return ""
	}
	return strings.Split(parent, "-")[1]
}

// TraceOf is the id of the trace that the first of some events which is part of one is
// part of; "" where none is.
func TraceOf(events ...Event) string {
	for _, e := range events {
		if parent, _ := Extension(e, ExtTraceParent).(string); parent != "" {
			return TraceID(parent)
		}
	}
	return ""
}

func hexOf(text string, length int) bool {
	return len(text) == length && strings.Trim(text, "0123456789abcdef") == ""
}

// Extension returns an extension of e, or nil; unlike Extensions of the SDK it copies none.
func Extension(e Event, name string) any {
	context, ok := e.Context.(*ce.EventContextV1)
	if !ok {
		return nil
	}
	return context.Extensions[name]
}

// Expiry returns when e expires; ok is false where it never does.
func Expiry(e Event) (at time.Time, ok bool) {
	text, _ := Extension(e, ExtExpiry).(string)
	return timestamp(text)
}
