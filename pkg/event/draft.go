package event

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Depths of JSON: data may be as deep in any mode, so that an event that was
// accepted in one mode can go on in another.
const (
	dataDepth  = 60
	eventDepth = dataDepth + 1
	batchDepth = eventDepth + 1
)

// draft is an event being read: what is known of it and every defect so far.
type draft struct {
	context  ce.EventContextV1
	version  bool // specversion was there
	data     []byte
	checked  bool  // data is JSON that was checked with what is around it
	size     int64 // bytes of attribute names and values
	limit    int64 // bytes of the whole event; 0: none
	field    func(attribute string) string
	defects  []bus.Defect
	mistaken map[string]bool // attributes that are there but wrong
}

// impliedType is that of data whose type is not said.
var impliedType = attribute{name: "datacontenttype", string: ce.ApplicationJSON}

func (d *draft) set(a attribute) {
	if a.name == "specversion" {
		d.version = true
	}
	d.count(a)
	if defect := setAttribute(&d.context, a); defect != nil {
		d.wrong(a.name, *defect)
	}
}

// count takes in how large an attribute is.
func (d *draft) count(a attribute) { d.size += int64(len(a.name) + len(a.string)) }

// roomy checks that there are not too many attributes, nor too large ones.
func (d *draft) roomy(extensions int) {
	if extensions > maxExtensions || d.size > maxMetadata {
		d.defects = append(d.defects, bus.Defect{
			Field:   d.field(""),
			Problem: bus.Text{ZH: "扩展属性过多或属性总量过大", EN: "has too many extensions or too large attributes"},
			Allowed: fmt.Sprintf("%d extensions, %d bytes of attributes", maxExtensions, maxMetadata),
		})
	}
}

// wrong notes a defect of an attribute, so that its absence isn't told as well.
func (d *draft) wrong(name string, defect bus.Defect) {
	if d.mistaken == nil {
		d.mistaken = map[string]bool{}
	}
	d.mistaken[name] = true
	defect.Field = d.field(name)
	d.defects = append(d.defects, defect)
}

// event checks what concerns the event as a whole and returns it.
func (d *draft) event() (Event, *bus.Error) {
	for _, attribute := range []struct {
		name  string
		there bool
	}{
		{"specversion", d.version},
		{"id", d.context.ID != ""},
		{"source", d.context.Source.URL != url.URL{}},
		{"type", d.context.Type != ""},
	} {
		if !attribute.there && !d.mistaken[attribute.name] {
			d.wrong(attribute.name, bus.Defect{Problem: required})
		}
	}
	d.roomy(len(d.context.Extensions))
	base64 := false
	if len(d.data) > 0 && !d.mistaken["datacontenttype"] {
		base64 = d.checkData()
	}
	if len(d.defects) > 0 {
		return Event{}, malformed(d.defects...)
	}
	// The decoded event is counted, so that it is as large in every mode.
	if size := d.size + int64(len(d.data)); d.limit > 0 && size > d.limit {
		return Event{}, tooLarge(d.field(""), size, d.limit)
	}
	return Event{Context: &d.context, DataEncoded: d.data, DataBase64: base64}, nil
}

// checkData holds JSON data to strict JSON and reports whether the JSON format
// has to carry the data in base64.
func (d *draft) checkData() bool {
	if d.context.DataContentType == nil {
		d.wrong("datacontenttype", bus.Defect{Problem: bus.Text{ZH: "有数据时必填", EN: "required where there is data"}, Allowed: "a media type, such as application/json"})
		return false
	}
	f := formOf(*d.context.DataContentType)
	if f != formJSON {
		return !f.fitsText(d.data)
	}
	if d.checked {
		return false
	}
	err := strictjson.Check(d.data, strictjson.Limits{Depth: dataDepth})
	if e, ok := errors.AsType[*bus.Error](err); ok {
		for _, defect := range e.Defects {
			defect.Field = joinPath(d.field("data"), defect.Field)
			d.defects = append(d.defects, defect)
		}
	}
	return false
}

func joinPath(outer, inner string) string {
	if inner == "" || inner[0] == '[' || outer == "" {
		return outer + inner
	}
	return outer + "." + inner
}

// form is how data of a content type stands in the JSON format (§3.1.1).
type form int

const (
	formBinary form = iota // base64
	formText               // a JSON string, if it is UTF-8
	formJSON               // as itself
)

// formOf tells the form from a valid content type alone, so that an event has
// one canonical form whatever mode it came in.
func formOf(contentType string) form {
	if contentType == ce.ApplicationJSON { // nearly always
		return formJSON
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return formBinary
	}
	family, subtype, _ := strings.Cut(mediaType, "/")
	switch {
	case subtype == "json" || strings.HasSuffix(subtype, "+json"):
		return formJSON
	case !utf8Charset(parameters["charset"]):
		return formBinary
	case family == "text" || subtype == "xml" || strings.HasSuffix(subtype, "+xml"):
		return formText
	}
	return formBinary
}

// fitsText reports whether data can be a strict JSON string: UTF-8 without NUL.
func (f form) fitsText(data []byte) bool {
	return f == formText && utf8.Valid(data) && bytes.IndexByte(data, 0) < 0
}
