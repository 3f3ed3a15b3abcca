package event

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"

	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Marshal gives the canonical form of e: the JSON format without white space,
// attributes in the order of their names, then data; times in UTC; JSON data
// with its keys, strings and numbers as they were given. Events that differ
// only in the mode they came in have the same bytes, as long as their
// extensions are strings.
//
// An event that breaks the rules of [Decode] gives CodeMalformedEvent.
func Marshal(e Event) ([]byte, error) {
	e, err := normal(e)
	if err != nil {
		return nil, err
	}
	return appendEvent(make([]byte, 0, 256+len(e.DataEncoded)), e), nil
}

// MarshalDecoded is Marshal of an event that [Decode] or [Unmarshal] gave and that is as
// it was, but for attributes that were set to what they may be. Of the rules of Decode it
// is held to those alone that such an attribute can break: of how much there may be.
func MarshalDecoded(e Event) ([]byte, error) {
	d := draft{field: func(name string) string { return name }}
	list := attributes(e)
	extensions := 0
	for _, a := range list {
		if d.count(a); !standard(a.name) {
			extensions++
		}
	}
	if d.roomy(extensions); len(d.defects) > 0 {
		return nil, malformed(d.defects...)
	}
	size := int(d.size) + len(e.DataEncoded) + len(`"":"",`)*len(list) + len(`{"data":}`)
	return appendMembers(make([]byte, 0, size), list, e), nil
}

// Unmarshal reads one event in the JSON format as strictly as [Decode] does,
// but without a cap on its size. Data may share memory with raw.
func Unmarshal(raw []byte) (Event, error) {
	if err := strictjson.Check(raw, strictjson.Limits{Depth: eventDepth}); err != nil {
		return Event{}, err
	}
	e, failure := parse(raw, "", 0)
	if failure != nil {
		return Event{}, failure
	}
	return e, nil
}

// MarshalBatch gives a batch (ContentTypeBatch) of events in canonical form; of
// no events, "[]". Errors name the event, such as "[2].source".
func MarshalBatch(events []Event) ([]byte, error) {
	size := 2
	for _, e := range events {
		size += 256 + len(e.DataEncoded)
	}
	batch := append(make([]byte, 0, size), '[')
	for i, e := range events {
		normalised, failure := normalAt(e, "["+strconv.Itoa(i)+"]")
		if failure != nil {
			return nil, failure
		}
		if i > 0 {
			batch = append(batch, ',')
		}
		batch = appendEvent(batch, normalised)
	}
	return append(batch, ']'), nil
}

// UnmarshalBatch reads a batch as strictly as [Decode] does, but without caps
// on sizes, and an empty one gives no events. It is for batches between nodes.
func UnmarshalBatch(raw []byte) ([]Event, error) {
	return parseBatch(raw, Limits{})
}

// normal returns e as Decode would have given it, or the error Decode would
// have given.
func normal(e Event) (Event, error) {
	normalised, failure := normalAt(e, "")
	if failure != nil {
		return Event{}, failure
	}
	return normalised, nil
}

func normalAt(e Event, at string) (Event, *bus.Error) {
	d := draft{field: func(name string) string { return joinPath(at, name) }}
	for _, name := range slices.Sorted(maps.Keys(e.FieldErrors)) { // what the SDK's setters refused
		d.wrong(name, bus.Defect{Problem: bus.Text{ZH: "属性值不正确", EN: "was set to a wrong value"}})
	}
	if e.SpecVersion() != ce.CloudEventsVersionV1 {
		d.wrong("specversion", *checkVersion(e.SpecVersion()))
		return Event{}, malformed(d.defects...)
	}
	list := attributes(e)
	for i, a := range list {
		if i > 0 && a.name == list[i-1].name {
			d.wrong(a.name, bus.Defect{Problem: bus.Text{ZH: "重复出现", EN: "occurs as an extension too"}, Allowed: "one"})
		}
		d.set(a)
	}
	if len(e.DataEncoded) > 0 {
		d.data = e.DataEncoded
		if d.context.DataContentType == nil {
			d.set(impliedType)
		}
	}
	return d.event()
}

// attributes lists the attributes of a CloudEvents 1.0 event in the order of
// their names, as strings, int32 and bool.
func attributes(e Event) []attribute {
	context, ok := e.Context.(*ce.EventContextV1)
	if !ok {
		return nil
	}
	list := make([]attribute, 0, 8+len(context.Extensions))
	list = append(list, attribute{name: "specversion", string: ce.CloudEventsVersionV1})
	add := func(name, value string, there bool) {
		if there {
			list = append(list, attribute{name: name, string: value})
		}
	}
	add("id", context.ID, context.ID != "")
	add("type", context.Type, context.Type != "")
	source := context.Source.String()
	add("source", source, source != "")
	if context.Subject != nil {
		add("subject", *context.Subject, true)
	}
	if context.Time != nil {
		add("time", context.Time.String(), true)
	}
	if context.DataSchema != nil {
		add("dataschema", context.DataSchema.String(), true)
	}
	if context.DataContentType != nil {
		add("datacontenttype", *context.DataContentType, true)
	}
	for name, value := range context.Extensions {
		list = append(list, wire(name, value))
	}
	slices.SortFunc(list, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	return list
}

// wire gives an extension as one of the three types that JSON and this
// package keep apart.
func wire(name string, value any) attribute {
	value, err := types.Validate(value)
	if err != nil {
		return attribute{name: name, string: "\x00"} // no CloudEvents type; refused like any control character
	}
	switch value := value.(type) {
	case string:
		return attribute{name: name, string: value}
	case int32, bool:
		return attribute{name: name, other: value}
	}
	return attribute{name: name, string: attribute{other: value}.text()}
}

func appendEvent(dst []byte, e Event) []byte { return appendMembers(dst, attributes(e), e) }

// appendMembers appends an event, given the list of its attributes.
func appendMembers(dst []byte, list []attribute, e Event) []byte {
	dst = append(dst, '{')
	for i, a := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(strictjson.AppendString(dst, a.name), ':')
		switch value := a.other.(type) {
		case nil:
			dst = strictjson.AppendString(dst, a.string)
		case int32:
			dst = strconv.AppendInt(dst, int64(value), 10)
		case bool:
			dst = strconv.AppendBool(dst, value)
		}
	}
	switch {
	case len(e.DataEncoded) == 0:
	case e.DataBase64:
		dst = append(dst, `,"data_base64":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, e.DataEncoded), '"')
	case formOf(e.DataContentType()) == formJSON:
		dst = strictjson.AppendCompact(append(dst, `,"data":`...), e.DataEncoded)
	default:
		dst = strictjson.AppendString(append(dst, `,"data":`...), string(e.DataEncoded))
	}
	return append(dst, '}')
}
